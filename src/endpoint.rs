//! The endpoint: one record, or in bulk mode a chunk of them, becomes one HTTP request; one answer becomes a verdict. What
//! is between is the [`client`](crate::client)'s.
//!
//! It never repeats a request by itself (but once with a new access token, after a 401), and never counts anything as
//! delivered but a 2xx. What the API says is masked before anybody sees it: it may repeat secrets.

mod auth;
mod body;
mod bulk;
mod columns;
mod encoding;
mod fields;
mod oauth2;
mod reply;
mod request;
mod trace;
mod url;
mod webhook;

use http::{HeaderValue, Uri, header};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use crate::client::{Client, Failure, Request, Tls};
use crate::config;
use crate::limits;
use crate::outcome::Answer;
use crate::record::Record;
use crate::text;
use crate::verdict::{Row, Verdict, Verdicts};

pub use auth::HEADER_TEXT;
pub use bulk::{Bulk, Pack};
pub use columns::Use;

use auth::Auth;
use reply::Keep;
use request::Shape;

/// Bytes of an answer that are kept for people: 256 for a record, less the longest "gave up after N attempts: " that an
/// outcome may put before it.
const MESSAGE_BYTES: usize = 256 - 44;

/// The API that records are sent to. Shared by all workers.
pub struct Endpoint {
    client: Client,
    /// Where access tokens come from.
    token_client: Option<Client>,
    compress: config::Compress,
    /// `api.url` without what records fill in.
    base: Uri,
    shape: Shape,
    bulk: Option<Bulk>,
    verdicts: Verdicts,
    auth: Auth,
    tls: Arc<Tls>,
}

impl Endpoint {
    /// Describes the requests to one API, for `workers` workers at a time.
    ///
    /// # Errors
    /// One line that names the setting at fault.
    pub fn new(api: &config::Api, url: &str, workers: u32) -> anyhow::Result<Endpoint> {
        let bulk = Bulk::new(&api.bulk);
        let shape = Shape::new(api, url, bulk.as_ref())?;
        let base = url::base(url)?;
        let token_url = api.oauth2.token_url.as_deref().unwrap_or_default();
        let is_secure = |url: &str| url.to_ascii_lowercase().starts_with("https:");
        let tls = Tls::open(&api.tls, is_secure(url) || is_secure(token_url))?;
        let tls = Arc::new(tls);
        let client = Client::new(api, &base, workers, tls.clone())?;
        let token_client = match token_url {
            "" => None,
            url => Some(Client::new(api, &url.parse()?, 1, tls.clone())?),
        };
        let clients = [&client].into_iter().chain(&token_client);
        let of_proxies = clients.flat_map(Client::secrets);
        Ok(Endpoint {
            compress: api.compress,
            auth: Auth::open(api, url, of_proxies.collect())?,
            client,
            token_client,
            tls,
            base,
            verdicts: verdicts(api, shape.fills_url())?,
            shape,
            bulk,
        })
    }

    /// The columns that a record must have to be sent, in this order.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.shape.columns()
    }

    /// Every key of the configuration that names a column.
    pub fn uses(&self) -> &[Use] {
        self.shape.uses()
    }

    /// Sends one record and says what became of it. Takes at most `api.timeout`; with OAuth2 up to four times that, when
    /// a token has to be had and is refused.
    pub fn send(&self, record: &Record, key: &str) -> Answer {
        self.send_one(record, key, Keep::Nothing)
    }

    /// Sends one record as [`Endpoint::send`] does, and keeps what the API says also when it accepts it; in bulk mode as
    /// the only one of its request.
    pub fn try_out(&self, record: &Record, key: &str) -> Answer {
        let Some(bulk) = &self.bulk else {
            return self.send_one(record, key, Keep::Words);
        };
        let records = std::slice::from_ref(record);
        let pack = self.pack(bulk, records, true);
        match pack.unfit.first() {
            Some((_, reason)) => self.no_answer(Verdict::Dead, reason),
            None => self.send_pack(bulk, records, &pack, key).0,
        }
    }

    fn send_one(&self, record: &Record, key: &str, keep: Keep) -> Answer {
        match self.shape.fill(record, key) {
            Ok(request) => self.exchange(request, key, keep).0,
            Err(reason) => self.no_answer(Verdict::Dead, &reason),
        }
    }

    /// Sends a request and reads the answer, and its body as far as `keep` wants it.
    fn exchange(&self, mut request: Request, key: &str, keep: Keep) -> (Answer, Vec<u8>) {
        self.encode(&mut request);
        let spare = self.auth.can_renew().then(|| request.clone());
        let (answer, token) = self.attempt(request, key, keep);
        // A 401 says that the API did not take the record in: with a new token it is sent again, once.
        match (spare, token) {
            (Some(request), Some(token)) if answer.0.http_status == Some(401) => {
                self.auth.forget(&token);
                self.attempt(request, key, keep).0
            }
            _ => answer,
        }
    }

    fn encode(&self, request: &mut Request) {
        let packed = match self.compress {
            config::Compress::None => None,
            config::Compress::Gzip => encoding::gzip(&request.body),
        };
        if let Some(packed) = packed {
            request.body = Cow::Owned(packed);
            let gzip = HeaderValue::from_static("gzip");
            request.fields.add(&header::CONTENT_ENCODING, &gzip);
        }
    }

    /// Sends a request, and says with which access token.
    fn attempt(
        &self,
        mut request: Request,
        key: &str,
        keep: Keep,
    ) -> ((Answer, Vec<u8>), Option<Arc<oauth2::Token>>) {
        let token_client = self.token_client.as_ref().unwrap_or(&self.client);
        let token = match self.auth.apply(token_client, &mut request, key) {
            Ok(token) => token,
            Err(answer) => return ((answer, Vec::new()), None),
        };
        let answer = match self.client.send(&request, keep.limit()) {
            Ok(reply) => self.read_answer(reply, keep),
            Err(failure) => (self.without_answer(&failure), Vec::new()),
        };
        (answer, token)
    }

    /// The server of a record's request, as a URL, and the bytes that [`Endpoint::send`] would put on the wire before any
    /// compression, but for secrets, in whose place stand asterisks. Sends nothing.
    ///
    /// # Errors
    /// One line that says why this record cannot be sent.
    pub fn write(&self, record: &Record, key: &str) -> Result<(Uri, Vec<u8>), String> {
        let mut request = self.request_of(record, key)?;
        self.auth.pretend(&mut request, key);
        Ok((self.base.clone(), self.client.show(&request)))
    }

    /// What an operator should change, a line each.
    pub fn warnings(&self) -> Vec<String> {
        let warnings = self.auth.warnings().into_iter();
        warnings.chain(self.tls.warnings()).collect()
    }

    /// How many files with secrets and certificates are in use.
    pub fn files(&self) -> usize {
        self.auth.count() + self.tls.count()
    }

    /// Whether a connection to the API can be made, through the proxy if there is one, with TLS where the URL wants it, and
    /// how long it took; sends nothing over it.
    ///
    /// # Errors
    /// One line that says what failed.
    pub fn probe(&self, timeout: Duration) -> anyhow::Result<Duration> {
        Ok(self.client.probe(timeout)?)
    }

    /// Cuts off the requests in flight and refuses new ones.
    pub fn shut_down(&self) {
        for client in [&self.client].into_iter().chain(&self.token_client) {
            client.shut_down();
        }
    }

    fn without_answer(&self, failure: &Failure) -> Answer {
        match failure {
            Failure::Unknown(error) => {
                self.no_answer(Verdict::Unknown, &format!("no answer: {error}"))
            }
            // The error of a name lookup does not tell a shortage of files from an outage.
            Failure::NotSent(error) => match limits::shortage_of_files() {
                Some(shortage) => self.no_answer(Verdict::Shortage, shortage),
                None => self.no_answer(Verdict::NotSent, &format!("not sent: {error}")),
            },
        }
    }

    fn no_answer(&self, verdict: Verdict, message: &str) -> Answer {
        let message = self.auth.mask().cover(message);
        Answer {
            verdict,
            http_status: None,
            message: text::printable(&message, MESSAGE_BYTES).into(),
        }
    }
}

/// The table of verdicts. Where the record decides on the URL, "not found" and "gone" are about the record, unless the
/// configuration says something else.
fn verdicts(api: &config::Api, fills_url: bool) -> anyhow::Result<Verdicts> {
    let mut moved = Vec::new();
    for (status, row) in &api.verdicts {
        moved.push((status.parse()?, row.parse().map_err(anyhow::Error::msg)?));
    }
    if fills_url {
        moved.extend([(404, Row::Dead), (410, Row::Dead)]);
    }
    Ok(Verdicts::new(moved))
}
