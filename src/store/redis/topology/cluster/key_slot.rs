//! The slot of a command's key.

use redis::{Arg, Cmd};

use super::slots::SLOTS;

/// The slot of the one key that a command concerns: its first argument, or the third one of a script.
pub(super) fn slot_of(command: &Cmd) -> u16 {
    let mut words = command.args_iter();
    let key = match words.next() {
        Some(Arg::Simple(b"EVAL" | b"EVALSHA")) => words.nth(2),
        _ => words.next(),
    };
    match key {
        Some(Arg::Simple(key)) => slot_of_key(key),
        _ => 0,
    }
}

/// The slot of a key. If there is text between the first `{` and the next `}`, only that text is hashed.
fn slot_of_key(key: &[u8]) -> u16 {
    let tag = key.iter().position(|byte| *byte == b'{').and_then(|open| {
        let rest = &key[open + 1..];
        let close = rest.iter().position(|byte| *byte == b'}')?;
        (close > 0).then(|| &rest[..close])
    });
    crc16::State::<crc16::XMODEM>::calculate(tag.unwrap_or(key)) % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_the_slot_that_the_specification_says() {
        // From the specification, and from `CLUSTER KEYSLOT`.
        assert_eq!(slot_of_key(b"123456789"), 12_739);
        assert_eq!(slot_of_key(b"foo"), 12_182);
        assert_eq!(slot_of_key(b"{foo}.bar"), 12_182);
        assert_eq!(slot_of_key(b"bar{foo}{zap}"), 12_182);
        assert_eq!(slot_of_key(b"foo{}{bar}"), 8_363);
        assert_eq!(slot_of_key(b"foo{{bar}}zap"), slot_of_key(b"{bar"));
    }

    #[test]
    fn the_key_of_a_command_and_of_a_script_is_found() {
        let mut get = redis::cmd("GET");
        get.arg("foo");
        assert_eq!(slot_of(&get), 12_182);
        let mut script = redis::cmd("EVALSHA");
        script.arg("hash").arg(1).arg("foo").arg("argument");
        assert_eq!(slot_of(&script), 12_182);
    }
}
