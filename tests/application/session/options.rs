//! Where an option has to be named.

use std::time::Duration;

use serde_json::Value;
use tower_keycard::SessionConfig;
use tower_keycard::config::{BeyondLimit, FormerCookie};

fn file(path: &str) -> String {
    let root = env!("CARGO_MANIFEST_DIR");
    std::fs::read_to_string(format!("{root}/{path}")).unwrap()
}

/// The names of all options in a file; those of the cookie as `cookie.name`.
fn options() -> Vec<String> {
    // An option without a default is written only if it is set.
    let config = SessionConfig::new()
        .refresh_interval(Duration::from_secs(60))
        .namespace("shop")
        .cookie_name("shop")
        .cookie_domain("example.com")
        .max_sessions_per_user(3, BeyondLimit::Refuse)
        .former_cookies([FormerCookie::new("sid")]);
    let Value::Object(options) = serde_json::to_value(config).unwrap() else {
        panic!("a configuration is a table");
    };
    let names = options.iter().flat_map(|(name, value)| match value {
        Value::Object(fields) if name == "cookie" => fields
            .keys()
            .map(|field| format!("cookie.{field}"))
            .collect(),
        _ => vec![name.clone()],
    });
    names.collect()
}

#[test]
fn the_page_for_users_of_django_names_every_option() {
    let page = file("docs/django.md");
    for option in options() {
        assert!(page.contains(&format!("`{option}`")), "{option}");
    }
}

#[test]
fn the_fuzz_target_of_the_configuration_knows_every_option() {
    let dictionary = file("fuzz/dictionaries/config.dict");
    for option in options() {
        let key = option.trim_start_matches("cookie.");
        let written = [format!("\"{key} = "), format!("\"[{key}]\"")];
        assert!(
            written.iter().any(|text| dictionary.contains(text)),
            "{option}"
        );
    }
}
