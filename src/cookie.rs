//! The cookie: read from the request by exact bytes, written to the response from one template.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use cookie::Cookie;
use http::header::{COOKIE, HeaderMap, HeaderValue};
use memchr::memchr;

use crate::config::{SameSite, SessionConfig};
use crate::token::Token;

/// RFC 6265bis, section 5.5: browsers keep no cookie for longer.
const MAX_AGE_LIMIT: u64 = 400 * 24 * 60 * 60;

const MAX_AGE: &[u8] = b"; Max-Age=";

/// Everything of the `Set-Cookie` line that stays the same, rendered once. Set, refresh and remove all begin with it, so
/// that what removes a cookie always fits what set it.
#[derive(Clone)]
pub(crate) struct CookieTemplate {
    name: String,
    /// `; HttpOnly; SameSite=Lax; …`
    attributes: Vec<u8>,
    removal: HeaderValue,
}

impl CookieTemplate {
    /// From a configuration that was found valid.
    pub(crate) fn new(config: &SessionConfig) -> Self {
        let name = config.resolved_cookie_name();
        let options = &config.cookie;
        let mut cookie = Cookie::build((name.as_str(), ""))
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
        let line = cookie.build().to_string();
        let attributes = line.as_bytes()[name.len() + 1..].to_vec();
        // Max-Age for browsers, Expires for what is older than RFC 6265.
        let removal = header_value(
            [
                line.as_bytes(),
                MAX_AGE,
                b"0; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
            ]
            .concat(),
        );
        Self {
            name,
            attributes,
            removal,
        }
    }

    /// The cookie's name, prefix included.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The line that sets the cookie, or refreshes it; without a `max_age` it ends with the browser.
    pub(crate) fn set(&self, token: &Token, max_age: Option<Duration>) -> HeaderValue {
        let mut value = header_value(self.line(token, max_age));
        value.set_sensitive(true);
        value
    }

    /// In a buffer of its exact length, which becomes the header's value as it is.
    fn line(&self, token: &Token, max_age: Option<Duration>) -> Vec<u8> {
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
            decimal(seconds, &mut line);
        }
        line
    }

    /// The line that removes the cookie.
    pub(crate) fn remove(&self) -> HeaderValue {
        self.removal.clone()
    }
}

impl fmt::Debug for CookieTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CookieTemplate")
            .field(&self.removal)
            .finish()
    }
}

/// `SessionConfig::validate` let no byte through that a header cannot carry.
fn header_value(line: Vec<u8>) -> HeaderValue {
    HeaderValue::from_maybe_shared(Bytes::from(line)).expect("a valid configuration renders")
}

/// Rounded up, so that the cookie does not end before its session, and never 0, which would remove it.
fn whole_seconds(duration: Duration) -> u64 {
    let started = u64::from(duration.subsec_nanos() > 0);
    duration
        .as_secs()
        .saturating_add(started)
        .clamp(1, MAX_AGE_LIMIT)
}

fn decimal(mut number: u64, out: &mut Vec<u8>) {
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

/// What a request shows under our cookie's name.
#[derive(Clone, Debug)]
pub(crate) enum Presented {
    /// No token, though perhaps values that cannot be one.
    Nothing {
        /// Whether there were such values.
        malformed: bool,
    },
    /// One token, however often.
    Card(Token),
    /// Two different ones: a cookie was set for the parent domain or another path, and nobody can say which is the
    /// user's.
    Conflicting,
}

/// Finds the token under `name`.
///
/// By exact bytes: a cookie's name is case-sensitive, its value is neither percent-encoded nor quoted, and only spaces and
/// tabs around them are not theirs (RFC 6265bis, section 5.6). HTTP/2 and 3 split the header (RFC 9113, section 8.2.3),
/// so all lines count, and their order means nothing.
pub(crate) fn read(headers: &HeaderMap, name: &str) -> Presented {
    let lines = headers.get_all(COOKIE).into_iter();
    read_lines(lines.map(HeaderValue::as_bytes), name.as_bytes())
}

/// Keeps the token from being printed with the request's headers by whoever serves inside this layer.
pub(crate) fn hide(headers: &mut HeaderMap) {
    // Not by `entry`, which makes room for a header first.
    let lines = headers.iter_mut().filter(|(name, _)| *name == COOKIE);
    for (_, line) in lines {
        line.set_sensitive(true);
    }
}

pub(crate) fn read_lines<'a>(lines: impl Iterator<Item = &'a [u8]>, name: &[u8]) -> Presented {
    let mut card: Option<Token> = None;
    let mut malformed = false;
    for mut line in lines {
        while !line.is_empty() {
            let end = memchr(b';', line).unwrap_or(line.len());
            let (pair, rest) = line.split_at(end);
            line = rest.get(1..).unwrap_or_default();
            let Some(value) = value(pair, name) else {
                continue;
            };
            match (Token::parse(value), &card) {
                (None, _) => malformed = true,
                (Some(token), Some(card)) if !token.same_as(card) => return Presented::Conflicting,
                (Some(token), _) => card = Some(token),
            }
        }
    }
    card.map_or(Presented::Nothing { malformed }, Presented::Card)
}

/// The value of a pair, if this is its name, which holds neither `=` nor white space.
fn value<'a>(pair: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let behind_name = trim_start(pair).strip_prefix(name)?;
    let mut value = trim_start(trim_start(behind_name).strip_prefix(b"=")?);
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    Some(value)
}

/// Without the spaces and tabs before it, and with everything else that some would call white space.
fn trim_start(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests;
