//! How the speed changes with more threads and with more sessions.

use std::error::Error;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use axum::Router;

use crate::conditions;
use crate::figures::Figures;
use crate::server::RedisServer;
use crate::statistics::median;
use crate::subject::{Place, Setting, Subject};
use crate::throughput::Visitors;
use crate::visitor::{App, Visitor};
use crate::work::Work;

const BLOCKS: usize = 7;
const REQUESTS: u64 = 40_000;
/// The number of sessions that are read.
const READ: u64 = 1000;

pub struct Limits {
    pub threads: usize,
    /// The largest number of sessions that this crate stores in memory, as a power of ten.
    pub ours: u32,
    /// The largest number of sessions that the other subjects store in memory, as a power of ten.
    pub others: u32,
    /// The largest number of sessions in Redis, as a power of ten.
    pub redis: u32,
}

pub async fn measure(subjects: &[Subject], limits: &Limits) -> Result<Figures, Box<dyn Error>> {
    let mut figures = Figures {
        conditions: conditions::with(&["redis-server"]),
        ..Figures::default()
    };
    for subject in subjects {
        match subject.place {
            Place::Nowhere => {}
            Place::Memory => {
                threads(subject, limits.threads, &mut figures).await?;
                let most = if subject.is_ours() {
                    limits.ours
                } else {
                    limits.others
                };
                in_memory(subject, most, &mut figures).await;
            }
            Place::Redis => in_redis(subject, limits.redis, &mut figures).await?,
        }
    }
    Ok(figures)
}

/// The speedup of several threads that share one store, each with its own session.
async fn threads(
    subject: &Subject,
    most: usize,
    figures: &mut Figures,
) -> Result<(), Box<dyn Error>> {
    for work in [Work::W2, Work::W3] {
        let app = router(subject, work).await?;
        let mut alone = 0.0;
        for threads in 1..=most {
            let blocks = (0..BLOCKS)
                .map(|_| together(subject, &app, work, threads))
                .collect();
            let per_second = median(blocks);
            if threads == 1 {
                alone = per_second;
            }
            let speedup = per_second / alone;
            eprintln!("{} {work}: {threads} threads × {speedup:.2}", subject.name);
            let table = format!("threads {work}");
            figures.record(&table, subject.name, threads, speedup);
        }
    }
    Ok(())
}

async fn router(subject: &Subject, work: Work) -> Result<Router, Box<dyn Error>> {
    match subject.open(Setting::new(work, "")).await {
        App::Axum(router) => Ok(router),
        #[cfg(feature = "peers")]
        App::Actix(_) => Err("no subject stores sessions in the memory of actix-web".into()),
    }
}

fn together(subject: &Subject, app: &Router, work: Work, threads: usize) -> f64 {
    let (start, end) = (Barrier::new(threads + 1), Barrier::new(threads + 1));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build();
                runtime.expect("a runtime").block_on(async {
                    let mut visitor = subject.visitor(&App::Axum(app.clone()), work).await;
                    visitor.work(1000).await;
                    start.wait();
                    visitor.work(REQUESTS).await;
                    end.wait();
                });
            });
        }
        start.wait();
        let begin = Instant::now();
        end.wait();
        (REQUESTS * threads as u64) as f64 / begin.elapsed().as_secs_f64()
    })
}

/// Nanoseconds of a read and of a creation, by the number of stored sessions.
async fn in_memory(subject: &Subject, most: u32, figures: &mut Figures) {
    let app = subject.open(Setting::new(Work::W2, "")).await;
    let mut stored = 0;
    for power in 3..=most {
        let goal = 10_u64.pow(power);
        let mut readers = Vec::new();
        let (mut created, mut creating) = (0, Duration::ZERO);
        let each = ((goal - stored) / READ).max(1);
        while stored < goal {
            let begin = Instant::now();
            let visitor = subject.visitor(&app, Work::W2).await;
            // Times the last tenth, when nearly all sessions are stored.
            if stored >= goal - goal / 10 {
                creating += begin.elapsed();
                created += 1;
            }
            if stored.is_multiple_of(each) {
                readers.push(visitor);
            }
            stored += 1;
        }
        let read = read(&mut readers).await;
        let create = creating.as_nanos() as f64 / f64::from(created);
        eprintln!("{} 10^{power}: {read:.0} ns, {create:.0} ns", subject.name);
        figures.record("stored, read", subject.name, goal, read);
        figures.record("stored, create", subject.name, goal, create);
    }
}

/// Nanoseconds of a read. Consecutive reads use sessions that are far apart in memory.
async fn read(visitors: &mut [Visitor]) -> f64 {
    let count = visitors.len();
    let mut blocks = Vec::new();
    for _ in 0..BLOCKS {
        let begin = Instant::now();
        for step in 0..10 * count {
            visitors[step * 617 % count].work(1).await;
        }
        blocks.push(begin.elapsed().as_nanos() as f64 / (10 * count) as f64);
    }
    median(blocks)
}

/// Reads per second over one connection, by the number of stored sessions.
async fn in_redis(
    subject: &Subject,
    most: u32,
    figures: &mut Figures,
) -> Result<(), Box<dyn Error>> {
    let server = RedisServer::start();
    if !subject.can_use(&server) {
        return Ok(());
    }
    let app = subject.open(Setting::new(Work::W2, server.url())).await;
    let mut visitors = Visitors::start(subject, &app, Work::W2).await;
    let times = visitors.block(Duration::from_millis(150)).await;
    let mut copies = Copies::of(&server).await?;
    for power in 3..=most {
        let goal = 10_u64.pow(power);
        copies.fill(goal).await?;
        let mut blocks = Vec::new();
        for _ in 0..BLOCKS {
            blocks.push(visitors.work(times).await);
        }
        let per_second = median(blocks);
        eprintln!("{} 10^{power}: {per_second:.0} requests/s", subject.name);
        figures.record(
            "stored, requests per second",
            subject.name,
            goal,
            per_second,
        );
    }
    Ok(())
}

/// Sessions that are stored and not read: copies of one session under other keys.
struct Copies {
    connection: redis::aio::MultiplexedConnection,
    key: String,
    dump: Vec<u8>,
    stored: u64,
}

impl Copies {
    async fn of(server: &RedisServer) -> redis::RedisResult<Self> {
        let client = redis::Client::open(server.url())?;
        let config = redis::AsyncConnectionConfig::new().set_response_timeout(None);
        let mut connection = client
            .get_multiplexed_async_connection_with_config(&config)
            .await?;
        let keys: Vec<String> = redis::cmd("KEYS")
            .arg("*")
            .query_async(&mut connection)
            .await?;
        let key = keys.first().cloned().unwrap_or_default();
        let dump = redis::cmd("DUMP")
            .arg(&key)
            .query_async(&mut connection)
            .await?;
        Ok(Self {
            connection,
            key,
            dump,
            stored: keys.len() as u64,
        })
    }

    async fn fill(&mut self, goal: u64) -> redis::RedisResult<()> {
        let day = 24 * 60 * 60 * 1000;
        while self.stored < goal {
            let mut pipe = redis::pipe();
            for _ in 0..(goal - self.stored).min(10_000) {
                self.stored += 1;
                // Mostly as long as the original key.
                let mut copy = self.key.clone();
                let number = format!("{:08}", self.stored);
                copy.truncate(copy.len().saturating_sub(number.len()));
                copy += &number;
                pipe.cmd("RESTORE")
                    .arg(copy)
                    .arg(day)
                    .arg(&self.dump)
                    .arg("REPLACE")
                    .ignore();
            }
            pipe.query_async::<()>(&mut self.connection).await?;
        }
        Ok(())
    }
}
