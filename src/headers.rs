//! The response's headers beside the cookie itself.

use http::header::{CACHE_CONTROL, Entry, HeaderMap, HeaderName, HeaderValue, SET_COOKIE, VARY};

/// Says that the response depends on the request's cookies (RFC 9110, section 12.5.5). What is there stays, in its order.
pub(crate) fn vary_on_cookie(headers: &mut HeaderMap) {
    let cookie = HeaderValue::from_static("Cookie");
    match headers.entry(VARY) {
        Entry::Vacant(unset) => {
            unset.insert(cookie);
        }
        Entry::Occupied(mut lines) => {
            if !lines.iter().any(names_cookies) {
                lines.append(cookie);
            }
        }
    }
}

/// Whether a `Vary` line says that the response depends on cookies, or on everything.
fn names_cookies(line: &HeaderValue) -> bool {
    let members = line.as_bytes().split(|byte| *byte == b',');
    members
        .map(<[u8]>::trim_ascii)
        .any(|member| member == b"*" || member.eq_ignore_ascii_case(b"cookie"))
}

/// Keeps the response out of every cache, unless the application has said what caches may do (ASVS 5.0, 14.3.2).
pub(crate) fn no_store_unless_set(headers: &mut HeaderMap) {
    if let Entry::Vacant(unset) = headers.entry(CACHE_CONTROL) {
        unset.insert(HeaderValue::from_static("no-store"));
    }
}

/// Has the browser drop what it cached and stored of the site (ASVS 5.0, 14.3.1).
pub(crate) fn clear_site_data(headers: &mut HeaderMap) {
    let value = HeaderValue::from_static("\"cache\", \"storage\"");
    headers.insert(HeaderName::from_static("clear-site-data"), value);
}

/// Puts our cookie into the response, in place of any other of its name: there is one line per name (RFC 6265bis, section
/// 4.1.1). Lines of other cookies stay, in their order.
pub(crate) fn put_cookie(headers: &mut HeaderMap, name: &str, cookie: HeaderValue) {
    match headers.entry(SET_COOKIE) {
        Entry::Vacant(unset) => {
            unset.insert(cookie);
        }
        Entry::Occupied(mut lines) if !lines.iter().any(|line| sets(line, name)) => {
            lines.append(cookie);
        }
        Entry::Occupied(lines) => {
            let lines: Vec<_> = lines.remove_entry_mult().1.collect();
            for line in lines.into_iter().filter(|line| !sets(line, name)) {
                headers.append(SET_COOKIE, line);
            }
            headers.append(SET_COOKIE, cookie);
        }
    }
}

/// Whether a `Set-Cookie` line is for the cookie of exactly this name.
fn sets(line: &HeaderValue, name: &str) -> bool {
    let line = line.as_bytes();
    let name_end = line.iter().position(|byte| matches!(byte, b'=' | b';'));
    name_end.is_some_and(|end| line[end] == b'=' && line[..end].trim_ascii() == name.as_bytes())
}

#[cfg(test)]
mod tests {
    use http::header::HeaderName;

    use super::*;

    fn response(name: &HeaderName, lines: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(name, HeaderValue::from_static(line));
        }
        headers
    }

    fn lines<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<&'a str> {
        let lines = headers.get_all(name).iter();
        lines.map(|line| line.to_str().unwrap()).collect()
    }

    #[test]
    fn vary_is_appended_behind_what_is_there() {
        for (before, after) in [
            (&[][..], &["Cookie"][..]),
            (&["Accept"], &["Accept", "Cookie"]),
            (&["b, a", "c"], &["b, a", "c", "Cookie"]),
            (&["", ","], &["", ",", "Cookie"]),
            (&["X-Cookie, Cookies"], &["X-Cookie, Cookies", "Cookie"]),
            (&["**"], &["**", "Cookie"]),
        ] {
            let mut headers = response(&VARY, before);
            vary_on_cookie(&mut headers);
            assert_eq!(lines(&headers, &VARY), after);
        }
    }

    #[test]
    fn vary_stays_where_it_says_cookie_or_everything_already() {
        for before in [
            &["Cookie"][..],
            &["cookie"],
            &["COOKIE"],
            &["Accept,cOOkie , Origin"],
            &["Accept", "Origin,\tcookie"],
            &["*"],
            &["Accept", " * "],
        ] {
            let mut headers = response(&VARY, before);
            let unchanged = headers.clone();
            vary_on_cookie(&mut headers);
            assert_eq!(headers, unchanged);
        }
    }

    #[test]
    fn vary_is_added_once_however_often_it_is_asked_for() {
        let mut headers = HeaderMap::new();
        vary_on_cookie(&mut headers);
        vary_on_cookie(&mut headers);
        assert_eq!(lines(&headers, &VARY), ["Cookie"]);
    }

    #[test]
    fn vary_need_not_be_text() {
        let mut headers = HeaderMap::new();
        headers.append(VARY, HeaderValue::from_bytes(b"\xff, cookie").unwrap());
        vary_on_cookie(&mut headers);
        assert_eq!(headers.len(), 1);
    }

    #[test]
    fn caches_are_kept_out_unless_the_application_said_otherwise() {
        let mut headers = HeaderMap::new();
        no_store_unless_set(&mut headers);
        assert_eq!(lines(&headers, &CACHE_CONTROL), ["no-store"]);

        let own = ["private, max-age=60", "no-transform"];
        let mut headers = response(&CACHE_CONTROL, &own);
        no_store_unless_set(&mut headers);
        assert_eq!(lines(&headers, &CACHE_CONTROL), own);
    }

    #[test]
    fn a_browser_is_told_to_drop_what_it_cached_and_stored_and_no_cookies() {
        let name = HeaderName::from_static("clear-site-data");
        let mut headers = response(&name, &["\"*\""]);
        clear_site_data(&mut headers);
        assert_eq!(lines(&headers, &name), ["\"cache\", \"storage\""]);
    }

    #[test]
    fn our_cookie_replaces_its_namesakes_and_leaves_all_others() {
        let others = [
            "a=1", "ID=2", "idp=3", "id", "=id=4", "x; id=5", "y=id=6", "\"id\"=7",
        ];
        let mut all = others.to_vec();
        all.insert(0, "id=old; Path=/");
        all.insert(3, " id\t= older; Domain=example.com");
        all.push("id=");
        let mut headers = response(&SET_COOKIE, &all);
        headers.insert(VARY, HeaderValue::from_static("Accept"));
        put_cookie(&mut headers, "id", HeaderValue::from_static("id=new"));
        let mut expected = others.to_vec();
        expected.push("id=new");
        assert_eq!(lines(&headers, &SET_COOKIE), expected);
        assert_eq!(lines(&headers, &VARY), ["Accept"]);
    }

    #[test]
    fn our_cookie_stands_once_when_it_is_put_twice() {
        let mut headers = HeaderMap::new();
        put_cookie(&mut headers, "id", HeaderValue::from_static("id=1"));
        put_cookie(&mut headers, "id", HeaderValue::from_static("id=2"));
        assert_eq!(lines(&headers, &SET_COOKIE), ["id=2"]);
    }

    #[test]
    fn a_sensitive_value_stays_sensitive() {
        let mut headers = response(&SET_COOKIE, &["a=1", "id=0"]);
        let mut secret = HeaderValue::from_static("b=secret");
        secret.set_sensitive(true);
        headers.append(SET_COOKIE, secret);
        put_cookie(&mut headers, "id", HeaderValue::from_static("id=1"));
        let kept = headers.get_all(SET_COOKIE).iter().nth(1).unwrap();
        assert!(kept.is_sensitive());
    }
}
