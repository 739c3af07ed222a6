//! Servers that no test can install: too old, of another make, or silent.

use std::net::SocketAddr;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Answers every command with what a function says, in the server's own notation.
pub(crate) struct FakeServer {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl FakeServer {
    pub(crate) async fn start(
        answer: impl Fn(&[String]) -> String + Clone + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(serve(connection, answer.clone()));
            }
        });
        Self { address, task }
    }

    /// A Redis that is older than `HELLO`.
    pub(crate) async fn before_hello(version: &'static str) -> Self {
        Self::start(move |command| match command[0].to_uppercase().as_str() {
            // As that version does: with all that it was sent.
            "HELLO" => format!(
                "-ERR unknown command `HELLO`, with args beginning with: {}\r\n",
                command[1..].join(", ")
            ),
            "INFO" => bulk(&format!(
                "# Server\r\nredis_version:{version}\r\nos:Linux\r\n"
            )),
            _ => "+OK\r\n".to_owned(),
        })
        .await
    }

    /// A server that says who it is and answers everything else with an error.
    pub(crate) async fn saying(server: &'static str, version: &'static str) -> Self {
        Self::start(move |command| match command[0].to_uppercase().as_str() {
            "HELLO" => hello(server, version),
            _ => "-ERR not this one\r\n".to_owned(),
        })
        .await
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.address)
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) fn hello(server: &str, version: &str) -> String {
    format!(
        "%3\r\n{}{}{}{}{}:3\r\n",
        bulk("server"),
        bulk(server),
        bulk("version"),
        bulk(version),
        bulk("proto")
    )
}

fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

async fn serve(connection: TcpStream, answer: impl Fn(&[String]) -> String) {
    let mut connection = BufReader::new(connection);
    while let Some(command) = read_command(&mut connection).await {
        if connection
            .write_all(answer(&command).as_bytes())
            .await
            .is_err()
        {
            return;
        }
    }
}

async fn read_command(connection: &mut BufReader<TcpStream>) -> Option<Vec<String>> {
    let count = read_length(connection).await?;
    let mut words = Vec::new();
    for _ in 0..count {
        let mut word = vec![0; read_length(connection).await? + 2];
        connection.read_exact(&mut word).await.ok()?;
        word.truncate(word.len() - 2);
        words.push(String::from_utf8_lossy(&word).into_owned());
    }
    Some(words)
}

async fn read_length(connection: &mut BufReader<TcpStream>) -> Option<usize> {
    let mut line = String::new();
    connection.read_line(&mut line).await.ok()?;
    line.get(1..)?.trim().parse().ok()
}
