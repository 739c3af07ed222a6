//! Writes the `Set-Cookie` line from one template.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use cookie::Cookie;
use http::header::HeaderValue;

use crate::config::{CookieConfig, SameSite, SessionConfig};
use crate::record::Token;

/// In seconds. RFC 6265bis, section 5.5: browsers keep no cookie for longer.
const MAX_AGE_LIMIT: u64 = 400 * 24 * 60 * 60;

const MAX_AGE: &[u8] = b"; Max-Age=";

/// The constant parts of the `Set-Cookie` line, rendered once. The lines that set, refresh and remove the cookie all begin
/// with them, so the line that removes a cookie always matches the line that set it.
#[derive(Clone)]
pub(crate) struct CookieTemplate {
    name: String,
    /// `; HttpOnly; SameSite=Lax; …`
    attributes: Vec<u8>,
    removal: HeaderValue,
    /// The lines that remove the layer's former cookies.
    former: Box<[HeaderValue]>,
}

impl CookieTemplate {
    /// Renders the template of a valid configuration.
    pub(crate) fn new(config: &SessionConfig) -> Self {
        let name = config.resolved_cookie_name();
        let line = empty_line(&name, &config.cookie);
        let attributes = line.as_bytes()[name.len() + 1..].to_vec();
        let former = config.resolved_former_cookies();
        Self {
            name,
            attributes,
            removal: removal(&line),
            former: former
                .map(|(name, cookie)| removal(&empty_line(name, &cookie)))
                .collect(),
        }
    }

    /// The cookie's name, prefix included.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The line that sets or refreshes the cookie. Without a `max_age`, the cookie ends with the browser.
    pub(crate) fn set(&self, token: &Token, max_age: Option<Duration>) -> HeaderValue {
        let mut value = header_value(self.line(token, max_age));
        value.set_sensitive(true);
        value
    }

    /// Writes the line into a buffer of its exact length, which becomes the header's value without a copy.
    pub(super) fn line(&self, token: &Token, max_age: Option<Duration>) -> Vec<u8> {
        let seconds = max_age.map(whole_seconds);
        let digits = seconds.map_or(0, |seconds| MAX_AGE.len() + seconds.ilog10() as usize + 1);
        let mut line =
            Vec::with_capacity(self.name.len() + 1 + Token::LEN + self.attributes.len() + digits);
        line.extend_from_slice(self.name.as_bytes());
        line.push(b'=');
        token.expose(&mut line);
        line.extend_from_slice(&self.attributes);
        if let Some(seconds) = seconds {
            line.extend_from_slice(MAX_AGE);
            write_decimal(seconds, &mut line);
        }
        line
    }

    /// The line that removes the cookie.
    pub(crate) fn remove(&self) -> HeaderValue {
        self.removal.clone()
    }

    /// The lines that remove the former cookies. They go with every line that sets or removes the cookie.
    pub(crate) fn remove_former(&self) -> &[HeaderValue] {
        &self.former
    }
}

impl fmt::Debug for CookieTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CookieTemplate")
            .field(&self.removal)
            .finish()
    }
}

/// The line of a cookie without a value and a lifetime.
fn empty_line(name: &str, options: &CookieConfig) -> String {
    let mut cookie = Cookie::build((name, ""))
        .path(&options.path)
        .secure(options.secure)
        .http_only(options.http_only)
        .same_site(match options.same_site {
            SameSite::Lax => cookie::SameSite::Lax,
            SameSite::Strict => cookie::SameSite::Strict,
            SameSite::None => cookie::SameSite::None,
        })
        .partitioned(options.partitioned);
    if let Some(domain) = &options.domain {
        cookie = cookie.domain(domain);
    }
    cookie.build().to_string()
}

/// The line that removes the cookie of an empty line. Max-Age is for browsers, Expires for clients older than RFC 6265.
fn removal(line: &str) -> HeaderValue {
    let end = b"0; Expires=Thu, 01 Jan 1970 00:00:00 GMT";
    header_value([line.as_bytes(), MAX_AGE, end].concat())
}

/// `SessionConfig::validate` accepts no byte that is invalid in a header.
fn header_value(line: Vec<u8>) -> HeaderValue {
    HeaderValue::from_maybe_shared(Bytes::from(line))
        .expect("a valid configuration makes a valid header")
}

/// Rounds up, so that the cookie does not end before its session. Never returns 0, which would remove the cookie.
fn whole_seconds(duration: Duration) -> u64 {
    let partial = u64::from(duration.subsec_nanos() > 0);
    duration
        .as_secs()
        .saturating_add(partial)
        .clamp(1, MAX_AGE_LIMIT)
}

fn write_decimal(mut number: u64, out: &mut Vec<u8>) {
    let start = out.len();
    loop {
        out.push(b"0123456789"[(number % 10) as usize]);
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out[start..].reverse();
}
