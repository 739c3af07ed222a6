//! Redis as people run it: one server, a cluster, or a primary that sentinels watch.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use tower_keycard::store::RedisConfig;

use super::redis_cluster::RedisCluster;
use super::redis_sentinel::RedisSentinel;
use super::redis_server::{RedisServer, documented_in_a_cluster};

pub(crate) trait Deployment: Send + Sync + Sized + 'static {
    fn start() -> Self;

    /// How to connect, as the user with no more rights than needed, whose keys begin with `keycard:`.
    fn config(&self) -> RedisConfig;

    /// The servers that have the keys.
    fn primaries(&self) -> Vec<&RedisServer>;

    /// Every process of it, with its directory.
    fn processes(&self) -> Vec<(u32, &Path)>;

    /// Panics if that user was denied anything.
    fn denied_nothing(&self) {
        for server in self.primaries() {
            assert_eq!(server.denied(), "");
        }
    }

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

/// One that all tests of this process share, each with a prefix of its own, and what stops it with this process.
type Shared<D> = OnceLock<(D, Child)>;

pub(crate) fn server() -> &'static RedisServer {
    static SERVER: Shared<RedisServer> = OnceLock::new();
    started(&SERVER)
}

pub(crate) fn cluster() -> &'static RedisCluster {
    static CLUSTER: Shared<RedisCluster> = OnceLock::new();
    started(&CLUSTER)
}

pub(crate) fn sentinel() -> &'static RedisSentinel {
    static SENTINEL: Shared<RedisSentinel> = OnceLock::new();
    started(&SENTINEL)
}

fn started<D: Deployment>(shared: &'static Shared<D>) -> &'static D {
    let start = || {
        let deployment = D::start();
        let watch = deployment.ends_with_this_process();
        (deployment, watch)
    };
    &shared.get_or_init(start).0
}

impl Deployment for RedisServer {
    fn start() -> Self {
        Self::start()
    }

    fn config(&self) -> RedisConfig {
        self.restricted()
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
        for node in &self.nodes {
            node.restrict(documented_in_a_cluster());
        }
        as_restricted_user(RedisConfig::new(self.url()))
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
        for server in &self.servers {
            server.restrict("");
        }
        as_restricted_user(Self::config(self))
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

fn as_restricted_user(config: RedisConfig) -> RedisConfig {
    config.username("keycard").password("password")
}
