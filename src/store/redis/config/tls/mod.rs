//! TLS: whom to trust, and the client's own certificate.

mod verifier;

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use self::verifier::Verifier;
use super::error::RedisStoreError;

/// Makes a TLS connection of a TCP connection.
#[derive(Clone)]
pub(crate) struct Tls(TlsConnector);

impl Tls {
    /// Reads the files: that of the authorities, and the client's certificate and key. Without the first, the authorities are
    /// the system's.
    pub(super) fn read(
        authorities: Option<&Path>,
        client: Option<(&Path, &Path)>,
    ) -> Result<Self, RedisStoreError> {
        install_crypto_provider();
        let verifier = match authorities {
            Some(path) => {
                let named = certificates(path, "tls_ca_file")?;
                let roots = roots(&named).map_err(|error| problem(path, "tls_ca_file", &error))?;
                Verifier::new(roots, named)
            }
            None => Verifier::new(system_roots()?, Vec::new()),
        };
        let verifier = verifier.map_err(|error| {
            RedisStoreError::config(format!("there is no authority to trust: {error}"))
        })?;
        let config = ClientConfig::builder()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let config = match client {
            None => config.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = certificates(certificate, "tls_client_cert_file")?;
                let parsed = private_key(key)?;
                let config = config.with_client_auth_cert(chain, parsed);
                config.map_err(|error| problem(key, "tls_client_key_file", &error))?
            }
        };
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    /// The TLS connection to the server of this name. The error is what is wrong with the server's certificate, if it is that.
    pub(crate) async fn connect(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, TlsError> {
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|error| TlsError::Io(io::Error::other(error)))?;
        self.0.connect(name, stream).await.map_err(|error| {
            let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
            match cause {
                Some(rustls::Error::InvalidCertificate(why)) => TlsError::Untrusted(explained(why)),
                _ => TlsError::Io(error),
            }
        })
    }
}

/// Why there is no TLS connection.
pub(crate) enum TlsError {
    /// The server's certificate is not trusted. The text says why, and what to do.
    Untrusted(String),
    Io(io::Error),
}

fn explained(why: &CertificateError) -> String {
    let what_to_do = match why {
        CertificateError::UnknownIssuer => {
            "set tls_ca_file to the certificate of the authority that issued it, or to this certificate itself"
        }
        CertificateError::Other(other) => match &*other.to_string() {
            "CaUsedAsEndEntity" => {
                "it is of an authority (CA:TRUE), and a server's only if tls_ca_file has this certificate itself"
            }
            "UnsupportedCertVersion" => {
                "it is of X.509 version 1; `openssl req -x509` makes one of version 3"
            }
            _ => return why.to_string(),
        },
        _ => return why.to_string(),
    };
    format!("{why}: {what_to_do}")
}

/// The certificates in a PEM file.
fn certificates(path: &Path, field: &str) -> Result<Vec<CertificateDer<'static>>, RedisStoreError> {
    let bytes = read(path, field)?;
    let certificates = CertificateDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>();
    match certificates {
        Ok(none) if none.is_empty() => Err(problem(
            path,
            field,
            &"the file contains no PEM certificate",
        )),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(problem(path, field, &error)),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, RedisStoreError> {
    let field = "tls_client_key_file";
    let bytes = read(path, field)?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| match error {
        rustls::pki_types::pem::Error::NoItemsFound => {
            problem(path, field, &"the file contains no PEM private key")
        }
        error => problem(path, field, &error),
    })
}

fn read(path: &Path, field: &str) -> Result<Vec<u8>, RedisStoreError> {
    std::fs::read(path).map_err(|error| problem(path, field, &error))
}

fn problem(path: &Path, field: &str, error: &dyn fmt::Display) -> RedisStoreError {
    RedisStoreError::config(format!("{field} {}: {error}", path.display()))
}

fn roots(certificates: &[CertificateDer<'static>]) -> Result<RootCertStore, rustls::Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate.clone())?;
    }
    Ok(roots)
}

fn system_roots() -> Result<RootCertStore, RedisStoreError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (usable, _) = roots.add_parsable_certificates(found.certs);
    match (usable, found.errors.first()) {
        (0, Some(error)) => Err(RedisStoreError::config(format!(
            "the system's authorities cannot be read: {error}; set tls_ca_file"
        ))),
        (0, None) => Err(RedisStoreError::config(
            "the system has no authorities to trust: set tls_ca_file",
        )),
        _ => Ok(roots),
    }
}

/// rustls panics if there is no crypto provider and more than one to choose from. A provider that the application installed
/// stays.
fn install_crypto_provider() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // An error means that another thread was first.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}
