//! Whether a browser withheld the cookie from a request, by Fetch Metadata (pure).

use http::{HeaderName, Request};

use crate::config::SameSite;

pub(super) const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// Whether the browser withheld the session cookie from a request that carries none. SameSite withholds it from cross-site
/// requests. If it is Lax, it is sent along a link to this site: with a safe method, and not into a frame of the other site.
///
/// The response can still set a cookie, which would replace the one that was withheld (RFC 6265bis, sections 5.6.7.1 and
/// 5.8.3; Fetch Metadata for `Sec-Fetch-Site` and `Sec-Fetch-Dest`).
pub(super) fn is_withheld<B>(same_site: SameSite, request: &Request<B>) -> bool {
    let is = |header: HeaderName, values: &[&str]| {
        let value = request.headers().get(header);
        value.is_some_and(|value| {
            let same = |other: &&str| value.as_bytes().eq_ignore_ascii_case(other.as_bytes());
            values.iter().any(same)
        })
    };
    is(SEC_FETCH_SITE, &["cross-site"])
        && match same_site {
            SameSite::None => false,
            SameSite::Lax => {
                !request.method().is_safe()
                    || is(SEC_FETCH_DEST, &["iframe", "frame", "embed", "object"])
            }
            SameSite::Strict => true,
        }
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;

    fn withheld(same_site: SameSite, method: &Method, site: &str, dest: &str) -> bool {
        let request = Request::builder()
            .method(method)
            .header("sec-fetch-site", site)
            .header("sec-fetch-dest", dest);
        is_withheld(same_site, &request.body(()).unwrap())
    }

    #[test]
    fn each_mode_withholds_the_cookie_from_the_requests_that_the_standard_names() {
        use SameSite::{Lax, None, Strict};
        let (get, post) = (&Method::GET, &Method::POST);
        for (method, dest, by) in [
            // A link, a form, a frame, a script, and what names no destination.
            (get, "document", [None, Strict, Strict]),
            (post, "document", [None, Lax, Strict]),
            (get, "iframe", [None, Lax, Strict]),
            (get, "object", [None, Lax, Strict]),
            (get, "empty", [None, Strict, Strict]),
            (post, "empty", [None, Lax, Strict]),
            (get, "", [None, Strict, Strict]),
        ] {
            for same_site in [None, Lax, Strict] {
                let expected = same_site != None && by.contains(&same_site);
                let found = withheld(same_site, method, "cross-site", dest);
                assert_eq!(found, expected, "{same_site:?} {method} {dest}");
                for site in ["same-origin", "same-site", "none", ""] {
                    assert!(!withheld(same_site, method, site, dest), "{site}");
                }
            }
        }
    }

    #[test]
    fn a_browser_that_says_nothing_withholds_nothing() {
        for same_site in [SameSite::None, SameSite::Lax, SameSite::Strict] {
            let request = Request::post("/").body(()).unwrap();
            assert!(!is_withheld(same_site, &request));
        }
    }
}
