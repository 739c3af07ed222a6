//! Sentinels, which know the primary of a service and its replicas.
//!
//! They are asked for each new connection, as their
//! [guide for clients](https://redis.io/docs/latest/develop/reference/sentinel-clients/) says, on connections that end with the
//! answer, because sentinels too come and go. The server that they name must itself say that it is the primary.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
#[cfg(feature = "redis-1")]
use redis::sentinel::SentinelClient;
use redis::{Cmd, Value};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::store::redis::connection::{Client, ConnectError, Endpoint, handshake, open};

/// How long one sentinel may take to answer before another one is asked too.
const ASK_TIMEOUT: Duration = Duration::from_millis(100);

/// Finds the primary. It is the endpoint of connections to the primary.
pub(crate) enum Sentinels {
    /// The sentinels of a URL.
    Configured(Configured),
    /// The application's client of sentinels.
    #[cfg(feature = "redis-1")]
    External(External),
}

/// Some sentinels, and the service they monitor.
pub(crate) struct Configured {
    clients: Box<[Client]>,
    service: Box<str>,
    /// How to reach the servers that they name.
    servers: Client,
    /// The sentinel that answered last.
    first: AtomicUsize,
    address: Box<str>,
}

/// The application's client of sentinels.
#[cfg(feature = "redis-1")]
pub(crate) struct External(tokio::sync::Mutex<SentinelClient>);

impl Sentinels {
    pub(crate) fn new(sentinels: Vec<Client>, service: String, servers: Client) -> Self {
        let addresses: Vec<_> = sentinels.iter().map(Client::to_string).collect();
        let address = format!(
            "the primary of {service} (sentinels {})",
            addresses.join(", ")
        );
        Self::Configured(Configured {
            clients: sentinels.into(),
            service: service.into(),
            servers,
            first: AtomicUsize::new(0),
            address: address.into(),
        })
    }

    #[cfg(feature = "redis-1")]
    pub(crate) fn from_client(client: SentinelClient) -> Self {
        Self::External(External(tokio::sync::Mutex::new(client)))
    }

    /// How to connect to the replicas that are healthy, as far as the sentinels know.
    pub(super) async fn replicas(&self) -> Result<Vec<Client>, ConnectError> {
        match self {
            Self::Configured(configured) => configured.replicas().await,
            // This client names one replica at a time, and its store is not configured for reads from replicas.
            #[cfg(feature = "redis-1")]
            Self::External(_) => Ok(Vec::new()),
        }
    }
}

impl Endpoint for Sentinels {
    fn address(&self) -> String {
        match self {
            Self::Configured(configured) => configured.address.to_string(),
            #[cfg(feature = "redis-1")]
            Self::External(_) => External::ADDRESS.to_owned(),
        }
    }

    fn locate(&self) -> BoxFuture<'_, Result<Client, ConnectError>> {
        match self {
            Self::Configured(configured) => configured.primary().boxed(),
            #[cfg(feature = "redis-1")]
            Self::External(external) => external.primary().boxed(),
        }
    }

    /// Sentinels may be behind: the server that they name may have become a replica.
    fn verify(&self, hello: &Value) -> Result<(), ConnectError> {
        match handshake::is_replica(hello) {
            true => Err(ConnectError::NotPrimary {
                address: self.address(),
            }),
            false => Ok(()),
        }
    }
}

#[cfg(feature = "redis-1")]
impl External {
    const ADDRESS: &str = "the primary (of the application's client of sentinels)";

    async fn primary(&self) -> Result<Client, ConnectError> {
        let failed = |error| ConnectError::new(Self::ADDRESS, error);
        let client = self.0.lock().await.async_get_client().await;
        let info = client.map_err(failed)?.get_connection_info().clone();
        let settings = info.redis_settings().clone();
        let settings = settings.set_protocol(redis::ProtocolVersion::RESP3);
        Ok(Client::new(info.set_redis_settings(settings), None))
    }
}

impl Configured {
    async fn primary(&self) -> Result<Client, ConnectError> {
        let mut command = redis::cmd("SENTINEL");
        command.arg("GET-MASTER-ADDR-BY-NAME").arg(&*self.service);
        let answer = self.ask(&command).await?;
        let (host, port) = primary_in(&answer).ok_or_else(|| self.unknown())?;
        Ok(self.servers.at(&host, port))
    }

    async fn replicas(&self) -> Result<Vec<Client>, ConnectError> {
        let mut command = redis::cmd("SENTINEL");
        command.arg("REPLICAS").arg(&*self.service);
        let Value::Array(replicas) = self.ask(&command).await? else {
            return Ok(Vec::new());
        };
        let replicas = replicas.iter().filter_map(healthy_replica);
        let clients = replicas.map(|(host, port)| self.servers.at(&host, port));
        Ok(clients.collect())
    }

    /// The answer of the first sentinel that gives one.
    async fn ask(&self, command: &Cmd) -> Result<Value, ConnectError> {
        let clients = &self.clients;
        let begin = self.first.load(Ordering::Relaxed);
        let mut order = (0..clients.len()).map(|offset| (begin + offset) % clients.len());
        let mut asked = JoinSet::new();
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
                _ => timeout(ASK_TIMEOUT, asked.join_next()).await,
            };
            match answer {
                // A sentinel that does not know the service may be new.
                Ok(Some(Ok((number, Ok(answer))))) if answer != Value::Nil => {
                    self.first.store(number, Ordering::Relaxed);
                    return Ok(answer);
                }
                Ok(Some(Ok((number, Err(error))))) => {
                    let client = &clients[number];
                    let address = client.addr();
                    failure = Some(match error.is_unknown_command() {
                        true => ConnectError::other_kind(&client.to_string(), Some(address), None),
                        false => error,
                    });
                }
                _ => {}
            }
        }
        Err(failure.unwrap_or_else(|| self.unknown()))
    }

    fn unknown(&self) -> ConnectError {
        ConnectError::UnknownPrimary {
            address: self.address.to_string(),
        }
    }
}

async fn ask_one(client: &Client, command: &Cmd) -> Result<Value, ConnectError> {
    let address = client.to_string();
    let mut connected = open(client, &address).await?;
    let answer = connected.connection.send_packed_command(command).await;
    let answer = answer.and_then(Value::extract_error);
    answer.map_err(|error| ConnectError::new(&address, error))
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

/// The host and the port in an answer about the primary.
fn primary_in(answer: &Value) -> Option<(String, u16)> {
    let Value::Array(parts) = answer else {
        return None;
    };
    let [host, port] = &parts[..] else {
        return None;
    };
    Some((text(host)?.to_owned(), text(port)?.parse().ok()?))
}

/// The host and the port of a replica that the sentinels consider healthy.
fn healthy_replica(replica: &Value) -> Option<(String, u16)> {
    let field = |wanted: &str| {
        let mut fields = replica.as_map_iter()?;
        let (_, value) = fields.find(|(name, _)| text(name) == Some(wanted))?;
        text(value)
    };
    let is_healthy = field("flags") == Some("slave") && field("master-link-status") == Some("ok");
    is_healthy.then_some(())?;
    Some((field("ip")?.to_owned(), field("port")?.parse().ok()?))
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
        let healthy = Some(("10.0.0.2".to_owned(), 6_380));
        assert_eq!(healthy_replica(&replica("slave", "ok")), healthy);
        assert_eq!(healthy_replica(&replica("s_down,slave", "ok")), None);
        assert_eq!(healthy_replica(&replica("slave", "err")), None);
        assert_eq!(healthy_replica(&Value::Nil), None);
    }

    #[test]
    fn an_answer_about_the_primary_is_a_host_and_a_port() {
        let answer = |words: &[&str]| Value::Array(words.iter().copied().map(bulk).collect());
        assert_eq!(primary_in(&answer(&["h", "1"])), Some(("h".to_owned(), 1)));
        assert_eq!(primary_in(&answer(&["h", "65536"])), None);
        assert_eq!(primary_in(&answer(&["h"])), None);
        assert_eq!(primary_in(&Value::Nil), None);
    }
}
