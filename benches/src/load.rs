//! The load of a million active users on a Redis server, and its price: computed from the measurements of each request.

use crate::figures::Figures;
use crate::subject::{Place, Subject};
use crate::work::Work;

const USERS: f64 = 1e6;
/// The seconds between two requests of a user.
pub const SECONDS_BETWEEN: f64 = 30.0;
/// The requests per second of all users.
pub const REQUESTS: f64 = USERS / SECONDS_BETWEEN;
/// The parts of reads, writes, new sessions and logins in all requests.
pub const MIX: [(Work, f64); 4] = [
    (Work::W6, 0.90),
    (Work::W3, 0.08),
    (Work::W4, 0.01),
    (Work::W5, 0.01),
];
/// The seconds between two slides of a session by this crate, at least, by default.
pub const REFRESH: f64 = 60.0;

/// The dollars that ElastiCache Serverless for Valkey charges in us-east-1: <https://aws.amazon.com/elasticache/pricing/>. A
/// processing unit is a simple command that moves up to a kilobyte; a command that takes longer is charged by its time.
pub const MILLION_UNITS: f64 = 0.0023;
pub const GIGABYTE_HOUR: f64 = 0.084;
const HOURS: f64 = 730.0;

pub struct Load {
    pub subject: &'static str,
    pub commands: f64,
    pub round_trips: f64,
    pub cores: f64,
    pub megabits: f64,
    pub gigabytes: f64,
    pub dollars: f64,
}

/// The load of each subject whose figures are complete.
pub fn all(commands: &Figures, throughput: &Figures) -> Vec<Load> {
    let redis = Subject::ALL
        .iter()
        .filter(|subject| subject.place == Place::Redis);
    redis
        .filter_map(|subject| load(subject, commands, throughput))
        .collect()
}

fn load(subject: &Subject, commands: &Figures, throughput: &Figures) -> Option<Load> {
    let per_second = |one: &dyn Fn(Work) -> Option<f64>| -> Option<f64> {
        let mut sum = 0.0;
        for (work, part) in MIX {
            let mut each = one(work)?;
            if work == Work::W6 && subject.is_ours() {
                // W6 is measured within a minute, and slides nothing. W7 slides with every request; here only this part does.
                let sliding = (SECONDS_BETWEEN / REFRESH).min(1.0);
                each += sliding * (one(Work::W7)? - each);
            }
            sum += part * each;
        }
        Some(REQUESTS * sum)
    };
    let measured = |figures: &Figures, table: &str, work| figures.get(table, subject.name, work);
    // The time of a unit is the time of a plain GET.
    let unit = throughput.get("server microseconds", "redis-by-hand", Work::W2)?;
    let units = |work| {
        let by_count = measured(commands, "commands", work)?;
        let by_time = measured(throughput, "server microseconds", work)? / unit;
        Some(by_count.max(by_time))
    };
    let gigabytes = USERS * commands.get("stored in Redis", subject.name, "bytes")? / 1e9;
    let units = per_second(&units)?;
    Some(Load {
        subject: subject.name,
        commands: per_second(&|work| measured(commands, "commands", work))?,
        round_trips: per_second(&|work| measured(commands, "round trips", work))?,
        cores: per_second(&|work| measured(throughput, "server microseconds", work))? / 1e6,
        megabits: per_second(&|work| measured(throughput, "network bytes", work))? * 8.0 / 1e6,
        gigabytes,
        dollars: units * 3600.0 * HOURS / 1e6 * MILLION_UNITS + gigabytes * HOURS * GIGABYTE_HOUR,
    })
}
