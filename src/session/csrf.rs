//! CSRF tokens: a form carries a token of the session, so that a page of another site cannot send the form.

use std::fmt;
use std::sync::Arc;

use subtle::{Choice, ConstantTimeEq};
use zeroize::{Zeroize, Zeroizing};

use super::Session;
use super::key::KeyText;
use crate::base64url;
use crate::error::SessionError;
use crate::lifecycle::changes::{CSRF, Update};
use crate::random::{Random, RandomError};

/// 192 bits.
const SECRET_LEN: usize = 24;
const SECRET_TEXT_LEN: usize = SECRET_LEN / 3 * 4;
/// How many secrets a session keeps. There is more than one only if several pages, each the first with a form, are rendered at
/// the same time.
const MAX_SECRETS: usize = 8;

/// A CSRF token for one form. Write it into a hidden field; it implements [`Display`](fmt::Display).
///
/// [`Session::csrf_token`] makes it, and [`Session::verify_csrf`] checks it. It is 64 characters of base64url, which need no
/// escaping in HTML. All tokens of a session are valid until the next login or logout.
///
/// Tokens differ from page to page, because the session's secret is masked with new random bytes each time. So the length of
/// a compressed page reveals nothing about the secret ([BREACH](https://www.breachattack.com/)).
pub struct CsrfToken(Zeroizing<[u8; Self::LEN]>);

impl CsrfToken {
    /// The length of a token in bytes. All of them are ASCII.
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

/// The secret behind all tokens of a session.
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

/// Parses the secrets that the session keeps. Their text is session data like any other: it is not wiped from memory.
fn secrets(json: Option<&str>) -> Vec<Secret> {
    let texts: Vec<String> = json
        .and_then(|json| serde_json::from_str(json).ok())
        .unwrap_or_default();
    texts
        .iter()
        .filter_map(|text| Secret::parse(text))
        .collect()
}

/// Adds a secret to those of pages that are rendered at the same time, so that the forms of all these pages work.
struct AddSecret(Secret);

impl Update for AddSecret {
    fn run(&self, _: &str, present: Option<&str>) -> Result<Option<String>, SessionError> {
        let secrets = secrets(present);
        let surplus = (secrets.len() + 1).saturating_sub(MAX_SECRETS);
        let kept = secrets[surplus..].iter().chain([&self.0]);
        let texts: Vec<_> = kept
            .map(|secret| format!("\"{}\"", secret.to_text()))
            .collect();
        Ok(Some(format!("[{}]", texts.join(","))))
    }
}

/// # CSRF tokens
impl<M> Session<M> {
    /// A CSRF token for a form of this session. The form sends it back in a hidden field, and
    /// [`verify_csrf`](Session::verify_csrf) checks it.
    ///
    /// # When you need a token
    ///
    /// Usually you do not. Browsers send the origin of a request (`Sec-Fetch-Site`, `Origin`). Put
    /// `tower_http::csrf::CsrfLayer` around the session layer: it refuses requests from other sites, for every route at once,
    /// without tokens.
    ///
    /// A token covers the rest: browsers that send neither header, sibling subdomains that may send other requests but not
    /// these, and security rules that demand a token. Use it together with the layer, not instead of it.
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
    /// The secret is kept in the session. So the first form is a write, and creates a session for a visitor who has none. For
    /// this reason you ask for a token form by form, and no token is made for every page.
    ///
    /// The secret is new after a login. It stays the same over [`reauthenticate`](Session::reauthenticate) and
    /// [`rotate_token`](Session::rotate_token). It is not derived from the cookie. That would save the write, but every rotation of
    /// the cookie would break the forms in other tabs, and a visitor's first form could have no token at all.
    ///
    /// # Errors
    ///
    /// [`SessionError::NoRandomness`]; if the session has no secret yet, also the errors of [`insert`](Session::insert).
    ///
    /// If the secret could not be stored, no form of this page could ever be accepted:
    ///
    /// - [`SessionError::Withheld`] if the browser [withheld the cookie](Session::is_withheld).
    /// - [`SessionError::Interrupted`] if another request rotated or ended the session a moment ago. The browser has a newer
    ///   cookie, or none: let it load the page again.
    /// - [`SessionError::Ambiguous`] if the request carries the [cookies of several sessions](Session::is_ambiguous).
    ///
    /// If another request rotates or ends the session only after this call, the response is replaced by
    /// [`Failure::Interrupted`](crate::middleware::Failure::Interrupted), whatever the method.
    #[doc(alias = "get_token")]
    pub fn csrf_token(&self) -> Result<CsrfToken, SessionError> {
        let manager = self.manager();
        if let Some(refusal) = self.request.state().refusal() {
            return Err(refusal);
        }
        let stored = self.reserved_value(CSRF);
        if let Some(secret) = secrets(stored.as_deref()).last() {
            return Ok(CsrfToken::mask(secret, manager.random())?);
        }
        let secret = Secret::generate(manager.random())?;
        let token = CsrfToken::mask(&secret, manager.random())?;
        let add = Arc::new(AddSecret(secret));
        self.queue_update(&KeyText::reserved(CSRF), add, |add, present| {
            Ok(((), add.run(CSRF, present)?))
        })?;
        Ok(token)
    }

    /// Checks that `submitted` is a [CSRF token](Session::csrf_token) of this session. Call it before you act on the form.
    ///
    /// The comparison takes constant time.
    ///
    /// # Errors
    ///
    /// [`SessionError::InvalidCsrfToken`], as a response (feature `axum`) 403. A form that was opened before a login, or in a
    /// session that has ended, is refused as well. Ask the user to open the form again.
    #[doc(alias = "CsrfViewMiddleware")]
    #[doc(alias = "csrf_protect")]
    pub fn verify_csrf(&self, submitted: &str) -> Result<(), SessionError> {
        let submitted = Secret::unmask(submitted).ok_or(SessionError::InvalidCsrfToken)?;
        let stored = self.reserved_value(CSRF);
        let matches = secrets(stored.as_deref())
            .iter()
            .fold(Choice::from(0), |matches, secret| {
                matches | secret.same_as(&submitted)
            });
        if matches.into() {
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
    fn masks_differ_and_each_unmasks_to_the_secret() {
        let secret = secret();
        let tokens = [(); 4].map(|()| CsrfToken::mask(&secret, &Random::System).unwrap());
        for token in &tokens {
            let unmasked = Secret::unmask(token.as_str()).unwrap();
            assert!(bool::from(unmasked.same_as(&secret)));
            assert!(!token.as_str().contains(&secret.to_text()));
        }
        assert_ne!(tokens[0].as_str(), tokens[1].as_str());
        // Both halves differ.
        assert_ne!(tokens[0].as_str()[..32], tokens[1].as_str()[..32]);
        assert_ne!(tokens[0].as_str()[32..], tokens[1].as_str()[32..]);
    }

    #[test]
    fn text_that_is_not_a_token_does_not_unmask() {
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
    fn debug_output_shows_no_token() {
        let token = CsrfToken::mask(&secret(), &Random::System).unwrap();
        assert_eq!(format!("{token:?}"), "CsrfToken([secret])");
        assert_eq!(token.to_string(), token.as_str());
    }

    #[test]
    fn secrets_of_concurrent_pages_are_all_kept_up_to_the_maximum() {
        let mut json = None;
        let mut all = Vec::new();
        for number in 0..2 * MAX_SECRETS {
            let secret = secret();
            all.push(secret.to_text());
            json = AddSecret(secret).run(CSRF, json.as_deref()).unwrap();
            let kept: Vec<_> = secrets(json.as_deref())
                .iter()
                .map(Secret::to_text)
                .collect();
            assert_eq!(kept, all[(number + 1).saturating_sub(MAX_SECRETS)..]);
        }
    }

    #[test]
    fn a_failing_random_generator_makes_no_token() {
        let random = Random::Function(Arc::new(|_| false));
        assert!(CsrfToken::mask(&secret(), &random).is_err());
        assert!(Secret::generate(&random).is_err());
    }
}
