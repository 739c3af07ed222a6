//! Where the server is, and how long to wait for it.

pub(crate) mod url;
mod validate;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

pub(crate) use self::validate::{Checked, Route};
#[cfg(feature = "redis-1")]
pub(crate) use self::validate::{check_prefix, check_timeout};
use crate::store::redis::topology::replication::Wait;

/// How a [`RedisStore`](super::RedisStore) finds its server. A URL is enough: `"redis://127.0.0.1"` is one.
///
/// ```
/// use std::time::Duration;
/// use tower_keycard::store::RedisConfig;
///
/// let config = RedisConfig::new("rediss://redis.internal:6380/2")
///     .username("shop")
///     .password("from a secret file, so not percent-encoded")
///     .prefix("shop:session:")
///     .response_timeout(Duration::from_millis(250));
/// assert!(!format!("{config:?}").contains("secret"));
/// ```
///
/// In a configuration file, the fields have the names of the methods; times are written as `"500ms"` or `"1s"`.
///
/// # URLs
///
/// | | |
/// |---|---|
/// | `redis://[[user]:password@]host[:port][/database]` | TCP |
/// | `rediss://…` | TLS (feature `redis-tls`) |
/// | `redis+unix:///path[?db=1&user=u&pass=p]`, `unix:///path` | a Unix socket |
/// | `redis+cluster://[[user]:password@]host[:port],host[:port],…` | some nodes of a cluster, which know the others |
/// | `redis+sentinel://[[user]:password@]host[:port],host[:port],…/service[/database]` | sentinels, and the name of what they watch |
/// | `rediss+cluster://…`, `rediss+sentinel://…` | the same over TLS, to the sentinels too |
///
/// `valkey` in place of `redis` means the same. User and password are percent-encoded in a URL; with sentinels they are
/// those of the servers, and the sentinels' own are set [apart](RedisConfig::sentinel_username).
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RedisConfig {
    url: String,
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    password: Option<String>,
    #[serde(default = "default_prefix")]
    prefix: String,
    #[serde(default = "default_connect_timeout", deserialize_with = "duration")]
    connect_timeout: Duration,
    #[serde(default = "default_response_timeout", deserialize_with = "duration")]
    response_timeout: Duration,
    #[serde(default)]
    tls_ca_file: Option<PathBuf>,
    #[serde(default)]
    tls_client_cert_file: Option<PathBuf>,
    #[serde(default)]
    tls_client_key_file: Option<PathBuf>,
    #[serde(default)]
    sentinel_username: Option<String>,
    #[serde(default)]
    sentinel_password: Option<String>,
    #[serde(default = "default_connections")]
    connections: usize,
    #[serde(default = "default_max_in_flight")]
    max_in_flight: usize,
    #[serde(default)]
    wait_replicas: Option<Wait>,
    #[serde(default)]
    read_from_replicas: bool,
}

fn default_prefix() -> String {
    RedisConfig::DEFAULT_PREFIX.to_owned()
}

const fn default_connect_timeout() -> Duration {
    RedisConfig::DEFAULT_CONNECT_TIMEOUT
}

const fn default_response_timeout() -> Duration {
    RedisConfig::DEFAULT_RESPONSE_TIMEOUT
}

const fn default_connections() -> usize {
    RedisConfig::DEFAULT_CONNECTIONS
}

const fn default_max_in_flight() -> usize {
    RedisConfig::DEFAULT_MAX_IN_FLIGHT
}

pub(crate) fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
    humantime::parse_duration(&text).map_err(serde::de::Error::custom)
}

impl RedisConfig {
    /// `"keycard:"`.
    pub const DEFAULT_PREFIX: &'static str = "keycard:";
    /// One second.
    pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
    /// Half a second.
    pub const DEFAULT_RESPONSE_TIMEOUT: Duration = Duration::from_millis(500);
    /// One.
    pub const DEFAULT_CONNECTIONS: usize = 1;
    /// 4,096.
    pub const DEFAULT_MAX_IN_FLIGHT: usize = 4_096;

    /// The server at this URL, and the defaults for all else. The URL is checked when the store is made.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            username: None,
            password: None,
            prefix: default_prefix(),
            connect_timeout: default_connect_timeout(),
            response_timeout: default_response_timeout(),
            tls_ca_file: None,
            tls_client_cert_file: None,
            tls_client_key_file: None,
            sentinel_username: None,
            sentinel_password: None,
            connections: default_connections(),
            max_in_flight: default_max_in_flight(),
            wait_replicas: None,
            read_from_replicas: false,
        }
    }

    /// The [ACL](https://redis.io/docs/latest/operate/oss_and_stack/management/security/acl/) user, in place of the URL's.
    #[must_use]
    pub fn username(mut self, username: impl Into<String>) -> Self {
        self.username = Some(username.into());
        self
    }

    /// The password, in place of the URL's, and as it is: nothing in it is percent-decoded.
    #[must_use]
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// What stands in front of every key. It tells this application's sessions from those of others on the same server, so
    /// it must not be empty, and no other application's prefix may begin with it.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// How long one attempt to connect may take, up to and including the server's first answer.
    ///
    /// No call waits that long: an attempt goes on beside the calls that wait for it, each up to its own deadline, the
    /// [response timeout](RedisConfig::response_timeout).
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long a call of the store may take at most, whatever it has to wait for; at most an hour.
    #[must_use]
    pub fn response_timeout(mut self, timeout: Duration) -> Self {
        self.response_timeout = timeout;
        self
    }

    /// A PEM file with the certificates of the authorities to trust, in place of the system's, for `rediss://`. It is read
    /// when the store is made.
    #[must_use]
    pub fn tls_ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.tls_ca_file = Some(path.into());
        self
    }

    /// The certificate that shows the server who is asking, and its key, as PEM files, for `rediss://` and a server with
    /// [`tls-auth-clients`](https://redis.io/docs/latest/operate/oss_and_stack/management/security/encryption/). They are
    /// read when the store is made.
    #[must_use]
    pub fn tls_client_cert_files(
        mut self,
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        self.tls_client_cert_file = Some(certificate.into());
        self.tls_client_key_file = Some(key.into());
        self
    }

    /// The user at the sentinels, who need not be that of the servers they watch.
    #[must_use]
    pub fn sentinel_username(mut self, username: impl Into<String>) -> Self {
        self.sentinel_username = Some(username.into());
        self
    }

    /// The password at the sentinels. Without one they are asked with none, whatever the servers want.
    #[must_use]
    pub fn sentinel_password(mut self, password: impl Into<String>) -> Self {
        self.sentinel_password = Some(password.into());
        self
    }

    /// How many connections calls share, to each server; from 1 to 64.
    ///
    /// One serves thousands of calls at the same time. More of them pay where the application has many cores and the server
    /// threads for its connections.
    #[must_use]
    pub fn connections(mut self, count: usize) -> Self {
        self.connections = count;
        self
    }

    /// How many calls may wait for their answers at the same time. One more is refused at once with
    /// [`Unavailable`](crate::store::StoreErrorKind::Unavailable): when a server is slow, a queue without end would only make
    /// everybody wait for nothing.
    #[must_use]
    pub fn max_in_flight(mut self, count: usize) -> Self {
        self.max_in_flight = count;
        self
    }

    /// Waits with the answer to a logout, a rotation and a revocation until this many replicas have it, but no longer than
    /// `timeout`, which has to be shorter than the [response timeout](RedisConfig::response_timeout).
    ///
    /// If too few have it by then, the call fails with
    /// [`Unreplicated`](crate::store::StoreErrorKind::Unreplicated), and the client gets a 503: the change *was* made, and
    /// nobody can say that it will last. It does not make the change lasting where it is: a server that is lost at this
    /// moment can still be replaced by a replica without it. The
    /// [figures](crate::documentation::failover) are measured. A login waits for the entry in the list of its user's
    /// sessions, and is not made if too few replicas have that.
    ///
    /// A connection stands still while it waits. Where replicas are missing, each of the [`connections`](Self::connections)
    /// to a server carries out one such call per `timeout`, and one whose turn does not come in time fails with
    /// [`OutcomeUnknown`](crate::store::StoreErrorKind::OutcomeUnknown), perhaps without having been carried out. So keep it
    /// short.
    ///
    /// In a file: `wait_replicas = { count = 1, timeout = "100ms" }`. Off by default: it costs such a call one answer of a
    /// replica, and all of them where the replicas are gone.
    #[must_use]
    pub fn wait_replicas(mut self, count: u32, timeout: Duration) -> Self {
        self.wait_replicas = Some(Wait { count, timeout });
        self
    }

    /// Lets replicas serve the load of a session that is only read. Off by default; for a cluster and for sentinels.
    ///
    /// A replica is behind its primary, mostly by less than a millisecond, and without any limit while the two are cut off
    /// from each other. So **a session goes on being readable after its logout** until the replica has heard of it, as do
    /// data that were changed since, also for the one who changed them. Set
    /// [`replica-serve-stale-data no`](https://redis.io/docs/latest/operate/oss_and_stack/management/config/) on the
    /// servers: a replica that knows to be cut off then refuses, and the primary is asked.
    ///
    /// Nothing is decided by what a replica has not got. Where it has no record, or one that the card does not open, the
    /// primary is asked before anything is concluded, so that nobody is logged out because a replica is behind. Writes are
    /// made on the primary, and only on top of what is there: one that was prepared from a stale record is merged or
    /// interrupted, as with two requests at once. And a replica that does not answer costs 100 ms, or a quarter of the response timeout,
    /// and is left alone for a second.
    #[must_use]
    pub fn read_from_replicas(mut self, on: bool) -> Self {
        self.read_from_replicas = on;
        self
    }
}

impl From<&str> for RedisConfig {
    fn from(url: &str) -> Self {
        Self::new(url)
    }
}

impl From<String> for RedisConfig {
    fn from(url: String) -> Self {
        Self::new(url)
    }
}

impl From<&String> for RedisConfig {
    fn from(url: &String) -> Self {
        Self::new(url)
    }
}

impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL may hold a password, in a place that only a parser finds.
        f.debug_struct("RedisConfig")
            .field("url", &"[hidden]")
            .field("username", &self.username)
            .field("password", &self.password.as_ref().map(|_| "[hidden]"))
            .field("prefix", &self.prefix)
            .field("connect_timeout", &self.connect_timeout)
            .field("response_timeout", &self.response_timeout)
            .field("tls_ca_file", &self.tls_ca_file)
            .field("tls_client_cert_file", &self.tls_client_cert_file)
            .field("tls_client_key_file", &self.tls_client_key_file)
            .field("sentinel_username", &self.sentinel_username)
            .field(
                "sentinel_password",
                &self.sentinel_password.as_ref().map(|_| "[hidden]"),
            )
            .field("connections", &self.connections)
            .field("max_in_flight", &self.max_in_flight)
            .field("wait_replicas", &self.wait_replicas)
            .field("read_from_replicas", &self.read_from_replicas)
            .finish()
    }
}

#[cfg(test)]
mod tests;
