use std::collections::BTreeSet;
use std::time::Duration;

use cookie::Cookie;
use http::HeaderValue;

use super::ONE;
use crate::config::{SameSite, SessionConfig};
use crate::cookie::CookieTemplate;
use crate::record::Token;

const EXPIRED: &str = "; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT";

fn token(text: &str) -> Token {
    Token::parse(text.as_bytes()).unwrap()
}

fn text(value: &HeaderValue) -> &str {
    value.to_str().unwrap()
}

/// Every combination of attributes that a layer can be built with.
fn configs() -> Vec<SessionConfig> {
    let mut configs = vec![SessionConfig::new()];
    let mut vary = |change: &dyn Fn(SessionConfig) -> SessionConfig| {
        let changed: Vec<_> = configs.iter().cloned().map(change).collect();
        configs.extend(changed);
    };
    vary(&|config| config.secure(false));
    vary(&|config| config.http_only(false));
    vary(&|config| config.same_site(SameSite::Strict));
    vary(&|config| config.same_site(SameSite::None));
    vary(&|config| config.partitioned(true));
    vary(&|config| config.cookie_domain("Example.com"));
    vary(&|config| config.cookie_path("/shop, \"x\"=1"));
    vary(&|config| config.cookie_path("/shop=1"));
    vary(&|config| config.cookie_name("sid"));
    configs.retain(|config| config.validate().is_ok());
    configs
}

#[test]
fn the_default_cookie_is_hardened() {
    let template = CookieTemplate::new(&SessionConfig::new());
    let line = template.set(&token(ONE), Some(Duration::from_secs(60)));
    assert_eq!(
        text(&line),
        format!("__Host-id={ONE}; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=60")
    );
}

#[test]
fn without_a_lifetime_it_has_neither_max_age_nor_expires() {
    let template = CookieTemplate::new(&SessionConfig::new());
    assert_eq!(
        text(&template.set(&token(ONE), None)),
        format!("__Host-id={ONE}; HttpOnly; SameSite=Lax; Secure; Path=/")
    );
}

#[test]
fn max_age_is_rounded_up_never_0_and_at_most_400_days() {
    let template = CookieTemplate::new(&SessionConfig::new());
    for (lifetime, expected) in [
        (Duration::ZERO, 1),
        (Duration::from_nanos(1), 1),
        (Duration::from_secs(1), 1),
        (Duration::from_millis(1_001), 2),
        (Duration::from_millis(9_001), 10),
        (Duration::from_secs(1_209_600), 1_209_600),
        (Duration::from_secs(400 * 86_400), 34_560_000),
        (Duration::from_secs(600 * 86_400), 34_560_000),
        (Duration::MAX, 34_560_000),
    ] {
        let line = template.set(&token(ONE), Some(lifetime));
        assert!(text(&line).ends_with(&format!("; Max-Age={expected}")));
    }
}

#[test]
fn the_secret_is_not_printed_with_the_header() {
    let template = CookieTemplate::new(&SessionConfig::new());
    let line = template.set(&token(ONE), None);
    assert!(line.is_sensitive());
    assert!(!format!("{line:?} {template:?}").contains(&ONE[20..]));
}

#[test]
fn a_template_is_printed_as_the_line_that_removes_its_cookie() {
    let template = CookieTemplate::new(&SessionConfig::new());
    let printed = format!("{template:?}");
    assert_eq!(
        printed,
        format!("CookieTemplate({:?})", text(&template.remove()))
    );
}

#[test]
fn what_removes_the_cookie_is_what_set_it_but_for_value_and_lifetime() {
    for config in configs() {
        let template = CookieTemplate::new(&config);
        let set = template.set(&token(ONE), None);
        let emptied = text(&set).replace(ONE, "");
        assert_eq!(text(&template.remove()), emptied + EXPIRED);
    }
}

#[test]
fn every_line_reads_back_as_it_was_configured() {
    assert!(configs().len() > 50);
    for config in configs() {
        let template = CookieTemplate::new(&config);
        let line = template.set(&token(ONE), Some(Duration::from_secs(60)));
        let cookie = Cookie::parse(text(&line)).unwrap();
        let options = &config.cookie;
        assert_eq!(cookie.name(), template.name());
        assert_eq!(cookie.name(), config.resolved_cookie_name());
        assert_eq!(cookie.value(), ONE);
        assert_eq!(cookie.path(), Some(&*options.path));
        let domain = options.domain.as_deref();
        assert_eq!(cookie.domain(), domain);
        assert_eq!(cookie.secure() == Some(true), options.secure);
        assert_eq!(cookie.http_only() == Some(true), options.http_only);
        assert_eq!(cookie.partitioned() == Some(true), options.partitioned);
        assert_eq!(
            cookie.same_site().unwrap().to_string().to_lowercase(),
            serde_json::to_value(options.same_site).unwrap()
        );
        assert_eq!(cookie.max_age().unwrap().whole_seconds(), 60);
        assert!(cookie.expires().is_none());

        let removal = template.remove();
        let removal = Cookie::parse(text(&removal)).unwrap();
        assert_eq!(removal.value(), "");
        assert!(removal.max_age().unwrap().is_zero());
        let expires = removal.expires_datetime().unwrap();
        assert_eq!(expires.unix_timestamp(), 0);
    }
}

#[test]
fn no_attribute_stands_twice() {
    for config in configs() {
        let template = CookieTemplate::new(&config);
        for line in [
            template.set(&token(ONE), Some(Duration::MAX)),
            template.remove(),
        ] {
            let attributes: Vec<_> = text(&line)
                .split("; ")
                .skip(1)
                .map(|attribute| attribute.split('=').next().unwrap())
                .collect();
            let distinct: BTreeSet<_> = attributes.iter().collect();
            assert_eq!(distinct.len(), attributes.len(), "{line:?}");
        }
    }
}

#[test]
fn a_line_is_one_buffer_of_its_exact_length() {
    let template = CookieTemplate::new(&SessionConfig::new());
    for max_age in [
        None,
        Some(1),
        Some(9),
        Some(10),
        Some(1_209_600),
        Some(u64::MAX),
    ] {
        let line = template.line(&token(ONE), max_age.map(Duration::from_secs));
        assert_eq!(line.capacity(), line.len());
    }
}
