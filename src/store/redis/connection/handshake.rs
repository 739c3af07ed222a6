//! What a server says about itself, and whether it is new enough.

use redis::{Cmd, Value};

/// The oldest version of Redis that is accepted: major and minor.
const OLDEST: (u32, u32) = (6, 2);

/// [`HELLO`](https://redis.io/docs/latest/commands/hello/) without arguments changes nothing, needs no permission, and
/// returns what the server is.
pub(crate) fn hello() -> Cmd {
    redis::cmd("HELLO")
}

/// Checks the server's version in its answer to [`hello`]. The error is the version, if it is too old.
///
/// Every version of Valkey is accepted. It gives its own name, or the version of Redis that it is compatible with.
pub(crate) fn check_version(reply: &Value) -> Result<(), String> {
    let Some((server, version)) = identity(reply) else {
        // Perhaps it is a proxy. It will refuse what it cannot do.
        return Ok(());
    };
    if server != "redis" {
        return Ok(());
    }
    let mut numbers = version.split('.').map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) if (major, minor) < OLDEST => Err(version.to_owned()),
        _ => Ok(()),
    }
}

/// Whether the server that answered [`hello`] is a replica.
pub(crate) fn is_replica(reply: &Value) -> bool {
    matches!(field(reply, "role"), Some("replica" | "slave"))
}

/// What kind of server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// One server, or a replica of one.
    Standalone,
    /// A node of a cluster.
    Cluster,
    Sentinel,
}

/// The kind of the server that answered [`hello`]. A proxy may not say.
pub(crate) fn mode(reply: &Value) -> Option<Mode> {
    match field(reply, "mode")? {
        "standalone" => Some(Mode::Standalone),
        "cluster" => Some(Mode::Cluster),
        "sentinel" => Some(Mode::Sentinel),
        _ => None,
    }
}

fn identity(reply: &Value) -> Option<(&str, &str)> {
    Some((field(reply, "server")?, field(reply, "version")?))
}

fn field<'a>(reply: &'a Value, wanted: &str) -> Option<&'a str> {
    let mut fields = reply.as_map_iter()?;
    let (_, value) = fields.find(|(name, _)| text(name) == Some(wanted))?;
    text(value)
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text),
        _ => None,
    }
}

/// [`INFO server`](https://redis.io/docs/latest/commands/info/), for a server that does not know `HELLO`. Only Redis before
/// 6.0 does not, so the version is only for the text of the error.
pub(crate) fn info() -> Cmd {
    let mut command = redis::cmd("INFO");
    command.arg("server");
    command
}

/// The version in the answer to [`info`].
pub(crate) fn version_in(reply: &Value) -> Option<&str> {
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
        check_version(&Value::Map(vec![
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
        assert_eq!(check_version(&Value::Okay), Ok(()));
        assert_eq!(says("redis", "unstable"), Ok(()));
    }

    #[test]
    fn a_server_says_what_kind_it_is_or_nothing() {
        let says = |mode| mode_of(&[("server", "redis"), ("mode", mode), ("role", "replica")]);
        assert_eq!(says("standalone"), Some(Mode::Standalone));
        assert_eq!(says("cluster"), Some(Mode::Cluster));
        assert_eq!(says("sentinel"), Some(Mode::Sentinel));
        assert_eq!(says("active-active"), None);
        assert_eq!(mode_of(&[("server", "redis")]), None);
        assert_eq!(mode(&Value::Okay), None);
    }

    fn mode_of(fields: &[(&str, &str)]) -> Option<Mode> {
        let words = fields
            .iter()
            .flat_map(|(name, value)| [bulk(name), bulk(value)]);
        // As the older protocol has it.
        mode(&Value::Array(words.collect()))
    }

    #[test]
    fn the_version_is_found_in_the_answer_to_info() {
        let reply = bulk("# Server\r\nredis_version:5.0.14\r\nredis_git_sha1:00000000\r\n");
        assert_eq!(version_in(&reply), Some("5.0.14"));
    }
}
