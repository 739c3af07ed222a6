//! `rediss://`, with an authority of the test's own.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::redis_sentinel::Sentinel;

use super::*;
use crate::support::redis_server::RedisServer;
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

/// An authority, and certificates of it: for a server of these names, and for a client.
fn certificates(names: &str) -> PathBuf {
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
    std::fs::write(directory.join("names"), format!("subjectAltName={names}\n")).unwrap();
    openssl(
        &directory,
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.pem",
    );
    openssl(
        &directory,
        &format!("req {key} -keyout client.key -out client.csr -subj /CN=client"),
    );
    openssl(
        &directory,
        "x509 -req -in client.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out client.pem",
    );
    directory
}

/// The server's plain port is only there for the test to talk to it.
struct TlsServer {
    server: RedisServer,
    port: u16,
}

impl TlsServer {
    /// With the authority to trust, and with the client's certificate.
    fn config(&self, url: &str) -> RedisConfig {
        let file = |name| self.server.directory().join(name);
        RedisConfig::new(url)
            .tls_ca_file(file("ca.pem"))
            .tls_client_cert_files(file("client.pem"), file("client.key"))
    }
}

fn start() -> TlsServer {
    start_with("DNS:localhost", &["--tls-auth-clients", "no"])
}

fn start_with(names: &str, args: &[&str]) -> TlsServer {
    start_in(&certificates(names), args)
}

fn start_in(directory: &Path, args: &[&str]) -> TlsServer {
    for _ in 0..5 {
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let port_text = port.to_string();
        let mut all = vec![
            "--tls-port",
            &port_text,
            "--tls-cert-file",
            "{dir}/server.pem",
            "--tls-key-file",
            "{dir}/server.key",
            "--tls-ca-cert-file",
            "{dir}/ca.pem",
        ];
        all.extend(args);
        let server = RedisServer::in_directory(directory, &all);
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

/// A server with the certificate that this command makes of a new key, and the URL of it. It is the file `ca.pem`, too.
fn self_signed(request: &str) -> TlsServer {
    let directory = RedisServer::new_directory();
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout server.key";
    openssl(
        &directory,
        &format!("req -x509 {key} -out server.pem {request}"),
    );
    std::fs::copy(directory.join("server.pem"), directory.join("ca.pem")).unwrap();
    start_in(&directory, &["--tls-auth-clients", "no"])
}

/// The same with a certificate that is valid between these times only.
fn self_signed_between(times: [&str; 2]) -> TlsServer {
    let directory = RedisServer::new_directory();
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout server.key";
    openssl(
        &directory,
        &format!("req {key} -out server.csr -subj /CN=redis"),
    );
    let settings = "[ca]\ndefault_ca=d\n[d]\ndatabase=index\nnew_certs_dir=.\nserial=serial\ndefault_md=sha256\n\
                    policy=p\nx509_extensions=e\n[p]\ncommonName=supplied\n[e]\nbasicConstraints=critical,CA:TRUE\n";
    for (name, text) in [("settings", settings), ("index", ""), ("serial", "01\n")] {
        std::fs::write(directory.join(name), text).unwrap();
    }
    let [from, to] = times;
    openssl(
        &directory,
        &format!(
            "ca -batch -notext -config settings -selfsign -keyfile server.key -in server.csr -out server.pem \
             -startdate {from} -enddate {to}"
        ),
    );
    std::fs::copy(directory.join("server.pem"), directory.join("ca.pem")).unwrap();
    start_in(&directory, &["--tls-auth-clients", "no"])
}

impl TlsServer {
    /// Connects to the server under this name with its certificate in `tls_ca_file`.
    async fn connect(
        &self,
        host: &str,
    ) -> Result<RedisStore, tower_keycard::store::RedisStoreError> {
        let config = RedisConfig::new(format!("rediss://{host}:{}", self.port));
        let authority = self.server.directory().join("ca.pem");
        RedisStore::connect(config.tls_ca_file(authority)).await
    }
}

#[tokio::test]
async fn a_certificate_that_is_named_is_trusted_as_itself() {
    for request in [
        // As openssl makes it: CA:TRUE, and a name that is no name of a host.
        "-days 2 -subj /CN=localhost",
        "-days 2 -subj /CN=redis",
        "-days 2 -subj /CN=redis -addext basicConstraints=critical,CA:TRUE,pathlen:0",
        "-days 2 -subj /CN=redis -addext basicConstraints=CA:FALSE",
        "-days 2 -subj /CN=redis -addext keyUsage=keyCertSign -addext extendedKeyUsage=serverAuth",
        "-days 2 -subj /CN=redis -addext subjectAltName=DNS:localhost",
        "-days 2 -subj /CN=redis -addext subjectAltName=DNS:localhost -addext basicConstraints=CA:FALSE",
    ] {
        let tls = self_signed(request);
        let store = tls.connect("localhost").await;
        let store = store.unwrap_or_else(|error| panic!("{request}: {error}"));
        created(&store, &key(1)).await;
        assert_eq!(tls.server.cli(&["DBSIZE"]), "1");
    }
}

#[tokio::test]
async fn a_certificate_of_an_authority_is_trusted_as_itself_though_it_did_not_issue_itself() {
    let tls = start();
    let file = |name: &str| tls.server.directory().join(name);
    std::fs::copy(file("server.pem"), file("ca.pem")).unwrap();
    let store = tls.connect("localhost").await.unwrap();
    created(&store, &key(1)).await;
    let problem = tls.connect("127.0.0.1").await.unwrap_err().to_string();
    assert!(problem.contains("not valid for name"), "{problem}");
}

#[tokio::test]
async fn a_certificate_that_is_named_is_not_trusted_for_another_host_or_time() {
    let named = self_signed("-days 2 -subj /CN=redis -addext subjectAltName=DNS:redis.internal");
    let leaf = "-addext basicConstraints=CA:FALSE";
    let leaf = self_signed(&format!(
        "-days 2 -subj /CN=redis -addext subjectAltName=DNS:h {leaf}"
    ));
    let past = self_signed_between(["20200101000000Z", "20200102000000Z"]);
    let future = self_signed_between(["22000101000000Z", "22000102000000Z"]);
    for (tls, why) in [
        (&named, "not valid for name"),
        (&leaf, "not valid for name"),
        (&past, "expired"),
        (&future, "not valid yet"),
    ] {
        let error = tls.connect("localhost").await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Refused, "{error}");
        let problem = error.to_string();
        assert!(problem.contains("certificate"), "{problem}");
        assert!(problem.contains(why), "{problem}");
    }
}

#[tokio::test]
async fn a_certificate_that_is_not_named_is_refused_and_the_error_says_what_to_do() {
    let own = self_signed("-days 2 -subj /CN=redis");
    let other = self_signed("-days 2 -subj /CN=redis");
    let file = |tls: &TlsServer, name| tls.server.directory().join(name);
    // The same name, and another key.
    std::fs::copy(file(&other, "server.pem"), file(&own, "ca.pem")).unwrap();
    let problem = own.connect("localhost").await.unwrap_err().to_string();
    assert!(problem.contains("CA:TRUE"), "{problem}");
    assert!(
        problem.contains("tls_ca_file has this certificate itself"),
        "{problem}"
    );

    let tls = start();
    std::fs::copy(file(&other, "server.pem"), file(&tls, "ca.pem")).unwrap();
    let problem = tls.connect("localhost").await.unwrap_err().to_string();
    assert!(
        problem.contains("set tls_ca_file to the certificate"),
        "{problem}"
    );
}

#[tokio::test]
async fn a_certificate_of_the_first_version_is_refused_and_the_error_says_so() {
    let directory = certificates("DNS:localhost");
    openssl(
        &directory,
        "x509 -req -in server.csr -signkey server.key -days 2 -out server.pem",
    );
    std::fs::copy(directory.join("server.pem"), directory.join("ca.pem")).unwrap();
    let tls = start_in(&directory, &["--tls-auth-clients", "no"]);
    let problem = tls.connect("localhost").await.unwrap_err().to_string();
    assert!(problem.contains("X.509 version 1"), "{problem}");
}

#[tokio::test]
async fn a_server_that_wants_a_clients_certificate_is_shown_one() {
    let tls = start_with("DNS:localhost", &["--tls-auth-clients", "yes"]);
    let url = format!("rediss://localhost:{}", tls.port);
    let store = RedisStore::connect(tls.config(&url)).await.unwrap();
    created(&store, &key(1)).await;
    assert_eq!(tls.server.cli(&["DBSIZE"]), "1");

    let authority = tls.server.directory().join("ca.pem");
    let nobody = RedisConfig::new(&url).tls_ca_file(authority);
    let error = RedisStore::connect(nobody).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
}

#[tokio::test]
async fn every_node_of_a_cluster_is_connected_to_by_tls_with_a_clients_certificate() {
    let bus = support::redis_server::free_port().to_string();
    let args = ["--cluster-enabled", "yes", "--cluster-port", &bus];
    let tls = ["--tls-cluster", "yes", "--tls-auth-clients", "yes"];
    let tls = start_with("DNS:localhost", &[args, tls].concat());
    tls.server.cli(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    let ok = async || {
        tls.server
            .cli(&["CLUSTER", "INFO"])
            .contains("state:ok")
            .then_some(())
    };
    support::eventually("the cluster is up", ok).await;

    let url = format!("rediss+cluster://localhost:{}", tls.port);
    let store = RedisStore::connect(tls.config(&url)).await.unwrap();
    for number in 0..10 {
        created(&store, &key(number)).await;
        loaded(&store, &key(number)).await;
    }
    assert_eq!(tls.server.cli(&["DBSIZE"]), "10");
    let plain = RedisConfig::new(format!("redis+cluster://localhost:{}", tls.port));
    RedisStore::connect(plain).await.unwrap_err();
}

#[tokio::test]
async fn sentinels_and_the_primary_they_name_are_connected_to_by_tls() {
    let names = "DNS:localhost,IP:127.0.0.1";
    let tls = start_with(names, &["--tls-auth-clients", "yes"]);
    let directory = tls.server.directory().to_str().unwrap();
    let sentinel = Sentinel::watching(tls.port, |port| {
        format!(
            "port 0\ntls-port {port}\ntls-replication yes\ntls-auth-clients yes\n\
             tls-cert-file {directory}/server.pem\ntls-key-file {directory}/server.key\n\
             tls-ca-cert-file {directory}/ca.pem\nsentinel monitor keycard 127.0.0.1 {} 1\n",
            tls.port
        )
    });
    let url = format!("rediss+sentinel://localhost:{}/keycard", sentinel.port());
    let store = RedisStore::connect(tls.config(&url)).await.unwrap();
    created(&store, &key(1)).await;
    assert_eq!(tls.server.cli(&["DBSIZE"]), "1");
}

#[test]
fn half_a_clients_certificate_or_none_where_the_file_says_so_is_refused() {
    let directory = certificates("DNS:localhost");
    let file = |name| directory.join(name);
    let refused = |certificate, key| {
        let config = RedisConfig::new("rediss://localhost");
        let config = config.tls_client_cert_files(file(certificate), file(key));
        RedisStore::connect_lazily(config).unwrap_err().to_string()
    };
    assert!(refused("client.pem", "missing").contains("tls_client_key_file"));
    assert!(refused("client.key", "client.key").contains("tls_client_cert_file"));
    let problem = refused("client.pem", "client.pem");
    assert!(problem.contains("no PEM private key"), "{problem}");
    let json = r#"{"url": "rediss://h", "tls_client_key_file": "k"}"#;
    let half: RedisConfig = serde_json::from_str(json).unwrap();
    let problem = RedisStore::connect_lazily(half).unwrap_err().to_string();
    assert!(problem.contains("need each other"), "{problem}");
    std::fs::remove_dir_all(directory).unwrap();
}
