//! The minimal code for cookies in a handler without a library.

use axum::http::header::COOKIE;
use axum::http::{HeaderMap, HeaderName, header::SET_COOKIE};
use rand::TryRng as _;

use crate::work::{self, IDLE};

/// The response of a hand-written handler: a cookie and a body.
pub(super) type Reply = ([(HeaderName, String); 1], &'static str);

/// The id in the request's cookie.
pub(super) fn presented(headers: &HeaderMap) -> Option<u128> {
    let header = headers.get(COOKIE)?.to_str().ok()?;
    header.split("; ").find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        (name == work::COOKIE).then(|| u128::from_str_radix(value, 16).ok())?
    })
}

pub(super) fn new_id() -> u128 {
    let mut bytes = [0; 16];
    let mut random = rand::rngs::SysRng;
    random.try_fill_bytes(&mut bytes).expect("random bytes");
    u128::from_ne_bytes(bytes)
}

pub(super) fn set(id: u128) -> Reply {
    let age = IDLE.as_secs();
    let name = work::COOKIE;
    let cookie = format!("{name}={id:032x}; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age={age}");
    ([(SET_COOKIE, cookie)], "ok")
}
