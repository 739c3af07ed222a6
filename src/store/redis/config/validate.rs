//! What the store needs of a configuration, and whether that can be used.

use std::time::Duration;

use redis::{ConnectionAddr, ConnectionInfo, ProtocolVersion};

use super::RedisConfig;
use crate::store::redis::config::url::{self, Address};
use crate::store::redis::connection::client::{
    Certificates, Dialer, provide_cryptography, tcp_settings,
};
use crate::store::redis::protocol::error::RedisStoreError;
use crate::store::redis::topology::replication::Wait;

impl RedisConfig {
    /// What the store needs of it, checked.
    pub(crate) fn check(self) -> Result<Checked, RedisStoreError> {
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
        let address = url::parse(&self.url)?;
        let tls = |info: &ConnectionInfo| matches!(info.addr(), ConnectionAddr::TcpTls { .. });
        let tls = match &address {
            Address::Server(info) => tls(info),
            Address::Cluster(nodes) => nodes.iter().all(tls),
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
        let sentinels = matches!(address, Address::Sentinels { .. });
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
            Address::Cluster(nodes) => {
                Route::Cluster(nodes.into_iter().map(dialer).collect::<Result<_, _>>()?)
            }
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
pub(crate) struct Checked {
    pub(crate) route: Route,
    pub(crate) prefix: Box<str>,
    pub(crate) connect_timeout: Duration,
    pub(crate) response_timeout: Duration,
    pub(crate) connections: usize,
    pub(crate) max_in_flight: usize,
    pub(crate) wait: Option<Wait>,
    pub(crate) replicas: bool,
}

/// How to get to the server of a key.
pub(crate) enum Route {
    /// It is this one.
    Server(Dialer),
    /// Ask one of these.
    Cluster(Vec<Dialer>),
    /// Ask one of the sentinels who is the primary.
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

pub(crate) fn check_prefix(prefix: String) -> Result<Box<str>, RedisStoreError> {
    if prefix.is_empty() {
        return Err(RedisStoreError::config(
            "the prefix is empty: it is what tells this application's sessions from another's",
        ));
    }
    Ok(prefix.into())
}

pub(crate) fn check_timeout(name: &str, timeout: Duration) -> Result<(), RedisStoreError> {
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
