//! Fuzzes the decoder of records from a store.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tower_keycard::fuzzing::record(bytes));
