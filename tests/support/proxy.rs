//! A network that can be made to fail: it stands between a store and its server.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What becomes of what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Network {
    /// It arrives.
    Fine,
    /// Answers arrive this much later.
    Slow(Duration),
    /// Nothing arrives, and nothing is reported: the connections that there are, and those made meanwhile, stay open and are
    /// dead for good, as behind a firewall that has forgotten them.
    Silent,
    /// So many bytes of an answer arrive; then the connection is closed, or reset.
    Cut { after: usize, reset: bool },
}

/// Carries bytes between its own port and a server's.
pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    state: Mutex<State>,
    round_trips: AtomicU32,
}

struct State {
    network: Network,
    /// Whether the network is fine again after one cut.
    once: bool,
    connections: u32,
    /// The number of the last connection that is dead for good.
    dead: u32,
}

impl Proxy {
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                network: Network::Fine,
                once: false,
                connections: 0,
                dead: 0,
            }),
            round_trips: AtomicU32::new(0),
        });
        let own = shared.clone();
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let number = own.accepted();
                connections.spawn(carry(client, port, number, own.clone()));
            }
        });
        Self {
            address,
            shared,
            task,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// What becomes of everything from now on.
    pub(crate) fn set(&self, network: Network) {
        self.change(network, false);
    }

    /// The next answer is cut; the network is fine again after that.
    pub(crate) fn cut_once(&self, after: usize, reset: bool) {
        self.change(Network::Cut { after, reset }, true);
    }

    fn change(&self, network: Network, once: bool) {
        let mut state = self.shared.state.lock().unwrap();
        (state.network, state.once) = (network, once);
        if network == Network::Silent {
            state.dead = state.connections;
        }
    }

    /// How many connections were made through it.
    pub(crate) fn connections(&self) -> u32 {
        self.shared.state.lock().unwrap().connections
    }

    /// How often the client has sent something and been answered since the last time this was asked.
    pub(crate) fn round_trips(&self) -> u32 {
        self.shared.round_trips.swap(0, Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn accepted(&self) -> u32 {
        let mut state = self.state.lock().unwrap();
        state.connections += 1;
        if state.network == Network::Silent {
            state.dead = state.connections;
        }
        state.connections
    }

    fn is_dead(&self, number: u32) -> bool {
        number <= self.state.lock().unwrap().dead
    }

    /// What becomes of an answer.
    fn fate(&self) -> Network {
        let mut state = self.state.lock().unwrap();
        let network = state.network;
        if std::mem::take(&mut state.once) {
            state.network = Network::Fine;
        }
        network
    }
}

async fn carry(mut client: TcpStream, port: u16, number: u32, shared: Arc<Shared>) {
    // Without a server, the connection is closed at once.
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await else {
        return;
    };
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    let (mut asked, mut answer) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let mut answered = false;
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let Ok(length @ 1..) = read else { return };
                if shared.is_dead(number) {
                    std::future::pending::<()>().await;
                }
                answered = false;
                if server.write_all(&asked[..length]).await.is_err() {
                    return;
                }
            }
            read = server.read(&mut answer) => {
                let Ok(length @ 1..) = read else { return };
                if shared.is_dead(number) {
                    std::future::pending::<()>().await;
                }
                let fate = shared.fate();
                if let Network::Slow(delay) = fate {
                    tokio::time::sleep(delay).await;
                }
                if !std::mem::replace(&mut answered, true) {
                    shared.round_trips.fetch_add(1, Ordering::SeqCst);
                }
                if let Network::Cut { after, reset } = fate {
                    let _ = client.write_all(&answer[..length.min(after)]).await;
                    if reset {
                        client.set_zero_linger().unwrap();
                    }
                    return;
                }
                if client.write_all(&answer[..length]).await.is_err() {
                    return;
                }
            }
        }
    }
}
