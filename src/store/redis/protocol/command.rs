//! The commands. Each is built in one allocation of the right size.

use std::time::Duration;

use redis::{Cmd, Pipeline, RedisWrite};

use super::key::Key;
use super::scripts::Lua;
use crate::store::{PIECE, Record, RecordHeader, SessionId, TOMBSTONE_LIFETIME};

/// A hundred years in milliseconds. A server refuses an expiry that overflows when it adds the current time.
const MAX_TTL_MILLIS: u64 = 100 * 365 * 24 * 60 * 60 * 1000;

/// A time to live in whole milliseconds, as the server takes it. It is never zero, which the server would refuse.
pub(crate) fn ttl_millis(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis())
        .unwrap_or(MAX_TTL_MILLIS)
        .clamp(1, MAX_TTL_MILLIS)
}

pub(crate) fn load(key: Key<'_>) -> Cmd {
    let mut command = start("GET", 2, key.len());
    command.write_arg_fmt(key);
    command
}

/// Reads only as much of each record as its header can take, and before that the marks of logins in an index.
pub(crate) fn load_headers<'a>(
    index: Key<'_>,
    ids: &[SessionId],
    keys: impl ExactSizeIterator<Item = Key<'a>>,
) -> Pipeline {
    let mut pipeline = Pipeline::with_capacity(1 + keys.len());
    let mut marks = start("ZMSCORE", 2 + ids.len(), index.len() + 21 * ids.len());
    marks.write_arg_fmt(index);
    for id in ids {
        marks.write_arg_fmt(format_args!("+{id}"));
    }
    pipeline.add_command(marks);
    for key in keys {
        let mut command = start("GETRANGE", 4, key.len());
        command.write_arg_fmt(key);
        command.write_arg(b"0");
        command.write_arg_fmt(RecordHeader::MAX_LEN - 1);
        pipeline.add_command(command);
    }
    pipeline
}

/// Reads some members of an index and their scores: from this score on, but not the first `skip` of them.
pub(crate) fn index_members(index: Key<'_>, from: Option<f64>, skip: usize) -> Cmd {
    let mut command = start("ZRANGE", 9, index.len() + 40);
    command.write_arg_fmt(index);
    match from {
        Some(score) => command.write_arg_fmt(score),
        None => command.write_arg(b"-inf"),
    }
    command.write_arg(b"+inf");
    command.write_arg(b"BYSCORE");
    command.write_arg(b"LIMIT");
    command.write_arg_fmt(skip);
    command.write_arg_fmt(PIECE);
    command.write_arg(b"WITHSCORES");
    command
}

/// Removes the entries of these sessions.
pub(crate) fn unbind<'a>(index: Key<'_>, ids: impl ExactSizeIterator<Item = &'a SessionId>) -> Cmd {
    let mut command = start("ZREM", 2 + 2 * ids.len(), index.len() + 41 * ids.len());
    command.write_arg_fmt(index);
    for id in ids {
        command.write_arg(id.as_str().as_bytes());
        command.write_arg_fmt(format_args!("+{id}"));
    }
    command
}

pub(crate) fn create(key: Key<'_>, value: &[u8], ttl: Duration) -> Cmd {
    let mut command = start("SET", 6, key.len() + value.len());
    command.write_arg_fmt(key);
    command.write_arg(value);
    command.write_arg(b"NX");
    command.write_arg(b"PX");
    command.write_arg_fmt(ttl_millis(ttl));
    command
}

/// Puts a tombstone in the place of a record.
pub(crate) fn delete(key: Key<'_>) -> Cmd {
    let mut command = start("SET", 5, key.len());
    command.write_arg_fmt(key);
    command.write_arg(Record::TOMBSTONE);
    command.write_arg(b"PX");
    command.write_arg_fmt(ttl_millis(TOMBSTONE_LIFETIME));
    command
}

/// The pattern that matches the keys of a store with this prefix, and no others.
pub(crate) fn keys_of(prefix: &str) -> String {
    let special = |letter| matches!(letter, '*' | '?' | '[' | ']' | '\\');
    let mut pattern = String::with_capacity(prefix.len() + 1);
    for letter in prefix.chars() {
        pattern.extend(special(letter).then_some('\\'));
        pattern.push(letter);
    }
    pattern.push('*');
    pattern
}

/// A call of a script. It has one key, so that any node of a cluster can check whether it is responsible.
pub(crate) struct ScriptCall<'a> {
    pub(crate) script: &'static Lua,
    pub(crate) key: Key<'a>,
    /// The arguments, except a time to live, which is always the last one.
    pub(crate) args: &'a [&'a [u8]],
    pub(crate) ttl: Option<Duration>,
}

impl ScriptCall<'_> {
    /// By the script's hash, as every time except the first.
    pub(crate) fn by_hash(&self) -> Cmd {
        self.command("EVALSHA", self.script.hash())
    }

    /// By the script's text, for a server that does not know the script: it was restarted, or its scripts were flushed.
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
            command.write_arg_fmt(ttl_millis(ttl));
        }
        command
    }
}

/// A command with room for its arguments: `size` bytes that depend on the call, and a few that do not.
fn start(name: &str, arguments: usize, size: usize) -> Cmd {
    let mut command = Cmd::with_capacity(arguments, size + 40);
    command.write_arg(name.as_bytes());
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::RecordKey;
    use crate::store::testing::conformance::sample_record;

    #[test]
    fn a_time_to_live_is_never_zero_nor_more_than_the_server_takes() {
        assert_eq!(ttl_millis(Duration::ZERO), 1);
        assert_eq!(ttl_millis(Duration::from_micros(1_999)), 1);
        assert_eq!(ttl_millis(Duration::from_secs(60)), 60_000);
        assert_eq!(ttl_millis(Duration::MAX), MAX_TTL_MILLIS);
        assert!(i64::try_from(MAX_TTL_MILLIS).is_ok_and(|millis| millis < i64::MAX / 2));
    }

    #[test]
    fn a_pattern_takes_the_prefix_by_the_letter() {
        assert_eq!(keys_of("keycard:"), "keycard:*");
        assert_eq!(keys_of(r"a*b?[c]\:"), r"a\*b\?\[c\]\\:*");
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
}
