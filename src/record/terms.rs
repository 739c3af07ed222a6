//! What a login settled for its session, and what a monitor has to know: a part of the record that is there only if there is
//! something in it.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | what follows: bit 0 a stamp, 1 remembered, 2 not to be remembered, 3 a client, 4 a seal, 5 a doubt |
//! | 16 | the stamp |
//! | 1 + n | the client's description: its length, then UTF-8 |
//! | 16 | the seal of the client's fingerprint |
//! | 6 | since when it is doubted whether the session is still its user's |

use std::ops::Deref;
use std::sync::Arc;

use super::{DecodeError, Reader};
use crate::clock::Timestamp;
use crate::stamp::Stamp;
use crate::token::Seal;

/// The terms of a login. The first three stay as they are until the next one, but for the stamp.
#[derive(Clone, Debug, Default)]
pub(crate) struct Terms {
    /// What the user's credential was, if the application said so.
    pub(crate) stamp: Option<Stamp>,
    /// Whether the login is to outlive the browser, if the user was asked.
    pub(crate) remember: Option<bool>,
    /// What the user knows the client by from which they logged in.
    pub(crate) client: Option<Arc<str>>,
    /// The fingerprint of the client, since the last login or rotation.
    pub(crate) seal: Option<Seal>,
    /// Since when its user is to prove once more who they are, before they do what asks for a recent proof.
    pub(crate) doubted: Option<Timestamp>,
}

/// The terms of a record, which take no more room than a pointer where there are none.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeptTerms(Option<Box<Terms>>);

impl KeptTerms {
    pub(crate) fn change(&mut self, change: impl FnOnce(&mut Terms)) {
        let mut terms = Terms::clone(self);
        change(&mut terms);
        *self = terms.into();
    }
}

impl From<Terms> for KeptTerms {
    fn from(terms: Terms) -> Self {
        Self((terms.flags() != 0).then(|| Box::new(terms)))
    }
}

impl Deref for KeptTerms {
    type Target = Terms;

    fn deref(&self) -> &Terms {
        self.0.as_deref().unwrap_or(&Terms::NONE)
    }
}

const STAMP: u8 = 1;
const REMEMBERED: u8 = 2;
const FORGOTTEN: u8 = 4;
const CLIENT: u8 = 8;
const SEAL: u8 = 16;
const DOUBT: u8 = 32;
const KNOWN: u8 = STAMP | REMEMBERED | FORGOTTEN | CLIENT | SEAL | DOUBT;

const TIME_LEN: usize = 6;

impl Terms {
    const NONE: Self = Self {
        stamp: None,
        remember: None,
        client: None,
        seal: None,
        doubted: None,
    };

    /// How many bytes they take in a record; none if there is nothing to say.
    pub(super) fn len(&self) -> usize {
        let client = self.client.as_ref().map_or(0, |client| 1 + client.len());
        match self.flags() {
            0 => 0,
            _ => {
                let stamp = self.stamp.map_or(0, |_| Stamp::LEN);
                let seal = self.seal.map_or(0, |_| Seal::LEN);
                let doubted = self.doubted.map_or(0, |_| TIME_LEN);
                1 + stamp + client + seal + doubted
            }
        }
    }

    fn flags(&self) -> u8 {
        let remember = match self.remember {
            None => 0,
            Some(true) => REMEMBERED,
            Some(false) => FORGOTTEN,
        };
        let stamp = self.stamp.map_or(0, |_| STAMP);
        let client = self.client.as_ref().map_or(0, |_| CLIENT);
        let seal = self.seal.map_or(0, |_| SEAL);
        let doubted = self.doubted.map_or(0, |_| DOUBT);
        stamp | remember | client | seal | doubted
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.flags());
        if let Some(stamp) = &self.stamp {
            out.extend_from_slice(&stamp.0);
        }
        if let Some(client) = &self.client {
            // `ClientFacts` cuts a longer one.
            out.push(u8::try_from(client.len()).unwrap_or(u8::MAX));
            out.extend_from_slice(client.as_bytes());
        }
        if let Some(seal) = &self.seal {
            out.extend_from_slice(&seal.0);
        }
        if let Some(doubted) = self.doubted {
            out.extend_from_slice(&doubted.as_millis().to_be_bytes()[8 - TIME_LEN..]);
        }
    }

    pub(super) fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let flags = from.byte()?;
        if flags & !KNOWN != 0 {
            return Err(DecodeError::FutureFormat);
        }
        let remember = match flags & (REMEMBERED | FORGOTTEN) {
            0 => None,
            REMEMBERED => Some(true),
            FORGOTTEN => Some(false),
            _ => return Err(DecodeError::Corrupt),
        };
        let stamp = match flags & STAMP {
            0 => None,
            _ => Some(Stamp(from.array()?)),
        };
        let client = match flags & CLIENT {
            0 => None,
            _ => Some(from.text()?.into()),
        };
        let seal = match flags & SEAL {
            0 => None,
            _ => Some(Seal(from.array()?)),
        };
        let doubted = match flags & DOUBT {
            0 => None,
            _ => Some(from.time()?),
        };
        match flags {
            0 => Err(DecodeError::Corrupt),
            _ => Ok(Self {
                stamp,
                remember,
                client,
                seal,
                doubted,
            }),
        }
    }
}
