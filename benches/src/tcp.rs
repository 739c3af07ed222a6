//! Requests per second over TCP, from a server process with one thread to [wrk](https://github.com/wg/wrk).

use std::error::Error;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};

use tokio::net::TcpListener;

use crate::conditions;
use crate::figures::Figures;
use crate::server::RedisServer;
use crate::statistics::{median, median_ratio};
use crate::subject::{Place, Setting, Subject};
use crate::visitor::App;
use crate::work::Work;

const ROUNDS: usize = 5;
/// The connections of wrk.
pub const CONNECTIONS: u32 = 64;

/// Measures the subjects that axum serves. actix-web has a server of its own.
pub fn measure(subjects: &[Subject], works: &[Work]) -> Result<Figures, Box<dyn Error>> {
    let mut figures = Figures {
        conditions: conditions::with(&["redis-server", "wrk"]),
        ..Figures::default()
    };
    let redis = RedisServer::start();
    for &work in works {
        let mut servers = Vec::new();
        for subject in subjects.iter().filter(|subject| subject.bare == "axum") {
            if subject.place != Place::Redis || subject.can_use(&redis) {
                servers.push((subject, Server::start(subject, work, &redis)?, Vec::new()));
            }
        }
        for _ in 0..ROUNDS {
            for (_, server, rounds) in &mut servers {
                rounds.push(server.load()?);
            }
        }
        let bare = servers.iter().find(|(subject, ..)| subject.name == "axum");
        let bare = bare.map(|(.., rounds)| rounds.clone()).unwrap_or_default();
        for (subject, _, rounds) in servers {
            let name = subject.name;
            if !bare.is_empty() {
                figures.record(
                    "over TCP, of axum",
                    name,
                    work,
                    median_ratio(&rounds, &bare),
                );
            }
            let per_second = median(rounds);
            eprintln!("{name} {work}: {per_second:.0} requests/s");
            figures.record("over TCP", name, work, per_second);
        }
    }
    Ok(figures)
}

/// A process that serves one subject until its standard input is closed.
struct Server {
    child: Child,
    port: String,
    cookie: Option<String>,
    _input: Option<ChildStdin>,
}

impl Server {
    fn start(subject: &Subject, work: Work, redis: &RedisServer) -> Result<Self, Box<dyn Error>> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve", subject.name, &work.to_string(), &redis.url()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let output = child.stdout.take().ok_or("no output")?;
        BufReader::new(output).read_line(&mut line)?;
        let (port, cookie) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        Ok(Self {
            _input: child.stdin.take(),
            child,
            port: port.to_owned(),
            cookie: Some(cookie.to_owned()).filter(|cookie| !cookie.is_empty()),
        })
    }

    /// The requests per second, measured for one second.
    fn load(&self) -> Result<f64, Box<dyn Error>> {
        let mut command = Command::new("wrk");
        command.args(["-t1", &format!("-c{CONNECTIONS}"), "-d1s"]);
        if let Some(cookie) = &self.cookie {
            command.args(["-H", &format!("Cookie: {cookie}")]);
        }
        let url = format!("http://127.0.0.1:{}/work", self.port);
        let output = command
            .arg(url)
            .output()
            .map_err(|error| format!("cannot run wrk ({error}): apt-get install wrk"))?;
        let report = String::from_utf8_lossy(&output.stdout);
        if report.contains("Non-2xx") {
            return Err(format!("refused requests:\n{report}").into());
        }
        let per_second = report
            .lines()
            .find_map(|line| line.strip_prefix("Requests/sec:")?.trim().parse().ok());
        per_second.ok_or_else(|| format!("wrk said:\n{report}").into())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The process also ends when its input is closed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The work of such a process: prints its port and the cookie of a session, and serves.
pub async fn serve(subject: &Subject, work: Work, redis: String) -> Result<(), Box<dyn Error>> {
    let app = subject.open(Setting::new(work, redis)).await;
    let visitor = subject.visitor(&app, work).await;
    let cookie = visitor.cookie().map(|cookie| cookie.to_str()).transpose()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!(
        "{} {}",
        listener.local_addr()?.port(),
        cookie.unwrap_or_default()
    );
    let closed = tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new()));
    match app {
        App::Axum(router) => {
            tokio::select! {
                served = axum::serve(listener, router) => served?,
                _ = closed => {}
            }
        }
        #[cfg(feature = "peers")]
        App::Actix(_) => return Err("actix-web has a server of its own".into()),
    }
    Ok(())
}
