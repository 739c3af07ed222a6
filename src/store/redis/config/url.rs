//! A URL: one server, some nodes of a cluster, or sentinels and the name of the service they monitor.

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};

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

/// The port of a sentinel whose URL names none.
const SENTINEL_PORT: u16 = 26_379;

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

/// The parts of the URL of a cluster or of sentinels, which has no query.
struct Parts<'a> {
    /// `redis`, `rediss`, `valkey` or `valkeys`.
    protocol: &'a str,
    /// User and password and the `@` after them, or nothing.
    user: &'a str,
    hosts: Vec<&'a str>,
    path: &'a str,
}

pub(super) fn parse(url: &str) -> Result<Url, RedisStoreError> {
    let scheme = url.split_once("://").map_or(url, |(scheme, _)| scheme);
    check_tls(scheme)?;
    match scheme.split_once('+') {
        Some((protocol, "cluster")) => cluster(&Parts::of(protocol, url)?),
        Some((protocol, "sentinel")) => sentinels(&Parts::of(protocol, url)?),
        _ => server(url).map(Url::Server),
    }
}

/// One server's URL, as the redis crate understands it. The error's text describes the form, and repeats nothing that may
/// be a password.
fn server(url: &str) -> Result<ConnectionInfo, RedisStoreError> {
    let info = url.into_connection_info().map_err(|error| {
        RedisStoreError::config(format!(
            "not a Redis URL like redis://user:password@host:6379/0, redis+cluster://host1,host2 or \
             redis+sentinel://host1,host2/service, with user and password percent-encoded: {error}"
        ))
    })?;
    match info.addr() {
        ConnectionAddr::TcpTls { insecure: true, .. } => Err(RedisStoreError::config(
            "#insecure is not supported: set tls_ca_file to the authority to trust",
        )),
        _ => Ok(info),
    }
}

fn check_tls(scheme: &str) -> Result<(), RedisStoreError> {
    let protocol = scheme
        .split_once('+')
        .map_or(scheme, |(protocol, _)| protocol);
    let tls = matches!(protocol, "rediss" | "valkeys");
    if tls && !cfg!(feature = "redis-tls") {
        return Err(RedisStoreError::config(
            "rediss:// needs the feature `redis-tls` of tower-keycard",
        ));
    }
    Ok(())
}

impl<'a> Parts<'a> {
    fn of(protocol: &'a str, url: &'a str) -> Result<Self, RedisStoreError> {
        let (_scheme, rest) = url.split_once("://").unwrap_or((url, ""));
        if !matches!(protocol, "redis" | "rediss" | "valkey" | "valkeys") {
            return Err(RedisStoreError::config(
                "not a Redis URL: the scheme of a cluster or of sentinels begins with redis, rediss, valkey or valkeys",
            ));
        }
        if rest.contains(['?', '#']) {
            return Err(RedisStoreError::config(
                "not a Redis URL: the URL of a cluster or of sentinels has no query and no fragment",
            ));
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let hosts = authority.rfind('@').map_or(0, |at| at + 1);
        Ok(Self {
            protocol,
            user: &authority[..hosts],
            hosts: authority[hosts..].split(',').collect(),
            path: path.trim_end_matches('/'),
        })
    }
}

fn cluster(parts: &Parts<'_>) -> Result<Url, RedisStoreError> {
    if !matches!(parts.path, "" | "0") {
        return Err(RedisStoreError::config(
            "a cluster has no numbered databases: end its URL with the last node",
        ));
    }
    let node = |host: &&str| server(&format!("{}://{}{host}", parts.protocol, parts.user));
    let nodes = parts.hosts.iter().map(node);
    nodes.collect::<Result<_, _>>().map(Url::Cluster)
}

fn sentinels(parts: &Parts<'_>) -> Result<Url, RedisStoreError> {
    let (service, database) = parts.path.split_once('/').unwrap_or((parts.path, ""));
    if service.is_empty() {
        return Err(RedisStoreError::config(
            "the URL of sentinels ends with the name of a service: redis+sentinel://host1,host2,host3/service",
        ));
    }
    if service.contains('%') {
        return Err(RedisStoreError::config(
            "a service's name consists of letters, digits and `.-_`, as sentinels require, and is not percent-encoded",
        ));
    }
    let sentinel = |host: &&str| {
        // A colon begins the port, except within the brackets of an IPv6 address.
        let has_port = host[host.find(']').unwrap_or(0)..].contains(':');
        match has_port || host.is_empty() {
            true => server(&format!("{}://{host}", parts.protocol)),
            false => server(&format!("{}://{host}:{SENTINEL_PORT}", parts.protocol)),
        }
    };
    let sentinels = parts.hosts.iter().map(sentinel);
    let sentinels = sentinels.collect::<Result<_, _>>()?;
    let (protocol, user) = (parts.protocol, parts.user);
    Ok(Url::Sentinels {
        sentinels,
        service: service.to_owned(),
        primary: server(&format!("{protocol}://{user}unknown/{database}"))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(url: &str) -> String {
        match parse(url) {
            Ok(_) => panic!("{url} is refused"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_cluster_is_some_of_its_nodes_with_one_user() {
        let url = "redis+cluster://u%40:p%2F@one:7000,two,[::1]:7002/";
        let Ok(Url::Cluster(nodes)) = parse(url) else {
            panic!("a cluster");
        };
        let addresses: Vec<_> = nodes.iter().map(|node| node.addr().to_string()).collect();
        assert_eq!(addresses, ["one:7000", "two:6379", "::1:7002"]);
        for node in &nodes {
            assert_eq!(node.redis_settings().username(), Some("u@"));
            assert_eq!(node.redis_settings().password(), Some("p/"));
        }
    }

    #[test]
    fn what_no_cluster_has_is_refused_without_repeating_a_password() {
        for (url, why) in [
            ("redis+cluster://:s3cret@one/1", "no numbered databases"),
            ("redis+cluster://:s3cret@one,,two", "not a Redis URL"),
            ("redis+cluster://:s3cret@one?x=1", "no query"),
            ("redis+cluster://:s3c#ret@one", "no query"),
            ("redis+cluster://:s3c/ret@one", "no numbered databases"),
            ("redis+unheard://:s3cret@one", "not a Redis URL"),
            ("redis+cluster://", "not a Redis URL"),
            ("unix+cluster://one", "begins with redis"),
        ] {
            let problem = problem(url);
            assert!(problem.contains(why), "{url}: {problem}");
            assert!(!problem.contains("s3c"), "{url}: {problem}");
        }
    }

    #[test]
    fn sentinels_are_asked_for_a_service_whose_server_has_the_user_and_the_database() {
        let url = "redis+sentinel://u:p@one:7000,two,[::1]/shop/3";
        let Ok(Url::Sentinels {
            sentinels,
            service,
            primary,
        }) = parse(url)
        else {
            panic!("sentinels");
        };
        let addresses: Vec<_> = sentinels
            .iter()
            .map(|info| info.addr().to_string())
            .collect();
        assert_eq!(addresses, ["one:7000", "two:26379", "::1:26379"]);
        for sentinel in &sentinels {
            assert_eq!(sentinel.redis_settings().password(), None);
        }
        assert_eq!(service, "shop");
        assert_eq!(primary.redis_settings().username(), Some("u"));
        assert_eq!(primary.redis_settings().db(), 3);
    }

    #[test]
    fn sentinels_without_a_service_or_with_an_impossible_one_are_refused() {
        assert!(problem("redis+sentinel://one,two").contains("the name of a service"));
        assert!(problem("redis+sentinel://one/").contains("the name of a service"));
        assert!(problem("redis+sentinel://one/a%20b").contains("not percent-encoded"));
        assert!(problem("redis+sentinel://one/shop/x").contains("not a Redis URL"));
    }
}
