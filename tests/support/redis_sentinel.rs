//! A primary with two replicas and three sentinels that watch it, of a test's own, on free ports, gone when the test is.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::redis_cluster::wait;
use super::redis_server::{RedisServer, free_port};

/// What the sentinels call it.
pub(crate) const SERVICE: &str = "keycard";
/// The servers' password, and the sentinels'.
pub(crate) const PASSWORD: &str = "servers";
pub(crate) const SENTINEL_PASSWORD: &str = "sentinels";

pub(crate) struct RedisSentinel {
    /// The first began as the primary.
    pub(crate) servers: Vec<RedisServer>,
    pub(crate) sentinels: Vec<Sentinel>,
}

/// One process that watches.
pub(crate) struct Sentinel {
    child: Child,
    port: u16,
    directory: PathBuf,
}

impl RedisSentinel {
    pub(crate) fn start() -> Self {
        let login = ["--requirepass", PASSWORD, "--masterauth", PASSWORD];
        let quick = ["--repl-diskless-sync-delay", "0"];
        let primary = RedisServer::with(&[&login[..], &quick[..]].concat());
        let port = primary.port().to_string();
        let replica = || {
            let follow = ["--replicaof", "127.0.0.1", &port];
            RedisServer::with(&[&login[..], &quick[..], &follow[..]].concat())
        };
        let servers = vec![replica(), replica()];
        let servers: Vec<_> = std::iter::once(primary).chain(servers).collect();
        wait("replicas are up to date", || {
            let replication = servers[0].cli(&["INFO", "replication"]);
            replication.matches("state=online").count() == 2
        });
        let sentinels = (0..3).map(|_| Sentinel::start(servers[0].port())).collect();
        let trio = Self { servers, sentinels };
        trio.wait_until_healthy();
        trio
    }

    /// The URL of a store on it. The sentinels' password is set apart.
    pub(crate) fn url(&self) -> String {
        let hosts = self.sentinels.iter();
        let hosts: Vec<_> = hosts.map(|one| format!("127.0.0.1:{}", one.port)).collect();
        format!("redis+sentinel://:{PASSWORD}@{}/{SERVICE}", hosts.join(","))
    }

    #[cfg(feature = "redis")]
    pub(crate) fn config(&self) -> tower_keycard::store::RedisConfig {
        tower_keycard::store::RedisConfig::new(self.url()).sentinel_password(SENTINEL_PASSWORD)
    }

    /// Waits until the sentinels know each other and both replicas, and these are up to date.
    pub(crate) fn wait_until_healthy(&self) {
        let knows = |sentinel: &Sentinel| {
            let master = sentinel.cli(&["SENTINEL", "MASTER", SERVICE]);
            let fields: Vec<_> = master.lines().collect();
            let of = |name: &str| {
                let at = fields.iter().position(|field| *field == name)?;
                fields.get(at + 1).copied()
            };
            of("flags") == Some("master")
                && of("num-other-sentinels") == Some("2")
                && of("num-slaves") == Some("2")
                && of("port").is_some_and(|port| port == self.primary().port().to_string())
        };
        wait("the sentinels know everybody", || {
            self.sentinels.iter().all(knows)
        });
    }

    /// The server that runs as the primary. One that has just been replaced may think so too, but then it has no replica.
    pub(crate) fn primary(&self) -> &RedisServer {
        &self.servers[self.primary_number()]
    }

    pub(crate) fn primary_number(&self) -> usize {
        let sentinel = &self.sentinels[0];
        let place = sentinel.cli(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE]);
        let port: u16 = place.lines().nth(1).unwrap().parse().unwrap();
        let at = |server: &RedisServer| server.port() == port;
        self.servers.iter().position(at).unwrap()
    }
}

impl Sentinel {
    fn start(primary: u16) -> Self {
        Self::watching(primary, |port| {
            format!(
                "port {port}\n\
                 requirepass {SENTINEL_PASSWORD}\n\
                 sentinel sentinel-pass {SENTINEL_PASSWORD}\n\
                 sentinel monitor {SERVICE} 127.0.0.1 {primary} 2\n\
                 sentinel auth-pass {SERVICE} {PASSWORD}\n\
                 sentinel down-after-milliseconds {SERVICE} 500\n\
                 sentinel failover-timeout {SERVICE} 2000\n\
                 sentinel parallel-syncs {SERVICE} 2\n"
            )
        })
    }

    /// With a configuration of the test's own for a port.
    pub(crate) fn watching(primary: u16, configuration: impl Fn(u16) -> String) -> Self {
        let directory = RedisServer::new_directory();
        for _ in 0..10 {
            let port = free_port();
            let path = directory.join("sentinel.conf");
            let text = format!(
                "bind 127.0.0.1\ndir {}\n{}",
                directory.display(),
                configuration(port)
            );
            std::fs::write(&path, text).unwrap();
            let log = std::fs::File::create(directory.join("log")).unwrap();
            let child = Command::new("redis-server")
                .arg(&path)
                .arg("--sentinel")
                .stdin(Stdio::null())
                .stderr(log.try_clone().unwrap())
                .stdout(log)
                .spawn()
                .unwrap();
            let mut sentinel = Self {
                child,
                port,
                directory: directory.clone(),
            };
            let mut ended = false;
            wait("a sentinel watches", || {
                ended = sentinel.child.try_wait().unwrap().is_some();
                let log = std::fs::read_to_string(directory.join("log")).unwrap();
                // After its id comes whom it watches, and it listens by then.
                ended || log.contains("+monitor")
            });
            if !ended {
                return sentinel;
            }
            // Another process took the port; the directory is still needed.
            sentinel.directory = PathBuf::new();
        }
        panic!("no sentinel starts to watch port {primary}");
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The process stands still until it is killed.
    pub(crate) fn pause(&self) {
        let pid = self.pid().to_string();
        let stop = Command::new("sh")
            .args(["-c", "kill -STOP $0", &pid])
            .status();
        assert!(stop.unwrap().success());
    }

    pub(crate) fn directory(&self) -> &std::path::Path {
        &self.directory
    }

    /// What `redis-cli` prints for a command.
    pub(crate) fn cli(&self, args: &[&str]) -> String {
        let output = Command::new("redis-cli")
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "--raw"])
            .env("REDISCLI_AUTH", SENTINEL_PASSWORD)
            .args(args)
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned()
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
