//! Whether a configuration can be used, and what the store needs of it.

use std::time::Duration;

use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{ConnectionInfo, ProtocolVersion};

use super::RedisConfig;
use super::error::RedisStoreError;
use super::tls::Tls;
use super::url::{self, Url};
use super::wait_replicas::WaitReplicas;

/// A configuration that can be used.
pub(crate) struct ValidConfig {
    /// With the users and passwords of the configuration applied.
    pub(crate) url: Url,
    pub(crate) tls: Option<Tls>,
    pub(crate) prefix: Box<str>,
    pub(crate) connect_timeout: Duration,
    pub(crate) response_timeout: Duration,
    pub(crate) connections: usize,
    pub(crate) max_in_flight: usize,
    pub(crate) wait_replicas: Option<WaitReplicas>,
    pub(crate) read_from_replicas: bool,
}

impl RedisConfig {
    pub(crate) fn validate(self) -> Result<ValidConfig, RedisStoreError> {
        let prefix = validate_prefix(self.prefix)?;
        validate_timeout("connect_timeout", self.connect_timeout)?;
        validate_timeout("response_timeout", self.response_timeout)?;
        if !(1..=MAX_CONNECTIONS).contains(&self.connections) {
            return Err(RedisStoreError::config(format!(
                "connections is not from 1 to {MAX_CONNECTIONS}"
            )));
        }
        if !(1..=MAX_IN_FLIGHT).contains(&self.max_in_flight) {
            return Err(RedisStoreError::config(format!(
                "max_in_flight is not from 1 to {MAX_IN_FLIGHT}"
            )));
        }
        if let Some(wait) = &self.wait_replicas {
            wait.validate(self.response_timeout)?;
        }
        let url = url::parse(&self.url)?;
        let client_certificate = match (&self.tls_client_cert_file, &self.tls_client_key_file) {
            (Some(certificate), Some(key)) => Some((certificate.as_path(), key.as_path())),
            (None, None) => None,
            _ => {
                return Err(RedisStoreError::config(
                    "tls_client_cert_file and tls_client_key_file need each other",
                ));
            }
        };
        let authorities = self.tls_ca_file.as_deref();
        let tls = match url.is_tls() {
            true => Some(Tls::read(authorities, client_certificate)?),
            false if authorities.is_some() || client_certificate.is_some() => {
                return Err(RedisStoreError::config(
                    "tls_ca_file and client certificates are for rediss:// URLs; this URL is of another kind",
                ));
            }
            false => None,
        };
        let credentials = Credentials {
            username: self.username,
            password: self.password,
            response_timeout: self.response_timeout,
        };
        let sentinel_credentials = Credentials {
            username: self.sentinel_username,
            password: self.sentinel_password,
            response_timeout: self.response_timeout,
        };
        if !matches!(url, Url::Sentinels { .. }) && sentinel_credentials.is_some() {
            return Err(RedisStoreError::config(
                "sentinel_username and sentinel_password are for redis+sentinel:// URLs; this URL is of another kind",
            ));
        }
        let login = |info| credentials.apply(info);
        let url = match url {
            Url::Server(_) if self.read_from_replicas => {
                return Err(RedisStoreError::config(
                    "read_from_replicas needs a cluster or sentinels, which know the replicas",
                ));
            }
            Url::Server(info) => Url::Server(login(info)),
            Url::Cluster(nodes) => Url::Cluster(nodes.into_iter().map(login).collect()),
            Url::Sentinels {
                sentinels,
                service,
                primary,
            } => {
                let sentinel_login = |info| {
                    // Sentinels speak both protocols. The older one needs no HELLO.
                    let info = sentinel_credentials.apply(info);
                    let settings = info.redis_settings().clone();
                    let settings = settings.set_protocol(ProtocolVersion::RESP2);
                    info.set_redis_settings(settings)
                };
                Url::Sentinels {
                    sentinels: sentinels.into_iter().map(sentinel_login).collect(),
                    service,
                    primary: login(primary),
                }
            }
        };
        Ok(ValidConfig {
            url,
            tls,
            prefix,
            connect_timeout: self.connect_timeout,
            response_timeout: self.response_timeout,
            connections: self.connections,
            max_in_flight: self.max_in_flight,
            wait_replicas: self.wait_replicas,
            read_from_replicas: self.read_from_replicas,
        })
    }
}

/// User and password, in place of those of a URL.
struct Credentials {
    username: Option<String>,
    password: Option<String>,
    response_timeout: Duration,
}

impl Credentials {
    fn is_some(&self) -> bool {
        self.username.is_some() || self.password.is_some()
    }

    /// How to connect as this user to the server of a URL.
    fn apply(&self, info: ConnectionInfo) -> ConnectionInfo {
        let mut settings = info
            .redis_settings()
            .clone()
            // With RESP3 the client notices at once that the server closes an idle connection.
            .set_protocol(ProtocolVersion::RESP3)
            // These are two commands on every connection, which a restricted user may not run.
            .set_skip_set_lib_name();
        if let Some(username) = &self.username {
            settings = settings.set_username(username);
        }
        if let Some(password) = &self.password {
            settings = settings.set_password(password);
        }
        if settings.username().is_some() && settings.password().is_none() {
            // The client logs in only with a password. A server accepts any for a user who has none (`nopass`).
            settings = settings.set_password("");
        }
        let info = info.set_redis_settings(settings);
        info.set_tcp_settings(tcp_settings(self.response_timeout))
    }
}

/// Small packets are sent at once. A peer that is gone is noticed, even by an idle connection.
fn tcp_settings(response_timeout: Duration) -> TcpSettings {
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(15))
        .with_interval(Duration::from_secs(5));
    let settings = TcpSettings::default()
        .set_nodelay(true)
        .set_keepalive(keepalive);
    // Data that is not even acknowledged after twice the response timeout is lost.
    #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
    let settings = settings.set_user_timeout((2 * response_timeout).max(Duration::from_secs(1)));
    #[cfg(not(any(target_os = "android", target_os = "fuchsia", target_os = "linux")))]
    let _ = response_timeout;
    settings
}

/// More connections are a mistake: each of them serves thousands of calls.
const MAX_CONNECTIONS: usize = 64;

/// More calls than any server answers within a response timeout.
const MAX_IN_FLIGHT: usize = 1_000_000;

/// A longer timeout is a mistake, and may overflow the clock.
const MAX_TIMEOUT: Duration = Duration::from_secs(60 * 60);

pub(crate) fn validate_prefix(prefix: String) -> Result<Box<str>, RedisStoreError> {
    if prefix.is_empty() {
        return Err(RedisStoreError::config(
            "the prefix is empty: it tells this application's sessions from those of others",
        ));
    }
    Ok(prefix.into())
}

pub(crate) fn validate_timeout(name: &str, timeout: Duration) -> Result<(), RedisStoreError> {
    if timeout.is_zero() {
        return Err(RedisStoreError::config(format!("{name} is zero")));
    }
    if timeout > MAX_TIMEOUT {
        return Err(RedisStoreError::config(format!(
            "{name} is longer than an hour"
        )));
    }
    Ok(())
}
