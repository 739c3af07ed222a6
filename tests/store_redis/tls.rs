//! `rediss://`, with an authority of the test's own.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::support::redis_server::RedisServer;
use super::*;
use tower_keycard::store::RedisConfig;

fn openssl(directory: &Path, args: &str) {
    let output = Command::new("openssl")
        .args(args.split(' '))
        .current_dir(directory)
        .output()
        .unwrap_or_else(|error| {
            panic!("cannot run openssl ({error}); install it: apt-get install openssl")
        });
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {args}: {errors}");
}

/// An authority, and a certificate of it for `localhost`.
fn certificates() -> PathBuf {
    let directory = RedisServer::new_directory();
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(
        &directory,
        &format!("req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=test"),
    );
    openssl(
        &directory,
        &format!("req {key} -keyout server.key -out server.csr -subj /CN=localhost"),
    );
    std::fs::write(directory.join("names"), "subjectAltName=DNS:localhost\n").unwrap();
    openssl(
        &directory,
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.pem",
    );
    directory
}

/// The server's plain port is only there for the test to talk to it.
struct TlsServer {
    server: RedisServer,
    port: u16,
}

fn start() -> TlsServer {
    let directory = certificates();
    for _ in 0..5 {
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let server = RedisServer::in_directory(
            &directory,
            &[
                "--tls-port",
                &port.to_string(),
                "--tls-cert-file",
                "{dir}/server.pem",
                "--tls-key-file",
                "{dir}/server.key",
                "--tls-ca-cert-file",
                "{dir}/ca.pem",
                "--tls-auth-clients",
                "no",
            ],
        );
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return TlsServer { server, port };
        }
    }
    panic!("redis-server has no TLS port: it must be built with TLS, as Debian's is");
}

#[tokio::test]
async fn a_server_with_a_certificate_of_the_named_authority_is_trusted() {
    let tls = start();
    let authority = tls.server.directory().join("ca.pem");
    let url = format!("rediss://localhost:{}", tls.port);
    let store = RedisStore::connect(RedisConfig::new(&url).tls_ca_file(&authority))
        .await
        .unwrap();
    let record = created(&store, &key(1)).await;
    assert_eq!(loaded(&store, &key(1)).await.0.encode(), record.encode());
    assert_eq!(tls.server.cli(&["DBSIZE"]), "1");
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_is_not_connected_to() {
    let tls = start();
    let authority = tls.server.directory().join("ca.pem");
    let unknown_authority = RedisConfig::new(format!("rediss://localhost:{}", tls.port));
    let other_name = RedisConfig::new(format!("rediss://127.0.0.1:{}", tls.port));
    for config in [unknown_authority, other_name.tls_ca_file(authority)] {
        let error = RedisStore::connect(config).await.unwrap_err();
        assert!(error.to_string().contains("certificate"), "{error}");
    }
}
