//! Whether it stays as fast: with more threads, and with more sessions.

use std::error::Error;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use axum::Router;

use crate::conditions;
use crate::figures::Figures;
use crate::server::RedisServer;
use crate::statistics::median;
use crate::subject::{Place, Setting, Subject};
use crate::throughput::Crowd;
use crate::visitor::{App, Visitor};
use crate::work::Work;

const BLOCKS: usize = 7;
const REQUESTS: u64 = 40_000;
/// How many of the sessions are visited.
const VISITED: u64 = 1000;

pub struct Limits {
    pub threads: usize,
    /// Up to ten to the power of this many sessions are kept in memory by this crate …
    pub ours: u32,
    /// … by the others …
    pub others: u32,
    /// … and in Redis.
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

/// Requests per second of several threads that share one store, each with a session of its own.
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
        App::Actix(_) => Err("nobody keeps sessions in the memory of actix-web".into()),
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

/// Nanoseconds of a read, and of a creation, when so many sessions are stored.
async fn in_memory(subject: &Subject, most: u32, figures: &mut Figures) {
    let app = subject.open(Setting::new(Work::W2, "")).await;
    let mut stored = 0;
    for power in 3..=most {
        let goal = 10_u64.pow(power);
        let mut visited = Vec::new();
        let (mut created, mut creating) = (0, Duration::ZERO);
        let each = ((goal - stored) / VISITED).max(1);
        while stored < goal {
            let begin = Instant::now();
            let visitor = subject.visitor(&app, Work::W2).await;
            // The last tenth: with about as many sessions stored.
            if stored >= goal - goal / 10 {
                creating += begin.elapsed();
                created += 1;
            }
            if stored.is_multiple_of(each) {
                visited.push(visitor);
            }
            stored += 1;
        }
        let read = read(&mut visited).await;
        let create = creating.as_nanos() as f64 / f64::from(created);
        eprintln!("{} 10^{power}: {read:.0} ns, {create:.0} ns", subject.name);
        figures.record("stored, read", subject.name, goal, read);
        figures.record("stored, create", subject.name, goal, create);
    }
}

/// Nanoseconds of one read, in the order in which nobody has a session near the last one's.
async fn read(visitors: &mut [Visitor]) -> f64 {
    let count = visitors.len();
    let mut blocks = Vec::new();
    for _ in 0..BLOCKS {
        let begin = Instant::now();
        for turn in 0..10 * count {
            visitors[turn * 617 % count].work(1).await;
        }
        blocks.push(begin.elapsed().as_nanos() as f64 / (10 * count) as f64);
    }
    median(blocks)
}

/// Reads per second over one connection, when so many sessions are stored.
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
    let mut crowd = Crowd::arrive(subject, &app, Work::W2).await;
    let times = crowd.block(Duration::from_millis(150)).await;
    let mut copies = Copies::of(&server).await?;
    for power in 3..=most {
        let goal = 10_u64.pow(power);
        copies.fill(goal).await?;
        let mut blocks = Vec::new();
        for _ in 0..BLOCKS {
            blocks.push(crowd.work(times).await);
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

/// Sessions that nobody visits: copies of one that somebody does, under other keys.
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
                // As long as the original, for the most part.
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
