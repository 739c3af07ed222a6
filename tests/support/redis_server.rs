//! A `redis-server` of a test's own: on a free port of 127.0.0.1, with its files in a directory of its own, and gone when
//! the test is, also when it fails.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

pub(crate) struct RedisServer {
    child: Child,
    port: u16,
    directory: PathBuf,
    args: Vec<String>,
    password: Option<String>,
}

static NUMBER: AtomicU32 = AtomicU32::new(0);

impl RedisServer {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// With more options, as on the command line: `&["--maxmemory", "2mb"]`. `{dir}` in them is the server's directory.
    pub(crate) fn with(args: &[&str]) -> Self {
        Self::in_directory(&Self::new_directory(), args)
    }

    /// With a password for the default user.
    pub(crate) fn with_password(password: &str) -> Self {
        Self::with(&["--requirepass", password])
    }

    /// A new directory for a server that finds files in it when it starts; it is removed with the server.
    pub(crate) fn new_directory() -> PathBuf {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        // Short, because a socket's path has room for some hundred bytes only.
        let name = format!("keycard-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        directory
    }

    pub(crate) fn in_directory(directory: &Path, args: &[&str]) -> Self {
        let path = directory.to_str().unwrap();
        let args: Vec<_> = args.iter().map(|arg| arg.replace("{dir}", path)).collect();
        let password = args
            .windows(2)
            .find(|pair| pair[0] == "--requirepass")
            .map(|pair| pair[1].clone());
        let port = free_port();
        let mut server = Self {
            child: spawn(port, directory, &args),
            port,
            directory: directory.to_owned(),
            args,
            password,
        };
        // Another process may take the port between its choice and the server's start.
        for _ in 0..10 {
            if server.wait_until_it_answers() {
                return server;
            }
            server.kill();
            server.port = free_port();
            server.respawn();
        }
        panic!("redis-server did not start:\n{}", log(directory));
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The server's process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn args(&self) -> &[String] {
        &self.args
    }

    /// Whether the process is neither dead nor stopped.
    pub(crate) fn is_running(&self) -> bool {
        // The state stands behind the command in parentheses.
        let state = std::fs::read_to_string(format!("/proc/{}/stat", self.pid()));
        let state = state.unwrap_or_default();
        let state = state
            .rsplit(") ")
            .next()
            .and_then(|rest| rest.chars().next());
        matches!(state, Some('R' | 'S' | 'D'))
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// How to connect for a test that is about anything but time: the machine may be slow, the server is not.
    #[cfg(feature = "redis")]
    pub(crate) fn patiently(&self) -> tower_keycard::store::RedisConfig {
        let patience = Duration::from_secs(60);
        tower_keycard::store::RedisConfig::new(self.url())
            .connect_timeout(patience)
            .response_timeout(patience)
    }

    /// The same as the user of `docs/production.md`, who has the rights that are written there and no more: its keys begin
    /// with `keycard:`.
    #[cfg(feature = "redis")]
    pub(crate) fn restricted(&self) -> tower_keycard::store::RedisConfig {
        self.restrict("");
        self.patiently().username("keycard").password("password")
    }

    /// Makes the user of `docs/production.md`, with the additional rights that the page lists where it says so.
    pub(crate) fn restrict(&self, more: &str) {
        let set_user = documented_user().split(' ');
        let set_user: Vec<_> = set_user.chain(more.split_whitespace()).collect();
        assert_eq!(self.cli(&set_user), "OK");
    }

    /// Which commands, keys and users were denied, as the server remembers it; empty if nothing was.
    pub(crate) fn denied(&self) -> String {
        self.cli(&["ACL", "LOG"])
    }

    pub(crate) fn url(&self) -> String {
        match &self.password {
            Some(password) => format!("redis://:{password}@127.0.0.1:{}", self.port),
            None => format!("redis://127.0.0.1:{}", self.port),
        }
    }

    /// What `redis-cli` prints for a command, without the last line's end.
    pub(crate) fn cli(&self, args: &[&str]) -> String {
        let mut command = Command::new("redis-cli");
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "--raw"]);
        if let Some(password) = &self.password {
            command.env("REDISCLI_AUTH", password);
        }
        let output = command.args(args).output().unwrap_or_else(|error| {
            panic!("cannot run redis-cli ({error}); install it: apt-get install redis-tools")
        });
        String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned()
    }

    /// What `redis-cli` prints for these commands on one connection.
    pub(crate) fn cli_lines(&self, commands: &[&str]) -> String {
        let mut command = Command::new("redis-cli");
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "--raw"]);
        if let Some(password) = &self.password {
            command.env("REDISCLI_AUTH", password);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(commands.join("\n").as_bytes()).unwrap();
        drop(input);
        let output = child.wait_with_output().unwrap();
        String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned()
    }

    /// Starts to record every command that the server executes.
    pub(crate) fn monitor(&self) -> Monitor {
        Monitor::start(self)
    }

    /// As a crash would: without a word to anybody.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again after [`kill`](Self::kill): on the same port, and empty. Returns as soon as it answers.
    pub(crate) fn restart(&mut self) {
        self.respawn();
        assert!(self.wait_until_it_answers(), "{}", log(&self.directory));
    }

    /// Starts it again and does not wait for it.
    pub(crate) fn respawn(&mut self) {
        self.child = spawn(self.port, &self.directory, &self.args);
    }

    /// The process stands still; its connections stay open and new ones are accepted by the system.
    pub(crate) fn pause(&self) {
        self.signal("STOP");
    }

    pub(crate) fn resume(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("sh")
            .args(["-c", "kill -$0 $1", name, &pid])
            .status()
            .unwrap();
        assert!(status.success());
    }

    fn wait_until_it_answers(&mut self) -> bool {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(10) {
            if self.answers() {
                return true;
            }
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        false
    }

    /// Whether this very server answers: another one on the same port has another process id.
    fn answers(&self) -> bool {
        let Ok(mut connection) = TcpStream::connect(("127.0.0.1", self.port)) else {
            return false;
        };
        connection
            .set_read_timeout(Some(Duration::from_secs(1)))
            .unwrap();
        if let Some(password) = &self.password
            && call(&mut connection, &["AUTH", password]).is_none()
        {
            return false;
        }
        let info = call(&mut connection, &["INFO", "server"]).unwrap_or_default();
        info.contains(&format!("process_id:{}\r\n", self.child.id()))
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // A stopped process is killed as well as a running one. Neither may fail: the test may be failing already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// The command that makes the user with no more rights than needed: the line in the documentation, so that it is this one
/// that is tested.
pub(crate) fn documented_user() -> &'static str {
    let page = include_str!("../../docs/production.md");
    let line = |line: &&str| line.starts_with("ACL SETUSER keycard ");
    page.lines().find(line).unwrap()
}

/// What the documentation adds to that in a cluster.
pub(crate) fn documented_in_a_cluster() -> &'static str {
    let page = include_str!("../../docs/production.md");
    let mut lines = page.lines();
    let line = lines.find_map(|line| line.strip_prefix("- In a cluster: add `"));
    line.unwrap().split('`').next().unwrap()
}

/// A port that nobody listens on. Not one of those that the system gives to connections: it might give it away while the
/// server that had it is restarted.
pub(crate) fn free_port() -> u16 {
    const PORTS: std::ops::Range<u16> = 12_000..32_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        // Apart from those of other test binaries, most likely.
        let number = NEXT.fetch_add(1, Ordering::Relaxed) + std::process::id() * 61;
        let port =
            PORTS.start + u16::try_from(number % u32::from(PORTS.end - PORTS.start)).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

fn spawn(port: u16, directory: &Path, args: &[String]) -> Child {
    let log = std::fs::File::create(directory.join("log")).unwrap();
    Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--save", "", "--appendonly", "no", "--dir"])
        .arg(directory)
        .args(args)
        .stdin(Stdio::null())
        .stderr(log.try_clone().unwrap())
        .stdout(log)
        .spawn()
        .unwrap_or_else(|error| {
            panic!(
                "cannot run redis-server ({error}); these tests need it: \
                 `apt-get install redis-server`, `dnf install redis` or `brew install redis`"
            )
        })
}

fn log(directory: &Path) -> String {
    std::fs::read_to_string(directory.join("log")).unwrap_or_default()
}

/// Sends a command and reads its reply, unless that is an error: a simple string, or the start of a longer one.
fn call(connection: &mut TcpStream, words: &[&str]) -> Option<String> {
    let mut request = format!("*{}\r\n", words.len());
    for word in words {
        request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    connection.write_all(request.as_bytes()).ok()?;
    let mut reader = BufReader::new(connection);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    match line.as_bytes().first()? {
        b'+' => Some(line),
        b'$' => {
            let mut body = vec![0; line[1..].trim().parse().ok()?];
            reader.read_exact(&mut body).ok()?;
            String::from_utf8(body).ok()
        }
        _ => None,
    }
}

/// Records what the server executes, by [`MONITOR`](https://redis.io/docs/latest/commands/monitor/).
pub(crate) struct Monitor {
    lines: BufReader<TcpStream>,
    marker: TcpStream,
}

impl Monitor {
    fn start(server: &RedisServer) -> Self {
        let connect = || {
            let mut connection = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
            connection
                .set_read_timeout(Some(Duration::from_secs(10)))
                .unwrap();
            if let Some(password) = &server.password {
                call(&mut connection, &["AUTH", password]).unwrap();
            }
            connection
        };
        let (mut watch, marker) = (connect(), connect());
        assert_eq!(call(&mut watch, &["MONITOR"]).unwrap(), "+OK\r\n");
        Self {
            lines: BufReader::new(watch),
            marker,
        }
    }

    /// The commands since the last time, each as its words; those that a script runs begin with `lua`.
    ///
    /// The server reports commands in the order in which it executes them: all that were answered before this call stand
    /// before a marker that is executed now.
    pub(crate) fn commands(&mut self) -> Vec<Vec<String>> {
        // Others may watch the same server.
        static MARKERS: AtomicU32 = AtomicU32::new(0);
        let marker = format!("marker-{}", MARKERS.fetch_add(1, Ordering::Relaxed));
        call(&mut self.marker, &["ECHO", &marker]).unwrap();
        let mut commands = Vec::new();
        loop {
            let mut line = Vec::new();
            self.lines.read_until(b'\n', &mut line).unwrap();
            let command = words(&String::from_utf8_lossy(&line));
            if command == ["ECHO", &marker] {
                return commands;
            }
            commands.push(command);
        }
    }
}

/// The words of a line such as `+1700000000.123456 [0 127.0.0.1:40000] "GET" "key"`, with what is escaped left as it is.
fn words(line: &str) -> Vec<String> {
    let (source, mut rest) = line.split_once("] ").unwrap();
    let mut words = Vec::new();
    if source.ends_with("lua") {
        words.push("lua".to_owned());
    }
    while let Some(start) = rest.strip_prefix('"') {
        let mut escaped = false;
        let end = start
            .find(|character| {
                let end = character == '"' && !escaped;
                escaped = character == '\\' && !escaped;
                end
            })
            .unwrap();
        words.push(start[..end].to_owned());
        rest = start[end + 1..].trim_start();
    }
    words
}
