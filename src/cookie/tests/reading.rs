use http::header::{ACCEPT, COOKIE, HeaderMap, HeaderValue};

use super::{Found, NAME, ONE, OTHER, find, found};
use crate::cookie::{Presented, hide, read, read_lines};

#[test]
fn the_token_is_found_wherever_it_stands() {
    for lines in [
        vec![format!("{NAME}={ONE}")],
        vec![format!("a=b; {NAME}={ONE}; c=d")],
        vec![format!("a=b;{NAME}={ONE};c=d")],
        vec![format!(";; ;{NAME}={ONE};;")],
        vec![format!(" \t {NAME} \t= \t{ONE}\t ")],
        vec![format!("__Host-i=x; {NAME}={ONE}; __Host-idd=x")],
        vec![
            "a=b".to_owned(),
            format!("{NAME}={ONE}"),
            "c=\"x; y\"".to_owned(),
        ],
    ] {
        assert_eq!(find(&lines), found(ONE), "{lines:?}");
    }
}

#[test]
fn headers_that_http_2_split_are_read_as_one() {
    let mut headers = HeaderMap::new();
    headers.append(COOKIE, HeaderValue::from_static("a=b"));
    let pair = HeaderValue::try_from(format!("{NAME}={ONE}")).unwrap();
    headers.append(COOKIE, pair.clone());
    assert!(matches!(read(&headers, NAME), Presented::Token(_)));
    headers.append(COOKIE, pair);
    assert!(matches!(read(&headers, NAME), Presented::Token(_)));
    let other = HeaderValue::try_from(format!("{NAME}={OTHER}")).unwrap();
    headers.append(COOKIE, other);
    assert!(matches!(read(&headers, NAME), Presented::Several(_)));
    assert!(matches!(
        read(&HeaderMap::new(), NAME),
        Presented::Nothing { malformed: false }
    ));
}

#[test]
fn a_token_sent_twice_is_one_token() {
    let pair = format!("{NAME}={ONE}");
    assert_eq!(find(&[format!("{pair}; {pair}")]), found(ONE));
    assert_eq!(find(&[pair.clone(), pair]), found(ONE));
}

#[test]
fn different_tokens_are_found_in_one_header_or_two_each_once_and_in_their_order() {
    let (one, other) = (format!("{NAME}={ONE}"), format!("{NAME}={OTHER}"));
    let several = |tokens: [&str; 2]| Found::Several(tokens.map(str::to_owned).into());
    let both = several([ONE, OTHER]);
    assert_eq!(find(&[format!("{one}; {other}")]), both);
    assert_eq!(find(&[format!("{one}; {NAME}=bad; {other}; {one}")]), both);
    assert_eq!(find(&[one.clone(), other.clone()]), both);
    let turned = format!("{other}; {one}; {other}; {one}");
    assert_eq!(find(&[turned]), several([OTHER, ONE]));
}

#[test]
fn of_more_than_four_different_tokens_none_is_kept() {
    let pairs: Vec<_> = ('a'..='f')
        .map(|letter| format!("{NAME}={}", letter.to_string().repeat(44)))
        .collect();
    for sent in 1..=pairs.len() {
        // Each of them twice.
        let lines = [&pairs[..sent], &pairs[..sent]].concat();
        match (sent, find(&lines)) {
            (1, Found::Token(_)) | (5.., Found::TooMany) => {}
            (2..=4, Found::Several(tokens)) => assert_eq!(tokens.len(), sent),
            (_, found) => panic!("{sent}: {found:?}"),
        }
    }
}

#[test]
fn what_is_malformed_beside_one_token_is_ignored() {
    let (one, bad) = (format!("{NAME}={ONE}"), format!("{NAME}=bad"));
    assert_eq!(find(&[format!("{bad}; {one}; {bad}")]), found(ONE));
    assert_eq!(find(&[bad.clone(), one]), found(ONE));
    assert_eq!(find(&[bad]), Found::Malformed);
}

#[test]
fn the_tokens_secret_is_not_printed() {
    let presented = read_lines(
        [format!("{NAME}={ONE}").as_bytes()].into_iter(),
        NAME.as_bytes(),
    );
    assert!(!format!("{presented:?}").contains(&ONE[20..]));
}

#[test]
fn all_cookies_of_a_request_are_hidden_and_nothing_else_is() {
    let mut headers = HeaderMap::new();
    for (name, value) in [(COOKIE, "a=b"), (ACCEPT, "text/html"), (COOKIE, "c=d")] {
        headers.append(name, HeaderValue::from_static(value));
    }
    hide(&mut headers);
    let hidden = |name| headers.get_all(name).iter().all(HeaderValue::is_sensitive);
    assert!(hidden(COOKIE) && !hidden(ACCEPT));
    assert_eq!(headers.get_all(COOKIE).iter().count(), 2);
}

#[test]
fn thousands_of_pairs_and_headers_are_read_through() {
    let noise = format!("{NAME}=x;=;{NAME};;").repeat(5_000);
    assert_eq!(find(&[noise.as_str()]), Found::Malformed);
    assert_eq!(find(&[format!("{noise}{NAME}={ONE}")]), found(ONE));
    let mut lines = vec![format!("{NAME}=x"); 5_000];
    lines.push(format!("{NAME}={ONE}"));
    assert_eq!(find(&lines), found(ONE));
    let blank = " ".repeat(64 << 10);
    assert_eq!(find(&[format!("{NAME}={blank}{ONE}{blank}")]), found(ONE));
}
