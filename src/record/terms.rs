//! What a login settled for its session: a part of the record that is there only if there is something in it.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | what follows: bit 0 a stamp, 1 remembered, 2 not to be remembered, 3 a client |
//! | 16 | the stamp |
//! | 1 + n | the client's description: its length, then UTF-8 |

use std::sync::Arc;

use super::{DecodeError, Reader};
use crate::stamp::Stamp;

/// The terms of a login. They stay as they are until the next one, but for the stamp.
#[derive(Clone, Debug, Default)]
pub(crate) struct Terms {
    /// What the user's credential was, if the application said so.
    pub(crate) stamp: Option<Stamp>,
    /// Whether the login is to outlive the browser, if the user was asked.
    pub(crate) remember: Option<bool>,
    /// What the user knows the client by from which they logged in.
    pub(crate) client: Option<Arc<str>>,
}

const STAMP: u8 = 1;
const REMEMBERED: u8 = 2;
const FORGOTTEN: u8 = 4;
const CLIENT: u8 = 8;

impl Terms {
    /// How many bytes they take in a record; none if there is nothing to say.
    pub(super) fn len(&self) -> usize {
        let client = self.client.as_ref().map_or(0, |client| 1 + client.len());
        match self.flags() {
            0 => 0,
            _ => 1 + self.stamp.map_or(0, |_| Stamp::LEN) + client,
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
        stamp | remember | client
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
    }

    pub(super) fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let flags = from.byte()?;
        if flags & !(STAMP | REMEMBERED | FORGOTTEN | CLIENT) != 0 {
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
        match flags {
            0 => Err(DecodeError::Corrupt),
            _ => Ok(Self {
                stamp,
                remember,
                client,
            }),
        }
    }
}
