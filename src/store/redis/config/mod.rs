//! How a store finds its server, and how long it waits for it.

mod duration;
mod error;
#[cfg(not(feature = "redis-tls"))]
#[path = "no_tls.rs"]
mod tls;
#[cfg(feature = "redis-tls")]
mod tls;
mod url;
mod validate;
mod wait_replicas;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

pub use self::error::RedisStoreError;
pub(crate) use self::tls::{Tls, TlsError};
pub(crate) use self::url::Url;
pub(crate) use self::validate::ValidConfig;
#[cfg(feature = "redis-1")]
pub(crate) use self::validate::{validate_prefix, validate_timeout};
pub(crate) use self::wait_replicas::WaitReplicas;

/// How a [`RedisStore`](crate::store::RedisStore) finds its server. A URL such as `"redis://127.0.0.1"` is enough.
///
/// ```
/// use std::time::Duration;
/// use tower_keycard::store::RedisConfig;
///
/// let config = RedisConfig::new("rediss://redis.internal:6380/2")
///     .username("shop")
///     .password("from a secret file, not percent-encoded")
///     .prefix("shop:session:")
///     .response_timeout(Duration::from_millis(250));
/// assert!(!format!("{config:?}").contains("secret"));
/// ```
///
/// In a configuration file the fields have the names of the methods. Write times as `"500ms"` or `"1s"`.
///
/// # URLs
///
/// | | |
/// |---|---|
/// | `redis://[[user][:password]@]host[:port][/database]` | one server, over TCP |
/// | `rediss://…` | over TLS (feature `redis-tls`) |
/// | `redis+unix:///path[?db=1&user=u&pass=p]`, `unix:///path` | a Unix socket |
/// | `redis+cluster://[[user][:password]@]host[:port],host[:port],…` | some nodes of a cluster; the store learns the others from them |
/// | `redis+sentinel://[[user][:password]@]host[:port],host[:port],…/service[/database]` | sentinels, and the name of the service they monitor |
/// | `rediss+cluster://…`, `rediss+sentinel://…` | the same over TLS, also to the sentinels |
///
/// `valkey` in place of `redis` means the same. User and password are percent-encoded in a URL. In the URL of sentinels they
/// are for the servers; set the sentinels' own [separately](RedisConfig::sentinel_username). A user without a password is one
/// whom the server lets in without (`nopass`).
///
/// Every part of a URL is checked, and there is no other part: a query is only in the URL of a socket. An error names the part,
/// and repeats nothing of the URL, because what is in the wrong place may be a password.
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
    #[serde(
        default = "default_connect_timeout",
        deserialize_with = "duration::deserialize"
    )]
    connect_timeout: Duration,
    #[serde(
        default = "default_response_timeout",
        deserialize_with = "duration::deserialize"
    )]
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
    wait_replicas: Option<WaitReplicas>,
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

    /// The server at this URL, and the defaults for everything else. The URL is checked when the store is made.
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

    /// The password, in place of the URL's. It is used as it is, without percent-decoding. A user whom the server lets in
    /// without one (`nopass`) needs none.
    #[must_use]
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// The first part of every key. It tells this application's sessions from those of others on the same server. So it must
    /// not be empty, and no other application's prefix may begin with it.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// How long one attempt to connect may take, including the server's first answer.
    ///
    /// No call waits that long. The attempt runs on a task of its own, and each call that needs the connection waits for it no
    /// longer than the [response timeout](RedisConfig::response_timeout).
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// The longest time that a call of the store may take, whatever it waits for. At most an hour.
    #[must_use]
    pub fn response_timeout(mut self, timeout: Duration) -> Self {
        self.response_timeout = timeout;
        self
    }

    /// A PEM file with the certificates to trust in place of the system's authorities, for `rediss://`. It is read when the store
    /// is made.
    ///
    /// Each is an authority, whose word for other certificates is taken. And each is trusted as itself if a server presents
    /// this very certificate, even if it says of itself that it is of an authority (`CA:TRUE`), as those of `openssl req -x509`
    /// do. It must be within its time, and if it names hosts (`subjectAltName`), one of them must be the server's. One that names
    /// none is trusted for every host: only the holder of its key can present it. A `CN` is no name of a host
    /// ([RFC 9525, 2](https://www.rfc-editor.org/rfc/rfc9525#section-2)).
    #[must_use]
    pub fn tls_ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.tls_ca_file = Some(path.into());
        self
    }

    /// The client's own certificate and its key, as PEM files, for `rediss://` and a server with
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

    /// The user at the sentinels. It need not be the user at the servers they monitor.
    #[must_use]
    pub fn sentinel_username(mut self, username: impl Into<String>) -> Self {
        self.sentinel_username = Some(username.into());
        self
    }

    /// The password at the sentinels. Without one the store sends them none, even if the servers have one.
    #[must_use]
    pub fn sentinel_password(mut self, password: impl Into<String>) -> Self {
        self.sentinel_password = Some(password.into());
        self
    }

    /// How many connections to each server the calls share, from 1 to 64.
    ///
    /// One connection serves thousands of calls at the same time. More of them pay off if the application has many cores and
    /// the server has threads for its connections.
    #[must_use]
    pub fn connections(mut self, count: usize) -> Self {
        self.connections = count;
        self
    }

    /// How many calls may wait for their answers at the same time. One more fails at once with
    /// [`Unavailable`](crate::store::StoreErrorKind::Unavailable). If a server is slow, an unbounded queue only makes every call
    /// time out.
    #[must_use]
    pub fn max_in_flight(mut self, count: usize) -> Self {
        self.max_in_flight = count;
        self
    }

    /// Acknowledges a logout, a rotation or a revocation only after this many replicas have it. It waits no longer than
    /// `timeout`, which must be shorter than the [response timeout](RedisConfig::response_timeout).
    ///
    /// If too few replicas have the change by then, the call fails with
    /// [`Unreplicated`](crate::store::StoreErrorKind::Unreplicated), and the client gets a 503. The change *was* made, but it
    /// may be undone. Even a confirmed change can be lost: if the primary fails at that moment, a replica without the change
    /// may replace it. [These figures](crate::documentation::failover) are measured. A login waits for its entry in the list
    /// of the user's sessions, and fails if too few replicas have the entry.
    ///
    /// A connection blocks while it waits. If replicas are missing, each of the [`connections`](Self::connections) to a server
    /// carries out one such call per `timeout`. A call whose turn does not come in time fails with
    /// [`OutcomeUnknown`](crate::store::StoreErrorKind::OutcomeUnknown), and may not have been carried out. So keep the timeout
    /// short.
    ///
    /// In a file: `wait_replicas = { count = 1, timeout = "100ms" }`. Off by default, because it adds the time of one
    /// replica's answer to each such call, and the whole timeout if the replicas are gone.
    #[must_use]
    pub fn wait_replicas(mut self, count: u32, timeout: Duration) -> Self {
        self.wait_replicas = Some(WaitReplicas { count, timeout });
        self
    }

    /// Lets replicas serve the load of a session that is only read. Off by default. It needs a cluster or sentinels.
    ///
    /// A replica is behind its primary, usually by less than a millisecond, but by any time while the two are disconnected.
    /// So **a session stays readable after its logout** until the replica has received the logout. Changed data too are stale
    /// until then, even for the client that changed them. Set
    /// [`replica-serve-stale-data no`](https://redis.io/docs/latest/operate/oss_and_stack/management/config/) on the
    /// servers: then a replica that knows that it is disconnected refuses, and the store asks the primary.
    ///
    /// The store concludes nothing from what a replica does not have. If a replica has no record, or one that the token does
    /// not open, the store asks the primary, so that no user is logged out because a replica is behind. Writes go to the
    /// primary and need the current revision: a write that was prepared from a stale record is merged or interrupted, like one
    /// of two concurrent requests. A replica that does not answer costs 100 ms, or a quarter of the response timeout if that is
    /// shorter. The store then avoids it for a second.
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
        // The URL may contain a password, in a place that only a parser finds.
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
