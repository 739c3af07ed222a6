//! The load of a request on a Redis server: commands, round trips, and the bytes of a session.

use std::error::Error;

use crate::conditions;
use crate::figures::Figures;
use crate::proxy::Proxy;
use crate::server::RedisServer;
use crate::subject::{Place, Setting, Subject};
use crate::work::Work;

const TIMES: u64 = 50;

/// Measures the figures that are the same on every machine.
pub async fn measure(subjects: &[Subject], works: &[Work]) -> Result<Figures, Box<dyn Error>> {
    let mut figures = Figures {
        conditions: conditions::with(&["redis-server"]),
        ..Figures::default()
    };
    for subject in subjects {
        if subject.place != Place::Redis {
            continue;
        }
        let server = RedisServer::start();
        if !subject.can_use(&server) {
            continue;
        }
        for &work in works {
            count(subject, work, &server, &mut figures).await;
        }
        let bytes = stored(subject, &server).await?;
        figures.record("stored in Redis", subject.name, "bytes", bytes);
    }
    Ok(figures)
}

async fn count(subject: &Subject, work: Work, server: &RedisServer, figures: &mut Figures) {
    let proxy = Proxy::to(server.port()).await;
    let app = subject.open(Setting::new(work, proxy.url())).await;
    let mut visitor = subject.visitor(&app, work).await;
    // Loads the scripts into the server.
    visitor.work(2).await;
    let mut monitor = server.monitor();
    monitor.commands();
    proxy.round_trips();
    visitor.work(TIMES).await;
    let round_trips = f64::from(proxy.round_trips());
    let commands = monitor.commands();
    // The calls of a script are part of the script.
    let sent: Vec<_> = commands.iter().filter(|words| words[0] != "lua").collect();
    let per_request = |count: f64| count / TIMES as f64;
    figures.record(
        "commands",
        subject.name,
        work,
        per_request(sent.len() as f64),
    );
    figures.record("round trips", subject.name, work, per_request(round_trips));
    let length = (sent.len() as u64).div_ceil(TIMES) as usize;
    let names = sent
        .iter()
        .take(length)
        .map(|words| words[0].to_uppercase());
    figures.record_words(
        "commands",
        subject.name,
        work,
        &names.collect::<Vec<_>>().join(" "),
    );
}

/// The bytes of a new session on the server, with all its keys.
async fn stored(subject: &Subject, server: &RedisServer) -> Result<f64, Box<dyn Error>> {
    server.cli(&["FLUSHALL"]);
    let app = subject.open(Setting::new(Work::W4, server.url())).await;
    subject.visitor(&app, Work::W4).await.work(TIMES).await;
    let mut bytes = 0;
    for key in server.cli(&["KEYS", "*"]).lines() {
        bytes += server.cli(&["MEMORY", "USAGE", key]).parse::<u64>()?;
        let life: i64 = server.cli(&["PTTL", key]).parse()?;
        if life < 0 {
            eprintln!("{}: {key} never expires", subject.name);
        }
    }
    Ok(bytes as f64 / TIMES as f64)
}
