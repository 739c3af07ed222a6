//! Requests per second of tasks that share one connection to a Redis server, as a fraction of the hand-written code, and the
//! load on the server meanwhile: its processor time and its network traffic.

use std::error::Error;
use std::time::{Duration, Instant};

use tokio::task::{JoinSet, LocalSet};

use crate::conditions;
use crate::figures::Figures;
use crate::server::RedisServer;
use crate::statistics::{median, median_ratio};
use crate::subject::{Place, Setting, Subject};
use crate::visitor::{App, Visitor};
use crate::work::Work;

pub const TASKS: usize = 64;
const FLOOR: &str = "redis-by-hand";
pub const BLOCKS: usize = 9;
const BLOCK: Duration = Duration::from_millis(120);

/// Concurrent visitors of one application.
pub struct Visitors {
    visitors: Vec<Visitor>,
    pub requests: u64,
}

impl Visitors {
    pub async fn start(subject: &Subject, app: &App, work: Work) -> Self {
        let mut visitors = Vec::new();
        for _ in 0..TASKS {
            visitors.push(subject.visitor(app, work).await);
        }
        Self {
            visitors,
            requests: 0,
        }
    }

    /// Does the work this many times for each visitor, and returns the requests per second.
    pub async fn work(&mut self, times: u64) -> f64 {
        let start = Instant::now();
        let local = LocalSet::new();
        let mut tasks = JoinSet::new();
        for mut visitor in self.visitors.drain(..) {
            let task = async move {
                visitor.work(times).await;
                visitor
            };
            tasks.spawn_local_on(task, &local);
        }
        self.visitors = local.run_until(tasks.join_all()).await;
        let requests = times * TASKS as u64;
        self.requests += requests;
        requests as f64 / start.elapsed().as_secs_f64()
    }

    /// How often each visitor can do the work in the duration of a block.
    pub async fn block(&mut self, block: Duration) -> u64 {
        let mut times = 4;
        loop {
            let start = Instant::now();
            self.work(times).await;
            if start.elapsed() >= block {
                return times;
            }
            times *= 2;
        }
    }
}

struct Run {
    subject: Subject,
    server: RedisServer,
    visitors: Visitors,
    times: u64,
    per_second: Vec<f64>,
    usage: Usage,
}

/// The processor time and network traffic of a server since its start.
#[derive(Clone, Copy, Default)]
struct Usage {
    microseconds: f64,
    bytes: f64,
}

impl Usage {
    fn of(server: &RedisServer) -> Self {
        let info = server.cli(&["INFO", "everything"]);
        let field = |name: &str| {
            let line = info.lines().find_map(|line| line.strip_prefix(name));
            let value =
                line.and_then(|line| line.trim_start_matches(':').trim().parse::<f64>().ok());
            value.unwrap_or_default()
        };
        Self {
            microseconds: 1e6 * (field("used_cpu_user:") + field("used_cpu_sys:")),
            bytes: field("total_net_input_bytes:") + field("total_net_output_bytes:"),
        }
    }
}

/// Measures the subjects that store sessions in Redis. Each has a server of its own, so that each load is measured alone.
pub async fn measure(subjects: &[Subject], works: &[Work]) -> Result<Figures, Box<dyn Error>> {
    let mut figures = Figures {
        conditions: conditions::with(&["redis-server"]),
        ..Figures::default()
    };
    for &work in works.iter().filter(|work| work.uses_session()) {
        let mut runs = runs(subjects, work).await?;
        for first in 0..BLOCKS {
            let count = runs.len();
            for next in 0..count {
                let run = &mut runs[(first + next) % count];
                run.per_second.push(run.visitors.work(run.times).await);
            }
        }
        let floor = runs.iter().find(|run| run.subject.name == FLOOR);
        let floor = floor.map(|run| run.per_second.clone()).unwrap_or_default();
        for run in &runs {
            let name = run.subject.name;
            let ratio = median_ratio(&run.per_second, &floor);
            let per_second = median(run.per_second.clone());
            eprintln!("{name} {work}: {per_second:.0} requests/s, {ratio:.2} of the floor");
            figures.record("requests per second", name, work, per_second);
            figures.record("of the floor", name, work, ratio);
            let usage = Usage::of(&run.server);
            let requests = run.visitors.requests as f64;
            let microseconds = usage.microseconds - run.usage.microseconds;
            figures.record("server microseconds", name, work, microseconds / requests);
            let bytes = usage.bytes - run.usage.bytes;
            figures.record("network bytes", name, work, bytes / requests);
        }
    }
    Ok(figures)
}

/// The runs of these subjects and of the floor.
async fn runs(subjects: &[Subject], work: Work) -> Result<Vec<Run>, Box<dyn Error>> {
    let wanted = |one: &&Subject| {
        let named = subjects.iter().any(|subject| subject.name == one.name);
        one.place == Place::Redis && (named || one.name == FLOOR)
    };
    let mut runs = Vec::new();
    for subject in Subject::ALL.iter().filter(wanted) {
        let server = RedisServer::start();
        if !subject.can_use(&server) {
            continue;
        }
        let app = subject.open(Setting::new(work, server.url())).await;
        let mut visitors = Visitors::start(subject, &app, work).await;
        let times = visitors.block(BLOCK).await;
        visitors.requests = 0;
        runs.push(Run {
            subject: *subject,
            usage: Usage::of(&server),
            server,
            visitors,
            times,
            per_second: Vec::new(),
        });
    }
    Ok(runs)
}
