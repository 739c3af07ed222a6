//! What a server's own settings mean for the sessions it keeps.

use redis::Value;
use tokio::time::Instant;

use super::RedisStore;
use crate::config::Weakness;
use crate::store::StoreError;
use crate::store::redis::protocol::error::Failure;

const EVICTION: Weakness = Weakness {
    id: "keycard.R001",
    option: "maxmemory-policy",
    reason: "when its memory is full, the server drops what it likes: sessions, so that users are logged out without a \
             word, or the list of a user's sessions, so that ending all of them misses some (ASVS 5.0, 7.4.2)",
    hint: "Set noeviction, which refuses new sessions then, and watch the memory",
};

const EARLY_END: Weakness = Weakness {
    id: "keycard.R002",
    option: "maxmemory-policy",
    reason: "when its memory is full, the server ends the sessions that would expire soonest, without a word",
    hint: "Set noeviction, which refuses new sessions then, and watch the memory",
};

const PERSISTENCE: Weakness = Weakness {
    id: "keycard.R003",
    option: "appendonly",
    reason: "without an append-only file a restart undoes what was written since the last snapshot, logouts among it: a \
             card that was ended opens its session again (ASVS 5.0, 7.4.1). Without snapshots all users are logged out",
    hint: "Set it to yes, and appendfsync to always where not even the last second may be lost",
};

const FAIL_OVER: Weakness = Weakness {
    id: "keycard.R004",
    option: "min-replicas-to-write",
    reason: "a primary that is cut off from its replicas goes on accepting changes, and the fail-over undoes them: logins, \
             and logouts too (ASVS 5.0, 7.4.1)",
    hint: "Set it to 1 at least, with min-replicas-max-lag",
};

impl RedisStore {
    /// Asks the server, by one [`INFO`](https://redis.io/docs/latest/commands/info/), which of its settings put sessions at
    /// risk: whether it evicts what it keeps, whether it keeps an append-only file, and whether it takes writes that no
    /// replica would have after a fail-over. Of a cluster it asks every primary.
    ///
    /// [`connect`](RedisStore::connect) asks too, and warns of each in the log (target `tower_keycard`, event
    /// `weak_setting`). This is for a store that was made [lazily](RedisStore::lazy), for a health page, or for an
    /// application that would rather not start:
    ///
    /// ```no_run
    /// # use tower_keycard::store::{RedisStore, StoreError};
    /// # async fn run(store: RedisStore) -> Result<(), StoreError> {
    /// for weakness in store.check().await? {
    ///     assert_ne!(weakness.option(), "maxmemory-policy", "{weakness}");
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// | id | setting | what it means |
    /// |---|---|---|
    /// | `keycard.R001` | `maxmemory-policy` | evicts what it likes |
    /// | `keycard.R002` | `maxmemory-policy` | `volatile-ttl`: evicts what would expire soonest |
    /// | `keycard.R003` | `appendonly` | no append-only file |
    /// | `keycard.R004` | `min-replicas-to-write` | there are replicas, and it is not set |
    ///
    /// Of what a server does not say, nothing is found.
    ///
    /// # Errors
    ///
    /// The server cannot be reached, or the user may not ask it
    /// ([`Refused`](crate::store::StoreErrorKind::Refused)): `INFO` is the one command that the store works without.
    pub async fn check(&self) -> Result<Vec<Weakness>, StoreError> {
        let found = self.weaknesses(self.deadline()).await;
        found.map_err(Failure::of_a_read)
    }

    /// Warns of what [`check`](RedisStore::check) finds. Where it cannot be asked, that is no reason not to start.
    pub(super) async fn warn(&self, deadline: Instant) {
        match self.weaknesses(deadline).await {
            Ok(found) => found.iter().for_each(log),
            Err(failure) => log_unchecked(&failure),
        }
    }

    async fn weaknesses(&self, deadline: Instant) -> Result<Vec<Weakness>, Failure> {
        let info = redis::cmd("INFO");
        let mut found = Vec::new();
        for reply in self.0.backend.everywhere(&info, deadline).await? {
            collect(&reply, &mut found)?;
        }
        found.sort_unstable_by_key(Weakness::id);
        found.dedup();
        Ok(found)
    }
}

/// What one server's answer gives cause for; or the answers of several, by their addresses.
fn collect(reply: &Value, found: &mut Vec<Weakness>) -> Result<(), Failure> {
    match reply {
        Value::BulkString(bytes) => found.extend(of(&String::from_utf8_lossy(bytes))),
        Value::VerbatimString { text, .. } => found.extend(of(text)),
        Value::Map(nodes) => {
            for (_, reply) in nodes {
                collect(reply, found)?;
            }
        }
        Value::ServerError(error) => return Err(Failure::said(error)),
        _ => return Err(Failure::Unexpected("INFO")),
    }
    Ok(())
}

fn of(info: &str) -> impl Iterator<Item = Weakness> {
    let eviction = match field(info, "maxmemory_policy") {
        None | Some("noeviction") => None,
        Some("volatile-ttl") => Some(EARLY_END),
        Some(_) => Some(EVICTION),
    };
    let persistence = (field(info, "aof_enabled") == Some("0")).then_some(PERSISTENCE);
    let replicas = field(info, "connected_slaves").is_some_and(|count| count != "0");
    // The line is there if the setting is. Since Redis 5 the setting has another name, and the line has not.
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

fn log(weakness: &Weakness) {
    #[cfg(feature = "tracing")]
    tracing::warn!(target: "tower_keycard", event = "weak_setting", id = weakness.id(), "{weakness}");
    #[cfg(not(feature = "tracing"))]
    let _ = weakness;
}

fn log_unchecked(failure: &Failure) {
    #[cfg(feature = "tracing")]
    tracing::info!(target: "tower_keycard", event = "unchecked_settings", "the server's settings were not checked: {failure}");
    #[cfg(not(feature = "tracing"))]
    let _ = failure;
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
    fn of_what_a_server_does_not_say_nothing_is_found() {
        assert!(found(&bulk("")).is_empty());
        assert!(found(&bulk("# Memory\r\nmaxmemory_policy\r\naof_enabled:\r\n")).is_empty());
    }

    #[test]
    fn of_several_servers_each_is_asked() {
        let good = bulk("maxmemory_policy:noeviction\r\naof_enabled:1\r\n");
        let bad = bulk("maxmemory_policy:allkeys-lru\r\naof_enabled:1\r\n");
        let nodes = Value::Map(vec![(bulk("a:1"), good), (bulk("b:1"), bad)]);
        assert_eq!(found(&nodes), ["keycard.R001"]);
    }

    #[test]
    fn what_is_no_answer_to_info_is_an_error() {
        assert!(collect(&Value::Okay, &mut Vec::new()).is_err());
    }

    #[test]
    fn a_replica_is_not_asked_what_only_its_primary_can_set() {
        let info = bulk("role:slave\r\nconnected_slaves:1\r\n");
        assert!(found(&info).is_empty());
    }
}
