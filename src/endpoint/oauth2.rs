//! Access tokens by OAuth2 client credentials (RFC 6749 section 4.4). A token lives in memory only. One worker at a time
//! asks for a new one; while the old one is still good, the others go on with it.
//!
//! The token endpoint is foreign: what it says is bounded in size, time and effect.

mod answer;

use http::header::{self, InvalidHeaderValue};
use http::uri::{InvalidUri, PathAndQuery};
use http::{HeaderValue, Method, Uri};
use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use super::MESSAGE_BYTES;
use super::auth::PASSWORD;
use super::reply::BODY_LIMIT;
use crate::client::{Client, Lines, Request, credentials};
use crate::config::{self, ClientAuth, ConfigError};
use crate::outcome::Answer;
use crate::secret::{Mask, Secret, SecretFile};
use crate::text;
use crate::verdict::Verdict;

/// A failure is remembered so long, so that the token endpoint is not asked for every record.
const FAILED_TTL: Duration = Duration::from_secs(1);

/// A token is renewed so long before it expires, or after nine tenths of a shorter life.
const MARGIN: Duration = Duration::from_secs(30);

/// An access token.
pub struct Token {
    secret: Secret,
    /// From when on a new one is asked for; `None`: when the API refuses this one.
    renew_at: Option<Instant>,
    expires_at: Option<Instant>,
}

impl Token {
    fn new(secret: Secret, lifetime: Option<Duration>) -> Token {
        let now = Instant::now();
        let margin = |life: Duration| MARGIN.min(life / 10);
        Token {
            secret,
            renew_at: lifetime.map(|life| now + (life - margin(life))),
            expires_at: lifetime.map(|life| now + life),
        }
    }

    /// The text for the request.
    pub fn expose(&self) -> &str {
        self.secret.expose()
    }
}

fn is_before(time: Option<Instant>) -> bool {
    time.is_none_or(|time| Instant::now() < time)
}

/// A client of a token endpoint.
pub struct OAuth2 {
    target: PathAndQuery,
    user_agent: HeaderValue,
    shown_url: String,
    client_id: String,
    client_secret: SecretFile,
    scope: Option<String>,
    auth: ClientAuth,
    cache: Mutex<Cache>,
    /// Held by the one who asks.
    asking: Mutex<()>,
}

#[derive(Default)]
struct Cache {
    token: Option<Arc<Token>>,
    /// Answers that repeat it may still come.
    previous: Option<Arc<Token>>,
    failed: Option<(Instant, Answer)>,
}

impl Cache {
    fn retire(&mut self) {
        if let Some(token) = self.token.take() {
            self.previous = Some(token);
        }
    }
}

impl OAuth2 {
    /// Nothing, if no token is wanted.
    ///
    /// # Errors
    /// When the client's secret is unfit.
    pub fn open(oauth2: &config::OAuth2, user_agent: &str) -> Result<Option<OAuth2>, ConfigError> {
        let parts = (
            &oauth2.token_url,
            &oauth2.client_id,
            &oauth2.client_secret_file,
        );
        let (Some(url), Some(client_id), Some(path)) = parts else {
            return Ok(None);
        };
        let refuse = |error: InvalidUri| ConfigError::of(format!("api.oauth2.token_url: {error}"));
        let parts = url.parse::<Uri>().map_err(refuse)?.into_parts();
        let root = PathAndQuery::from_static("/");
        Ok(Some(OAuth2 {
            target: parts.path_and_query.unwrap_or(root),
            user_agent: HeaderValue::from_str(user_agent)
                .map_err(|error| ConfigError::of(format!("api.user_agent: {error}")))?,
            shown_url: text::printable(url, MESSAGE_BYTES / 2).into(),
            client_id: client_id.clone(),
            client_secret: SecretFile::open("api.oauth2.client_secret_file", path, PASSWORD)?,
            scope: oauth2.scope.clone(),
            auth: oauth2.auth,
            cache: Mutex::default(),
            asking: Mutex::default(),
        }))
    }

    /// The file of the client's secret.
    pub fn file(&self) -> &SecretFile {
        &self.client_secret
    }

    /// All that the token endpoint and the API were shown.
    pub fn known(&self) -> Vec<Secret> {
        let mut known = Vec::new();
        for secret in self.client_secret.known() {
            known.push(Secret::new(self.basic(&secret)));
            known.push(Secret::clone(&secret));
        }
        let cache = self.cache();
        let tokens = cache.token.iter().chain(&cache.previous);
        known.extend(tokens.map(|token| token.secret.clone()));
        known
    }

    /// A token to send along: the one at hand, or a new one.
    ///
    /// # Errors
    /// Why there is none; the record is not sent then.
    pub fn token(&self, client: &Client) -> Result<Arc<Token>, Answer> {
        let at_hand = self.at_hand();
        if let Some(token) = at_hand.as_ref().filter(|token| is_before(token.renew_at)) {
            return Ok(token.clone());
        }
        let _asking = match (self.asking.try_lock(), at_hand) {
            (Ok(guard), _) => guard,
            (Err(TryLockError::WouldBlock), Some(token)) => return Ok(token),
            (Err(_), _) => self.asking.lock().unwrap_or_else(PoisonError::into_inner),
        };
        // Somebody else may have asked meanwhile, with or without success.
        let at_hand = self.at_hand();
        if let Some(token) = at_hand.as_ref().filter(|token| is_before(token.renew_at)) {
            return Ok(token.clone());
        }
        if let Some((_, answer)) = self
            .cache()
            .failed
            .as_ref()
            .filter(|f| f.0.elapsed() < FAILED_TTL)
        {
            return at_hand.ok_or_else(|| answer.clone());
        }
        let asked = self.ask(client);
        let mut cache = self.cache();
        match asked {
            Ok(token) => {
                let token = Arc::new(token);
                cache.retire();
                cache.failed = None;
                cache.token = Some(token.clone());
                Ok(token)
            }
            Err(answer) => {
                if cache.failed.is_none() && at_hand.is_some() {
                    log::warn!(
                        "The access token cannot be renewed; the old one is used until it expires. reason=\"{}\"",
                        answer.message
                    );
                }
                cache.failed = Some((Instant::now(), answer.clone()));
                at_hand.ok_or(answer)
            }
        }
    }

    /// Forgets a token that the API refused, unless it was replaced already.
    pub fn forget(&self, refused: &Arc<Token>) {
        let mut cache = self.cache();
        if cache
            .token
            .as_ref()
            .is_some_and(|token| Arc::ptr_eq(token, refused))
        {
            cache.retire();
        }
    }

    fn at_hand(&self) -> Option<Arc<Token>> {
        let cache = self.cache();
        cache
            .token
            .clone()
            .filter(|token| is_before(token.expires_at))
    }

    fn ask(&self, client: &Client) -> Result<Token, Answer> {
        let secret = self.client_secret.current();
        let request = self.request(&secret);
        let request = request.map_err(|error| self.fault(Verdict::NotSent, &error.to_string()))?;
        let reply = client
            .send(&request, BODY_LIMIT)
            .map_err(|failure| self.fault(Verdict::NotSent, &failure.error().to_string()))?;
        if reply.status != 200 {
            let reason = answer::refusal(reply.status, &reply.body);
            // A refusal is for an operator to mend; anything else may pass.
            let verdict = match reply.status {
                408 | 429 | 500.. => Verdict::NotSent,
                _ => Verdict::DestinationFault,
            };
            return Err(self.fault(verdict, &reason));
        }
        if let Some(error) = reply.broken {
            return Err(self.fault(Verdict::NotSent, &error.to_string()));
        }
        answer::grant(&reply.body).map_err(|reason| self.fault(Verdict::NotSent, &reason))
    }

    fn request(&self, secret: &Secret) -> Result<Request<'_>, InvalidHeaderValue> {
        let mut form = "grant_type=client_credentials".to_owned();
        if let Some(scope) = &self.scope {
            form += &format!("&scope={}", encoded(scope));
        }
        if self.auth == ClientAuth::Body {
            let (id, secret) = (encoded(&self.client_id), encoded(secret.expose()));
            form += &format!("&client_id={id}&client_secret={secret}");
        }
        let known = HeaderValue::from_static;
        let mut fields = Lines::default();
        fields.add(&header::USER_AGENT, &self.user_agent);
        let media_type = known("application/x-www-form-urlencoded");
        fields.add(&header::CONTENT_TYPE, &media_type);
        fields.add(&header::ACCEPT, &known("application/json"));
        if self.auth == ClientAuth::Basic {
            let login = format!("Basic {}", self.basic(secret));
            fields.add(&header::AUTHORIZATION, &HeaderValue::from_str(&login)?);
        }
        Ok(Request {
            method: Method::POST,
            target: Cow::Borrowed(&self.target),
            fields,
            body: Cow::Owned(form.into_bytes()),
        })
    }

    /// Encoded twice, as RFC 6749 section 2.3.1 wants it.
    fn basic(&self, secret: &Secret) -> String {
        credentials(
            &encoded(&self.client_id),
            &Secret::new(encoded(secret.expose())),
        )
    }

    fn fault(&self, verdict: Verdict, reason: &str) -> Answer {
        let known = self.known();
        let reason = Mask::of(known.iter().map(Secret::expose)).cover(reason);
        let message = format!(
            "not sent: no access token from {}: {reason}",
            self.shown_url
        );
        Answer {
            verdict,
            http_status: None,
            message: text::printable(&message, MESSAGE_BYTES).into(),
        }
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// As in a form (RFC 6749 appendix B).
fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, crate::secret::RESERVED).to_string()
}
