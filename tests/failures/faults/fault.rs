//! Everything that is made to go wrong, and put right again.

use std::time::{Duration, SystemTime};

use tower_keycard::Timestamp;

use super::stage::Stage;
use crate::support::cookie::key;
use crate::support::proxy::Network;

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Fault {
    Nothing,
    Killed,
    Restarted,
    Stopped,
    Paused,
    WritesPaused,
    Disconnected,
    Loading,
    ReadOnly,
    Full,
    Evicted,
    ScriptsForgotten,
    OtherType,
    FlippedVerifier,
    FlippedFormat,
    FlippedData,
    Silent,
    Slow,
    TooSlow,
    Closed,
    ClosedOnce,
    Reset,
    ResetOnce,
    AnHourAhead,
    AnHourBehind,
    ManyDaysAhead,
    ManyDaysBehind,
}

/// Since when the sessions that there were are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gone {
    Never,
    /// As soon as the fault is there.
    AtOnce,
    /// As long as the fault is there.
    Meanwhile,
    /// When the fault is over.
    Afterwards,
}

const HOUR: Duration = Duration::from_secs(60 * 60);
const MANY_DAYS: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// How long a server lets all its clients wait; it cannot be asked to end that.
const PAUSE: Duration = Duration::from_millis(700);

/// How much of an answer arrives where it is cut: less than the shortest, since several may come together.
const BEGINNING: usize = 2;

impl Fault {
    /// In the order of the table.
    pub(crate) const ALL: [Self; 27] = [
        Self::Nothing,
        Self::Killed,
        Self::Restarted,
        Self::Stopped,
        Self::Paused,
        Self::WritesPaused,
        Self::Disconnected,
        Self::Loading,
        Self::ReadOnly,
        Self::Full,
        Self::Evicted,
        Self::ScriptsForgotten,
        Self::OtherType,
        Self::FlippedVerifier,
        Self::FlippedFormat,
        Self::FlippedData,
        Self::Silent,
        Self::Slow,
        Self::TooSlow,
        Self::Closed,
        Self::ClosedOnce,
        Self::Reset,
        Self::ResetOnce,
        Self::AnHourAhead,
        Self::AnHourBehind,
        Self::ManyDaysAhead,
        Self::ManyDaysBehind,
    ];

    /// What it is called, and what it means for those who are logged in.
    pub(crate) fn text(self) -> (&'static str, &'static str) {
        match self {
            Self::Nothing => (
                "none",
                "A rotation hands out a new card, a logout takes it away.",
            ),
            Self::Killed => (
                "Redis is down",
                "Nobody is logged out by it: whoever needs a session is told to try again in a second. Whether the \
                 sessions are still there afterwards is a matter of Redis's persistence.",
            ),
            Self::Restarted => (
                "Redis was restarted, and kept nothing",
                "All have to log in anew. A change that was under way at that moment is refused with 409.",
            ),
            Self::Stopped => (
                "Redis stands still (`SIGSTOP`)",
                "An answer after half a second at the latest. A change that was sent may be made when Redis goes on: \
                 a rotation whose answer was lost costs the visitor a login, a logout is carried out late.",
            ),
            Self::Paused => ("`CLIENT PAUSE`", "As if Redis stood still."),
            Self::WritesPaused => (
                "`CLIENT PAUSE … WRITE`, as during a planned fail-over",
                "Reading goes on. What was changed may be carried out when the pause ends.",
            ),
            Self::Disconnected => (
                "`CLIENT KILL`, an idle time-out, a proxy's restart",
                "Nobody notices.",
            ),
            Self::Loading => (
                "Redis is loading its data (`LOADING`)",
                "As if Redis were down, until it has finished.",
            ),
            Self::ReadOnly => (
                "Redis became a replica (`READONLY`)",
                "Reading goes on, from what the replica has. Nothing can be changed, and nobody is logged out, until \
                 the address leads to a primary again.",
            ),
            Self::Full => (
                "Redis is full, under `noeviction` (`OOM`)",
                "Those who are logged in stay so, and can log out; nothing else can be stored.",
            ),
            Self::Evicted => (
                "Redis evicted the session (`allkeys-lru`)",
                "Logged out without a word. Use `noeviction` or `volatile-ttl`.",
            ),
            Self::ScriptsForgotten => ("`SCRIPT FLUSH` (`NOSCRIPT`)", "Nobody notices."),
            Self::OtherType => (
                "the key holds a list (`WRONGTYPE`)",
                "Logged out. What another program put there is left alone.",
            ),
            Self::FlippedVerifier => (
                "a bit of the verifier's hash flipped",
                "Logged out: the card opens nothing any more.",
            ),
            Self::FlippedFormat => (
                "a bit of the format flipped, to one of a later version",
                "As in a rolling deployment: no session for the moment, and the card is left alone, for a newer \
                 instance may be able to read it.",
            ),
            Self::FlippedData => (
                "a bit of the data flipped, so that it is no JSON",
                "Logged out. The damaged record is left for whoever looks for the cause.",
            ),
            Self::Silent => (
                "the connection is half open: nothing arrives",
                "An answer after half a second at the latest. The next request gets a new connection.",
            ),
            Self::Slow => ("answers take 50 ms", "Everything takes that much longer."),
            Self::TooSlow => (
                "answers take longer than the time-out",
                "As if Redis stood still, but what was sent is carried out.",
            ),
            Self::Closed => (
                "every answer is cut, and the connection closed",
                "As if Redis were down, but what was sent is carried out.",
            ),
            Self::ClosedOnce => (
                "one answer is cut, and the connection closed",
                "Nobody notices.",
            ),
            Self::Reset => (
                "every answer is cut, and the connection reset",
                "As when it is closed.",
            ),
            Self::ResetOnce => (
                "one answer is cut, and the connection reset",
                "Nobody notices.",
            ),
            Self::AnHourAhead => (
                "the application's clock is 1 h ahead",
                "Nobody notices: the idle limit is Redis's to keep. The absolute limit comes an hour early.",
            ),
            Self::AnHourBehind => (
                "the application's clock is 1 h behind",
                "Nobody notices. The absolute limit comes an hour late.",
            ),
            Self::ManyDaysAhead => (
                "the application's clock is 400 d ahead",
                "All have passed their absolute limit, and have to log in anew.",
            ),
            Self::ManyDaysBehind => (
                "the application's clock is 400 d behind",
                "Nobody notices, until the clock is right again: the sessions begun meanwhile have then passed their \
                 absolute limit.",
            ),
        }
    }

    pub(crate) fn sessions_are_gone(self) -> Gone {
        match self {
            Self::Killed => Gone::Afterwards,
            Self::ManyDaysAhead => Gone::Meanwhile,
            Self::Restarted
            | Self::Evicted
            | Self::OtherType
            | Self::FlippedVerifier
            | Self::FlippedFormat
            | Self::FlippedData => Gone::AtOnce,
            _ => Gone::Never,
        }
    }

    /// Whether a session that is begun meanwhile is good afterwards as well.
    pub(crate) fn new_sessions_stay(self) -> bool {
        self != Self::ManyDaysBehind
    }

    /// Whether a change may be made though nobody was told so.
    pub(crate) fn may_hide_a_change(self) -> bool {
        matches!(
            self,
            Self::Stopped
                | Self::Paused
                | Self::WritesPaused
                | Self::TooSlow
                | Self::Closed
                | Self::Reset
        )
    }

    /// What it happens to.
    pub(crate) async fn stage(self) -> Stage {
        let options: &[&str] = match self {
            Self::Full => &["--maxmemory-policy", "noeviction"],
            Self::Evicted => &["--maxmemory-policy", "allkeys-lru"],
            // A millisecond for each key, and a look at what clients want every now and then.
            Self::Loading => &[
                "--key-load-delay",
                "1000",
                "--loading-process-events-interval-bytes",
                "1024",
            ],
            _ => &[],
        };
        let on_the_way = matches!(
            self,
            Self::Silent
                | Self::Slow
                | Self::TooSlow
                | Self::Closed
                | Self::ClosedOnce
                | Self::Reset
                | Self::ResetOnce
        );
        let stage = Stage::start(options, on_the_way).await;
        if self == Self::Loading {
            let many = "for i = 1, 5000 do redis.call('SET', 'other:' .. i, 'x') end";
            stage.ask(&["EVAL", many, "0"]);
        }
        stage
    }

    /// Lets it happen, to the sessions of these cards.
    pub(crate) fn begin(self, stage: &mut Stage, cards: &[String]) {
        match self {
            Self::Nothing => {}
            Self::Killed => stage.server.kill(),
            Self::Restarted => restart(stage),
            Self::Stopped => stage.server.pause(),
            Self::Paused => {
                stage.ask(&["CLIENT", "PAUSE", &PAUSE.as_millis().to_string()]);
            }
            Self::WritesPaused => {
                stage.ask(&["CLIENT", "PAUSE", "60000", "WRITE"]);
            }
            Self::Disconnected => {
                stage.ask(&["CLIENT", "KILL", "TYPE", "normal"]);
            }
            Self::Loading => {
                stage.ask(&["SAVE"]);
                restart(stage);
            }
            Self::ReadOnly => {
                // Nobody listens there.
                stage.ask(&["REPLICAOF", "127.0.0.1", "1"]);
            }
            Self::Full => {
                stage.ask(&["CONFIG", "SET", "maxmemory", "1"]);
            }
            Self::Evicted => {
                stage.ask(&["CONFIG", "SET", "maxmemory", "1"]);
                while stage.ask(&["DBSIZE"]) != redis::Value::Int(0) {}
                stage.ask(&["CONFIG", "SET", "maxmemory", "0"]);
            }
            Self::ScriptsForgotten => {
                stage.ask(&["SCRIPT", "FLUSH"]);
            }
            Self::OtherType => {
                for card in cards {
                    stage.ask(&["DEL", &key(card)]);
                    stage.ask(&["RPUSH", &key(card), "x"]);
                }
            }
            // The offsets are those of the table in src/record.rs.
            Self::FlippedFormat => flip(stage, cards, |_| (0, 1)),
            Self::FlippedVerifier => flip(stage, cards, |_| (40, 3)),
            Self::FlippedData => flip(stage, cards, |len| (len - 1, 0)),
            Self::Silent => stage.proxy.set(Network::Silent),
            Self::Slow => stage.proxy.set(Network::Slow(Duration::from_millis(50))),
            Self::TooSlow => stage.proxy.set(Network::Slow(Duration::from_millis(700))),
            Self::Closed => cut(stage, false),
            Self::ClosedOnce => stage.proxy.cut_once(BEGINNING, false),
            Self::Reset => cut(stage, true),
            Self::ResetOnce => stage.proxy.cut_once(BEGINNING, true),
            Self::AnHourAhead => stage.clock.advance(HOUR),
            Self::AnHourBehind => back(stage, HOUR),
            Self::ManyDaysAhead => stage.clock.advance(MANY_DAYS),
            Self::ManyDaysBehind => back(stage, MANY_DAYS),
        }
    }

    /// Puts it right. Returns when it is.
    pub(crate) fn end(self, stage: &mut Stage) {
        match self {
            Self::Killed => tokio::task::block_in_place(|| stage.server.restart()),
            Self::Stopped => stage.server.resume(),
            // The answer comes when the pause is over.
            Self::Paused => {
                stage.ask(&["PING"]);
            }
            Self::WritesPaused => {
                stage.ask(&["CLIENT", "UNPAUSE"]);
            }
            Self::Loading => {
                stage.ask(&["CONFIG", "SET", "key-load-delay", "0"]);
            }
            Self::ReadOnly => {
                stage.ask(&["REPLICAOF", "NO", "ONE"]);
            }
            Self::Full => {
                stage.ask(&["CONFIG", "SET", "maxmemory", "0"]);
            }
            _ => {
                stage.proxy.set(Network::Fine);
                stage.clock.set(SystemTime::now());
            }
        }
    }
}

fn cut(stage: &Stage, reset: bool) {
    let after = BEGINNING;
    stage.proxy.set(Network::Cut { after, reset });
}

fn restart(stage: &mut Stage) {
    tokio::task::block_in_place(|| {
        stage.server.kill();
        stage.server.restart();
    });
}

fn back(stage: &Stage, by: Duration) {
    let now = stage.clock.now().as_millis();
    let by = u64::try_from(by.as_millis()).unwrap();
    stage.clock.set(Timestamp::from_millis(now - by));
}

/// Flips one bit of each record: `place` says which byte, given how many there are, and which bit of it.
fn flip(stage: &Stage, cards: &[String], place: impl Fn(usize) -> (usize, u8)) {
    for card in cards {
        let mut record = stage.kept(card);
        let (byte, bit) = place(record.len());
        record[byte] ^= 1 << bit;
        stage.keep(card, &record);
    }
}
