//! Sentinels, who know which of some servers is the primary.
//!
//! They are asked whenever there is a connection to be made, as their
//! [guide for clients](https://redis.io/docs/latest/develop/reference/sentinel-clients/) has it, and on connections that end
//! with the answer: sentinels come and go too. Whoever they name has to say of itself that it is the primary.

mod primary;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

#[cfg(feature = "redis-1")]
use redis::sentinel::SentinelClient;
use redis::{Client, Cmd, RedisError, Value};
use tokio::task::JoinSet;
use tokio::time::timeout;

pub(crate) use self::primary::Watched;
use crate::store::redis::connection::client::Dialer;
use crate::store::redis::connection::connect::unbounded;
use crate::store::redis::protocol::error::{NoConnection, RedisStoreError};

/// How long one sentinel has to answer before another is asked as well.
const PATIENCE: Duration = Duration::from_millis(100);

/// Those who know.
pub(crate) enum Sentinels {
    /// The sentinels of a URL.
    Ours(Ours),
    /// Whomever the application's client asks.
    #[cfg(feature = "redis-1")]
    Theirs(Theirs),
}

/// Some sentinels and what they watch.
pub(crate) struct Ours {
    clients: Box<[Client]>,
    service: Box<str>,
    /// How to reach the servers that they name.
    servers: Dialer,
    /// The one that answered last.
    first: AtomicUsize,
    address: Box<str>,
}

/// The application's client of sentinels.
#[cfg(feature = "redis-1")]
pub(crate) struct Theirs(tokio::sync::Mutex<SentinelClient>);

impl Sentinels {
    pub(crate) fn new(
        sentinels: Vec<Dialer>,
        service: String,
        servers: Dialer,
    ) -> Result<Self, RedisStoreError> {
        let clients = sentinels.iter().map(Dialer::client);
        let clients: Box<[Client]> = clients.collect::<Result<_, _>>()?;
        let addresses: Vec<_> = clients.iter().map(address).collect();
        let address = format!("the primary of {service}, says {}", addresses.join(", "));
        Ok(Self::Ours(Ours {
            clients,
            service: service.into(),
            servers,
            first: AtomicUsize::new(0),
            address: address.into(),
        }))
    }

    #[cfg(feature = "redis-1")]
    pub(crate) fn of_the_application(client: SentinelClient) -> Self {
        Self::Theirs(Theirs(tokio::sync::Mutex::new(client)))
    }

    pub(crate) fn address(&self) -> &str {
        match self {
            Self::Ours(ours) => &ours.address,
            #[cfg(feature = "redis-1")]
            Self::Theirs(_) => Theirs::ADDRESS,
        }
    }

    /// How to connect to the primary.
    pub(crate) async fn primary(&self) -> Result<Client, NoConnection> {
        match self {
            Self::Ours(ours) => ours.primary().await,
            #[cfg(feature = "redis-1")]
            Self::Theirs(theirs) => theirs.primary().await,
        }
    }

    /// How to connect to the replicas that are well, as far as the sentinels know.
    async fn replicas(&self) -> Result<Vec<Client>, NoConnection> {
        match self {
            Self::Ours(ours) => ours.replicas().await,
            // It names one at a time, and reads from replicas are nothing that its store is configured for.
            #[cfg(feature = "redis-1")]
            Self::Theirs(_) => Ok(Vec::new()),
        }
    }
}

#[cfg(feature = "redis-1")]
impl Theirs {
    const ADDRESS: &str = "the primary, says the application's client of sentinels";

    async fn primary(&self) -> Result<Client, NoConnection> {
        let failed = |error| NoConnection::from_error(Self::ADDRESS, error);
        let client = self.0.lock().await.async_get_client().await;
        let info = client.map_err(failed)?.get_connection_info().clone();
        let settings = info.redis_settings().clone();
        let settings = settings.set_protocol(redis::ProtocolVersion::RESP3);
        Client::open(info.set_redis_settings(settings)).map_err(failed)
    }
}

impl Ours {
    async fn primary(&self) -> Result<Client, NoConnection> {
        let mut command = redis::cmd("SENTINEL");
        command.arg("GET-MASTER-ADDR-BY-NAME").arg(&*self.service);
        let answer = self.ask(&command).await?;
        let (host, port) = place(&answer).ok_or_else(|| self.unknown())?;
        self.servers
            .to(&host, port)
            .map_err(|error| self.failed(error))
    }

    async fn replicas(&self) -> Result<Vec<Client>, NoConnection> {
        let mut command = redis::cmd("SENTINEL");
        command.arg("REPLICAS").arg(&*self.service);
        let Value::Array(replicas) = self.ask(&command).await? else {
            return Ok(Vec::new());
        };
        let places = replicas.iter().filter_map(replica_place);
        let clients = places.map(|(host, port)| self.servers.to(&host, port));
        let clients: Result<_, _> = clients.collect();
        clients.map_err(|error| self.failed(error))
    }

    /// The answer of the sentinel that is the first to give one.
    async fn ask(&self, command: &Cmd) -> Result<Value, NoConnection> {
        let clients = &self.clients;
        let begin = self.first.load(Ordering::Relaxed);
        let order = (0..clients.len()).map(|number| (begin + number) % clients.len());
        let (mut order, mut asked) = (order, JoinSet::new());
        let mut failure = None;
        loop {
            match order.next() {
                Some(number) => {
                    let (client, command) = (clients[number].clone(), command.clone());
                    asked.spawn(async move { (number, ask_one(&client, &command).await) });
                }
                None if asked.is_empty() => break,
                None => {}
            }
            let answer = match order.len() {
                0 => Ok(asked.join_next().await),
                _ => timeout(PATIENCE, asked.join_next()).await,
            };
            match answer {
                // One that does not know the service may be new.
                Ok(Some(Ok((number, Ok(answer))))) if answer != Value::Nil => {
                    self.first.store(number, Ordering::Relaxed);
                    return Ok(answer);
                }
                Ok(Some(Ok((number, Err(error))))) => {
                    let address = address(&clients[number]);
                    failure = Some(NoConnection::from_error(&address, error));
                }
                _ => {}
            }
        }
        Err(failure.unwrap_or_else(|| self.unknown()))
    }

    fn unknown(&self) -> NoConnection {
        NoConnection::Unknown {
            address: self.address.to_string(),
        }
    }

    fn failed(&self, error: RedisError) -> NoConnection {
        NoConnection::from_error(&self.address, error)
    }
}

fn address(client: &Client) -> String {
    client.get_connection_info().addr().to_string()
}

async fn ask_one(client: &Client, command: &Cmd) -> Result<Value, RedisError> {
    let mut connection = client
        .get_multiplexed_async_connection_with_config(&unbounded())
        .await?;
    let answer = connection.send_packed_command(command).await?;
    answer.extract_error()
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

/// The host and the port in an answer about the primary.
fn place(answer: &Value) -> Option<(String, u16)> {
    let Value::Array(parts) = answer else {
        return None;
    };
    let [host, port] = &parts[..] else {
        return None;
    };
    Some((text(host)?.to_owned(), text(port)?.parse().ok()?))
}

/// The host and the port of a replica, if sentinels think that it is well.
fn replica_place(replica: &Value) -> Option<(String, u16)> {
    let of = |wanted: &str| {
        let mut fields = replica.as_map_iter()?;
        let (_, value) = fields.find(|(name, _)| text(name) == Some(wanted))?;
        text(value)
    };
    let well = of("flags") == Some("slave") && of("master-link-status") == Some("ok");
    well.then_some(())?;
    Some((of("ip")?.to_owned(), of("port")?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    fn replica(flags: &str, link: &str) -> Value {
        let words = [
            "ip",
            "10.0.0.2",
            "port",
            "6380",
            "flags",
            flags,
            "master-link-status",
            link,
        ];
        Value::Array(words.map(bulk).to_vec())
    }

    #[test]
    fn a_replica_that_is_down_or_cut_off_is_not_read_from() {
        let well = Some(("10.0.0.2".to_owned(), 6_380));
        assert_eq!(replica_place(&replica("slave", "ok")), well);
        assert_eq!(replica_place(&replica("s_down,slave", "ok")), None);
        assert_eq!(replica_place(&replica("slave", "err")), None);
        assert_eq!(replica_place(&Value::Nil), None);
    }

    #[test]
    fn an_answer_about_the_primary_is_a_host_and_a_port() {
        let answer = |words: &[&str]| Value::Array(words.iter().copied().map(bulk).collect());
        assert_eq!(place(&answer(&["h", "1"])), Some(("h".to_owned(), 1)));
        assert_eq!(place(&answer(&["h", "65536"])), None);
        assert_eq!(place(&answer(&["h"])), None);
        assert_eq!(place(&Value::Nil), None);
    }
}
