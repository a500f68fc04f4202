//! Who gets in: what a client must show, and what the receiver shows of itself.
//!
//! Must never happen here: a token or a key in a message; a request let in because a file could not be read.

use ring::digest::{SHA256, digest};
use rustls::crypto::ring::default_provider;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::sync::Arc;

use crate::config::ConfigError;
use crate::endpoint::HEADER_TEXT;
use crate::pem::{CERTIFICATES, KEY, certificates, key};
use crate::secret::SecretFile;
use crate::server::Request;

/// The files of HTTPS, all PEM.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The certificate that clients see, and those between it and its authority.
    pub cert: String,
    /// Its key.
    pub key: String,
    /// The authorities of clients; with it, a client must show a certificate of theirs.
    pub client_ca: Option<String>,
}

/// The token that every request must show.
pub(super) struct Token(SecretFile);

impl Token {
    /// # Errors
    /// What is wrong with the file.
    pub(super) fn open(path: &str) -> Result<Token, ConfigError> {
        let file = SecretFile::open("--require-token", path, HEADER_TEXT)?;
        if let Some(warning) = file.warning() {
            log::warn!("{warning}");
        }
        Ok(Token(file))
    }

    /// Whether the request shows it. The name of the scheme has no case (RFC 9110, 11.1).
    pub(super) fn is_shown(&self, request: &Request) -> bool {
        let shown = request.header("authorization");
        let Some((scheme, token)) = shown.and_then(|shown| shown.split_once(' ')) else {
            return false;
        };
        // How long the comparison takes tells something of the hashes, from which no token can be guessed.
        let is_same = digest(&SHA256, token.trim().as_bytes()).as_ref()
            == digest(&SHA256, self.0.current().expose().as_bytes()).as_ref();
        scheme.eq_ignore_ascii_case("bearer") && is_same
    }
}

/// The settings of HTTPS; the files are read once.
///
/// # Errors
/// Which file is unfit, and why.
pub(super) fn tls(files: &TlsFiles) -> Result<Arc<ServerConfig>, ConfigError> {
    let unfit = |error: String| ConfigError::of(format!("--tls-cert, --tls-key: {error}"));
    let read =
        |flag, path: &str, form| SecretFile::open(flag, path, form).map(|file| file.current());
    let cert = read("--tls-cert", &files.cert, CERTIFICATES)?;
    let own_key = read("--tls-key", &files.key, KEY)?;
    let provider = Arc::new(default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| unfit(error.to_string()))?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let ca = read("--tls-client-ca", path, CERTIFICATES)?;
            let mut store = RootCertStore::empty();
            store.add_parsable_certificates(certificates(ca.expose()).map_err(unfit)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(store.into(), provider);
            builder.with_client_cert_verifier(verifier.build().map_err(|error| {
                ConfigError::of(format!("--tls-client-ca: {path} is unfit: {error}"))
            })?)
        }
    };
    let (chain, own_key) = (
        certificates(cert.expose()).map_err(unfit)?,
        key(own_key.expose()).map_err(unfit)?,
    );
    let config = builder.with_single_cert(chain, own_key);
    config.map(Arc::new).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            unfit("the key is not that of the certificate".into())
        }
        error => unfit(format!("cannot be used: {error}")),
    })
}
