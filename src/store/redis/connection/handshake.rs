//! Whether the server is new enough.

use redis::{Cmd, Value};

/// The oldest Redis that is accepted, as major and minor version.
const OLDEST: (u32, u32) = (6, 2);

/// [`HELLO`](https://redis.io/docs/latest/commands/hello/) without arguments changes nothing, needs no permission, and
/// answers who the server is.
pub(crate) fn hello() -> Cmd {
    redis::cmd("HELLO")
}

/// What the server answered to [`hello`]: nothing, or the version that is too old.
///
/// Valkey, whose every version will do, says so, or gives the version of Redis that it stands in for.
pub(crate) fn check_hello(reply: &Value) -> Result<(), String> {
    let Some((server, version)) = identity(reply) else {
        // A proxy, perhaps. What it cannot do, it will refuse.
        return Ok(());
    };
    if server != "redis" {
        return Ok(());
    }
    check_version(version)
}

/// Whether the server that answered [`hello`] is a replica.
pub(crate) fn is_replica(reply: &Value) -> bool {
    let role = reply.as_map_iter().and_then(|mut reply| {
        let role = reply.find(|(name, _)| text(name) == Some("role"));
        role.and_then(|(_, role)| text(role))
    });
    matches!(role, Some("replica" | "slave"))
}

fn identity(reply: &Value) -> Option<(&str, &str)> {
    let (mut server, mut version) = (None, None);
    for (name, value) in reply.as_map_iter()? {
        match (text(name)?, text(value)) {
            ("server", value) => server = value,
            ("version", value) => version = value,
            _ => {}
        }
    }
    Some((server?, version?))
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text),
        _ => None,
    }
}

fn check_version(version: &str) -> Result<(), String> {
    let mut numbers = version.split('.').map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) if (major, minor) < OLDEST => Err(version.to_owned()),
        _ => Ok(()),
    }
}

/// [`INFO server`](https://redis.io/docs/latest/commands/info/), for a server that does not know `HELLO`: only Redis before
/// 6.0 does not, so it is asked for nothing but the error's text.
pub(crate) fn info() -> Cmd {
    let mut command = redis::cmd("INFO");
    command.arg("server");
    command
}

/// The version in the answer to [`info`].
pub(crate) fn in_info(reply: &Value) -> Option<&str> {
    text(reply)?
        .lines()
        .find_map(|line| line.strip_prefix("redis_version:"))
        .map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    fn says(server: &str, version: &str) -> Result<(), String> {
        check_hello(&Value::Map(vec![
            (bulk("server"), bulk(server)),
            (bulk("version"), bulk(version)),
            (bulk("proto"), Value::Int(3)),
            (bulk("modules"), Value::Array(vec![])),
        ]))
    }

    #[test]
    fn redis_is_accepted_from_6_2_on() {
        for version in [
            "6.2.0",
            "6.2.14",
            "7.0.15",
            "8.4.0",
            "10.0.0",
            "255.255.255",
        ] {
            assert_eq!(says("redis", version), Ok(()), "{version}");
        }
        for version in ["5.0.14", "6.0.20", "6.1.240"] {
            assert_eq!(says("redis", version), Err(version.to_owned()));
        }
    }

    #[test]
    fn every_valkey_is_accepted() {
        assert_eq!(says("redis", "7.2.4"), Ok(()));
        assert_eq!(says("valkey", "8.1.0"), Ok(()));
        assert_eq!(says("valkey", "1.0.0"), Ok(()));
    }

    #[test]
    fn a_server_that_does_not_say_who_it_is_gets_the_benefit_of_the_doubt() {
        assert_eq!(check_hello(&Value::Okay), Ok(()));
        assert_eq!(says("redis", "unstable"), Ok(()));
    }

    #[test]
    fn the_version_is_found_in_what_info_says() {
        let reply = bulk("# Server\r\nredis_version:5.0.14\r\nredis_git_sha1:00000000\r\n");
        assert_eq!(in_info(&reply), Some("5.0.14"));
    }
}
