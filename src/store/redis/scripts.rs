//! The scripts: what the server decides by itself, between reading a record and writing it.

use std::sync::LazyLock;

use redis::Script;

use crate::record::Record;

/// Compare-and-swap: writes a record over one that is still at the expected revision.
pub(super) static REPLACE: LazyLock<Lua> = LazyLock::new(|| Lua::new(include_str!("replace.lua")));
/// Moves the expiry of a record that is still at the expected revision.
pub(super) static TOUCH: LazyLock<Lua> = LazyLock::new(|| Lua::new(include_str!("touch.lua")));
/// Puts a tombstone over a record on a server that is full.
pub(super) static BURY: LazyLock<Lua> = LazyLock::new(|| Lua::new(include_str!("bury.lua")));

// The scripts name these places as numbers.
const _: () = assert!(Record::REVISION_OFFSET == 1 && Record::REVISIONS == 3);

/// A script, and the hash that the server knows it by.
///
/// The hash is taken of the text as it was compiled in: a checkout that changed line ends changes both alike.
pub(super) struct Lua {
    pub(super) code: &'static str,
    script: Script,
}

impl Lua {
    fn new(code: &'static str) -> Self {
        Self {
            code,
            script: Script::new(code),
        }
    }

    /// SHA-1 of the code, in hexadecimal.
    pub(super) fn hash(&self) -> &str {
        self.script.get_hash()
    }
}
