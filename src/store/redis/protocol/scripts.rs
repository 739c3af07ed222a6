//! The scripts: what the server decides by itself, between reading a record and writing it.

use std::sync::LazyLock;

use redis::Script;

use crate::record::Record;

/// Compare-and-swap: writes a record over one that is still at the expected revision.
pub(crate) static REPLACE: LazyLock<Lua> =
    LazyLock::new(|| Lua::new(include_str!("lua/replace.lua")));
/// Moves the expiry of a record that is still at the expected revision.
pub(crate) static TOUCH: LazyLock<Lua> = LazyLock::new(|| Lua::new(include_str!("lua/touch.lua")));
/// Puts a tombstone over a record on a server that is full.
pub(crate) static BURY: LazyLock<Lua> =
    LazyLock::new(|| Lua::new(include_str!("lua/tombstone.lua")));
/// Makes the entry of a session in the index of a user.
pub(crate) static BIND: LazyLock<Lua> = LazyLock::new(|| Lua::new(include_str!("lua/bind.lua")));
/// Lets an entry live on.
pub(crate) static PROLONG: LazyLock<Lua> =
    LazyLock::new(|| Lua::new(include_str!("lua/extend.lua")));
/// Keeps logins away, and says which sessions there are.
pub(crate) static REVOKE: LazyLock<Lua> =
    LazyLock::new(|| Lua::new(include_str!("lua/revoke.lua")));
/// Removes entries that are stale.
pub(crate) static PRUNE: LazyLock<Lua> = LazyLock::new(|| Lua::new(include_str!("lua/prune.lua")));

// The scripts name these places as numbers.
const _: () = assert!(Record::REVISION_OFFSET == 1 && Record::ROOM_OFFSET == 19);

/// A script, and the hash that the server knows it by.
///
/// The hash is taken of the text as it was compiled in: a checkout that changed line ends changes both alike.
pub(crate) struct Lua {
    pub(crate) code: &'static str,
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
    pub(crate) fn hash(&self) -> &str {
        self.script.get_hash()
    }
}
