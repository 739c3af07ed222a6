//! Certificates for TLS.

use std::fmt;
use std::path::Path;

use redis::{Client, ClientTlsConfig, ConnectionInfo, TlsCertificates};

use super::error::RedisStoreError;

/// Which authorities to trust, and the client's own certificate.
pub(crate) struct Certificates(TlsCertificates);

const BEGIN_CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----";

impl Certificates {
    /// Reads the files: that of the authorities, and the client's certificate and key.
    pub(super) fn read(
        authorities: Option<&Path>,
        client: Option<(&Path, &Path)>,
    ) -> Result<Self, RedisStoreError> {
        let root_cert = authorities
            .map(|path| read(path, "tls_ca_file", BEGIN_CERTIFICATE, "certificate"))
            .transpose()?;
        let client_tls = client.map(|(certificate, key)| {
            Ok::<_, RedisStoreError>(ClientTlsConfig {
                client_cert: read(
                    certificate,
                    "tls_client_cert_file",
                    BEGIN_CERTIFICATE,
                    "certificate",
                )?,
                client_key: read(
                    key,
                    "tls_client_key_file",
                    b"PRIVATE KEY-----",
                    "private key",
                )?,
            })
        });
        Ok(Self(TlsCertificates {
            client_tls: client_tls.transpose()?,
            root_cert,
        }))
    }

    pub(crate) fn client(&self, info: ConnectionInfo) -> Result<Client, RedisStoreError> {
        Client::build_with_tls(info, self.0.clone()).map_err(|error| {
            RedisStoreError::config(format!(
                "the certificates or the key for TLS cannot be used: {error}"
            ))
        })
    }
}

/// The bytes of a PEM file, which must contain what the field is for.
fn read(path: &Path, field: &str, begins: &[u8], what: &str) -> Result<Vec<u8>, RedisStoreError> {
    let problem = |error: &dyn fmt::Display| {
        RedisStoreError::config(format!("{field} {}: {error}", path.display()))
    };
    let bytes = std::fs::read(path).map_err(|error| problem(&error))?;
    if !bytes.windows(begins.len()).any(|window| window == begins) {
        return Err(problem(&format!("the file contains no PEM {what}")));
    }
    Ok(bytes)
}

/// The redis crate uses the crypto provider of the process. rustls panics if there is none and more than one to choose from.
/// A provider that the application installed stays.
pub(super) fn install_crypto_provider() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // An error means that another thread was first.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}
