//! The response headers: `Set-Cookie`, `Vary`, `Cache-Control` and `Clear-Site-Data`.

use http::Response;
use http::header::{CACHE_CONTROL, Entry, HeaderMap, HeaderName, HeaderValue, SET_COOKIE, VARY};

/// Declares that the response depends on the request's cookies (RFC 9110, section 12.5.5). Existing lines stay, in their order.
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

/// Whether a `Vary` line names cookies, or everything.
fn names_cookies(line: &HeaderValue) -> bool {
    let members = line.as_bytes().split(|byte| *byte == b',');
    members
        .map(<[u8]>::trim_ascii)
        .any(|member| member == b"*" || member.eq_ignore_ascii_case(b"cookie"))
}

const PRIVATE: &str = "private";
const NO_STORE: &str = "no-store";

/// Marks a response whose `Cache-Control: private` is a layer's, and not the application's.
#[derive(Clone)]
struct PrivateByLayer;

/// Says that nobody may store the response (ASVS 5.0, 14.3.2), unless the application has said who may. What a layer further in
/// has said is not the application's word: it did not know of this layer's cookie.
pub(crate) fn no_store_unless_set<B>(response: &mut Response<B>) {
    let by_layer = response.extensions_mut().remove::<PrivateByLayer>();
    match response.headers_mut().entry(CACHE_CONTROL) {
        Entry::Vacant(unset) => {
            unset.insert(HeaderValue::from_static(NO_STORE));
        }
        Entry::Occupied(mut lines) if by_layer.is_some() && lines.iter().eq([PRIVATE]) => {
            lines.insert(HeaderValue::from_static(NO_STORE));
        }
        Entry::Occupied(_) => {}
    }
}

/// Says that only the user's browser may store the response (ASVS 5.0, 14.2.2; RFC 9111, section 5.2.2.7), unless the
/// application has said who may. A layer further out learns who has said it.
pub(crate) fn private_unless_set<B>(response: &mut Response<B>, has_outer: bool) {
    if let Entry::Vacant(unset) = response.headers_mut().entry(CACHE_CONTROL) {
        unset.insert(HeaderValue::from_static(PRIVATE));
        if has_outer {
            response.extensions_mut().insert(PrivateByLayer);
        }
    }
}

/// Makes the browser drop its cache and its storage of the site (ASVS 5.0, 14.3.1).
pub(crate) fn clear_site_data(headers: &mut HeaderMap) {
    let value = HeaderValue::from_static("\"cache\", \"storage\"");
    headers.insert(HeaderName::from_static("clear-site-data"), value);
}

/// Puts the session cookie into the response, and before it the lines that remove former cookies of the layer. The cookie
/// replaces any other line of its name (RFC 6265bis, section 4.1.1), except that former cookies have lines of their own, for
/// another domain or path. Lines of other cookies stay, in their order.
pub(crate) fn put_cookie(
    headers: &mut HeaderMap,
    name: &str,
    cookie: HeaderValue,
    former: &[HeaderValue],
) {
    match headers.entry(SET_COOKIE) {
        Entry::Vacant(unset) if former.is_empty() => {
            unset.insert(cookie);
        }
        Entry::Occupied(mut lines)
            if former.is_empty() && !lines.iter().any(|line| sets_cookie(line, name)) =>
        {
            lines.append(cookie);
        }
        Entry::Vacant(_) => append(headers, former.iter().cloned().chain([cookie])),
        Entry::Occupied(lines) => {
            let lines: Vec<_> = lines.remove_entry_mult().1.collect();
            let others = lines.into_iter().filter(|line| !sets_cookie(line, name));
            append(
                headers,
                others.chain(former.iter().cloned()).chain([cookie]),
            );
        }
    }
}

fn append(headers: &mut HeaderMap, lines: impl Iterator<Item = HeaderValue>) {
    for line in lines {
        headers.append(SET_COOKIE, line);
    }
}

/// Whether a `Set-Cookie` line sets the cookie of exactly this name.
fn sets_cookie(line: &HeaderValue, name: &str) -> bool {
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
    fn vary_is_appended_after_existing_lines() {
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
    fn vary_that_names_cookies_or_everything_stays() {
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
    fn vary_is_added_only_once() {
        let mut headers = HeaderMap::new();
        vary_on_cookie(&mut headers);
        vary_on_cookie(&mut headers);
        assert_eq!(lines(&headers, &VARY), ["Cookie"]);
    }

    #[test]
    fn vary_may_contain_bytes_that_are_not_text() {
        let mut headers = HeaderMap::new();
        headers.append(VARY, HeaderValue::from_bytes(b"\xff, cookie").unwrap());
        vary_on_cookie(&mut headers);
        assert_eq!(headers.len(), 1);
    }

    #[test]
    fn caches_are_kept_out_unless_the_application_set_cache_control() {
        let cached = |response: &Response<()>| {
            let lines = lines(response.headers(), &CACHE_CONTROL).into_iter();
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        let mut response = Response::new(());
        no_store_unless_set(&mut response);
        assert_eq!(cached(&response), ["no-store"]);
        private_unless_set(&mut response, true);
        assert_eq!(cached(&response), ["no-store"]);
        for own in ["public, max-age=60", "private"] {
            let mut response = Response::new(());
            let own = HeaderValue::from_static(own);
            response.headers_mut().insert(CACHE_CONTROL, own.clone());
            private_unless_set(&mut response, true);
            no_store_unless_set(&mut response);
            assert_eq!(cached(&response), [own.to_str().unwrap()]);
        }
    }

    #[test]
    fn no_store_replaces_the_private_of_a_layer_alone() {
        let mut response = Response::new(());
        private_unless_set(&mut response, true);
        private_unless_set(&mut response, true);
        let mut changed = response.clone();
        no_store_unless_set(&mut response);
        assert_eq!(lines(response.headers(), &CACHE_CONTROL), ["no-store"]);
        // What the application said after the layer counts.
        let own = HeaderValue::from_static("public");
        changed.headers_mut().insert(CACHE_CONTROL, own);
        no_store_unless_set(&mut changed);
        assert_eq!(lines(changed.headers(), &CACHE_CONTROL), ["public"]);
    }

    #[test]
    fn clear_site_data_names_cache_and_storage_but_not_cookies() {
        let name = HeaderName::from_static("clear-site-data");
        let mut headers = response(&name, &["\"*\""]);
        clear_site_data(&mut headers);
        assert_eq!(lines(&headers, &name), ["\"cache\", \"storage\""]);
    }

    #[test]
    fn the_session_cookie_replaces_lines_of_its_name_and_no_others() {
        let others = [
            "a=1", "ID=2", "idp=3", "id", "=id=4", "x; id=5", "y=id=6", "\"id\"=7",
        ];
        let mut all = others.to_vec();
        all.insert(0, "id=old; Path=/");
        all.insert(3, " id\t= older; Domain=example.com");
        all.push("id=");
        let mut headers = response(&SET_COOKIE, &all);
        headers.insert(VARY, HeaderValue::from_static("Accept"));
        put_cookie(&mut headers, "id", HeaderValue::from_static("id=new"), &[]);
        let mut expected = others.to_vec();
        expected.push("id=new");
        assert_eq!(lines(&headers, &SET_COOKIE), expected);
        assert_eq!(lines(&headers, &VARY), ["Accept"]);
    }

    #[test]
    fn the_session_cookie_put_twice_is_sent_once() {
        let mut headers = HeaderMap::new();
        put_cookie(&mut headers, "id", HeaderValue::from_static("id=1"), &[]);
        put_cookie(&mut headers, "id", HeaderValue::from_static("id=2"), &[]);
        assert_eq!(lines(&headers, &SET_COOKIE), ["id=2"]);
    }

    #[test]
    fn former_cookies_have_lines_of_their_own_before_that_of_the_cookie() {
        let former = ["id=; Path=/old", "sid="].map(HeaderValue::from_static);
        for (before, after) in [
            (&[][..], &["id=; Path=/old", "sid=", "id=1"][..]),
            (
                &["a=1", "id=0", "sid=9"],
                &["a=1", "sid=9", "id=; Path=/old", "sid=", "id=1"],
            ),
        ] {
            let mut headers = response(&SET_COOKIE, before);
            put_cookie(
                &mut headers,
                "id",
                HeaderValue::from_static("id=1"),
                &former,
            );
            assert_eq!(lines(&headers, &SET_COOKIE), after);
        }
    }

    #[test]
    fn a_sensitive_value_stays_sensitive() {
        let mut headers = response(&SET_COOKIE, &["a=1", "id=0"]);
        let mut secret = HeaderValue::from_static("b=secret");
        secret.set_sensitive(true);
        headers.append(SET_COOKIE, secret);
        put_cookie(&mut headers, "id", HeaderValue::from_static("id=1"), &[]);
        let kept = headers.get_all(SET_COOKIE).iter().nth(1).unwrap();
        assert!(kept.is_sensitive());
    }
}
