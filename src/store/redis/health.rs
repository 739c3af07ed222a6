//! What a server's own settings mean for the sessions it stores.

use redis::{Cmd, Value};

use crate::config::Weakness;
use crate::store::redis::protocol::CallError;

const EVICTION: Weakness = Weakness::new(
    "keycard.R001",
    "maxmemory-policy",
    "when its memory is full, the server evicts any key: sessions, so that users are logged out without a word, or the list \
     of a user's sessions, so that ending all of them misses some (ASVS 5.0, 7.4.2)",
    "Set noeviction, which then refuses new sessions, and monitor the memory",
);

const EARLY_END: Weakness = Weakness::new(
    "keycard.R002",
    "maxmemory-policy",
    "when its memory is full, the server ends the sessions that would expire soonest, without a word",
    "Set noeviction, which then refuses new sessions, and monitor the memory",
);

const PERSISTENCE: Weakness = Weakness::new(
    "keycard.R003",
    "appendonly",
    "without an append-only file a restart undoes what was written since the last snapshot, logouts included: a token \
     that a logout ended opens its session again (ASVS 5.0, 7.4.1). Without snapshots all users are logged out",
    "Set it to yes, and set appendfsync to always if not even the last second may be lost",
);

const FAIL_OVER: Weakness = Weakness::new(
    "keycard.R004",
    "min-replicas-to-write",
    "a primary that is disconnected from its replicas continues to accept changes, and the fail-over undoes them: logins, \
     and logouts too (ASVS 5.0, 7.4.1)",
    "Set it to 1 at least, with min-replicas-max-lag",
);

/// Logs to the crate's target, if the feature `tracing` is on.
macro_rules! log {
    ($level:ident, $event:literal, $($field:ident = $value:expr,)* $message:literal) => {
        #[cfg(feature = "tracing")]
        tracing::$level!(target: "tower_keycard", event = $event, $($field = $value,)* $message);
        #[cfg(not(feature = "tracing"))]
        let _ = (format_args!($message), $(&$value,)*);
    };
}

/// Asks a server for its settings.
pub(crate) fn info() -> Cmd {
    redis::cmd("INFO")
}

/// What the settings of the servers put at risk, by their answers to [`info`].
pub(crate) fn weaknesses(answers: &[Value]) -> Result<Vec<Weakness>, CallError> {
    let mut found = Vec::new();
    for answer in answers {
        collect(answer, &mut found)?;
    }
    found.sort_unstable_by_key(Weakness::id);
    found.dedup();
    Ok(found)
}

/// Logs the [`weaknesses`]. If the settings may not be read, the store starts anyway.
pub(crate) fn warn(answers: &[Value]) {
    match weaknesses(answers) {
        Ok(found) => {
            for weakness in found {
                log!(warn, "weak_setting", id = weakness.id(), "{weakness}");
            }
        }
        Err(error) => {
            log!(
                info,
                "unchecked_settings",
                "the server's settings were not checked: {error}"
            );
        }
    }
}

/// Collects the weaknesses in the answer of one server, or in the answers of several by their addresses.
fn collect(reply: &Value, found: &mut Vec<Weakness>) -> Result<(), CallError> {
    match reply {
        Value::BulkString(bytes) => found.extend(in_info(&String::from_utf8_lossy(bytes))),
        Value::VerbatimString { text, .. } => found.extend(in_info(text)),
        Value::Map(nodes) => {
            for (_, reply) in nodes {
                collect(reply, found)?;
            }
        }
        Value::ServerError(error) => return Err(CallError::reply(error)),
        _ => return Err(CallError::Unexpected("INFO")),
    }
    Ok(())
}

fn in_info(info: &str) -> impl Iterator<Item = Weakness> {
    let eviction = match field(info, "maxmemory_policy") {
        None | Some("noeviction") => None,
        Some("volatile-ttl") => Some(EARLY_END),
        Some(_) => Some(EVICTION),
    };
    let persistence = (field(info, "aof_enabled") == Some("0")).then_some(PERSISTENCE);
    let replicas = field(info, "connected_slaves").is_some_and(|count| count != "0");
    // The line exists if the setting is set. Redis 5 renamed the setting, but not the line.
    let guarded = field(info, "min_slaves_good_slaves").is_some();
    let primary = field(info, "role") == Some("master");
    let fail_over = (primary && replicas && !guarded).then_some(FAIL_OVER);
    [eviction, persistence, fail_over].into_iter().flatten()
}

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    fn found(reply: &Value) -> Vec<&'static str> {
        let mut found = Vec::new();
        collect(reply, &mut found).unwrap();
        found.iter().map(Weakness::id).collect()
    }

    #[test]
    fn a_missing_field_is_no_weakness() {
        assert!(found(&bulk("")).is_empty());
        assert!(found(&bulk("# Memory\r\nmaxmemory_policy\r\naof_enabled:\r\n")).is_empty());
    }

    #[test]
    fn the_answers_of_several_servers_all_count() {
        let good = bulk("maxmemory_policy:noeviction\r\naof_enabled:1\r\n");
        let bad = bulk("maxmemory_policy:allkeys-lru\r\naof_enabled:1\r\n");
        let nodes = Value::Map(vec![(bulk("a:1"), good), (bulk("b:1"), bad)]);
        assert_eq!(found(&nodes), ["keycard.R001"]);
    }

    #[test]
    fn an_answer_that_is_not_text_is_an_error() {
        assert!(collect(&Value::Okay, &mut Vec::new()).is_err());
    }

    #[test]
    fn a_replica_has_no_weakness_of_its_primary() {
        let info = bulk("role:slave\r\nconnected_slaves:1\r\n");
        assert!(found(&info).is_empty());
    }
}
