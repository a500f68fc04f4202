//! Certificates and private keys in PEM files, for both ends of TLS.
//!
//! Must never happen here: a part of a key in a message.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::secret::Form;

/// What a file with certificates has to hold.
pub const CERTIFICATES: Form = Form {
    limit: 1024 * 1024,
    public: true,
    check: |text| certificates(text).map(drop),
};

/// What a file with a private key has to hold.
pub const KEY: Form = Form {
    limit: 64 * 1024,
    public: false,
    check: |text| key(text).map(drop),
};

/// The certificates of a PEM text, in their order; at least one.
///
/// # Errors
/// The end of a sentence that begins with the file's name.
pub fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match read {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err("holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)".to_owned()),
    }
}

/// The private key of a PEM text.
///
/// # Errors
/// The end of a sentence that begins with the file's name; nothing of the text is in it.
pub fn key(pem: &str) -> Result<PrivateKeyDer<'static>, String> {
    if pem.contains("ENCRYPTED") {
        return Err("is locked with a passphrase: store the key without one".to_owned());
    }
    // The cause is left out, for it may show a part of the file.
    PrivateKeyDer::from_pem_slice(pem.as_bytes())
        .map_err(|_| "holds no private key in PEM form (-----BEGIN PRIVATE KEY-----)".to_owned())
}
