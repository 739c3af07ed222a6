//! The keys in the server.

use std::fmt::{self, Write};

use crate::store::RecordKey;

/// A key in the server. It begins with the store's prefix and the layer's namespace.
#[derive(Clone, Copy)]
pub(crate) enum Key<'a> {
    /// The record of a session: the session's id follows.
    Record {
        prefix: &'a str,
        record: &'a RecordKey,
    },
    /// The index of a user: `user=` and the user's id follow.
    ///
    /// After the last colon the key of a record has a session's id, which contains no `=`, and the key of an index has the
    /// user's id, which is written without colons. So no namespace and no user makes two keys equal.
    Index {
        prefix: &'a str,
        namespace: &'a str,
        user: &'a str,
    },
}

impl Key<'_> {
    pub(super) fn len(self) -> usize {
        match self {
            Self::Record { prefix, record } => {
                prefix.len() + record.namespace().len() + 1 + record.id().as_str().len()
            }
            Self::Index {
                prefix,
                namespace,
                user,
            } => {
                let user = user.bytes().map(|byte| if is_plain(byte) { 1 } else { 3 });
                prefix.len() + namespace.len() + 6 + user.sum::<usize>()
            }
        }
    }
}

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record { prefix, record } => {
                f.write_str(prefix)?;
                f.write_str(record.namespace())?;
                f.write_str(":")?;
                f.write_str(record.id().as_str())
            }
            Self::Index {
                prefix,
                namespace,
                user,
            } => {
                f.write_str(prefix)?;
                f.write_str(namespace)?;
                f.write_str(":user=")?;
                user.bytes().try_for_each(|byte| match byte {
                    _ if is_plain(byte) => f.write_char(byte.into()),
                    _ => write!(f, "%{byte:02X}"),
                })
            }
        }
    }
}

/// Whether a byte of a user's id is written as it is; the others are percent-encoded. Braces are, because they would choose
/// the cluster node.
const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'@' | b'+')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::SessionId;

    const PREFIX: &str = "keycard:";

    fn index_key(namespace: &str, user: &str) -> String {
        let key = Key::Index {
            prefix: PREFIX,
            namespace,
            user,
        };
        assert_eq!(key.to_string().len(), key.len());
        key.to_string()
    }

    #[test]
    fn the_key_of_an_index_can_be_read_and_forged_by_nobody() {
        assert_eq!(
            index_key("id", "al@example.com"),
            "keycard:id:user=al@example.com"
        );
        assert_eq!(
            index_key("id", "a:{b}=*%\0é"),
            "keycard:id:user=a%3A%7Bb%7D%3D%2A%25%00%C3%A9"
        );
        assert_ne!(index_key("id", "b:user=c"), index_key("id:user=b", "c"));
        assert_ne!(index_key("id:user=", "c"), index_key("id", ":user=c"));
        // Twenty characters, like the id of a session.
        let id: SessionId = "A".repeat(20).parse().unwrap();
        let record = RecordKey::new("id", id);
        let record = Key::Record {
            prefix: PREFIX,
            record: &record,
        };
        assert_ne!(index_key("id", &"A".repeat(15)), record.to_string());
        assert_ne!(index_key("id", id.as_str()), record.to_string());
    }
}
