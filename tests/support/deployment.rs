//! Redis as people run it: one server, a cluster, or a primary that sentinels watch.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use tower_keycard::RedisConfig;

use super::redis_cluster::RedisCluster;
use super::redis_sentinel::RedisSentinel;
use super::redis_server::RedisServer;

pub(crate) trait Deployment: Send + Sync + Sized + 'static {
    fn start() -> Self;

    /// How to connect.
    fn config(&self) -> RedisConfig;

    /// The servers that have the keys.
    fn primaries(&self) -> Vec<&RedisServer>;

    /// Every process of it, with its directory.
    fn processes(&self) -> Vec<(u32, &Path)>;

    /// What all servers that have keys answer.
    fn everywhere(&self, command: &[&str]) -> Vec<String> {
        let primaries = self.primaries().into_iter();
        primaries.map(|server| server.cli(command)).collect()
    }

    /// What the server answers that has the key.
    fn at_its_key(&self, command: &[&str]) -> String {
        self.primaries()[0].cli(&[&["-c"], command].concat())
    }

    /// Ends it with this process, for one that is kept in a static, which is never dropped. But its pipes are closed: a shell
    /// that reads from one stops the servers then.
    fn ends_with_this_process(&self) -> Child {
        let mut shell = Command::new("sh");
        let script =
            "read -r _; while [ $# -gt 0 ]; do kill -9 \"$1\"; rm -rf \"$2\"; shift 2; done";
        shell.args(["-c", script, "sh"]);
        for (pid, directory) in self.processes() {
            shell.arg(pid.to_string()).arg(directory);
        }
        shell.stdin(Stdio::piped()).spawn().unwrap()
    }
}

impl Deployment for RedisServer {
    fn start() -> Self {
        Self::start()
    }

    fn config(&self) -> RedisConfig {
        RedisConfig::new(self.url())
    }

    fn primaries(&self) -> Vec<&RedisServer> {
        vec![self]
    }

    fn processes(&self) -> Vec<(u32, &Path)> {
        vec![(self.pid(), self.directory())]
    }
}

impl Deployment for RedisCluster {
    fn start() -> Self {
        Self::start()
    }

    fn config(&self) -> RedisConfig {
        RedisConfig::new(self.url())
    }

    fn primaries(&self) -> Vec<&RedisServer> {
        let numbers = Self::primaries(self).into_iter();
        numbers.map(|number| &self.nodes[number]).collect()
    }

    fn processes(&self) -> Vec<(u32, &Path)> {
        let nodes = self.nodes.iter();
        nodes.map(|node| (node.pid(), node.directory())).collect()
    }
}

impl Deployment for RedisSentinel {
    fn start() -> Self {
        Self::start()
    }

    fn config(&self) -> RedisConfig {
        Self::config(self)
    }

    fn primaries(&self) -> Vec<&RedisServer> {
        vec![self.primary()]
    }

    fn processes(&self) -> Vec<(u32, &Path)> {
        let servers = self.servers.iter();
        let servers = servers.map(|server| (server.pid(), server.directory()));
        let sentinels = self.sentinels.iter();
        let sentinels = sentinels.map(|one| (one.pid(), one.directory()));
        servers.chain(sentinels).collect()
    }
}
