//! What was acknowledged, and what of it was not there any more.

/// Counted over all clients and kills.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) kills: u32,

    /// Acknowledged.
    pub(crate) begun: u64,
    pub(crate) changed: u64,
    pub(crate) rotated: u64,
    pub(crate) logged_in: u64,
    pub(crate) logged_out: u64,
    /// Under way when the server was killed.
    pub(crate) amidst: u64,
    /// Not acknowledged: these may have been carried out or not.
    pub(crate) unanswered: u64,

    /// Lost: changes that an older value stood in place of.
    pub(crate) changes: u64,
    /// Lost: sessions that were not there.
    pub(crate) sessions: u64,
    /// Lost: logins and rotations after which the old token opened the session again.
    pub(crate) rotations: u64,
    /// Lost: logouts after which the token opened the session again.
    pub(crate) logouts: u64,

    /// Sessions in a state that none of their requests can have left.
    pub(crate) impossible: u64,
    /// Sessions of a user that are not in the user's list.
    pub(crate) unlisted: u64,
}

impl Tally {
    /// The acknowledged writes of each kind.
    pub(crate) fn acknowledged(&self) -> [u64; 5] {
        [
            self.begun,
            self.changed,
            self.rotated,
            self.logged_in,
            self.logged_out,
        ]
    }

    /// How many acknowledged writes were lost.
    pub(crate) fn lost(&self) -> u64 {
        self.changes + self.sessions + self.rotations + self.logouts
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.kills += other.kills;
        self.begun += other.begun;
        self.changed += other.changed;
        self.rotated += other.rotated;
        self.logged_in += other.logged_in;
        self.logged_out += other.logged_out;
        self.amidst += other.amidst;
        self.unanswered += other.unanswered;
        self.changes += other.changes;
        self.sessions += other.sessions;
        self.rotations += other.rotations;
        self.logouts += other.logouts;
        self.impossible += other.impossible;
        self.unlisted += other.unlisted;
    }
}
