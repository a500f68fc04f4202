//! What `[api.tls]` says, as rustls wants it; made anew when one of the files changes.

use rustls::client::ResolvesClientCert;
use rustls::crypto::{CryptoProvider, ring};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SignatureScheme};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::verifier::Verifier;
use crate::config::{self, ConfigError, TlsVersion};
use crate::pem::{CERTIFICATES, KEY, certificates, key};
use crate::secret::{Secret, SecretFile};

/// The settings of all connections.
pub struct Tls {
    ca: Option<SecretFile>,
    cert: Option<SecretFile>,
    key: Option<SecretFile>,
    min_version: TlsVersion,
    provider: Arc<CryptoProvider>,
    /// A server wanted a certificate.
    asked: Arc<AtomicBool>,
    made: Mutex<Option<Made>>,
}

/// The settings and what they were made of.
struct Made {
    sources: Sources,
    config: Arc<ClientConfig>,
}

#[derive(Clone)]
struct Sources([Option<Arc<Secret>>; 3]);

impl Sources {
    fn is_same(&self, other: &Sources) -> bool {
        let same = |(a, b): (&Option<Arc<Secret>>, &Option<Arc<Secret>>)| match (a, b) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (None, None) => true,
            _ => false,
        };
        self.0.iter().zip(&other.0).all(same)
    }
}

impl Tls {
    /// Reads the files. Where `is_needed`, the system's authorities too; else when a connection needs them.
    ///
    /// # Errors
    /// What is unfit, with its setting.
    pub fn open(tls: &config::Tls, is_needed: bool) -> Result<Tls, ConfigError> {
        let open = |key: &str, path: &Option<String>, form| {
            let open = |path: &String| SecretFile::open(key, path, form);
            path.as_ref().map(open).transpose()
        };
        let tls = Tls {
            ca: open("api.tls.ca_file", &tls.ca_file, CERTIFICATES)?,
            cert: open("api.tls.cert_file", &tls.cert_file, CERTIFICATES)?,
            key: open("api.tls.key_file", &tls.key_file, KEY)?,
            min_version: tls.min_version,
            provider: Arc::new(ring::default_provider()),
            asked: Arc::default(),
            made: Mutex::default(),
        };
        if is_needed || tls.files().next().is_some() {
            tls.current()
                .map_err(|reason| ConfigError::of(format!("api.tls: {reason}")))?;
        }
        Ok(tls)
    }

    /// The settings for the next connection.
    ///
    /// # Errors
    /// Why there have never been any.
    pub(super) fn current(&self) -> Result<Arc<ClientConfig>, String> {
        let content = |file: &Option<SecretFile>| file.as_ref().map(SecretFile::current);
        let sources = Sources([content(&self.ca), content(&self.cert), content(&self.key)]);
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = made.as_ref().filter(|made| made.sources.is_same(&sources)) {
            return Ok(made.config.clone());
        }
        match (self.make(&sources), made.as_mut()) {
            (Ok(config), _) => {
                let config = Arc::new(config);
                *made = Some(Made {
                    sources,
                    config: config.clone(),
                });
                Ok(config)
            }
            (Err(reason), None) => Err(reason),
            (Err(reason), Some(made)) => {
                log::warn!(
                    "Changed certificates are unfit; the last good ones stay in use. reason=\"{reason}\""
                );
                made.sources = sources;
                Ok(made.config.clone())
            }
        }
    }

    fn make(&self, sources: &Sources) -> Result<ClientConfig, String> {
        let [ca, cert, own_key] = &sources.0;
        let roots = match ca {
            Some(ca) => certificates(ca.expose())?,
            None => rustls_native_certs::load_native_certs().certs,
        };
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(roots);
        if store.is_empty() {
            return Err(match ca {
                Some(_) => "ca_file holds no certificate that can be used".to_owned(),
                None => "this machine has no certificates of authorities: install the package \
                         ca-certificates, or set api.tls.ca_file"
                    .to_owned(),
            });
        }
        let versions: &[_] = match self.min_version {
            TlsVersion::V1_2 => &[&TLS13, &TLS12],
            TlsVersion::V1_3 => &[&TLS13],
        };
        let verifier = Verifier::new(store, self.provider.clone())?;
        let builder = ClientConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(versions)
            .map_err(|error| error.to_string())?
            // The method's name warns of verifiers that let everything pass; this one only tells faults better apart.
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let own = cert.as_ref().zip(own_key.as_ref());
        let own = own.map(|(cert, own_key)| self.own(cert, own_key));
        Ok(builder.with_client_cert_resolver(Arc::new(Own {
            certificate: own.transpose()?,
            asked: self.asked.clone(),
        })))
    }

    fn own(&self, cert: &Secret, own_key: &Secret) -> Result<Arc<CertifiedKey>, String> {
        let (chain, key) = (certificates(cert.expose())?, key(own_key.expose())?);
        let own = CertifiedKey::from_der(chain, key, &self.provider);
        own.map(Arc::new).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                "key_file is not the key of the certificate in cert_file".to_owned()
            }
            error => format!("cert_file and key_file cannot be used: {error}"),
        })
    }

    /// Whether a server wanted a certificate.
    pub fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// What to do about a server of this name that is not content with what was shown to it.
    pub fn remedy(&self, host: &str) -> String {
        match self.cert {
            Some(_) => {
                format!("{host} refuses the certificate of ferryd: look at api.tls.cert_file")
            }
            None => format!(
                "{host} wants a certificate of ferryd: set api.tls.cert_file and api.tls.key_file"
            ),
        }
    }

    /// What an operator should change.
    pub fn warnings(&self) -> Vec<String> {
        self.files().filter_map(SecretFile::warning).collect()
    }

    /// How many files there are.
    pub fn count(&self) -> usize {
        self.files().count()
    }

    fn files(&self) -> impl Iterator<Item = &SecretFile> {
        self.ca.iter().chain(&self.cert).chain(&self.key)
    }
}

/// What ferryd shows of itself, if anything; and remembers that it was wanted.
#[derive(Debug)]
struct Own {
    certificate: Option<Arc<CertifiedKey>>,
    asked: Arc<AtomicBool>,
}

impl ResolvesClientCert for Own {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        self.certificate.clone()
    }

    fn has_certs(&self) -> bool {
        self.certificate.is_some()
    }
}
