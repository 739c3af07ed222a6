//! An example of this package as a real process.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// What a busy machine may take for a step that takes a moment.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running example; killed when it goes out of scope.
#[derive(Debug)]
pub(crate) struct Example {
    child: Option<Child>,
    base: String,
}

impl Example {
    /// Starts it with these arguments and environment, and waits until it says where it listens.
    pub(crate) fn start(name: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut child = Command::new(built(name))
            .args(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));

        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, receiver) = channel();
        // Reads to the end, so that the process never blocks on a full pipe.
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if let Some(base) = line.strip_prefix("listening on ") {
                    let _ = sender.send(base.to_owned());
                }
            }
        });
        let mut this = Self {
            child: Some(child),
            base: String::new(),
        };
        match receiver.recv_timeout(PATIENCE) {
            Ok(base) => this.base = base,
            Err(RecvTimeoutError::Timeout) => panic!("{name} does not say where it listens"),
            Err(RecvTimeoutError::Disconnected) => panic!("{name} ended before it listened"),
        }
        this
    }

    /// The address of a page.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Asks it to stop as a service manager does, and waits until it has.
    pub(crate) fn stop(mut self) -> ExitStatus {
        let mut child = self.child.take().unwrap();
        let pid = child.id().to_string();
        assert!(signal("TERM", &pid));

        let (sender, receiver) = channel();
        thread::spawn(move || {
            let _ = sender.send(child.wait());
        });
        match receiver.recv_timeout(PATIENCE) {
            Ok(status) => status.unwrap(),
            Err(_) => {
                signal("KILL", &pid);
                panic!("still running after SIGTERM");
            }
        }
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn signal(name: &str, pid: &str) -> bool {
    // The shell's own `kill`: a small machine has no other.
    let kill = Command::new("sh")
        .args(["-c", "kill -$0 $1", name, pid])
        .status();
    kill.is_ok_and(|status| status.success())
}

/// Where the example's program is, built from today's sources.
///
/// Cargo tells tests where a package's binaries are, but not its examples, and builds examples only for a test run that
/// is not narrowed with `--test`. So it is asked: with the settings of this very test it has nothing to do in the usual
/// case, and says where the result is.
pub(crate) fn built(name: &str) -> PathBuf {
    // target/[triple/]debug/deps/this_test
    let test = std::env::current_exe().unwrap();
    let profile = test.ancestors().nth(2).unwrap();
    let mut target = profile.parent().unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args([
            "build",
            "--quiet",
            "--offline",
            "--message-format=json-render-diagnostics",
        ])
        .args([
            "--no-default-features",
            "--features",
            &features(),
            "--example",
            name,
        ])
        .args([
            "--profile",
            match profile.file_name().and_then(|name| name.to_str()).unwrap() {
                "debug" => "dev",
                other => other,
            },
        ]);
    if !target.join("CACHEDIR.TAG").exists() {
        cargo.arg("--target").arg(target.file_name().unwrap());
        target = target.parent().unwrap();
    }
    let output = cargo
        .arg("--target-dir")
        .arg(target)
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success(), "the example {name} does not build");

    output
        .stdout
        .split(|&byte| byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == name)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .unwrap_or_else(|| panic!("cargo does not say where the example {name} is"))
}

/// The features this test was built with: with others the example would be built anew.
fn features() -> String {
    let all = [
        ("axum", cfg!(feature = "axum")),
        ("tracing", cfg!(feature = "tracing")),
        ("metrics", cfg!(feature = "metrics")),
        ("redis", cfg!(feature = "redis")),
        ("redis-tls", cfg!(feature = "redis-tls")),
        ("redis-1", cfg!(feature = "redis-1")),
        ("testing", cfg!(feature = "testing")),
    ];
    let on: Vec<_> = all
        .into_iter()
        .filter_map(|(name, on)| on.then_some(name))
        .collect();
    on.join(",")
}
