//! Fuzzes the parser of `Cookie` header lines.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tower_keycard::fuzzing::cookie(bytes));
