//! The session cookie: read from the request by exact bytes, and written to the response from one template.

mod presented;
mod template;

#[cfg(feature = "testing")]
pub(crate) use self::presented::MOST_TOKENS;
#[cfg(any(test, feature = "testing"))]
pub(crate) use self::presented::read_lines;
pub(crate) use self::presented::{Presented, hide, read};
pub(crate) use self::template::CookieTemplate;

#[cfg(test)]
mod tests;
