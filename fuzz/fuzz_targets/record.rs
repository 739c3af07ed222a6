//! Fuzzes what reads a record, as a store gave it back.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tower_keycard::fuzzing::record(bytes));
