//! A moment in the index of a user, and the marker that a login met there.

use std::fmt;
use std::time::Duration;

/// A moment in the index of one user, as the store counts: by its clock or by a number of its own. Of two moments, the later
/// one is greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IndexMoment(pub u64);

/// The marker that a login met: all sessions of its user were ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MetMarker {
    /// When the marker was left. It identifies the marker among all of this user.
    pub left: IndexMoment,
    /// How long ago that was, at least, when the store refused the login.
    pub age: Duration,
}

impl MetMarker {
    pub(super) const fn new(left: IndexMoment, age: Duration) -> Self {
        Self { left, age }
    }
}

impl fmt::Display for MetMarker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "they were ended {:?} ago", self.age)
    }
}

impl std::error::Error for MetMarker {}
