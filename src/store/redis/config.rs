//! Where the server is, and how long to wait for it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{Client, ConnectionAddr, IntoConnectionInfo, ProtocolVersion};
use serde::{Deserialize, Deserializer};

use super::failure::RedisStoreError;

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
///
/// `valkey://`, `valkeys://` and `valkey+unix://` mean the same. User and password are percent-encoded in a URL.
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

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
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

    /// What the store needs of it, checked.
    pub(super) fn check(self) -> Result<Checked, RedisStoreError> {
        let prefix = check_prefix(self.prefix)?;
        check_timeout("connect_timeout", self.connect_timeout)?;
        check_timeout("response_timeout", self.response_timeout)?;
        check_url(&self.url)?;
        // The error's text is about the form, and repeats nothing that may be a password.
        let info = self.url.as_str().into_connection_info().map_err(|error| {
            RedisStoreError::config(format!(
                "not a Redis URL like redis://user:password@host:6379/0, with user and password percent-encoded: {error}"
            ))
        })?;
        let mut settings = info
            .redis_settings()
            .clone()
            // RESP3, because the server's closing of an idle connection is noticed there at once.
            .set_protocol(ProtocolVersion::RESP3)
            // Two commands on every connection that a restricted user has no right to.
            .set_skip_set_lib_name();
        if let Some(username) = self.username {
            settings = settings.set_username(username);
        }
        if let Some(password) = self.password {
            settings = settings.set_password(password);
        }
        if settings.username().is_some() && settings.password().is_none() {
            return Err(RedisStoreError::config(
                "a Redis user without a password: the user would be ignored",
            ));
        }
        let address = info.addr().to_string();
        let tls = matches!(info.addr(), ConnectionAddr::TcpTls { .. });
        let info = info
            .set_redis_settings(settings)
            .set_tcp_settings(tcp_settings(self.response_timeout));
        let client = match self.tls_ca_file {
            Some(_) if !tls => {
                return Err(RedisStoreError::config(
                    "tls_ca_file is for rediss:// URLs; this URL is of another kind",
                ));
            }
            Some(path) => trusting(info, &path)?,
            None => Client::open(info).map_err(client_error)?,
        };
        if tls {
            provide_cryptography();
        }
        Ok(Checked {
            client,
            address,
            prefix,
            connect_timeout: self.connect_timeout,
            response_timeout: self.response_timeout,
        })
    }
}

/// A configuration that can be used.
pub(super) struct Checked {
    pub(super) client: Client,
    pub(super) address: String,
    pub(super) prefix: Box<str>,
    pub(super) connect_timeout: Duration,
    pub(super) response_timeout: Duration,
}

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

fn check_url(url: &str) -> Result<(), RedisStoreError> {
    let scheme = url.split_once("://").map(|(scheme, _)| scheme);
    let tls = matches!(scheme, Some("rediss" | "valkeys"));
    if tls && !cfg!(feature = "redis-tls") {
        return Err(RedisStoreError::config(
            "rediss:// needs the feature `redis-tls` of tower-keycard",
        ));
    }
    if tls && url.ends_with("#insecure") {
        return Err(RedisStoreError::config(
            "#insecure is not supported: name the authority to trust with tls_ca_file",
        ));
    }
    Ok(())
}

/// Nothing waits for a full segment; a peer that is gone is noticed also by a connection that nobody uses just now.
fn tcp_settings(response_timeout: Duration) -> TcpSettings {
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(15))
        .with_interval(Duration::from_secs(5));
    let settings = TcpSettings::default()
        .set_nodelay(true)
        .set_keepalive(keepalive);
    // What was sent and is not even acknowledged after twice the time an answer may take is lost.
    #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
    let settings = settings.set_user_timeout((2 * response_timeout).max(Duration::from_secs(1)));
    #[cfg(not(any(target_os = "android", target_os = "fuchsia", target_os = "linux")))]
    let _ = response_timeout;
    settings
}

fn client_error(error: redis::RedisError) -> RedisStoreError {
    RedisStoreError::config(error.to_string())
}

#[cfg(feature = "redis-tls")]
fn trusting(info: redis::ConnectionInfo, path: &Path) -> Result<Client, RedisStoreError> {
    let problem = |error: &dyn fmt::Display| {
        RedisStoreError::config(format!("tls_ca_file {}: {error}", path.display()))
    };
    let authorities = std::fs::read(path).map_err(|error| problem(&error))?;
    if !authorities
        .windows(BEGIN_CERTIFICATE.len())
        .any(|window| window == BEGIN_CERTIFICATE)
    {
        return Err(problem(&"there is no PEM certificate in it"));
    }
    let certificates = redis::TlsCertificates {
        client_tls: None,
        root_cert: Some(authorities),
    };
    Client::build_with_tls(info, certificates).map_err(|error| problem(&error))
}

#[cfg(feature = "redis-tls")]
const BEGIN_CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----";

#[cfg(not(feature = "redis-tls"))]
fn trusting(_: redis::ConnectionInfo, _: &Path) -> Result<Client, RedisStoreError> {
    Err(RedisStoreError::config(
        "tls_ca_file needs the feature `redis-tls` of tower-keycard",
    ))
}

/// The redis crate asks rustls for the process's provider, and rustls panics where there is none, or more than one to
/// choose from. One that the application installed stays.
fn provide_cryptography() {
    #[cfg(feature = "redis-tls")]
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // An error means that another thread was first.
        let _ = rustls::crypto::ring::default_provider().install_default();
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
        let settings = checked.client.get_connection_info().redis_settings();
        assert_eq!(settings.username(), Some("us@er"));
        assert_eq!(settings.password(), Some("p/w"));
        assert_eq!(settings.db(), 3);
        assert_eq!(checked.address, "localhost:6380");
        assert_eq!(&*checked.prefix, "keycard:");
        assert_eq!(checked.connect_timeout, Duration::from_secs(1));
        assert_eq!(checked.response_timeout, Duration::from_millis(500));
    }

    #[test]
    fn user_and_password_of_the_configuration_replace_those_of_the_url() {
        let config = RedisConfig::new("redis://a:b@localhost")
            .username("u")
            .password("p%2F");
        let checked = config.check().unwrap();
        let settings = checked.client.get_connection_info().redis_settings();
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
