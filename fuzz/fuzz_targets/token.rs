//! Fuzzes the parser of a cookie's value.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tower_keycard::fuzzing::token(bytes));
