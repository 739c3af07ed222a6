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
/// Makes the entry of a session in the index of a user.
pub(super) static BIND: LazyLock<Lua> = LazyLock::new(|| Lua::new(include_str!("bind.lua")));
/// Lets an entry live on.
pub(super) static PROLONG: LazyLock<Lua> = LazyLock::new(|| Lua::new(include_str!("prolong.lua")));
/// Keeps logins away, and says which sessions there are.
pub(super) static REVOKE: LazyLock<Lua> = LazyLock::new(|| Lua::new(include_str!("revoke.lua")));
/// Removes entries that are stale.
pub(super) static PRUNE: LazyLock<Lua> = LazyLock::new(|| Lua::new(include_str!("prune.lua")));

// The scripts name these places as numbers.
const _: () = assert!(Record::REVISION_OFFSET == 1 && Record::ROOM_OFFSET == 19);

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
