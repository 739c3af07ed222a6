//! Where the server is, and how long to wait for it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use redis::{ConnectionAddr, ConnectionInfo, ProtocolVersion};
use serde::{Deserialize, Deserializer};

use super::address::{self, Address};
use super::dial::{Certificates, Dialer, provide_cryptography, tcp_settings};
use super::failure::RedisStoreError;
use super::wait::Wait;

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
/// | `redis+cluster://[[user]:password@]host[:port],host[:port],…` | some nodes of a cluster, which know the others (feature `redis-cluster`) |
/// | `redis+sentinel://[[user]:password@]host[:port],host[:port],…/service[/database]` | sentinels, and the name of what they watch (feature `redis-sentinel`) |
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

pub(super) fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
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
    /// [figures](crate::documentation::failover) are measured.
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

    /// What the store needs of it, checked.
    pub(super) fn check(self) -> Result<Checked, RedisStoreError> {
        let prefix = check_prefix(self.prefix)?;
        check_timeout("connect_timeout", self.connect_timeout)?;
        check_timeout("response_timeout", self.response_timeout)?;
        if !(1..=MOST_CONNECTIONS).contains(&self.connections) {
            return Err(RedisStoreError::config(format!(
                "connections is not from 1 to {MOST_CONNECTIONS}"
            )));
        }
        if !(1..=MOST_IN_FLIGHT).contains(&self.max_in_flight) {
            return Err(RedisStoreError::config(format!(
                "max_in_flight is not from 1 to {MOST_IN_FLIGHT}"
            )));
        }
        if let Some(wait) = &self.wait_replicas {
            wait.check(self.response_timeout)?;
        }
        let login = Login {
            username: self.username,
            password: self.password,
            response_timeout: self.response_timeout,
        };
        let address = address::parse(&self.url)?;
        let tls = |info: &ConnectionInfo| matches!(info.addr(), ConnectionAddr::TcpTls { .. });
        let tls = match &address {
            Address::Server(info) => tls(info),
            #[cfg(feature = "redis-cluster")]
            Address::Cluster(nodes) => nodes.iter().all(tls),
            #[cfg(feature = "redis-sentinel")]
            Address::Sentinels { primary, .. } => tls(primary),
        };
        let own = match (&self.tls_client_cert_file, &self.tls_client_key_file) {
            (Some(certificate), Some(key)) => Some((certificate.as_path(), key.as_path())),
            (None, None) => None,
            _ => {
                return Err(RedisStoreError::config(
                    "tls_client_cert_file and tls_client_key_file need each other",
                ));
            }
        };
        let authorities = self.tls_ca_file.as_deref();
        let certificates = match (authorities, own) {
            (None, None) => None,
            _ if !tls => {
                return Err(RedisStoreError::config(
                    "tls_ca_file and client certificates are for rediss:// URLs; this URL is of another kind",
                ));
            }
            _ => Some(Certificates::read(authorities, own)?),
        };
        if tls {
            provide_cryptography();
        }
        let dialer = |info| Dialer::new(login.of(info)?, certificates.as_ref());
        let sentinel_login = Login {
            username: self.sentinel_username,
            password: self.sentinel_password,
            response_timeout: self.response_timeout,
        };
        #[cfg(feature = "redis-sentinel")]
        let sentinels = matches!(address, Address::Sentinels { .. });
        #[cfg(not(feature = "redis-sentinel"))]
        let sentinels = false;
        if !sentinels && sentinel_login.is_some() {
            return Err(RedisStoreError::config(
                "sentinel_username and sentinel_password are for redis+sentinel:// URLs; this URL is of another kind",
            ));
        }
        let topology = match address {
            Address::Server(_) if self.read_from_replicas => {
                return Err(RedisStoreError::config(
                    "read_from_replicas needs a cluster or sentinels, which know the replicas",
                ));
            }
            Address::Server(info) => Route::Server(dialer(info)?),
            #[cfg(feature = "redis-cluster")]
            Address::Cluster(nodes) => {
                Route::Cluster(nodes.into_iter().map(dialer).collect::<Result<_, _>>()?)
            }
            #[cfg(feature = "redis-sentinel")]
            Address::Sentinels {
                sentinels,
                service,
                primary,
            } => {
                let sentinel = |info| {
                    // They speak either protocol, and the older one does without HELLO.
                    let info: ConnectionInfo = sentinel_login.of(info)?;
                    let settings = info.redis_settings().clone();
                    let settings = settings.set_protocol(ProtocolVersion::RESP2);
                    Dialer::new(info.set_redis_settings(settings), certificates.as_ref())
                };
                Route::Sentinels {
                    sentinels: sentinels
                        .into_iter()
                        .map(sentinel)
                        .collect::<Result<_, _>>()?,
                    service,
                    primary: dialer(primary)?,
                }
            }
        };
        Ok(Checked {
            route: topology,
            prefix,
            connect_timeout: self.connect_timeout,
            response_timeout: self.response_timeout,
            connections: self.connections,
            max_in_flight: self.max_in_flight,
            wait: self.wait_replicas,
            replicas: self.read_from_replicas,
        })
    }
}

/// A configuration that can be used.
pub(super) struct Checked {
    pub(super) route: Route,
    pub(super) prefix: Box<str>,
    pub(super) connect_timeout: Duration,
    pub(super) response_timeout: Duration,
    pub(super) connections: usize,
    pub(super) max_in_flight: usize,
    pub(super) wait: Option<Wait>,
    pub(super) replicas: bool,
}

/// How to get to the server of a key.
pub(super) enum Route {
    /// It is this one.
    Server(Dialer),
    /// Ask one of these.
    #[cfg(feature = "redis-cluster")]
    Cluster(Vec<Dialer>),
    /// Ask one of the sentinels who is the primary.
    #[cfg(feature = "redis-sentinel")]
    Sentinels {
        sentinels: Vec<Dialer>,
        service: String,
        primary: Dialer,
    },
}

/// Who connects.
struct Login {
    username: Option<String>,
    password: Option<String>,
    response_timeout: Duration,
}

impl Login {
    fn is_some(&self) -> bool {
        self.username.is_some() || self.password.is_some()
    }

    /// How to connect as this user to what a URL was about, which may name another.
    fn of(&self, info: ConnectionInfo) -> Result<ConnectionInfo, RedisStoreError> {
        let mut settings = info
            .redis_settings()
            .clone()
            // RESP3, because the server's closing of an idle connection is noticed there at once.
            .set_protocol(ProtocolVersion::RESP3)
            // Two commands on every connection that a restricted user has no right to.
            .set_skip_set_lib_name();
        if let Some(username) = &self.username {
            settings = settings.set_username(username);
        }
        if let Some(password) = &self.password {
            settings = settings.set_password(password);
        }
        if settings.username().is_some() && settings.password().is_none() {
            return Err(RedisStoreError::config(
                "a Redis user without a password: the user would be ignored",
            ));
        }
        let info = info.set_redis_settings(settings);
        Ok(info.set_tcp_settings(tcp_settings(self.response_timeout)))
    }
}

/// More are a mistake: each of them serves thousands of calls.
const MOST_CONNECTIONS: usize = 64;

/// More than any server answers within a response timeout.
const MOST_IN_FLIGHT: usize = 1_000_000;

/// Longer is a mistake, and may be more than the clock can count to.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(60 * 60);

pub(super) fn check_prefix(prefix: String) -> Result<Box<str>, RedisStoreError> {
    if prefix.is_empty() {
        return Err(RedisStoreError::config(
            "the prefix is empty: it is what tells this application's sessions from another's",
        ));
    }
    Ok(prefix.into())
}

pub(super) fn check_timeout(name: &str, timeout: Duration) -> Result<(), RedisStoreError> {
    if timeout.is_zero() {
        return Err(RedisStoreError::config(format!("{name} is zero")));
    }
    if timeout > LONGEST_TIMEOUT {
        return Err(RedisStoreError::config(format!(
            "{name} is longer than an hour"
        )));
    }
    Ok(())
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
mod tests {
    use super::*;

    fn problem(config: impl Into<RedisConfig>) -> String {
        let Err(error) = config.into().check() else {
            panic!("refused");
        };
        assert_eq!(error.kind(), crate::store::StoreErrorKind::Refused);
        error.to_string()
    }

    fn server_of(checked: &Checked) -> ConnectionInfo {
        let Route::Server(dialer) = &checked.route else {
            panic!("one server");
        };
        dialer.client().unwrap().get_connection_info().clone()
    }

    #[test]
    fn a_bad_url_is_refused_without_repeating_its_password() {
        for url in [
            "",
            "localhost",
            "http://u:s3cret@localhost",
            "redis://:s3cret#x@host",
            "redis://:s3c/ret@host/0",
            "redis://u:s3cret@host:port",
            "redis://u:s3cret@host/zero",
            "redis://u:s3cret@0.0.0.0",
            "redis+unix://?pass=s3cret",
        ] {
            let problem = problem(url);
            assert!(problem.contains("not a Redis URL"), "{url}: {problem}");
            assert!(!problem.contains("s3c"), "{url}: {problem}");
        }
    }

    #[test]
    fn an_empty_prefix_and_timeouts_of_nothing_or_for_ever_are_refused() {
        let config = RedisConfig::new("redis://localhost");
        assert!(problem(config.clone().prefix("")).contains("prefix is empty"));
        assert!(
            problem(config.clone().connect_timeout(Duration::ZERO)).contains("connect_timeout")
        );
        assert!(
            problem(config.clone().response_timeout(Duration::ZERO)).contains("response_timeout")
        );
        assert!(problem(config.response_timeout(Duration::MAX)).contains("an hour"));
    }

    #[test]
    fn a_user_without_a_password_is_refused() {
        assert!(problem("redis://user@localhost").contains("without a password"));
    }

    #[test]
    fn an_authority_for_a_connection_without_tls_is_refused() {
        let config = RedisConfig::new("redis://localhost").tls_ca_file("ca.pem");
        assert!(problem(config).contains("rediss://"));
    }

    #[cfg(not(feature = "redis-tls"))]
    #[test]
    fn tls_without_its_feature_names_the_feature() {
        assert!(problem("rediss://localhost").contains("`redis-tls`"));
    }

    #[cfg(feature = "redis-tls")]
    #[test]
    fn tls_that_verifies_nothing_is_refused() {
        assert!(problem("rediss://localhost#insecure").contains("tls_ca_file"));
    }

    #[cfg(feature = "redis-tls")]
    #[test]
    fn an_authority_file_that_is_missing_or_no_certificate_is_refused() {
        let config = RedisConfig::new("rediss://localhost");
        assert!(problem(config.clone().tls_ca_file("/nonexistent.pem")).contains("nonexistent"));
        let problem =
            problem(config.tls_ca_file(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")));
        assert!(problem.contains("no PEM certificate"), "{problem}");
    }

    #[test]
    fn user_password_database_and_defaults_come_from_the_url() {
        let checked = RedisConfig::new("redis://us%40er:p%2Fw@localhost:6380/3").check();
        let checked = checked.unwrap();
        let info = server_of(&checked);
        let settings = info.redis_settings();
        assert_eq!(settings.username(), Some("us@er"));
        assert_eq!(settings.password(), Some("p/w"));
        assert_eq!(settings.db(), 3);
        assert_eq!(info.addr().to_string(), "localhost:6380");
        assert_eq!(&*checked.prefix, "keycard:");
        assert_eq!(checked.connect_timeout, Duration::from_secs(1));
        assert_eq!(checked.response_timeout, Duration::from_millis(500));
    }

    #[test]
    fn user_and_password_of_the_configuration_replace_those_of_the_url() {
        let config = RedisConfig::new("redis://a:b@localhost")
            .username("u")
            .password("p%2F");
        let info = server_of(&config.check().unwrap());
        let settings = info.redis_settings();
        assert_eq!(settings.username(), Some("u"));
        assert_eq!(settings.password(), Some("p%2F"));
    }

    #[test]
    fn a_configuration_file_names_the_same_fields() {
        let config: RedisConfig = serde_json::from_str(
            r#"{"url": "redis://localhost", "prefix": "shop:", "response_timeout": "250ms"}"#,
        )
        .unwrap();
        let checked = config.check().unwrap();
        assert_eq!(&*checked.prefix, "shop:");
        assert_eq!(checked.response_timeout, Duration::from_millis(250));
        assert!(
            serde_json::from_str::<RedisConfig>(r#"{"url": "redis://h", "urll": ""}"#).is_err()
        );
    }

    #[test]
    fn printing_a_configuration_shows_no_password() {
        let config = RedisConfig::new("redis://u:s3cret@localhost").password("s3cret");
        assert!(!format!("{config:?}").contains("s3cret"));
    }
}
