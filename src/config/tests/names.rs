use std::time::Duration;

use super::{Changes, SECOND, SameSite, SessionConfig, config, refused};

#[test]
fn the_prefix_follows_from_the_attributes() {
    let expected: Changes<'_> = &[
        ("__Host-id", |config| config),
        ("__Host-sid", |config| config.cookie_name("sid")),
        ("__Secure-id", |config| config.cookie_domain("example.com")),
        ("__Secure-id", |config| config.cookie_path("/shop")),
        ("id", |config| config.secure(false)),
        ("sid", |config| config.secure(false).cookie_name("sid")),
        ("id", |config| config.cookie_prefix(false)),
        ("id", |_| SessionConfig::insecure_for_development()),
        ("__Host-idp", |config| {
            config.partitioned(true).same_site(SameSite::None)
        }),
        ("__Host-sid", |config| {
            let config = config.partitioned(true).same_site(SameSite::None);
            config.cookie_name("sid")
        }),
    ];
    for (name, change) in expected {
        let config = change(config());
        config.validate().unwrap();
        assert_eq!(config.resolved_cookie_name(), *name);
    }
}

#[test]
fn a_name_with_a_legal_prefix_stays_as_it_is() {
    for name in [
        "__Host-sid",
        "__host-sid",
        "__Secure-sid",
        "__Http-sid",
        "__Host-Http-sid",
    ] {
        let config = config().cookie_name(name);
        config.validate().unwrap();
        assert_eq!(config.resolved_cookie_name(), name);
    }
}

#[test]
fn a_name_with_a_prefix_that_the_attributes_do_not_allow_is_refused_in_any_case() {
    let refusals: Changes<'_> = &[
        ("__Host-id", |config| config.secure(false)),
        ("__hOsT-id", |config| config.secure(false)),
        ("__Host-id", |config| config.cookie_domain("example.com")),
        ("__HOST-id", |config| config.cookie_path("/shop")),
        ("__Secure-id", |config| config.secure(false)),
        ("__secure-id", |config| {
            config.secure(false).cookie_prefix(false)
        }),
        ("__Http-id", |config| config.http_only(false)),
        ("__Host-Http-id", |config| config.http_only(false)),
        ("__Host-Http-id", |config| config.cookie_path("/shop")),
    ];
    for (name, change) in refusals {
        let config = change(config().cookie_name(*name));
        assert_eq!(refused(&config), "cookie.name", "{name}");
    }
}

#[test]
fn a_refused_prefix_says_what_browsers_demand_of_it() {
    for (prefix, requirements) in [
        ("__Host-", "Secure, the path / and no domain"),
        ("__Secure-", "Secure"),
        ("__Http-", "Secure and HttpOnly"),
        ("__Host-Http-", "Secure, HttpOnly, the path / and no domain"),
    ] {
        let config = config().secure(false).cookie_name(format!("{prefix}id"));
        let error = config.validate().unwrap_err().to_string();
        let expected = format!("begins with {prefix} (in any case) unless it has {requirements}; ");
        assert!(error.contains(&expected), "{error}");
    }
}

#[test]
fn the_namespace_is_the_cookies_name_unless_it_is_set() {
    assert_eq!(config().resolved_namespace(), "__Host-id");
    assert_eq!(config().namespace("shop").resolved_namespace(), "shop");
    let longest = "n".repeat(64);
    config().namespace(longest).validate().unwrap();
}

#[test]
fn a_label_is_part_of_every_name_and_of_no_name_without_it() {
    let marked = |mut config: SessionConfig| {
        config.label = Some("admin".to_owned());
        config.validate().unwrap();
        (config.resolved_cookie_name(), config.resolved_namespace())
    };
    let names = |cookie: &str, namespace: &str| (cookie.to_owned(), namespace.to_owned());
    let expected = names("__Host-id-admin", "__Host-id/admin");
    assert_eq!(marked(config()), expected);
    let shop = config().cookie_name("shop").namespace("n");
    assert_eq!(marked(shop), names("__Host-shop-admin", "n/admin"));
    let longest = "n".repeat(64);
    let both = names("__Host-id-admin", &format!("{longest}/admin"));
    assert_eq!(marked(config().namespace(longest)), both);
    assert_eq!(refused(&config().namespace("n/admin")), "namespace");
}

#[test]
fn the_refresh_interval_depends_on_save_every_request() {
    let eager = config().save_every_request(true);
    assert_eq!(config().resolved_refresh_interval(), 60 * SECOND);
    assert_eq!(eager.resolved_refresh_interval(), Duration::ZERO);
    let set = eager.refresh_interval(5 * SECOND);
    assert_eq!(set.resolved_refresh_interval(), 5 * SECOND);
}
