//! The scripts: what the server decides between reading a record and writing it.

use std::sync::LazyLock;

use redis::Script;

use crate::store::Record;

/// Compare-and-swap: replaces a record that is still at the expected revision.
pub(crate) static REPLACE: LazyLock<Lua> =
    LazyLock::new(|| Lua::new(include_str!("lua/replace.lua")));
/// Moves the expiry of a record that is still at the expected revision.
pub(crate) static TOUCH: LazyLock<Lua> = LazyLock::new(|| Lua::new(include_str!("lua/touch.lua")));
/// Puts a tombstone in the place of a record, on a server that is full.
pub(crate) static TOMBSTONE: LazyLock<Lua> =
    LazyLock::new(|| Lua::new(include_str!("lua/tombstone.lua")));
/// Deletes unconfirmed sessions, to make room on a server that is full.
pub(crate) static EVICT: LazyLock<Lua> = LazyLock::new(|| Lua::new(include_str!("lua/evict.lua")));
/// Adds a session to the index of its user, unless the login is revoked.
pub(crate) static BIND: LazyLock<Lua> = LazyLock::new(|| Lua::new(include_str!("lua/bind.lua")));
/// Extends the life of an index entry.
pub(crate) static EXTEND: LazyLock<Lua> =
    LazyLock::new(|| Lua::new(include_str!("lua/extend.lua")));
/// Leaves the marker that refuses the logins of a user that are under way.
pub(crate) static REVOKE: LazyLock<Lua> =
    LazyLock::new(|| Lua::new(include_str!("lua/revoke.lua")));
/// Removes stale index entries.
pub(crate) static PRUNE: LazyLock<Lua> = LazyLock::new(|| Lua::new(include_str!("lua/prune.lua")));

// The scripts contain these offsets as numbers.
const _: () = assert!(Record::REVISION_OFFSET == 1 && Record::NOTE_OFFSET == 19);

/// A script, and the hash by which the server knows it.
///
/// The hash is computed from the compiled-in text, so that a checkout with other line endings changes both.
pub(crate) struct Lua {
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
