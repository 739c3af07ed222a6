//! Whether a browser reached the site by plain HTTP, and so drops a Secure cookie (pure).

use std::net::{Ipv4Addr, Ipv6Addr};

use http::header::{FORWARDED, HOST, HeaderName, HeaderValue, ORIGIN, USER_AGENT};
use http::{HeaderMap, Request};

use super::withheld::SEC_FETCH_SITE;

/// Whether the request, which sends a form, shows that the browser will drop a Secure cookie, because it came by plain HTTP (RFC 6265bis, section
/// 5.7). In doubt it does not.
///
/// - To a secure address browsers send `Sec-Fetch-Site`, and to `localhost`, where they keep the cookie (Fetch Metadata,
///   section 2.3; Secure Contexts, section 3.1).
/// - Old browsers never send it. So the request must also say `http`: the form's own `Origin`, or the proxy that the browser
///   reached.
/// - Other clients name no `Mozilla` in their `User-Agent`.
pub(super) fn drops_secure_cookies<B>(request: &Request<B>) -> bool {
    let headers = request.headers();
    if headers.contains_key(SEC_FETCH_SITE) {
        return false;
    }
    let origin = text(headers, &ORIGIN).and_then(|origin| origin.strip_prefix("http://"));
    let proxied = proxy_scheme(headers).map(|scheme| scheme.eq_ignore_ascii_case("http"));
    // Most requests say nothing of the kind, and are let go at once.
    if proxied == Some(false) || (proxied.is_none() && origin.is_none()) {
        return false;
    }
    let host = text(headers, &HOST).or_else(|| request.uri().authority().map(|at| at.as_str()));
    host.is_some_and(|host| {
        // The page that sent the form may be another site's.
        let own = proxied.is_some() || origin.is_some_and(|own| own.eq_ignore_ascii_case(host));
        own && !is_this_machine(host) && is_browser(headers)
    })
}

/// The scheme by which the first proxy was reached, if it says so (RFC 7239, section 5.4).
fn proxy_scheme(headers: &HeaderMap) -> Option<&str> {
    const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
    let first = |header: &HeaderName| text(headers, header)?.split(',').next();
    let forwarded = first(&FORWARDED).and_then(|proxy| {
        let mut pairs = proxy.split(';').filter_map(|pair| pair.split_once('='));
        pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("proto"))
    });
    let forwarded = forwarded.map(|(_, scheme)| scheme.trim().trim_matches('"'));
    forwarded.or_else(|| first(&X_FORWARDED_PROTO).map(str::trim))
}

fn is_browser(headers: &HeaderMap) -> bool {
    text(headers, &USER_AGENT).is_some_and(|agent| agent.starts_with("Mozilla/"))
}

/// Whether a host, with or without a port, is the machine that the browser runs on.
fn is_this_machine(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[') {
        let address = address.split(']').next().unwrap_or_default();
        return address
            .parse()
            .is_ok_and(|address: Ipv6Addr| address.is_loopback());
    }
    let name = host.split(':').next().unwrap_or_default();
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || name
            .parse()
            .is_ok_and(|address: Ipv4Addr| address.is_loopback())
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).map(HeaderValue::to_str)?.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHROMIUM: &str = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 \
                            Safari/537.36";

    fn drops(host: &str, headers: &[(&str, &str)]) -> bool {
        let mut request = Request::get("/").header("host", host);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        drops_secure_cookies(&request.body(()).unwrap())
    }

    /// What a browser sends.
    fn browser<'a>(headers: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        [&[("user-agent", CHROMIUM)], headers].concat()
    }

    #[test]
    fn a_form_of_a_page_reached_by_plain_http_shows_it() {
        for host in [
            "192.168.1.5:3000",
            "shop.example",
            "[2001:db8::1]:80",
            "LOCALHOST.example",
        ] {
            let origin = format!("http://{}", host.to_ascii_lowercase());
            assert!(drops(host, &browser(&[("origin", &origin)])), "{host}");
        }
    }

    #[test]
    fn a_proxy_reached_by_plain_http_shows_it() {
        for (name, value) in [
            ("x-forwarded-proto", "http"),
            ("x-forwarded-proto", "HTTP, https"),
            ("forwarded", "for=192.0.2.7;proto=http;by=203.0.113.43"),
            (
                "forwarded",
                "For=\"[2001:db8::1]\"; Proto=\"http\", for=10.0.0.1;proto=https",
            ),
        ] {
            assert!(drops("shop.example", &browser(&[(name, value)])), "{value}");
            // A client that is no browser keeps what it wants.
            for agent in ["curl/8.5.0", "kube-probe/1.30", ""] {
                assert!(!drops(
                    "shop.example",
                    &[("user-agent", agent), (name, value)]
                ));
            }
            assert!(!drops("shop.example", &[(name, value)]));
        }
    }

    #[test]
    fn a_browser_keeps_the_cookie_of_its_own_machine() {
        for host in [
            "localhost",
            "localhost:3000",
            "LocalHost.:3000",
            "shop.localhost:3000",
            "127.0.0.1:3000",
            "127.8.9.10",
            "[::1]:3000",
        ] {
            let origin = format!("http://{host}");
            let headers = [("origin", &*origin), ("x-forwarded-proto", "http")];
            assert!(!drops(host, &browser(&headers)), "{host}");
        }
    }

    #[test]
    fn in_doubt_nothing_is_said() {
        for headers in [
            // An old browser behind a proxy that ends TLS, with and without headers that say so.
            &[] as &[_],
            &[("origin", "https://shop.example")],
            &[("x-forwarded-proto", "https")],
            &[("x-forwarded-proto", "https, http")],
            &[("forwarded", "for=192.0.2.7;proto=https, proto=http")],
            &[("forwarded", "for=192.0.2.7")],
            // A page of another site, which is reached by plain HTTP.
            &[("origin", "http://other.example")],
            &[("origin", "null")],
            // An old browser that goes from a page by plain HTTP to the same site behind TLS.
            &[
                ("origin", "http://shop.example"),
                ("x-forwarded-proto", "https"),
            ],
            // A browser of today at a secure address, whatever the proxy says.
            &[("sec-fetch-site", "none"), ("x-forwarded-proto", "http")],
            &[
                ("sec-fetch-site", "same-origin"),
                ("origin", "http://shop.example"),
            ],
        ] {
            assert!(!drops("shop.example", &browser(headers)), "{headers:?}");
        }
        let nowhere = Request::get("/").header("x-forwarded-proto", "http");
        let nowhere = nowhere.header("user-agent", CHROMIUM).body(()).unwrap();
        assert!(!drops_secure_cookies(&nowhere));
        let authority = Request::get("http://shop.example/")
            .header("x-forwarded-proto", "http")
            .header("user-agent", CHROMIUM);
        assert!(drops_secure_cookies(&authority.body(()).unwrap()));
    }
}
