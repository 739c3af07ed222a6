//! Whether a server's certificate is trusted.
//!
//! As usual, an authority must have issued it for the name of the server. And a certificate that the operator named is trusted as
//! itself: that which `openssl req -x509` makes says of itself that it is of an authority (`CA:TRUE`), and often names no host.
//! Only the holder of its key can present it.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{VerifierBuilderError, WebPkiServerVerifier, verify_server_name};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

#[derive(Debug)]
pub(super) struct Verifier {
    webpki: Arc<WebPkiServerVerifier>,
    /// The certificates that are trusted as themselves.
    named: Vec<CertificateDer<'static>>,
}

impl Verifier {
    pub(super) fn new(
        authorities: RootCertStore,
        named: Vec<CertificateDer<'static>>,
    ) -> Result<Self, VerifierBuilderError> {
        let webpki = WebPkiServerVerifier::builder(Arc::new(authorities)).build()?;
        Ok(Self { webpki, named })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.webpki.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        let is_named = || self.named.iter().any(|named| named == end_entity);
        match verified {
            // webpki looks first at the times within which a certificate is valid, then at who it is of (`CaUsedAsEndEntity`
            // is one of the others), then at who issued it, and last at the names.
            Err(Error::InvalidCertificate(
                CertificateError::UnknownIssuer | CertificateError::Other(_),
            )) if is_named() => {
                let parsed = ParsedCertificate::try_from(end_entity)?;
                unless_nameless(verify_server_name(&parsed, server_name))?;
                Ok(ServerCertVerified::assertion())
            }
            Err(error) if is_named() => {
                unless_nameless(Err(error))?;
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}

/// A certificate that names no host at all is for whatever host the operator names it for. Its subject is no name:
/// [RFC 9525, 2](https://www.rfc-editor.org/rfc/rfc9525#section-2).
fn unless_nameless(names: Result<(), Error>) -> Result<(), Error> {
    match names {
        Err(Error::InvalidCertificate(CertificateError::NotValidForNameContext {
            presented,
            ..
        })) if presented.is_empty() => Ok(()),
        names => names,
    }
}
