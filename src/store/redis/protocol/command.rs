//! The commands, each in one allocation of the right size.

use std::fmt::{self, Write};
use std::time::Duration;

use redis::{Cmd, Pipeline, RedisWrite};

use crate::record::Record;
use crate::store::redis::protocol::scripts::Lua;
use crate::store::{RecordKey, SessionId, TOMBSTONE_LIFETIME};

/// A hundred years in milliseconds: a server refuses an expiry that overflows once it has added the time of day.
const LONGEST: u64 = 100 * 365 * 24 * 60 * 60 * 1000;

/// What the server knows something by. It begins with the store's prefix and the layer's namespace.
#[derive(Clone, Copy)]
pub(crate) enum Key<'a> {
    /// A record: the session's id follows.
    Record {
        prefix: &'a str,
        record: &'a RecordKey,
    },
    /// The index of a user, `user=` and the id.
    ///
    /// Behind the last colon a record's key has an id, which holds no `=`, and an index has the user, who is written without
    /// a colon. So no namespace and no user makes one key look like another.
    User {
        prefix: &'a str,
        namespace: &'a str,
        user: &'a str,
    },
}

impl Key<'_> {
    fn len(self) -> usize {
        match self {
            Self::Record { prefix, record } => {
                prefix.len() + record.namespace().len() + 1 + record.id().as_bytes().len()
            }
            Self::User {
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
            Self::User {
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

/// What stands for itself in a user's id; the rest is percent-encoded. Braces are not among it: they would choose the
/// cluster's node.
const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'@' | b'+')
}

/// A time to live as the server takes it: whole milliseconds, never zero, which would be refused.
pub(crate) fn millis(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis())
        .unwrap_or(LONGEST)
        .clamp(1, LONGEST)
}

pub(crate) fn load(key: Key<'_>) -> Cmd {
    let mut command = start("GET", 2, key.len());
    command.write_arg_fmt(key);
    command
}

/// Each of these records.
pub(crate) fn load_all<'a>(keys: impl ExactSizeIterator<Item = Key<'a>>) -> Pipeline {
    let mut pipeline = Pipeline::with_capacity(keys.len());
    for key in keys {
        pipeline.add_command(load(key));
    }
    pipeline
}

/// As much of each record as says whose it is.
pub(crate) fn owners<'a>(keys: impl ExactSizeIterator<Item = Key<'a>>) -> Pipeline {
    let mut pipeline = Pipeline::with_capacity(keys.len());
    for key in keys {
        let mut command = start("GETRANGE", 4, key.len());
        command.write_arg_fmt(key);
        command.write_arg(b"0");
        command.write_arg_fmt(Record::OWNER_LEN - 1);
        pipeline.add_command(command);
    }
    pipeline
}

/// All members of an index.
pub(crate) fn members(index: Key<'_>) -> Cmd {
    let mut command = start("ZRANGE", 4, index.len());
    command.write_arg_fmt(index);
    command.write_arg(b"0");
    command.write_arg(b"-1");
    command
}

/// Removes these sessions' entries.
pub(crate) fn unbind<'a>(index: Key<'_>, ids: impl ExactSizeIterator<Item = &'a SessionId>) -> Cmd {
    let mut command = start("ZREM", 2 + 2 * ids.len(), index.len() + 41 * ids.len());
    command.write_arg_fmt(index);
    for id in ids {
        command.write_arg(id.as_bytes());
        command.write_arg_fmt(format_args!("+{id}"));
    }
    command
}

pub(crate) fn create(key: Key<'_>, kept: &[u8], ttl: Duration) -> Cmd {
    let mut command = start("SET", 6, key.len() + kept.len());
    command.write_arg_fmt(key);
    command.write_arg(kept);
    command.write_arg(b"NX");
    command.write_arg(b"PX");
    command.write_arg_fmt(millis(ttl));
    command
}

pub(crate) fn delete(key: Key<'_>) -> Cmd {
    let mut command = start("SET", 5, key.len());
    command.write_arg_fmt(key);
    command.write_arg(Record::TOMBSTONE);
    command.write_arg(b"PX");
    command.write_arg_fmt(millis(TOMBSTONE_LIFETIME));
    command
}

/// A script on one key, which is why any node of a cluster can say whether it is its own.
pub(crate) struct Run<'a> {
    pub(crate) script: &'static Lua,
    pub(crate) key: Key<'a>,
    /// What the script's text calls its arguments, but for the last of them, if that is the life.
    pub(crate) args: &'a [&'a [u8]],
    pub(crate) ttl: Option<Duration>,
}

impl Run<'_> {
    /// By the script's hash, as every time but the first.
    pub(crate) fn by_hash(&self) -> Cmd {
        self.command("EVALSHA", self.script.hash())
    }

    /// By the script's text, for a server that does not know it: it was restarted, or somebody flushed its scripts.
    pub(crate) fn by_text(&self) -> Cmd {
        self.command("EVAL", self.script.code)
    }

    fn command(&self, name: &str, script: &str) -> Cmd {
        let args: usize = self.args.iter().map(|arg| arg.len()).sum();
        let size = script.len() + self.key.len() + args;
        let mut command = start(name, 5 + self.args.len(), size);
        command.write_arg(script.as_bytes());
        command.write_arg(b"1");
        command.write_arg_fmt(self.key);
        for arg in self.args {
            command.write_arg(arg);
        }
        if let Some(ttl) = self.ttl {
            command.write_arg_fmt(millis(ttl));
        }
        command
    }
}

/// A command with room for its arguments: `size` bytes of them that depend on the call, and the few that do not.
fn start(name: &str, arguments: usize, size: usize) -> Cmd {
    let mut command = Cmd::with_capacity(arguments, size + 40);
    command.write_arg(name.as_bytes());
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conformance::sample_record;

    #[test]
    fn a_time_to_live_is_never_zero_nor_more_than_the_server_takes() {
        assert_eq!(millis(Duration::ZERO), 1);
        assert_eq!(millis(Duration::from_micros(1_999)), 1);
        assert_eq!(millis(Duration::from_secs(60)), 60_000);
        assert_eq!(millis(Duration::MAX), LONGEST);
        assert!(i64::try_from(LONGEST).is_ok_and(|millis| millis < i64::MAX / 2));
    }

    #[test]
    fn a_command_fits_the_room_it_was_given() {
        let record_key = RecordKey::new("__Host-id", "A".repeat(20).parse().unwrap());
        let key = Key::Record {
            prefix: "keycard:",
            record: &record_key,
        };
        assert_eq!(key.to_string().len(), key.len());
        let record = sample_record("{}").encode();
        let mut command = create(key, &record, Duration::MAX);
        let used: usize = command
            .args_iter()
            .map(|arg| match arg {
                redis::Arg::Simple(bytes) => bytes.len(),
                _ => 0,
            })
            .sum();
        assert!(used <= key.len() + record.len() + 40);
        assert_eq!(command.args_iter().count(), 6);
        command.clear();
    }

    fn index<'a>(namespace: &'a str, user: &'a str) -> Key<'a> {
        let prefix = "keycard:";
        Key::User {
            prefix,
            namespace,
            user,
        }
    }

    #[test]
    fn the_key_of_an_index_can_be_read_and_forged_by_nobody() {
        fn key(namespace: &str, user: &str) -> String {
            let key = index(namespace, user);
            assert_eq!(key.to_string().len(), key.len());
            key.to_string()
        }
        assert_eq!(
            key("id", "al@example.com"),
            "keycard:id:user=al@example.com"
        );
        assert_eq!(
            key("id", "a:{b}=*%\0é"),
            "keycard:id:user=a%3A%7Bb%7D%3D%2A%25%00%C3%A9"
        );
        assert_ne!(key("id", "b:user=c"), key("id:user=b", "c"));
        assert_ne!(key("id:user=", "c"), key("id", ":user=c"));
        // Twenty characters, as a session's id has.
        let id: SessionId = "A".repeat(20).parse().unwrap();
        let record = RecordKey::new("id", id);
        let prefix = "keycard:";
        let record = Key::Record {
            prefix,
            record: &record,
        };
        assert_ne!(key("id", &"A".repeat(15)), record.to_string());
        assert_ne!(key("id", id.as_str()), record.to_string());
    }
}
