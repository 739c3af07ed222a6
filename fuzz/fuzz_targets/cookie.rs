//! Fuzzes what reads the lines of `Cookie` headers.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tower_keycard::fuzzing::cookie(bytes));
