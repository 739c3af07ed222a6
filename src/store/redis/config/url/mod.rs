//! A URL: one server, some nodes of a cluster, or sentinels and the name of the service they monitor.
//!
//! Every part is checked here. A part that is not what it should be is perhaps a piece of a password that was not
//! percent-encoded, so an error names the part and repeats nothing of the URL.

use std::net::Ipv6Addr;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo};

use super::error::RedisStoreError;

/// Where a URL leads.
pub(crate) enum Url {
    /// One server.
    Server(ConnectionInfo),
    /// Some nodes of a cluster, which know the others.
    Cluster(Vec<ConnectionInfo>),
    /// Sentinels, which know the primary.
    Sentinels {
        sentinels: Vec<ConnectionInfo>,
        service: String,
        /// How to connect to the primary. The sentinels name its address.
        primary: ConnectionInfo,
    },
}

/// The port of a server whose URL names none.
const PORT: u16 = 6_379;

/// The port of a sentinel whose URL names none.
const SENTINEL_PORT: u16 = 26_379;

const ENCODE: &str = "in user and password percent-encode the characters %/?#@, and spaces";

impl Url {
    /// Whether every connection is encrypted.
    pub(super) fn is_tls(&self) -> bool {
        let is_tls = |info: &ConnectionInfo| matches!(info.addr(), ConnectionAddr::TcpTls { .. });
        match self {
            Self::Server(info) => is_tls(info),
            Self::Cluster(nodes) => nodes.iter().all(is_tls),
            Self::Sentinels { primary, .. } => is_tls(primary),
        }
    }
}

pub(super) fn parse(url: &str) -> Result<Url, RedisStoreError> {
    // A file that a URL is read from usually ends with a line break.
    let Some((scheme, rest)) = url.trim().split_once("://") else {
        return Err(problem("it begins with no scheme"));
    };
    let scheme = scheme.to_ascii_lowercase();
    let (protocol, kind) = scheme.split_once('+').unwrap_or((&scheme, ""));
    let is_tls = match protocol {
        "redis" | "valkey" => false,
        "rediss" | "valkeys" => true,
        "unix" if kind.is_empty() => return socket(rest),
        _ => return Err(problem("it has another scheme")),
    };
    if is_tls && !cfg!(feature = "redis-tls") {
        return Err(RedisStoreError::config(
            "rediss:// needs the feature `redis-tls` of tower-keycard",
        ));
    }
    match kind {
        "" => server(&Parts::of(rest, is_tls)?),
        "cluster" => cluster(&Parts::of(rest, is_tls)?),
        "sentinel" => sentinels(&Parts::of(rest, is_tls)?),
        "unix" if !is_tls => socket(rest),
        _ => Err(problem("it has another scheme")),
    }
}

/// The error names the form and the part that has another, and repeats nothing that may be a piece of a password.
fn problem(why: &str) -> RedisStoreError {
    RedisStoreError::config(format!(
        "not a Redis URL like redis://user:password@host:6379/0, redis+cluster://host1,host2 or \
         redis+sentinel://host1,host2/service: {why}"
    ))
}

/// The parts of a URL that is not of a socket.
struct Parts<'a> {
    is_tls: bool,
    login: RedisConnectionInfo,
    hosts: Vec<&'a str>,
    path: &'a str,
}

impl<'a> Parts<'a> {
    fn of(rest: &'a str, is_tls: bool) -> Result<Self, RedisStoreError> {
        if rest.ends_with("#insecure") {
            return Err(RedisStoreError::config(
                "#insecure is not supported: set tls_ca_file to the authority or the certificate to trust",
            ));
        }
        if rest.contains(['?', '#']) {
            return Err(problem(&format!(
                "it has no query and no fragment; {ENCODE}"
            )));
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if path.contains('@') {
            return Err(problem(&format!("it has an @ after the first /; {ENCODE}")));
        }
        let (login, hosts) = match authority.rsplit_once('@') {
            Some((login, hosts)) => (login_of(login)?, hosts),
            None => (RedisConnectionInfo::default(), authority),
        };
        Ok(Self {
            is_tls,
            login,
            hosts: hosts.split(',').collect(),
            path: path.trim_end_matches('/'),
        })
    }

    fn address(&self, host: &str, default_port: u16) -> Result<ConnectionAddr, RedisStoreError> {
        let (host, port) = host_and_port(host, default_port)?;
        Ok(match self.is_tls {
            true => ConnectionAddr::TcpTls {
                host,
                port,
                insecure: false,
                tls_params: None,
            },
            false => ConnectionAddr::Tcp(host, port),
        })
    }
}

fn server(parts: &Parts<'_>) -> Result<Url, RedisStoreError> {
    let [host] = parts.hosts[..] else {
        return Err(problem(
            "several hosts are the nodes of a cluster, or sentinels: redis+cluster:// or redis+sentinel://",
        ));
    };
    let login = parts.login.clone().set_db(database(parts.path)?);
    let address = parts.address(host, PORT)?;
    Ok(Url::Server(info(address, login)?))
}

fn cluster(parts: &Parts<'_>) -> Result<Url, RedisStoreError> {
    if !matches!(parts.path, "" | "0") {
        return Err(problem(
            "a cluster has no numbered databases: end its URL with the last node",
        ));
    }
    let node = |host: &&str| info(parts.address(host, PORT)?, parts.login.clone());
    let nodes = parts.hosts.iter().map(node);
    nodes.collect::<Result<_, _>>().map(Url::Cluster)
}

fn sentinels(parts: &Parts<'_>) -> Result<Url, RedisStoreError> {
    let (service, path) = parts.path.split_once('/').unwrap_or((parts.path, ""));
    if service.is_empty() {
        return Err(problem(
            "the URL of sentinels ends with the name of a service: redis+sentinel://host1,host2,host3/service",
        ));
    }
    // As sentinels require: see `SENTINEL MONITOR`.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    if !service.bytes().all(is_plain) {
        return Err(problem(
            "a service's name consists of letters, digits and .-_, and is not percent-encoded",
        ));
    }
    let sentinel = |host: &&str| {
        let address = parts.address(host, SENTINEL_PORT)?;
        info(address, RedisConnectionInfo::default())
    };
    let sentinels = parts.hosts.iter().map(sentinel);
    let login = parts.login.clone().set_db(database(path)?);
    Ok(Url::Sentinels {
        sentinels: sentinels.collect::<Result<_, _>>()?,
        service: service.to_owned(),
        primary: info(parts.address("unknown", PORT)?, login)?,
    })
}

/// A Unix socket: its path, and what stands in the authority and the path of other URLs as a query.
fn socket(rest: &str) -> Result<Url, RedisStoreError> {
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    if rest.contains('#') || !path.starts_with('/') {
        return Err(problem(&format!(
            "the URL of a socket is redis+unix:///path or redis+unix:///path?db=1&user=u&pass=p; {ENCODE}"
        )));
    }
    let mut login = RedisConnectionInfo::default();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        login = match name {
            "db" => login.set_db(database(value)?),
            "user" => login.set_username(decoded(value)?),
            "pass" => login.set_password(decoded(value)?),
            _ => return Err(problem("the query of a socket has only db, user and pass")),
        };
    }
    let address = ConnectionAddr::Unix(decoded(path)?.into());
    Ok(Url::Server(info(address, login)?))
}

fn info(
    address: ConnectionAddr,
    login: RedisConnectionInfo,
) -> Result<ConnectionInfo, RedisStoreError> {
    let info = address.into_connection_info();
    let info = info.map_err(|_| problem("its address cannot be used"))?;
    Ok(info.set_redis_settings(login))
}

/// User and password of `user:password`, `user`, `:password` or nothing.
fn login_of(text: &str) -> Result<RedisConnectionInfo, RedisStoreError> {
    // One @ stands before the hosts. A second one is a part of the password, or user and password stand at each host.
    if text.contains('@') {
        return Err(problem(&format!(
            "it has more than one @: user and password stand once, before the first host; {ENCODE}"
        )));
    }
    let (user, password) = match text.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (text, None),
    };
    let mut login = RedisConnectionInfo::default();
    if !user.is_empty() {
        login = login.set_username(decoded(user)?);
    }
    if let Some(password) = password.filter(|password| !password.is_empty()) {
        login = login.set_password(decoded(password)?);
    }
    Ok(login)
}

fn host_and_port(text: &str, default_port: u16) -> Result<(String, u16), RedisStoreError> {
    // A colon begins the port, except within the brackets of an IPv6 address.
    let end = text.find(']').map_or(0, |bracket| bracket + 1);
    let (host, port) = match text[end..].find(':') {
        Some(colon) => (&text[..end + colon], Some(&text[end + colon + 1..])),
        None => (text, None),
    };
    let port = match port {
        None => default_port,
        Some(digits) => number::<u16>(digits)
            .filter(|port| *port > 0)
            .ok_or_else(|| problem(&format!("a port is a number up to 65535; {ENCODE}")))?,
    };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    let host = match host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
    {
        Some(address) => address.parse::<Ipv6Addr>().ok().map(|ip| ip.to_string()),
        None => (!host.is_empty() && host.bytes().all(is_plain)).then(|| host.to_owned()),
    };
    let host = host.ok_or_else(|| problem(&format!("a host is a name or an address; {ENCODE}")))?;
    if matches!(&host[..], "0.0.0.0" | "::") {
        return Err(problem(
            "0.0.0.0 and [::] are for servers to listen on, not to connect to",
        ));
    }
    Ok((host, port))
}

fn database(text: &str) -> Result<i64, RedisStoreError> {
    match text {
        "" => Ok(0),
        digits => number::<u32>(digits)
            .map(i64::from)
            .ok_or_else(|| problem("a database is a number")),
    }
}

/// A number in digits only: `parse` also takes a sign.
fn number<N: std::str::FromStr>(digits: &str) -> Option<N> {
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten()
}

/// The text that was percent-encoded.
fn decoded(text: &str) -> Result<String, RedisStoreError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let byte = match byte {
            b'%' => digit()
                .and_then(|high| u8::try_from(16 * high + digit()?).ok())
                .ok_or_else(|| {
                    problem(&format!("two hexadecimal digits stand after a %; {ENCODE}"))
                })?,
            byte => byte,
        };
        bytes.push(byte);
    }
    String::from_utf8(bytes).map_err(|_| problem("what was percent-encoded is not UTF-8"))
}

#[cfg(test)]
mod tests;
