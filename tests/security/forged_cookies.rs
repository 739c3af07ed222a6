//! Cookie headers that no browser of ours sent: none opens the session whose token they imitate.

use axum::http::HeaderValue;
use tower_keycard::fuzzing::accepts_cookie;

use crate::app::{App, COOKIE_NAME};

const HEADER_LIMIT: usize = 64 * 1024;

/// What looks like white space to some parser, beside the space and the tab.
const SPACES: &[&str] = &[
    "\u{b}", "\u{c}", "\u{85}", "\u{a0}", "\u{1680}", "\u{2000}", "\u{2028}", "\u{202f}",
    "\u{205f}", "\u{3000}", "\u{feff}", "\u{200b}", "\u{ad}", "\u{1f}", "\u{7f}", "+", "%20",
    "%09",
];

/// The name in other spellings.
fn names() -> Vec<String> {
    let mut names = vec![
        "__host-id",
        "__HOST-ID",
        "__Host-ID",
        "__Host-Id",
        "__Host-i",
        "__Host-idd",
        "_Host-id",
        "___Host-id",
        "Host-id",
        "id",
        "__Secure-id",
        "__Host_id",
        "__Host-id[]",
        "__Host-id[0]",
        "__Host-id.x",
        "\"__Host-id\"",
        "'__Host-id'",
        "%5F%5FHost-id",
        "__Host%2Did",
        "__Host-i%64",
        "$__Host-id",
        "__Host-id\\",
        "\\__Host-id",
        "__Host-\\id",
        "a __Host-id",
        "__Host-id a",
        "a,__Host-id",
        "a&__Host-id",
        "a:__Host-id",
        "",
        "=__Host-id",
        "==__Host-id",
        "x=__Host-id",
        "__Host-id\u{0}",
        "__Host-\u{131}d",
        "＿＿Host-id",
        "__Host‐id",
        "__Ho\u{17f}t-id",
        "__Host-ⅰd",
    ]
    .into_iter()
    .map(str::to_owned)
    .collect::<Vec<_>>();
    for space in SPACES {
        names.extend([
            format!("{space}{COOKIE_NAME}"),
            format!("{COOKIE_NAME}{space}"),
            format!("__Host-{space}id"),
        ]);
    }
    names
}

/// The value in other encodings and surroundings.
fn values(token: &str) -> Vec<String> {
    let percent = |text: &str| {
        text.bytes()
            .map(|byte| format!("%{byte:02X}"))
            .collect::<String>()
    };
    let hex = |text: &str| {
        text.bytes()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let (selector, verifier) = token.split_at(20);
    let mut values = vec![
        String::new(),
        selector.to_owned(),
        verifier.to_owned(),
        token[..43].to_owned(),
        token[1..].to_owned(),
        format!("{token}{token}"),
        format!("{token}="),
        format!("{token}=="),
        format!("={token}"),
        format!("\"{token}\""),
        format!("\"{token}"),
        format!("{token}\""),
        format!("'{token}'"),
        format!("\\{token}"),
        format!("{token},"),
        format!("{token},{token}"),
        format!("{token}.signature"),
        format!("s:{token}.signature"),
        format!("j:\"{token}\""),
        format!("{selector}.{verifier}"),
        format!("{selector} {verifier}"),
        format!("{selector}%00{verifier}"),
        format!("{token}\0"),
        percent(token),
        format!("{}{}", percent(&token[..1]), &token[1..]),
        format!("{}{}", &token[..43], percent(&token[43..])),
        hex(token),
        token.bytes().map(|byte| format!("&#{byte};")).collect(),
        token.bytes().map(|byte| format!("\\u{byte:04x}")).collect(),
        token.bytes().map(|byte| format!("\\{byte:03o}")).collect(),
        token
            .chars()
            .map(|character| char::from_u32(u32::from(character) + 0xfee0).unwrap())
            .collect(),
        format!("{}A{}", &token[..20], &token[21..43]),
        "*".repeat(44),
        "?".repeat(44),
        "%".repeat(44),
        "null".to_owned(),
        "../".repeat(15),
        "' OR '1'='1".to_owned(),
        "*3\\r\\n$3\\r\\nDEL".to_owned(),
    ];
    for space in SPACES {
        values.extend([
            format!("{space}{token}"),
            format!("{token}{space}"),
            format!("{selector}{space}{verifier}"),
        ]);
    }
    values
}

/// So many pairs of the cookie's name and different tokens.
fn made_up_tokens(most: usize) -> String {
    let pairs = (0..most).map(|number| format!("{COOKIE_NAME}={number:A>44};"));
    pairs.collect()
}

fn forged(token: &str) -> Vec<Vec<u8>> {
    let mut headers: Vec<String> = Vec::new();
    for name in names() {
        headers.push(format!("{name}={token}"));
        headers.push(format!("a=b; {name}={token}; c=d"));
    }
    for value in values(token) {
        headers.push(format!("{COOKIE_NAME}={value}"));
        headers.push(format!("a=b;{COOKIE_NAME}={value};c=d"));
        headers.push(format!("{COOKIE_NAME} \t=\t {value}\t"));
    }
    headers.extend([
        token.to_owned(),
        COOKIE_NAME.to_owned(),
        format!("{COOKIE_NAME}:{token}"),
        format!("{COOKIE_NAME};={token}"),
        format!("{COOKIE_NAME};{token}"),
        format!("{COOKIE_NAME}=;{token}"),
        format!("{COOKIE_NAME}={};{}", &token[..22], &token[22..]),
        format!("{COOKIE_NAME}={}\n{}", &token[..22], &token[22..]),
        format!("{COOKIE_NAME}=\n{token}"),
        format!("{COOKIE_NAME}\n={token}"),
        format!("__Host\n-id={token}"),
        format!("a={COOKIE_NAME}={token}"),
        format!("a=\"b; c\", {COOKIE_NAME}={token}"),
        format!("a=b, {COOKIE_NAME}={token}"),
        format!("a=b&{COOKIE_NAME}={token}"),
        format!("$Version=1, {COOKIE_NAME}={token}; $Path=/"),
        format!("Cookie: {COOKIE_NAME}={token}"),
        format!("[\"{COOKIE_NAME}={token}\"]"),
        // More tokens than are looked up.
        format!("{}{COOKIE_NAME}={token}", made_up_tokens(4)),
        format!("{COOKIE_NAME}={token};{}", made_up_tokens(4)),
        format!("{}\n{COOKIE_NAME}={token}", made_up_tokens(900)),
        // Thousands of pairs, none of them ours.
        "a=b; ".repeat(HEADER_LIMIT / 5),
        ";".repeat(HEADER_LIMIT),
        "=".repeat(HEADER_LIMIT),
        format!("{COOKIE_NAME}=; ").repeat(HEADER_LIMIT / 12),
        format!("{COOKIE_NAME}={}; ", &token[..43]).repeat(HEADER_LIMIT / 55),
        format!("{COOKIE_NAME}={}", "A".repeat(HEADER_LIMIT - 10)),
        format!("{}={token}", "_".repeat(HEADER_LIMIT - 45)),
        format!("{}{COOKIE_NAME}={token}", "x".repeat(HEADER_LIMIT - 54)),
    ]);
    let mut headers: Vec<_> = headers.into_iter().map(String::into_bytes).collect();
    // Bytes that are no UTF-8, beside and within.
    for byte in 0x80..=0xff {
        headers.push([&[byte], COOKIE_NAME.as_bytes(), b"=", token.as_bytes()].concat());
        headers.push([COOKIE_NAME.as_bytes(), b"=", token.as_bytes(), &[byte]].concat());
    }
    headers
}

#[tokio::test]
async fn no_forged_cookie_header_opens_the_session_it_imitates() {
    let app = App::in_memory();
    let mut browser = app.browser();
    browser.does("/login/alice").await;
    let token = browser.token();
    let headers = forged(&token);
    assert!(headers.len() > 700, "{}", headers.len());

    let (mut accepted, mut sent) = (0, 0);
    for header in &headers {
        accepted += u32::from(accepts_cookie(header));
        let lines: Vec<_> = header.split(|byte| *byte == b'\n').collect();
        let legal = |line: &&[u8]| HeaderValue::from_bytes(line).is_ok();
        if !lines.iter().all(legal) {
            continue;
        }
        let lines: Vec<_> = lines.into_iter().map(|line| ("cookie", line)).collect();
        let reply = app.send("GET", "/read", &lines).await;
        let shown = String::from_utf8_lossy(&header[..header.len().min(120)]).into_owned();
        assert_eq!(reply.json()["user"], serde_json::Value::Null, "{shown}");
        assert_eq!(reply.set_cookie(), None, "{shown}");
        sent += 1;
    }
    assert_eq!(accepted, 0, "of {}", headers.len());
    assert!(sent > 500, "{sent}");
    // The corpus would notice: the token itself is accepted.
    assert!(accepts_cookie(
        format!("a=b;\t{COOKIE_NAME} = {token} ; c=d").as_bytes()
    ));
    assert_eq!(browser.session().await["user"], "alice");
}
