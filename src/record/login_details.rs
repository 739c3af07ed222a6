//! Login details: what a login set for its session, and what a monitor needs. This part of a record is optional.
//!
//! | bytes | content |
//! |---|---|
//! | 1 | flags: bit 0 a stamp, 1 remembered, 2 not to be remembered, 3 a client, 4 a fingerprint, 5 a suspicion, 6 a new
//! | | authentication |
//! | 16 | the security stamp |
//! | 1 + n | the client's description: its length, then UTF-8 |
//! | 16 | the hash of the client's fingerprint |
//! | 6 | since when the session has been suspected of being hijacked |
//! | 6 | when the user last authenticated again, after the login |

use std::ops::Deref;
use std::sync::Arc;

use super::fingerprint_hash::FingerprintHash;
use super::reader::{DecodeError, Reader};
use super::security_stamp::SecurityStamp;
use crate::clock::Timestamp;

/// The details of a login. `remember` and `client` change only with the next login, `stamp` also with the credential. A login
/// replaces them all.
#[derive(Clone, Debug, Default)]
pub(crate) struct LoginDetails {
    /// The user's credential at the login, if the application gave one.
    pub(crate) stamp: Option<SecurityStamp>,
    /// Whether the login outlives the browser, if the application said so.
    pub(crate) remember: Option<bool>,
    /// A description of the client that logged in, for the user.
    pub(crate) client: Option<Arc<str>>,
    /// The client's fingerprint, as of the last login or rotation.
    pub(crate) fingerprint: Option<FingerprintHash>,
    /// Since when the session is suspected. The user must then authenticate again before anything that requires a recent
    /// authentication.
    pub(crate) suspected_since: Option<Timestamp>,
    /// When the user last authenticated again, after the login.
    pub(crate) reauthenticated: Option<Timestamp>,
}

/// The login details of a record. Empty details take only the space of a pointer.
#[derive(Clone, Debug, Default)]
pub(crate) struct StoredLoginDetails(Option<Box<LoginDetails>>);

impl StoredLoginDetails {
    pub(crate) fn change(&mut self, change: impl FnOnce(&mut LoginDetails)) {
        let mut details = LoginDetails::clone(self);
        change(&mut details);
        *self = details.into();
    }
}

impl From<LoginDetails> for StoredLoginDetails {
    fn from(details: LoginDetails) -> Self {
        Self((details.flags() != 0).then(|| Box::new(details)))
    }
}

impl Deref for StoredLoginDetails {
    type Target = LoginDetails;

    fn deref(&self) -> &LoginDetails {
        self.0.as_deref().unwrap_or(&LoginDetails::NONE)
    }
}

const STAMP: u8 = 1;
const REMEMBERED: u8 = 2;
const NOT_REMEMBERED: u8 = 4;
const CLIENT: u8 = 8;
const FINGERPRINT: u8 = 16;
const SUSPICION: u8 = 32;
const REAUTHENTICATED: u8 = 64;
const KNOWN: u8 =
    STAMP | REMEMBERED | NOT_REMEMBERED | CLIENT | FINGERPRINT | SUSPICION | REAUTHENTICATED;

const TIME_LEN: usize = 6;

impl LoginDetails {
    /// The largest length of the encoded details in bytes.
    pub(super) const MAX_LEN: usize =
        1 + SecurityStamp::LEN + 1 + u8::MAX as usize + FingerprintHash::LEN + 2 * TIME_LEN;

    const NONE: Self = Self {
        stamp: None,
        remember: None,
        client: None,
        fingerprint: None,
        suspected_since: None,
        reauthenticated: None,
    };

    /// The length of the encoded details in bytes: 0 if they are empty.
    pub(super) fn len(&self) -> usize {
        let client = self.client.as_ref().map_or(0, |client| 1 + client.len());
        match self.flags() {
            0 => 0,
            _ => {
                let stamp = self.stamp.map_or(0, |_| SecurityStamp::LEN);
                let fingerprint = self.fingerprint.map_or(0, |_| FingerprintHash::LEN);
                let times = [self.suspected_since, self.reauthenticated];
                let times = TIME_LEN * times.into_iter().flatten().count();
                1 + stamp + client + fingerprint + times
            }
        }
    }

    fn flags(&self) -> u8 {
        let remember = match self.remember {
            None => 0,
            Some(true) => REMEMBERED,
            Some(false) => NOT_REMEMBERED,
        };
        let stamp = self.stamp.map_or(0, |_| STAMP);
        let client = self.client.as_ref().map_or(0, |_| CLIENT);
        let fingerprint = self.fingerprint.map_or(0, |_| FINGERPRINT);
        let suspected = self.suspected_since.map_or(0, |_| SUSPICION);
        let reauthenticated = self.reauthenticated.map_or(0, |_| REAUTHENTICATED);
        stamp | remember | client | fingerprint | suspected | reauthenticated
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.flags());
        if let Some(stamp) = &self.stamp {
            out.extend_from_slice(&stamp.0);
        }
        if let Some(client) = &self.client {
            // `ClientFacts` shortens a longer description.
            out.push(u8::try_from(client.len()).unwrap_or(u8::MAX));
            out.extend_from_slice(client.as_bytes());
        }
        if let Some(fingerprint) = &self.fingerprint {
            out.extend_from_slice(&fingerprint.0);
        }
        for at in [self.suspected_since, self.reauthenticated]
            .into_iter()
            .flatten()
        {
            out.extend_from_slice(&at.as_millis().to_be_bytes()[8 - TIME_LEN..]);
        }
    }

    pub(super) fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let flags = from.byte()?;
        if flags & !KNOWN != 0 {
            return Err(DecodeError::FutureFormat);
        }
        let remember = match flags & (REMEMBERED | NOT_REMEMBERED) {
            0 => None,
            REMEMBERED => Some(true),
            NOT_REMEMBERED => Some(false),
            _ => return Err(DecodeError::Corrupt),
        };
        let stamp = match flags & STAMP {
            0 => None,
            _ => Some(SecurityStamp(from.array()?)),
        };
        let client = match flags & CLIENT {
            0 => None,
            _ => Some(from.text()?.into()),
        };
        let fingerprint = match flags & FINGERPRINT {
            0 => None,
            _ => Some(FingerprintHash(from.array()?)),
        };
        let suspected = match flags & SUSPICION {
            0 => None,
            _ => Some(from.time()?),
        };
        let reauthenticated = match flags & REAUTHENTICATED {
            0 => None,
            _ => Some(from.time()?),
        };
        match flags {
            0 => Err(DecodeError::Corrupt),
            _ => Ok(Self {
                stamp,
                remember,
                client,
                fingerprint,
                suspected_since: suspected,
                reauthenticated,
            }),
        }
    }
}
