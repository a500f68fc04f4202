//! Faults of TLS in plain words, with the remedy.

use rustls::{
    AlertDescription as Alert, CertificateError as Fault, Error as TlsError, PeerIncompatible,
};
use std::io;

use super::Tls;
use super::verifier::SelfSigned;
use crate::text;

/// Bytes of names from a certificate that a message shows at most.
const SHOWN_BYTES: usize = 60;

/// Why TLS failed.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct TlsFault {
    message: String,
    /// The server did not want our certificate, or wanted one. In TLS 1.3 this comes after a request left, but the server
    /// never takes that in (RFC 8446 section 4.4.2.4): nothing reached the API behind it.
    pub is_refusal: bool,
}

/// A fault in these words.
pub fn other(message: String) -> io::Error {
    let is_refusal = false;
    io::Error::other(TlsFault {
        message,
        is_refusal,
    })
}

/// An error of a connection to `host` with these settings; one that is not of TLS stays as it is.
pub fn of_io(error: io::Error, host: &str, tls: &Tls) -> io::Error {
    let inner = error.get_ref();
    let Some(fault) = inner.and_then(|error| error.downcast_ref::<TlsError>()) else {
        return error;
    };
    io::Error::other(TlsFault {
        message: describe(fault, host, tls),
        is_refusal: matches!(fault, TlsError::AlertReceived(alert) if is_about_certificate(*alert)),
    })
}

fn is_about_certificate(alert: Alert) -> bool {
    matches!(
        alert,
        Alert::CertificateRequired
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::NoCertificate
    )
}

fn describe(error: &TlsError, host: &str, tls: &Tls) -> String {
    match error {
        TlsError::InvalidCertificate(fault) => {
            format!("the certificate of {host} {}", of_certificate(fault, host))
        }
        // Of a missing certificate some servers only say that the handshake failed.
        TlsError::AlertReceived(alert)
            if is_about_certificate(*alert)
                || (*alert == Alert::HandshakeFailure && tls.is_asked()) =>
        {
            format!("{} ({alert:?})", tls.remedy(host))
        }
        TlsError::AlertReceived(Alert::ProtocolVersion)
        | TlsError::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => format!(
            "{host} does not speak a version of TLS that is new enough: see api.tls.min_version"
        ),
        TlsError::AlertReceived(alert) => format!("{host} refused the TLS handshake ({alert:?})"),
        TlsError::InvalidMessage(_) => format!(
            "{host} does not speak TLS on this port ({error}): does the URL have to begin with http://?"
        ),
        error => format!("TLS with {host} failed: {error}"),
    }
}

/// The end of a sentence that begins with "the certificate of".
fn of_certificate(fault: &Fault, host: &str) -> String {
    match fault {
        Fault::Expired => "has expired: it has to be renewed there".to_owned(),
        Fault::ExpiredContext { time, not_after } => {
            let days = time.as_secs().saturating_sub(not_after.as_secs()) / 86400;
            format!(
                "has expired {days} days ago: it has to be renewed there (or look at the clock here)"
            )
        }
        Fault::NotValidYet | Fault::NotValidYetContext { .. } => {
            "is not valid yet: look at the clock here, and at the certificate there".to_owned()
        }
        Fault::NotValidForName => format!("is not valid for the name {host}"),
        Fault::NotValidForNameContext { presented, .. } => {
            let names = presented.iter().filter_map(|name| name.split('"').nth(1));
            let names = names.collect::<Vec<_>>().join(", ");
            match names.is_empty() {
                true => format!("is not valid for the name {host}"),
                false => format!(
                    "is not valid for the name {host}, but for {}: correct api.url",
                    text::printable(&names, SHOWN_BYTES)
                ),
            }
        }
        Fault::UnknownIssuer => {
            "is signed by an unknown authority: put that one's certificate into api.tls.ca_file"
                .to_owned()
        }
        Fault::Revoked => "has been revoked".to_owned(),
        Fault::BadSignature => {
            "is not signed by the authority that it names: look at api.tls.ca_file".to_owned()
        }
        Fault::InvalidPurpose | Fault::InvalidPurposeContext { .. } => {
            "is not meant for servers".to_owned()
        }
        Fault::Other(fault) if fault.0.downcast_ref::<SelfSigned>().is_some() => {
            "is self-signed: put it into api.tls.ca_file, if you trust it".to_owned()
        }
        Fault::Other(fault) if fault.0.to_string().contains("CaUsedAsEndEntity") => {
            "is self-signed, and that of an authority instead of a server's (CA:TRUE): \
             it has to be made anew with CA:FALSE"
                .to_owned()
        }
        fault => format!("is unfit: {fault}"),
    }
}
