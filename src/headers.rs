//! The response's headers beside the cookie itself.

use http::header::{CACHE_CONTROL, Entry, HeaderMap, HeaderValue, SET_COOKIE, VARY};

/// Says that the response depends on the request's cookies (RFC 9110, section 12.5.5). What is there stays, in its order.
pub(crate) fn vary_on_cookie(headers: &mut HeaderMap) {
    let mut members = headers
        .get_all(VARY)
        .into_iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii);
    if !members.any(|member| member == b"*" || member.eq_ignore_ascii_case(b"cookie")) {
        headers.append(VARY, HeaderValue::from_static("Cookie"));
    }
}

/// Keeps the response out of every cache, unless the application has said what caches may do (ASVS 5.0, 14.3.2).
pub(crate) fn no_store_unless_set(headers: &mut HeaderMap) {
    if let Entry::Vacant(unset) = headers.entry(CACHE_CONTROL) {
        unset.insert(HeaderValue::from_static("no-store"));
    }
}

/// Puts our cookie into the response, in place of any other of its name: there is one line per name (RFC 6265bis, section
/// 4.1.1). Lines of other cookies stay, in their order.
pub(crate) fn put_cookie(headers: &mut HeaderMap, name: &str, cookie: HeaderValue) {
    let replaces = headers
        .get_all(SET_COOKIE)
        .iter()
        .any(|line| sets(line, name));
    if replaces && let Entry::Occupied(lines) = headers.entry(SET_COOKIE) {
        let lines: Vec<_> = lines.remove_entry_mult().1.collect();
        for line in lines.into_iter().filter(|line| !sets(line, name)) {
            headers.append(SET_COOKIE, line);
        }
    }
    headers.append(SET_COOKIE, cookie);
}

/// Whether a `Set-Cookie` line is for the cookie of exactly this name.
fn sets(line: &HeaderValue, name: &str) -> bool {
    let line = line.as_bytes();
    let name_end = line.iter().position(|byte| matches!(byte, b'=' | b';'));
    name_end.is_some_and(|end| line[end] == b'=' && line[..end].trim_ascii() == name.as_bytes())
}
