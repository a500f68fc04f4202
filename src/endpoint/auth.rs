//! Proves to the API who sends: adds secret header fields, access tokens and signatures to a finished request.
//!
//! Must never happen here: a secret in a message. Whatever the API says goes through [`Auth::mask`] first.

use http::{HeaderName, HeaderValue, header};
use std::sync::Arc;

use super::oauth2::{OAuth2, Token};
use super::webhook::Webhook;
use crate::client::{Client, Request, credentials};
use crate::config::{self, ConfigError};
use crate::outcome::Answer;
use crate::secret::{Form, Mask, Secret, SecretFile};
use crate::time::Timestamp;

/// What can stand in a header field as it is.
pub const HEADER_TEXT: Form = Form {
    limit: 8192,
    public: false,
    check: |text| match text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        true if text.trim() == text => Ok(()),
        true => Err("begins or ends with a blank".to_owned()),
        false => Err("holds something else than printable ASCII characters on one line".to_owned()),
    },
};

/// What can stand in a header field when it is encoded.
pub const PASSWORD: Form = Form {
    limit: 8192,
    public: false,
    check: |text| match text.chars().any(char::is_control) {
        true => Err("holds control characters, or more than one line".to_owned()),
        false => Ok(()),
    },
};

/// Everything that `[api.auth]`, `[api.oauth2]` and `[api.webhook]` ask for.
pub struct Auth {
    fields: Vec<Field>,
    oauth2: Option<OAuth2>,
    webhook: Webhook,
    /// Settings that hold a secret themselves, and the texts that must not be seen.
    plain: Vec<(String, Vec<Secret>)>,
    /// What is for the proxy, which may repeat it as the API may.
    of_proxy: Vec<Secret>,
}

/// A header field with a secret.
struct Field {
    name: HeaderName,
    scheme: Scheme,
    file: SecretFile,
}

enum Scheme {
    Bearer,
    /// With the name of the user.
    Basic(String),
    Bare,
}

impl Field {
    fn value(&self) -> String {
        let secret = self.file.current();
        match &self.scheme {
            Scheme::Bearer => format!("Bearer {}", secret.expose()),
            Scheme::Basic(user) => format!("Basic {}", credentials(user, &secret)),
            Scheme::Bare => secret.expose().to_owned(),
        }
    }

    /// The texts that the API sees, and may repeat.
    fn known(&self) -> impl Iterator<Item = Secret> {
        self.file.known().into_iter().flat_map(|secret| {
            let encoded = match &self.scheme {
                Scheme::Basic(user) => Some(Secret::new(credentials(user, &secret))),
                Scheme::Bearer | Scheme::Bare => None,
            };
            encoded.into_iter().chain([Secret::clone(&secret)])
        })
    }
}

impl Auth {
    /// Reads all secrets.
    ///
    /// # Errors
    /// The first one that is unfit, with its setting.
    pub fn open(api: &config::Api, url: &str, of_proxy: Vec<Secret>) -> Result<Auth, ConfigError> {
        Ok(Auth {
            fields: fields(&api.auth)?,
            oauth2: OAuth2::open(&api.oauth2, &api.user_agent)?,
            webhook: Webhook::open(&api.webhook)?,
            plain: plain(api, url),
            of_proxy,
        })
    }

    /// Adds to a finished request what proves its sender. `key` is the record's. May have to get an access token first,
    /// which is returned.
    ///
    /// # Errors
    /// Why the request must not be sent.
    pub fn apply(
        &self,
        client: &Client,
        request: &mut Request,
        key: &str,
    ) -> Result<Option<Arc<Token>>, Answer> {
        let unfit = |_| Answer::not_sent("not sent: a secret is no value of a header field");
        for field in &self.fields {
            let value = secret_value(&field.value()).map_err(unfit)?;
            request.fields.add(&field.name, &value);
        }
        let token = match &self.oauth2 {
            Some(oauth2) => Some(oauth2.token(client)?),
            None => None,
        };
        if let Some(token) = &token {
            let value = format!("Bearer {}", token.expose());
            let value = secret_value(&value).map_err(unfit)?;
            request.fields.add(&header::AUTHORIZATION, &value);
        }
        let Request { fields, body, .. } = request;
        let time = || Timestamp::now().unix_seconds();
        let signed = self.webhook.sign(fields, key, time, body);
        signed.map_err(unfit)?;
        Ok(token)
    }

    /// What [`Auth::apply`] would add, with asterisks in the place of secrets: for people to look at.
    pub fn pretend(&self, request: &mut Request, key: &str) {
        let fields = &mut request.fields;
        let hidden = HeaderValue::from_static("***");
        for field in &self.fields {
            fields.add(&field.name, &hidden);
        }
        if self.oauth2.is_some() {
            fields.add(&header::AUTHORIZATION, &hidden);
        }
        let time = || Timestamp::now().unix_seconds();
        // The signatures stand in a field that is shown to nobody; of a key that is no header's value there is nothing to show.
        let _ = self.webhook.sign(fields, key, time, b"");
    }

    /// Whether a refused request may be repeated at once with another token than this one.
    pub fn can_renew(&self) -> bool {
        self.oauth2.is_some()
    }

    /// Forgets a token that the API refused.
    pub fn forget(&self, token: &Arc<Token>) {
        if let Some(oauth2) = &self.oauth2 {
            oauth2.forget(token);
        }
    }

    /// Covers everything secret that the API, or the proxy before it, has been shown.
    pub fn mask(&self) -> Mask {
        let fields = self.fields.iter().flat_map(Field::known);
        let files = self.webhook.files().flat_map(SecretFile::known);
        let mut secrets: Vec<Secret> = fields
            .chain(files.map(|secret| Secret::clone(&secret)))
            .chain(self.plain.iter().flat_map(|(_, secrets)| secrets.clone()))
            .chain(self.of_proxy.iter().cloned())
            .collect();
        if let Some(oauth2) = &self.oauth2 {
            secrets.extend(oauth2.known());
        }
        Mask::of(secrets.iter().map(Secret::expose))
    }

    /// What an operator should change.
    pub fn warnings(&self) -> Vec<String> {
        let plain = self.plain.iter().map(|(setting, _)| {
            format!(
                "{setting} is a secret in the configuration: put it into a file, see [api.auth]"
            )
        });
        plain
            .chain(self.files().filter_map(SecretFile::warning))
            .collect()
    }

    /// How many files there are.
    pub fn count(&self) -> usize {
        self.files().count()
    }

    fn files(&self) -> impl Iterator<Item = &SecretFile> {
        let fields = self.fields.iter().map(|field| &field.file);
        let client = self.oauth2.iter().map(OAuth2::file);
        fields.chain(client).chain(self.webhook.files())
    }
}

fn fields(auth: &config::Auth) -> Result<Vec<Field>, ConfigError> {
    let mut fields = Vec::new();
    if let Some(path) = &auth.bearer_token_file {
        fields.push(Field {
            name: header::AUTHORIZATION,
            scheme: Scheme::Bearer,
            file: SecretFile::open("api.auth.bearer_token_file", path, HEADER_TEXT)?,
        });
    }
    if let Some((user, path)) = auth
        .basic_user
        .as_ref()
        .zip(auth.basic_password_file.as_ref())
    {
        fields.push(Field {
            name: header::AUTHORIZATION,
            scheme: Scheme::Basic(user.clone()),
            file: SecretFile::open("api.auth.basic_password_file", path, PASSWORD)?,
        });
    }
    for (name, path) in &auth.headers {
        let key = format!("api.auth.headers.{name}");
        fields.push(Field {
            name: HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| ConfigError::of(format!("{key} is not the name of a header field")))?,
            scheme: Scheme::Bare,
            file: SecretFile::open(&key, path, HEADER_TEXT)?,
        });
    }
    Ok(fields)
}

/// What in the configuration itself is secret.
fn plain(api: &config::Api, url: &str) -> Vec<(String, Vec<Secret>)> {
    let mut plain = Vec::new();
    for (name, value) in api
        .headers
        .iter()
        .filter(|(name, _)| config::is_secret_name(name))
    {
        // Of "Bearer …" the second word is a secret of its own.
        let words = [value.as_str(), value.rsplit(' ').next().unwrap_or_default()];
        plain.push((format!("api.headers.{name}"), words.map(Secret::new).into()));
    }
    let user = config::user_of(url).and_then(|user| user.split_once(':'));
    if let Some((user, password)) = user {
        let password = Secret::new(password);
        let encoded = Secret::new(credentials(user, &password));
        plain.push((
            "the password in api.url".to_owned(),
            vec![password, encoded],
        ));
    }
    plain
}

fn secret_value(text: &str) -> Result<HeaderValue, header::InvalidHeaderValue> {
    let mut value = HeaderValue::from_str(text)?;
    value.set_sensitive(true);
    Ok(value)
}
