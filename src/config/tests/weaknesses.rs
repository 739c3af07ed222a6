use super::{Changes, DAY, SECOND, SameSite, SessionConfig, Weakness, config};
use crate::config::RememberMe;

fn ids(config: &SessionConfig) -> Vec<&'static str> {
    config.check().iter().map(Weakness::id).collect()
}

#[test]
fn defaults_and_presets_have_none() {
    for config in [
        SessionConfig::new(),
        SessionConfig::strict(),
        SessionConfig::aal2(),
        SessionConfig::aal3(),
    ] {
        assert_eq!(config.check(), []);
    }
}

#[test]
fn each_weak_setting_has_its_id() {
    let weak: Changes<'_> = &[
        ("W001 cookie.secure", |config| config.secure(false)),
        ("W001 cookie.secure", |_| {
            SessionConfig::insecure_for_development()
        }),
        ("W002 cookie.http_only", |config| config.http_only(false)),
        ("W003 cookie.same_site", |config| {
            config.same_site(SameSite::None)
        }),
        ("W004 cookie.prefix", |config| config.cookie_prefix(false)),
        ("W004 cookie.prefix", |config| {
            config.cookie_name("__Secure-id")
        }),
        ("W005 cookie.domain", |config| {
            config.cookie_domain("example.com")
        }),
        ("W006 cookie.path", |config| config.cookie_path("/shop")),
        ("W007 absolute", |config| config.absolute(None)),
        ("W008 absolute", |config| config.absolute(31 * DAY)),
        ("W009 idle", |config| config.idle(8 * DAY)),
        ("W010 idle", |config| config.idle(DAY).absolute(DAY / 2)),
        ("W011 max_data_size", |config| config.max_data_size(1 << 19)),
        ("W012 store_timeout", |config| {
            config.store_timeout(11 * SECOND)
        }),
        ("W013 remember_me.absolute", |config| {
            config.remember_me(RememberMe::new(DAY, 31 * DAY))
        }),
        ("W014 remember_me.idle", |config| {
            config.remember_me(RememberMe::new(DAY, DAY / 2))
        }),
        ("W015 cache_private", |config| config.cache_private(false)),
    ];
    for (expected, change) in weak {
        let config = change(config());
        config.validate().unwrap();
        let found = config.check();
        assert_eq!(found.len(), 1, "{expected}: {found:?}");
        let name = format!("{} {}", found[0].id(), found[0].option());
        assert_eq!(name, format!("keycard.{expected}"));
    }
}

#[test]
fn what_is_just_within_an_advised_limit_is_not_weak() {
    let within: Changes<'_> = &[
        ("absolute", |config| config.absolute(30 * DAY)),
        ("idle", |config| config.idle(7 * DAY)),
        ("as long as absolute", |config| {
            config.idle(DAY).absolute(DAY)
        }),
        ("remembered", |config| {
            config.remember_me(RememberMe::new(30 * DAY, 30 * DAY))
        }),
        ("data", |config| config.max_data_size(256 << 10)),
        ("timeout", |config| config.store_timeout(10 * SECOND)),
        ("the strongest prefix there is", |config| {
            config.cookie_name("__Host-Http-id")
        }),
    ];
    for (what, change) in within {
        assert_eq!(change(config()).check(), [], "{what}");
    }
}

#[test]
fn several_are_all_listed() {
    let config = config().cookie_domain("example.com").cookie_prefix(false);
    assert_eq!(ids(&config), ["keycard.W004", "keycard.W005"]);
}

#[test]
fn each_is_printed_on_one_line_as_sentences() {
    let config = SessionConfig {
        idle: 40 * DAY,
        absolute: None,
        ..SessionConfig::insecure_for_development()
    };
    for weakness in config.check() {
        let line = weakness.to_string();
        assert!(line.starts_with(weakness.id()) && line.ends_with('.'));
        assert!(!line.contains("  ") && !line.contains('\n') && !line.contains(".."));
        assert_eq!(
            line,
            format!(
                "{} `{}`: {}. {}.",
                weakness.id(),
                weakness.option(),
                weakness.reason(),
                weakness.hint()
            )
        );
        assert!(weakness.reason().contains("ASVS 5.0") && weakness.hint().contains(' '));
    }
}
