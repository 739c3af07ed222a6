use proptest::prelude::{Strategy, prop_oneof, proptest};
use url::Url;

use super::*;

/// Texts that have led to open redirects in other software. Sources: OWASP's testing guide, PayloadsAllTheThings, PortSwigger,
/// and the advisories of Django (CVE-2017-7233, CVE-2018-14574), Rails, Flask-Security and Express.
const HOSTILE: &[&str] = &[
    "",
    " ",
    "#",
    "?",
    ".",
    "..",
    "../",
    "account",
    "account/",
    "evil.example",
    "www.evil.example",
    "http://evil.example",
    "https://evil.example/",
    "HTTPS://evil.example",
    "http:evil.example",
    "https:evil.example",
    "http:/evil.example",
    "https:/\\evil.example",
    "http:\\\\evil.example",
    "http:///evil.example",
    "https:///evil.example",
    "http://////evil.example",
    "ftp://evil.example",
    "ws://evil.example",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "javascript://%0aalert(1)",
    "JaVaScRiPt:alert(1)",
    "java\nscript:alert(1)",
    "\x01javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:x",
    "blob:x",
    "view-source:x",
    "mailto:x@evil.example",
    "tel:1",
    "about:blank",
    "x:",
    ":",
    "://evil.example",
    ":///evil.example",
    "::evil.example",
    "//",
    "//evil.example",
    "//evil.example/",
    "//evil.example/%2f..",
    "//evil.example/%2e%2e",
    "//evil.example/..;/css",
    "//EVIL.example",
    "//evil%E3%80%82example",
    "//evil\u{3002}example",
    "//xn--evil.example",
    "//127.0.0.1",
    "//[::1]/",
    "//2130706433",
    "//0x7f000001",
    "//localhost",
    "//user@evil.example",
    "//user:password@evil.example",
    "//site.example@evil.example",
    "//site.example%40evil.example",
    "//evil.example#site.example",
    "//evil.example?site.example",
    "//evil.example;site.example",
    "//evil.example\\@site.example",
    "///",
    "///evil.example",
    "////evil.example",
    "/////evil.example",
    "///\\;@evil.example",
    "//\\evil.example",
    "//\t/evil.example",
    "// evil.example",
    "///evil.example@site.example",
    "/\\",
    "/\\evil.example",
    "/\\/evil.example",
    "/\\\\evil.example",
    "\\",
    "\\\\evil.example",
    "\\/evil.example",
    "\\/\\/evil.example/",
    "/x\\evil.example",
    "/x/..\\\\evil.example",
    "/..\\evil.example",
    "/?\\evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "/\r/evil.example",
    "/\r\n/evil.example",
    "\t//evil.example",
    "\n//evil.example",
    "\r\n//evil.example",
    "\u{0}//evil.example",
    "/\u{0}/evil.example",
    "/\u{b}/evil.example",
    "/\u{7f}/evil.example",
    " //evil.example",
    " /account",
    "/account ",
    "/acc ount",
    "\u{a0}//evil.example",
    "/\u{a0}/evil.example",
    "/\u{2028}/evil.example",
    "\u{feff}//evil.example",
    "/\u{200b}/evil.example",
    "\u{ff0f}\u{ff0f}evil.example",
    "/\u{ff0f}evil.example",
    "/\u{2215}evil.example",
    "/\u{2044}evil.example",
    "/account\r\nSet-Cookie: id=1",
    "/account\nLocation: https://evil.example",
    "/%2fevil.example",
    "/%2Fevil.example",
    "/%2f%2fevil.example",
    "%2fevil.example",
    "%2f%2fevil.example",
    "/%252fevil.example",
    "/%25252fevil.example",
    "/%2525252525252fevil.example",
    "/%5cevil.example",
    "/%5Cevil.example",
    "/%5c%5cevil.example",
    "/%255cevil.example",
    "/%5c/evil.example",
    "%5c%5cevil.example",
    "/%09/evil.example",
    "/%0a/evil.example",
    "/%0d/evil.example",
    "/%0d%0a/evil.example",
    "/%00/evil.example",
    "/%7f/evil.example",
    "/%2509/evil.example",
    "%00//evil.example",
    "%09//evil.example",
    "%0d%0a//evil.example",
    "/account%0d%0aX: 1",
    "/%0d%0aLocation:%20https://evil.example",
    "/.//evil.example",
    "/..//evil.example",
    "/./%2fevil.example",
    "/%2e//evil.example",
    "/%2e%2e//evil.example",
    "/%2e%2e/%2fevil.example",
    "/x/..//evil.example",
    "/x//../evil.example",
    "/x/../%2fevil.example",
    "/;//evil.example",
    "/account//evil.example",
    "/http://evil.example",
    "/https://evil.example/",
    "/%68ttps:%2f%2fevil.example",
    "@evil.example",
    "user@evil.example",
    ".evil.example",
    ":80",
    ":80@evil.example",
    "?next=//evil.example",
    "#//evil.example",
    "*",
    "~",
    "%",
    "%2",
    "%zz",
    ";@evil.example",
    "<>//evil.example",
];

/// Paths that people want to come back to.
const HARMLESS: &[&str] = &[
    "/",
    "/account",
    "/account/",
    "/account/devices?page=2&sort=name",
    "/a.b/c-d_e~f",
    "/@alice",
    "/@alice/posts",
    "/users/alice@example.com",
    "/search?q=a//b",
    "/search?q=https://example.com/",
    "/x?next=%2Fy",
    "/x?next=//evil.example",
    "/x#part",
    "/x#//part",
    "/files/a%20b.txt",
    "/files/a%2Fb",
    "/caf%C3%A9",
    "/100%",
    "/100%25",
    "/a:b",
    "/a;b=c",
    "/..",
    "/../x",
    "/.",
    "/./x",
    "/x/..",
    "/?",
    "/?a=%0d%0a",
    "/??",
    "/x?y=%5c",
    "/%7Ealice",
    "/!$&'()*+,;=:",
    "/[1]",
    "/{x}",
];

#[test]
fn paths_to_another_site_are_refused() {
    for hostile in HOSTILE {
        assert_eq!(SafeNext::parse(hostile), None, "{hostile:?}");
    }
    assert!(SafeNext::parse(&format!("/{}", "x".repeat(MAX_LEN))).is_none());
}

#[test]
fn harmless_paths_are_accepted_unchanged() {
    for harmless in HARMLESS {
        let next = SafeNext::parse(harmless).unwrap_or_else(|| panic!("{harmless:?}"));
        assert_eq!(next.as_str(), *harmless);
        stays_here(next.as_str()).unwrap();
    }
    assert!(SafeNext::parse(&format!("/{}", "x".repeat(MAX_LEN - 1))).is_some());
}

#[test]
fn a_path_encoded_too_many_times_is_refused() {
    let encoded = |times: usize| format!("/x%{}41", "25".repeat(times - 1));
    assert!(SafeNext::parse(&encoded(MAX_ENCODINGS)).is_some());
    assert!(SafeNext::parse(&encoded(MAX_ENCODINGS + 1)).is_none());
}

#[test]
fn in_a_form_an_unsafe_path_is_read_as_the_front_page() {
    let read = |text: &str| {
        let json = serde_json::to_string(text).unwrap();
        serde_json::from_str::<SafeNext>(&json).unwrap().to_string()
    };
    assert_eq!(read("/account"), "/account");
    assert_eq!(read("//evil.example"), "/");
    let next = SafeNext::parse("/account").unwrap();
    assert_eq!(serde_json::to_string(&next).unwrap(), r#""/account""#);
}

#[test]
fn next_survives_the_way_through_a_query() {
    for (page, next, target) in [
        ("/login", "/account", "/login?next=/account"),
        (
            "/login",
            "/a?b=c&d=%20#e",
            "/login?next=/a%3Fb%3Dc%26d%3D%2520%23e",
        ),
        ("/login?lang=de", "/x", "/login?lang=de&next=/x"),
        ("/login#form", "/x", "/login?next=/x#form"),
    ] {
        let [page, next] = [page, next].map(|text| SafeNext::parse(text).unwrap());
        let location = page.with_next(&next);
        assert_eq!(location, target);
        let url = here().join(&location).unwrap();
        let (_, value) = url.query_pairs().find(|(name, _)| name == "next").unwrap();
        assert_eq!(value, next.as_str());
    }
}

fn here() -> Url {
    Url::parse("https://site.example/login?next=x").unwrap()
}

/// Checks that a browser that follows `next` stays on the site, even if something on the way has decoded it. The `url` crate
/// reads it as a browser does: it runs the URL Standard's own tests.
fn stays_here(next: &str) -> Result<(), String> {
    let mut text = next.to_owned();
    for _ in 0..=MAX_ENCODINGS {
        let url = here()
            .join(&text)
            .map_err(|error| format!("{text:?}: {error}"))?;
        if url.origin() != here().origin() {
            return Err(format!("{text:?} leads to {url}"));
        }
        // A router may send the path that it saw back to the browser. That path must stay here too.
        let again = here().join(url.path()).map_err(|error| error.to_string())?;
        if again.origin() != here().origin() {
            return Err(format!("{text:?} leads to {again} by its path"));
        }
        let (path, rest) = text.split_at(path_of(&text).len());
        let Some(path) = decoded(path.as_bytes()) else {
            return Ok(());
        };
        text = String::from_utf8_lossy(&path).into_owned() + rest;
    }
    Ok(())
}

/// Pieces of open redirects, in any order.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        5 => r"[/\\]",
        2 => r"[.:@?#;%&= a-c]",
        1 => "[\t\n\r\0\x0b\x7f\u{a0}\u{ff0f}]",
        3 => "%(25){0,2}(2f|2F|5c|5C|2e|09|0a|0d|00|40|3a|23|3f)",
        2 => prop_oneof!["evil.example", "https:", "javascript:", "localhost", "x"],
    ];
    let start = prop_oneof![3 => "/", 1 => ""];
    (start, proptest::collection::vec(piece, 0..10))
        .prop_map(|(start, pieces)| start + &pieces.concat())
}

proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(4_000))]

    #[test]
    fn accepted_paths_stay_on_this_site_in_a_browser(text in pieces()) {
        if let Some(next) = SafeNext::parse(&text)
            && let Err(wrong) = stays_here(next.as_str())
        {
            panic!("{wrong}");
        }
    }

    #[test]
    fn no_text_causes_a_panic(text: String) {
        if let Some(next) = SafeNext::parse(&text) {
            stays_here(next.as_str()).unwrap();
            http::HeaderValue::from_str(next.as_str()).unwrap();
        }
    }
}
