use std::time::Duration;

use serde_json::json;

use super::{DAY, OnInterrupted, Persistence, SECOND, SameSite, SessionConfig, config};
use crate::config::{BeyondLimit, FormerCookie, RememberMe};

fn toml(text: &str) -> SessionConfig {
    toml::from_str(text).unwrap()
}

fn error(text: &str) -> String {
    toml::from_str::<SessionConfig>(text)
        .unwrap_err()
        .to_string()
}

#[test]
fn an_empty_file_is_the_default() {
    assert_eq!(toml(""), config());
    assert_eq!(
        serde_json::from_value::<SessionConfig>(json!({})).unwrap(),
        config()
    );
}

#[test]
fn every_option_can_be_written() {
    let written = toml(
        r#"
        idle = "30m"
        unconfirmed_idle = "10m"
        absolute = "1d 12h"
        refresh_interval = "90s"
        save_every_request = true
        persistence = "browser-session"
        on_interrupted = "drop-silently"
        store_timeout = "250ms"
        max_data_size = 1000
        cache_private = false
        clear_site_data = true
        namespace = "shop"

        [remember_me]
        idle = "7d"
        absolute = "28d"

        [max_sessions_per_user]
        most = 5
        beyond = "evict-oldest"

        [cookie]
        name = "sid"
        prefix = false
        domain = "example.com"
        path = "/shop"
        secure = true
        http_only = false
        same_site = "none"
        partitioned = true

        [[former_cookies]]
        name = "old"

        [[former_cookies]]
        name = "sid"
        domain = "shop.example.com"
        path = "/"
        partitioned = true
        "#,
    );
    let built = SessionConfig::new()
        .idle(30 * 60 * SECOND)
        .unconfirmed_idle(10 * 60 * SECOND)
        .absolute(36 * 60 * 60 * SECOND)
        .refresh_interval(90 * SECOND)
        .save_every_request(true)
        .persistence(Persistence::BrowserSession)
        .on_interrupted(OnInterrupted::DropSilently)
        .store_timeout(Duration::from_millis(250))
        .max_data_size(1_000)
        .cache_private(false)
        .clear_site_data(true)
        .namespace("shop")
        .remember_me(RememberMe::new(7 * DAY, 28 * DAY))
        .max_sessions_per_user(5, BeyondLimit::EvictOldest)
        .cookie_name("sid")
        .cookie_prefix(false)
        .cookie_domain("example.com")
        .cookie_path("/shop")
        .secure(true)
        .http_only(false)
        .same_site(SameSite::None)
        .partitioned(true)
        .former_cookies([
            FormerCookie::new("old"),
            FormerCookie::new("sid")
                .domain("shop.example.com")
                .path("/")
                .partitioned(true),
        ]);
    assert_eq!(written, built);
    assert_eq!(toml(&toml::to_string(&built).unwrap()), built);
    let json = serde_json::to_value(&built).unwrap();
    assert_eq!(
        serde_json::from_value::<SessionConfig>(json).unwrap(),
        built
    );
}

#[test]
fn the_default_is_written_as_a_person_would() {
    assert_eq!(
        toml::to_string(&config()).unwrap(),
        "idle = \"1d\"\nunconfirmed_idle = \"1h\"\nabsolute = \"14d\"\nsave_every_request = false\n\
         persistence = \"persistent\"\non_interrupted = \"conflict-unless-safe\"\n\
         store_timeout = \"500ms\"\nmax_data_size = 65536\ncache_private = true\n\
         clear_site_data = false\n\n\
         [remember_me]\nidle = \"14d\"\nabsolute = \"30d\"\n\n[cookie]\nprefix = true\n\
         path = \"/\"\nsecure = true\nhttp_only = true\nsame_site = \"lax\"\n\
         partitioned = false\n"
    );
}

#[test]
fn no_absolute_limit_is_written_off() {
    let off = toml("absolute = \"off\"");
    assert_eq!(off, config().absolute(None));
    assert!(
        toml::to_string(&off)
            .unwrap()
            .contains("absolute = \"off\"\n")
    );
}

#[test]
fn the_limits_of_remember_me_can_be_set_in_part_or_off() {
    let off = toml("remember_me = \"off\"");
    assert_eq!(off, config().remember_me(None));
    assert_eq!(toml(&toml::to_string(&off).unwrap()), off);
    let in_part = toml("[remember_me]\nidle = \"7d\"");
    let limits = RememberMe::new(7 * DAY, 30 * DAY);
    assert_eq!(in_part, config().remember_me(limits));
    let json = serde_json::to_value(&off).unwrap();
    assert_eq!(json["remember_me"], "off");
    assert_eq!(serde_json::from_value::<SessionConfig>(json).unwrap(), off);
    for wrong in ["\"on\"", "true", "30"] {
        let error = error(&format!("remember_me = {wrong}"));
        let expected = "expected a table with `idle` and `absolute`, or \"off\"";
        assert!(error.contains(expected), "{error}");
    }
    assert!(error("[remember_me]\nidel = \"7d\"").contains("unknown field `idel`"));
}

#[test]
fn only_the_absolute_limit_can_be_off() {
    for option in ["idle", "store_timeout", "refresh_interval"] {
        assert!(error(&format!("{option} = \"off\"")).contains("invalid duration \"off\""));
    }
}

#[test]
fn the_error_for_none_suggests_off() {
    for wrong in ["none", "never", "0x"] {
        let absolute = error(&format!("absolute = \"{wrong}\""));
        assert!(absolute.contains("or \"off\""), "{absolute}");
        let idle = error(&format!("idle = \"{wrong}\""));
        assert!(!idle.contains("off"), "{idle}");
    }
}

#[test]
fn a_number_without_a_unit_is_refused() {
    for option in [
        "idle",
        "unconfirmed_idle",
        "absolute",
        "store_timeout",
        "refresh_interval",
    ] {
        for number in ["30", "-1", "0.5"] {
            let error = error(&format!("{option} = {number}"));
            assert!(error.contains("expected a duration with its unit, such as \"30m\""));
            assert!(error.contains(option));
        }
        let error = error(&format!("{option} = \"30\""));
        assert!(error.contains("invalid duration \"30\""), "{error}");
    }
}

#[test]
fn durations_are_read_back_exactly() {
    for duration in [
        Duration::ZERO,
        Duration::from_nanos(1),
        Duration::from_micros(1_500),
        Duration::new(400 * 86_400 + 3_661, 999_999_999),
        3_650 * DAY,
    ] {
        let config = config().idle(duration).refresh_interval(duration);
        assert_eq!(toml(&toml::to_string(&config).unwrap()), config);
    }
}

#[test]
fn unknown_options_are_refused_by_name() {
    assert!(error("idel = \"30m\"").contains("unknown field `idel`"));
    assert!(error("[cookie]\nsamesite = \"lax\"").contains("unknown field `samesite`"));
    assert!(error("cookie_name = \"sid\"").contains("unknown field `cookie_name`"));
    assert!(error("persistence = \"session\"").contains("`browser-session`"));
}

#[test]
fn the_error_for_a_session_limit_without_beyond_says_what_to_write() {
    let error = error("max_sessions_per_user = 3");
    let expected = "expected a table with `most` and `beyond`, or \"off\"";
    assert!(error.contains(expected), "{error}");
}

#[test]
fn a_lifted_session_limit_is_written_off() {
    let off = toml("max_sessions_per_user = \"off\"");
    assert_eq!(off, config().unlimited_sessions());
    assert_eq!(toml(&toml::to_string(&off).unwrap()), off);
    assert!(error("max_sessions_per_user = \"none\"").contains("\"off\""));
}

#[test]
fn null_leaves_the_default_where_there_is_one_to_leave() {
    let written = json!({
        "refresh_interval": null, "namespace": null,
        "cookie": {"name": null, "domain": null},
    });
    assert_eq!(
        serde_json::from_value::<SessionConfig>(written).unwrap(),
        config()
    );
    let error = serde_json::from_value::<SessionConfig>(json!({"absolute": null}));
    assert!(error.unwrap_err().to_string().contains("or \"off\""));
}
