use std::time::Duration;

use super::{Changes, DAY, Persistence, SECOND, SameSite, SessionConfig, config, refused};
use crate::config::{FormerCookie, RememberMe};
use crate::cookie::CookieTemplate;
use crate::random::Random;
use crate::record::Record;
use crate::record::Token;

#[test]
fn defaults_and_presets_are_valid() {
    for config in [
        SessionConfig::new(),
        SessionConfig::strict(),
        SessionConfig::aal2(),
        SessionConfig::aal3(),
        SessionConfig::insecure_for_development(),
    ] {
        config.validate().unwrap();
    }
}

#[test]
fn presets_have_the_limits_that_they_are_named_for() {
    let limits = |config: SessionConfig| (config.idle, config.absolute, config.persistence);
    let (minute, hour) = (60 * SECOND, 3_600 * SECOND);
    use Persistence::{BrowserSession, Persistent};
    for (config, idle, absolute, persistence) in [
        (SessionConfig::new(), DAY, 14 * DAY, Persistent),
        (SessionConfig::strict(), 30 * minute, 8 * hour, Persistent),
        (SessionConfig::aal2(), hour, DAY, BrowserSession),
        (
            SessionConfig::aal3(),
            15 * minute,
            12 * hour,
            BrowserSession,
        ),
    ] {
        // A preset remembers nobody for longer than its own limits.
        let remembered = (config == SessionConfig::new()).then(RememberMe::default);
        assert_eq!(config.remember_me, remembered);
        assert_eq!(limits(config), (idle, Some(absolute), persistence));
    }
}

#[test]
fn what_cannot_work_is_refused_by_the_name_of_the_option() {
    let refusals: Changes<'_> = &[
        ("idle", |config| config.idle(Duration::ZERO)),
        ("idle", |config| config.idle(Duration::from_micros(999))),
        ("idle", |config| config.idle(3_651 * DAY)),
        ("idle", |config| config.idle(Duration::MAX)),
        ("unconfirmed_idle", |config| {
            config.unconfirmed_idle(Duration::ZERO)
        }),
        ("unconfirmed_idle", |config| {
            config.unconfirmed_idle(60 * SECOND - Duration::from_millis(1))
        }),
        ("unconfirmed_idle", |config| {
            config.unconfirmed_idle(Duration::MAX)
        }),
        ("absolute", |config| config.absolute(Duration::ZERO)),
        ("absolute", |config| config.absolute(3_651 * DAY)),
        ("store_timeout", |config| {
            config.store_timeout(Duration::ZERO)
        }),
        ("store_timeout", |config| {
            config.store_timeout(Duration::MAX)
        }),
        ("remember_me.idle", |config| {
            config.remember_me(RememberMe::new(Duration::ZERO, DAY))
        }),
        ("remember_me.absolute", |config| {
            config.remember_me(RememberMe::new(DAY, 3_651 * DAY))
        }),
        ("refresh_interval", |config| {
            let remembered = RememberMe::new(SECOND, DAY);
            config.remember_me(remembered).refresh_interval(SECOND)
        }),
        ("refresh_interval", |config| config.refresh_interval(DAY)),
        ("refresh_interval", |config| {
            config.refresh_interval(Duration::MAX)
        }),
        ("max_data_size", |config| config.max_data_size(0)),
        ("max_data_size", |config| config.max_data_size(usize::MAX)),
        ("max_data_size", |config| {
            config.max_data_size(Record::MAX_LEN - 4_095)
        }),
        ("cookie.same_site", |config| {
            config.same_site(SameSite::None).secure(false)
        }),
        ("cookie.partitioned", |config| {
            config.partitioned(true).secure(false)
        }),
        ("cookie.partitioned", |config| config.partitioned(true)),
        ("cookie.partitioned", |config| {
            config.partitioned(true).same_site(SameSite::Strict)
        }),
        ("cookie.name", |config| {
            config.cookie_name("n".repeat(4_096))
        }),
        ("cookie.path", |config| {
            config.cookie_path(format!("/{}", "p".repeat(1_024)))
        }),
        ("namespace", |config| config.cookie_name("n".repeat(65))),
    ];
    for (option, change) in refusals {
        let config = change(config());
        assert_eq!(refused(&config), *option, "{config:?}");
    }
}

#[test]
fn what_is_unusual_but_works_is_not_refused() {
    let accepted: Changes<'_> = &[
        ("a short life", |config| {
            config.idle(SECOND).absolute(2 * SECOND)
        }),
        ("a very short life", |config| {
            config.idle(Duration::from_millis(1))
        }),
        ("idle beyond absolute", |config| {
            config.idle(20 * DAY).absolute(DAY)
        }),
        ("no absolute limit", |config| config.absolute(None)),
        ("ten years", |config| {
            config.idle(3_650 * DAY).absolute(3_650 * DAY)
        }),
        ("every time", |config| {
            config.refresh_interval(Duration::ZERO)
        }),
        ("a lot of data", |config| {
            config.max_data_size(Record::MAX_LEN - 4_096)
        }),
        (
            "a name that is just short enough for a namespace",
            |config| config.cookie_name("n".repeat(64 - "__Host-".len())),
        ),
        ("a long path", |config| {
            config.cookie_path(format!("/{}", "p".repeat(1_023)))
        }),
        ("a long domain", |config| {
            config.cookie_domain(format!("{}abcde", "abcdefg.".repeat(31)))
        }),
        ("a long name", |config| {
            config.cookie_name("n".repeat(3_500)).namespace("n")
        }),
    ];
    for (what, change) in accepted {
        assert_eq!(change(config()).validate(), Ok(()), "{what}");
    }
}

#[test]
fn names_outside_the_grammar_are_refused() {
    for name in [
        "", " ", "a b", "a;b", "a=b", "a,b", "a\"b", "a\tb", "a\r\nb", "a\0", "(a)", "a/b", "a:b",
        "{a}", "é", "a\u{7f}",
    ] {
        assert_eq!(refused(&config().cookie_name(name)), "cookie.name");
        let unprefixed = config().cookie_name(name).cookie_prefix(false);
        assert_eq!(refused(&unprefixed), "cookie.name");
        assert_eq!(refused(&config().namespace(name)), "namespace");
    }
    let every = "!#$%&'*+-.^_`|~azAZ09";
    config().cookie_name(every).validate().unwrap();
}

#[test]
fn domains_that_no_browser_would_accept_are_refused() {
    let long_label = format!("{}.com", "a".repeat(64));
    let long = format!("{}com", "abcdefg.".repeat(32));
    for domain in [
        "",
        ".",
        ".example.com",
        "example.com.",
        "example..com",
        "https://example.com",
        "example.com:8080",
        "example.com/shop",
        "example.com; Path=/",
        "exa mple.com",
        "example.com\r\n",
        "bücher.example",
        "-a.example",
        "a-.example",
        "localhost",
        "com",
        "127.0.0.1",
        "::1",
        "[::1]",
        "*.example.com",
        &long_label,
        &long,
    ] {
        let config = config().cookie_domain(domain);
        assert_eq!(refused(&config), "cookie.domain", "{domain:?}");
    }
    for domain in ["example.com", "EXAMPLE.com", "xn--bcher-kva.example", "1.a"] {
        config().cookie_domain(domain).validate().unwrap();
    }
}

#[test]
fn paths_outside_the_grammar_are_refused() {
    for path in [
        "",
        "shop",
        " /",
        "/a;b",
        "/a b",
        "/a\t",
        "/\r\nX: y",
        "/é",
        "/\0",
        "/\u{7f}",
    ] {
        assert_eq!(refused(&config().cookie_path(path)), "cookie.path");
    }
    for path in ["/", "/shop", "/a/b/", "/a,b=\"c\"", "/%C3%A9"] {
        config().cookie_path(path).validate().unwrap();
    }
}

#[test]
fn former_cookies_that_no_browser_has_or_that_are_the_present_one_are_refused() {
    let former = |cookie| config().former_cookies([FormerCookie::new("old"), cookie]);
    for cookie in [
        FormerCookie::new(""),
        FormerCookie::new("a b"),
        FormerCookie::new("old").domain("localhost"),
        FormerCookie::new("old").path("old"),
        FormerCookie::new("__Host-old").domain("example.com"),
        FormerCookie::new("__Host-Http-old").path("/shop"),
        FormerCookie::new("o".repeat(4_096)),
        FormerCookie::new("__Host-id"),
    ] {
        assert_eq!(refused(&former(cookie)), "former_cookies");
    }
    let present = former(
        FormerCookie::new("__Secure-id")
            .domain("EXAMPLE.com")
            .path("/shop"),
    );
    let present = present.cookie_domain("example.com").cookie_path("/shop");
    assert_eq!(refused(&present), "former_cookies");
    let error = present.validate().unwrap_err().to_string();
    assert!(
        error.contains("\"__Secure-id\" is the present cookie"),
        "{error}"
    );
    let accepted = [
        FormerCookie::new("id"),
        FormerCookie::new("id").domain("example.com"),
        FormerCookie::new("id").path("/shop"),
        FormerCookie::new("sid"),
        FormerCookie::new("__Secure-id").domain("example.com"),
        FormerCookie::new("__Host-id").partitioned(true),
        FormerCookie::new("__Http-id").path("/shop"),
        FormerCookie::new("__Host-Http-id"),
    ];
    for present in [config(), config().secure(false), config().http_only(false)] {
        let config = present.former_cookies(accepted.clone());
        // The present one of a site without TLS.
        match config.cookie.secure {
            true => config.validate().unwrap(),
            false => assert_eq!(refused(&config), "former_cookies"),
        }
    }
}

#[test]
fn no_valid_configuration_renders_a_line_beyond_4096_bytes() {
    let token = Token::generate(&Random::System).unwrap().0;
    let mut valid = 0;
    for len in 2_000..4_096 {
        let config = config()
            .cookie_name("n".repeat(len))
            .cookie_domain("a.example")
            .cookie_path(format!("/{}", "p".repeat(500)))
            .same_site(SameSite::None)
            .partitioned(true)
            .namespace("n");
        if config.validate().is_ok() {
            let template = CookieTemplate::new(&config);
            assert!(template.set(&token, Some(Duration::MAX)).len() <= 4_096);
            assert!(template.remove().len() <= 4_096);
            valid = len;
        }
    }
    // The longest line that these attributes can make, whichever of them are present.
    let longest = "__Secure-=; HttpOnly; SameSite=Strict; Partitioned; Secure; Path=/; Domain=a.example; \
        Max-Age=34560000; Expires=Thu, 01 Jan 1970 00:00:00 GMT";
    assert_eq!(valid + longest.len() + 500 + Token::LEN, 4_096);
}

#[test]
fn an_error_names_the_option_and_says_what_to_do() {
    let error = config().cookie_domain("localhost").validate().unwrap_err();
    assert_eq!(
        error.to_string(),
        "session option `cookie.domain`: browsers accept no single word as a domain; leave it out, \
         and the cookie is sent only to the host that set it"
    );
    let error = config().cookie_name("n".repeat(65)).validate();
    let error = error.unwrap_err().to_string();
    assert!(error.contains("the cookie's name is too long to be used as the namespace"));
    let error = config().refresh_interval(36 * 60 * 60 * SECOND);
    let error = error.validate().unwrap_err().to_string();
    assert!(error.contains("1d 12h is not less than the idle limit of 1d"));
}
