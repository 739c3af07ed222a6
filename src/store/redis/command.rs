//! The commands, each in one allocation of the right size.

use std::fmt;
use std::time::Duration;

use redis::{Cmd, Pipeline, RedisWrite};

use super::scripts::Lua;
use crate::record::Record;
use crate::store::{RecordKey, TOMBSTONE_LIFETIME};

/// A hundred years in milliseconds: a server refuses an expiry that overflows once it has added the time of day.
const LONGEST: u64 = 100 * 365 * 24 * 60 * 60 * 1000;

/// What the server knows a record by: the store's prefix, then the layer's namespace and the session's id.
#[derive(Clone, Copy)]
pub(super) struct Key<'a> {
    pub(super) prefix: &'a str,
    pub(super) record: &'a RecordKey,
}

impl Key<'_> {
    fn len(self) -> usize {
        self.prefix.len() + self.record.namespace().len() + 1 + self.record.id().as_str().len()
    }
}

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.prefix)?;
        f.write_str(self.record.namespace())?;
        f.write_str(":")?;
        f.write_str(self.record.id().as_str())
    }
}

/// A time to live as the server takes it: whole milliseconds, never zero, which would be refused.
pub(super) fn millis(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis())
        .unwrap_or(LONGEST)
        .clamp(1, LONGEST)
}

/// `GET` and `PTTL` in one round trip, and no transaction: a record that expires between the two is absent.
pub(super) fn load(key: Key<'_>) -> Pipeline {
    let mut pipeline = Pipeline::with_capacity(2);
    for name in ["GET", "PTTL"] {
        let mut command = start(name, 2, key.len());
        command.write_arg_fmt(key);
        pipeline.add_command(command);
    }
    pipeline
}

pub(super) fn create(key: Key<'_>, record: &Record, ttl: Duration) -> Cmd {
    let record = record.encode();
    let mut command = start("SET", 6, key.len() + record.len());
    command.write_arg_fmt(key);
    command.write_arg(&record);
    command.write_arg(b"NX");
    command.write_arg(b"PX");
    command.write_arg_fmt(millis(ttl));
    command
}

pub(super) fn delete(key: Key<'_>) -> Cmd {
    let mut command = start("SET", 5, key.len());
    command.write_arg_fmt(key);
    command.write_arg(Record::TOMBSTONE);
    command.write_arg(b"PX");
    command.write_arg_fmt(millis(TOMBSTONE_LIFETIME));
    command
}

/// A script on one key, which is why any node of a cluster can say whether it is its own.
pub(super) struct Run<'a> {
    pub(super) script: &'static Lua,
    pub(super) key: Key<'a>,
    /// What the script's text calls its arguments, but for the last of them, which is the life.
    pub(super) args: &'a [&'a [u8]],
    pub(super) ttl: Duration,
}

impl Run<'_> {
    /// By the script's hash, as every time but the first.
    pub(super) fn by_hash(&self) -> Cmd {
        self.command("EVALSHA", self.script.hash())
    }

    /// By the script's text, for a server that does not know it: it was restarted, or somebody flushed its scripts.
    pub(super) fn by_text(&self) -> Cmd {
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
        command.write_arg_fmt(millis(self.ttl));
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
        let key = Key {
            prefix: "keycard:",
            record: &record_key,
        };
        assert_eq!(key.to_string().len(), key.len());
        let record = sample_record("{}");
        let mut command = create(key, &record, Duration::MAX);
        let used: usize = command
            .args_iter()
            .map(|arg| match arg {
                redis::Arg::Simple(bytes) => bytes.len(),
                _ => 0,
            })
            .sum();
        assert!(used <= key.len() + record.encode().len() + 40);
        assert_eq!(command.args_iter().count(), 6);
        command.clear();
    }
}
