//! Fuzzes the parser of configuration files.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    tower_keycard::fuzzing::config(text, |text| toml::from_str(text).ok(), |config| toml::to_string(config));
});
