//! Judges the certificate of a server as rustls does, and tells apart one that is signed by itself, for which rustls has
//! the same word as for one that an unknown authority signed.

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};
use std::sync::Arc;

/// The fault of a certificate that nobody but itself vouches for.
#[derive(Debug, thiserror::Error)]
#[error("is signed by itself")]
pub struct SelfSigned;

/// Never accepts what rustls refuses.
#[derive(Debug)]
pub struct Verifier(Arc<WebPkiServerVerifier>);

impl Verifier {
    /// Trusts these authorities.
    ///
    /// # Errors
    /// When there are none.
    pub fn new(roots: RootCertStore, provider: Arc<CryptoProvider>) -> Result<Verifier, String> {
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map(Verifier)
            .map_err(|error| error.to_string())
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let judged = self
            .0
            .verify_server_cert(certificate, between, name, ocsp, now);
        judged.map_err(|error| match error {
            Error::InvalidCertificate(CertificateError::UnknownIssuer)
                if is_self_signed(certificate) =>
            {
                let fault = OtherError(Arc::new(SelfSigned));
                Error::InvalidCertificate(CertificateError::Other(fault))
            }
            error => error,
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// Whether issuer and subject are the same: then the subject's name stands in the certificate twice. Good enough for the
/// words of a message, and for nothing else.
fn is_self_signed(certificate: &CertificateDer<'_>) -> bool {
    let mut store = RootCertStore::empty();
    if store.add(certificate.clone().into_owned()).is_err() {
        return false;
    }
    let subject = store.roots.first().map(|root| root.subject.to_vec());
    let Some(subject) = subject.filter(|subject| !subject.is_empty()) else {
        return false;
    };
    let bytes = certificate.windows(subject.len());
    bytes.filter(|bytes| *bytes == subject).count() >= 2
}
