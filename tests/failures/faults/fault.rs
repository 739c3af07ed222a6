//! The faults: how each begins, how it ends, and what the page says about it.

use std::time::{Duration, SystemTime};

use tower_keycard::session::Timestamp;

use super::stage::Stage;
use crate::support::cookie::key;
use crate::support::proxy::Network;

/// A fault of Redis, the network, the records or the clock.
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

/// When the sessions from before the fault are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gone {
    Never,
    /// From the beginning of the fault on.
    AtOnce,
    /// During the fault only.
    Meanwhile,
    /// After the fault.
    Afterwards,
}

const HOUR: Duration = Duration::from_secs(60 * 60);
const MANY_DAYS: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// The duration of `CLIENT PAUSE`. The test cannot end this pause earlier.
const PAUSE: Duration = Duration::from_millis(700);

/// How many bytes of a cut answer arrive: fewer than the shortest answer has, because several may arrive together.
const BEGINNING: usize = 2;

impl Fault {
    /// All faults, in the order of the table.
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

    /// The name in the table, and what the fault means for users who are logged in.
    pub(crate) fn text(self) -> (&'static str, &'static str) {
        match self {
            Self::Nothing => (
                "none",
                "A rotation issues a new token, a logout removes it.",
            ),
            Self::Killed => (
                "Redis is down",
                "It logs nobody out: a request that needs its session gets a 503, and may try again in a second. \
                 Whether the sessions still exist afterwards depends on Redis's persistence.",
            ),
            Self::Restarted => (
                "Redis was restarted, and kept nothing",
                "All users have to log in again. A change that was in progress at that moment is refused with 409.",
            ),
            Self::Stopped => (
                "Redis hangs (`SIGSTOP`)",
                "A response after half a second at the latest. A change that was sent may be made when Redis \
                 continues: a rotation whose answer was lost costs the user a login, and a logout is carried out \
                 late.",
            ),
            Self::Paused => ("`CLIENT PAUSE`", "As when Redis hangs."),
            Self::WritesPaused => (
                "`CLIENT PAUSE … WRITE`, as during a planned fail-over",
                "Reads go on. Changes may be carried out when the pause ends.",
            ),
            Self::Disconnected => (
                "`CLIENT KILL`, an idle timeout, a proxy's restart",
                "Nobody notices.",
            ),
            Self::Loading => (
                "Redis is loading its data (`LOADING`)",
                "As when Redis is down, until it has finished.",
            ),
            Self::ReadOnly => (
                "Redis became a replica (`READONLY`)",
                "Reads go on, from what the replica has. Nothing can be changed, and nobody is logged out, until \
                 the address leads to a primary again.",
            ),
            Self::Full => (
                "Redis is full, under `noeviction` (`OOM`)",
                "Sessions without a login whose cookie has not come back make room for others. When there are none left: users \
                 who are logged in stay logged in, and can log out; nothing else can be stored.",
            ),
            Self::Evicted => (
                "Redis evicted the session (`allkeys-lru`)",
                "Users are logged out without notice. Use `noeviction` or `volatile-ttl`.",
            ),
            Self::ScriptsForgotten => ("`SCRIPT FLUSH` (`NOSCRIPT`)", "Nobody notices."),
            Self::OtherType => (
                "the key holds a list (`WRONGTYPE`)",
                "Users are logged out. What another program wrote there is left alone.",
            ),
            Self::FlippedVerifier => (
                "a bit of the verifier's hash flipped",
                "Users are logged out: the token opens nothing any more.",
            ),
            Self::FlippedFormat => (
                "a bit of the format flipped, to one of a later version",
                "As in a rolling deployment: the request has no session, and the token is kept, because a newer \
                 instance may be able to read the record.",
            ),
            Self::FlippedData => (
                "a bit of the data flipped, so that it is not JSON",
                "Users are logged out. The damaged record is kept for diagnosis.",
            ),
            Self::Silent => (
                "the connection is half open: nothing arrives",
                "A response after half a second at the latest. The next request gets a new connection.",
            ),
            Self::Slow => ("answers take 50 ms", "Everything takes that much longer."),
            Self::TooSlow => (
                "answers take longer than the timeout",
                "As when Redis hangs, but what was sent is carried out.",
            ),
            Self::Closed => (
                "every answer is cut, and the connection closed",
                "As when Redis is down, but what was sent is carried out.",
            ),
            Self::ClosedOnce => (
                "one answer is cut, and the connection closed",
                "Nobody notices.",
            ),
            Self::Reset => (
                "every answer is cut, and the connection reset",
                "As when the connection is closed.",
            ),
            Self::ResetOnce => (
                "one answer is cut, and the connection reset",
                "Nobody notices.",
            ),
            Self::AnHourAhead => (
                "the application's clock is 1 h ahead",
                "Nobody notices: Redis enforces the idle limit. The absolute limit comes an hour early.",
            ),
            Self::AnHourBehind => (
                "the application's clock is 1 h behind",
                "Nobody notices. The absolute limit comes an hour late.",
            ),
            Self::ManyDaysAhead => (
                "the application's clock is 400 d ahead",
                "All sessions have passed their absolute limit, and users have to log in again.",
            ),
            Self::ManyDaysBehind => (
                "the application's clock is 400 d behind",
                "Nobody notices, until the clock is right again: sessions that began meanwhile have then passed \
                 their absolute limit.",
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

    /// Whether a session that begins during the fault is still valid after it.
    pub(crate) fn new_sessions_stay(self) -> bool {
        self != Self::ManyDaysBehind
    }

    /// Whether a change may be made although the response is an error.
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

    /// Starts what the fault happens to.
    pub(crate) async fn stage(self) -> Stage {
        let options: &[&str] = match self {
            Self::Full => &["--maxmemory-policy", "noeviction"],
            Self::Evicted => &["--maxmemory-policy", "allkeys-lru"],
            // Loading a key takes a millisecond, and the server reads commands now and then meanwhile.
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

    /// Begins the fault, for the sessions of these tokens.
    pub(crate) fn begin(self, stage: &mut Stage, tokens: &[String]) {
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
                // No server listens on this port.
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
                for token in tokens {
                    stage.ask(&["DEL", &key(token)]);
                    stage.ask(&["RPUSH", &key(token), "x"]);
                }
            }
            // The offsets are those of the table in `src/record/codec.rs`.
            Self::FlippedFormat => flip(stage, tokens, |_| (0, 1)),
            Self::FlippedVerifier => flip(stage, tokens, |_| (40, 3)),
            Self::FlippedData => flip(stage, tokens, |len| (len - 1, 0)),
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

    /// Ends the fault. Returns when it has ended.
    pub(crate) fn end(self, stage: &mut Stage) {
        match self {
            Self::Killed => tokio::task::block_in_place(|| stage.server.restart()),
            Self::Stopped => stage.server.resume(),
            // The reply arrives when the pause is over.
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

/// Flips one bit of each record: `place` returns the byte and the bit in it, for the record's length.
fn flip(stage: &Stage, tokens: &[String], place: impl Fn(usize) -> (usize, u8)) {
    for token in tokens {
        let mut record = stage.record(token);
        let (byte, bit) = place(record.len());
        record[byte] ^= 1 << bit;
        stage.replace_record(token, &record);
    }
}
