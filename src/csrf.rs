//! A token of the session for forms, so that a page of another site cannot send them.

use std::fmt;
use std::sync::Arc;

use subtle::{Choice, ConstantTimeEq};
use zeroize::{Zeroize, Zeroizing};

use crate::base64url;
use crate::changes::Update;
use crate::error::SessionError;
use crate::random::{Random, RandomError};
use crate::session::Session;

/// Reserved, and so dropped at a login: a token from before it is worth nothing after it.
const KEY: &str = "_keycard.csrf";
/// 192 bits.
const SECRET_LEN: usize = 24;
const SECRET_TEXT_LEN: usize = SECRET_LEN / 3 * 4;
/// How many secrets a session keeps. More than one come about only where pages are rendered at the same time, each the first
/// with a form.
const MOST: usize = 8;

/// A token for one form: its [`Display`](fmt::Display) goes into a hidden field.
///
/// 64 characters of base64url, which need no escaping in HTML. They differ from page to page, because the session's secret is
/// masked with new random bytes each time: the length of a compressed page tells nothing about it
/// ([BREACH](https://www.breachattack.com/)). Any of them is good until the next login or logout.
pub struct CsrfToken(Zeroizing<[u8; Self::LEN]>);

impl CsrfToken {
    /// The length of a token in bytes, which are all ASCII.
    const LEN: usize = 2 * SECRET_TEXT_LEN;

    /// The token as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.0.as_slice()).unwrap_or_default()
    }

    fn mask(secret: &Secret, random: &Random) -> Result<Self, RandomError> {
        let mut bytes = Zeroizing::new([0; 2 * SECRET_LEN]);
        let (pad, masked) = bytes.split_at_mut(SECRET_LEN);
        random.fill(pad)?;
        for (masked, (pad, secret)) in masked.iter_mut().zip(pad.iter().zip(secret.0.iter())) {
            *masked = pad ^ secret;
        }
        let mut text = Zeroizing::new([0; Self::LEN]);
        base64url::encode(bytes.as_slice(), text.as_mut_slice());
        Ok(Self(text))
    }
}

impl fmt::Display for CsrfToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for CsrfToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CsrfToken([secret])")
    }
}

/// What the session keeps.
struct Secret(Zeroizing<[u8; SECRET_LEN]>);

impl Secret {
    fn generate(random: &Random) -> Result<Self, RandomError> {
        let mut bytes = Zeroizing::new([0; SECRET_LEN]);
        random.fill(bytes.as_mut_slice())?;
        Ok(Self(bytes))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut bytes = Zeroizing::new([0; SECRET_LEN]);
        base64url::decode(text.as_bytes(), bytes.as_mut_slice())?;
        Some(Self(bytes))
    }

    fn unmask(token: &str) -> Option<Self> {
        let mut bytes = Zeroizing::new([0; 2 * SECRET_LEN]);
        base64url::decode(token.as_bytes(), bytes.as_mut_slice())?;
        let (pad, masked) = bytes.split_at_mut(SECRET_LEN);
        for (masked, pad) in masked.iter_mut().zip(pad) {
            *masked ^= *pad;
        }
        let mut secret = Zeroizing::new([0; SECRET_LEN]);
        secret.copy_from_slice(masked);
        Some(Self(secret))
    }

    fn same_as(&self, other: &Self) -> Choice {
        self.0.ct_eq(other.0.as_slice())
    }

    fn to_text(&self) -> String {
        let mut text = [0; SECRET_TEXT_LEN];
        base64url::encode(self.0.as_slice(), &mut text);
        let owned = text.iter().map(|byte| char::from(*byte)).collect();
        text.zeroize();
        owned
    }
}

/// The secrets that the session keeps. Their text is the session's data, which is wiped from memory no more than it is from
/// the store.
fn secrets(json: Option<&str>) -> Vec<Secret> {
    let texts: Vec<String> = json
        .and_then(|json| serde_json::from_str(json).ok())
        .unwrap_or_default();
    texts
        .iter()
        .filter_map(|text| Secret::parse(text))
        .collect()
}

/// Puts a secret beside those that pages rendered at the same time have put there: the forms of all of them are to work.
struct Keep(Secret);

impl Update for Keep {
    fn run(&self, _: &str, present: Option<&str>) -> Result<Option<String>, SessionError> {
        let secrets = secrets(present);
        let surplus = (secrets.len() + 1).saturating_sub(MOST);
        let kept = secrets[surplus..].iter().chain([&self.0]);
        let texts: Vec<_> = kept
            .map(|secret| format!("\"{}\"", secret.to_text()))
            .collect();
        Ok(Some(format!("[{}]", texts.join(","))))
    }
}

/// # Forms
impl<M> Session<M> {
    /// A token for a form of this session, to be sent back in a hidden field and [checked](Session::verify_csrf).
    ///
    /// # When a token is needed
    ///
    /// Mostly it is not. Browsers say where a request comes from (`Sec-Fetch-Site`, `Origin`), and
    /// `tower_http::csrf::CsrfLayer` around the session layer refuses what comes from another site, for every route at once,
    /// without tokens. A token is for what that does not cover: browsers that send neither header, sibling subdomains that
    /// are trusted to send requests but not these, policies that ask for one. It goes beside the layer, not in its place.
    ///
    /// ```
    /// use tower_keycard::{Session, SessionError};
    ///
    /// struct Transfer { csrf: String, amount: u32 } // axum: `#[derive(Deserialize)]`, and `Form<Transfer>` below
    ///
    /// async fn form(session: Session) -> Result<String, SessionError> {
    ///     let token = session.csrf_token()?;
    ///     Ok(format!(r#"<form method="post"><input type="hidden" name="csrf" value="{token}">…</form>"#))
    /// }
    ///
    /// async fn transfer(session: Session, form: Transfer) -> Result<(), SessionError> {
    ///     session.verify_csrf(&form.csrf)?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # What it costs
    ///
    /// The secret is kept in the session: the first form is a write, and begins a session for a visitor who has none. That
    /// is why it is asked for, form by form, and never made for every page. It is not derived from the cookie, which would
    /// save the write, because every rotation of the cookie would then spoil the forms in other tabs, and a visitor's first
    /// form could have no token at all. It is new after a login, and stays the same over
    /// [`reauthenticate`](Session::reauthenticate) and [`cycle_id`](Session::cycle_id).
    ///
    /// # Errors
    ///
    /// As for [`insert`](Session::insert) where the session has no secret yet; [`SessionError::NoRandomness`].
    pub fn csrf_token(&self) -> Result<CsrfToken, SessionError> {
        let desk = self.desk();
        let stored = self.reserved(KEY);
        if let Some(secret) = secrets(stored.as_deref()).last() {
            return Ok(CsrfToken::mask(secret, desk.random())?);
        }
        let secret = Secret::generate(desk.random())?;
        let token = CsrfToken::mask(&secret, desk.random())?;
        self.revise(KEY, Arc::new(Keep(secret)), |keep, present| {
            Ok(((), keep.run(KEY, present)?))
        })?;
        Ok(token)
    }

    /// Lets only those go on who sent a [token](Session::csrf_token) of this session. Compared in constant time.
    ///
    /// # Errors
    ///
    /// [`SessionError::InvalidCsrfToken`]; as a response (feature `axum`) 403. A form that was opened before a login, or in
    /// a session that has ended, is refused as well: have the user open it again.
    pub fn verify_csrf(&self, submitted: &str) -> Result<(), SessionError> {
        let submitted = Secret::unmask(submitted).ok_or(SessionError::InvalidCsrfToken)?;
        let stored = self.reserved(KEY);
        let fits = secrets(stored.as_deref())
            .iter()
            .fold(Choice::from(0), |fits, secret| {
                fits | secret.same_as(&submitted)
            });
        if fits.into() {
            Ok(())
        } else {
            Err(SessionError::InvalidCsrfToken)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> Secret {
        Secret::generate(&Random::System).unwrap()
    }

    #[test]
    fn every_mask_is_another_and_each_unmasks_to_the_secret() {
        let secret = secret();
        let tokens = [(); 4].map(|()| CsrfToken::mask(&secret, &Random::System).unwrap());
        for token in &tokens {
            let unmasked = Secret::unmask(token.as_str()).unwrap();
            assert!(bool::from(unmasked.same_as(&secret)));
            assert!(!token.as_str().contains(&secret.to_text()));
        }
        assert_ne!(tokens[0].as_str(), tokens[1].as_str());
        // Neither half stays the same.
        assert_ne!(tokens[0].as_str()[..32], tokens[1].as_str()[..32]);
        assert_ne!(tokens[0].as_str()[32..], tokens[1].as_str()[32..]);
    }

    #[test]
    fn what_is_no_token_unmasks_to_nothing() {
        let token = CsrfToken::mask(&secret(), &Random::System).unwrap();
        let text = token.as_str();
        for wrong in [
            "",
            &text[..63],
            &text[..60],
            &format!("{text}AAAA"),
            &text.replace(&text[5..6], "="),
        ] {
            assert!(Secret::unmask(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn debug_shows_nothing_of_it() {
        let token = CsrfToken::mask(&secret(), &Random::System).unwrap();
        assert_eq!(format!("{token:?}"), "CsrfToken([secret])");
        assert_eq!(token.to_string(), token.as_str());
    }

    #[test]
    fn secrets_of_pages_rendered_at_the_same_time_are_kept_side_by_side_and_bounded() {
        let mut json = None;
        let mut all = Vec::new();
        for number in 0..2 * MOST {
            let secret = secret();
            all.push(secret.to_text());
            json = Keep(secret).run(KEY, json.as_deref()).unwrap();
            let kept: Vec<_> = secrets(json.as_deref())
                .iter()
                .map(Secret::to_text)
                .collect();
            assert_eq!(kept, all[(number + 1).saturating_sub(MOST)..]);
        }
    }

    #[test]
    fn a_generator_that_fails_makes_no_token() {
        let random = Random::Function(Arc::new(|_| false));
        assert!(CsrfToken::mask(&secret(), &random).is_err());
        assert!(Secret::generate(&random).is_err());
    }
}
