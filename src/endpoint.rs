//! The endpoint: one record, or in bulk mode a chunk of them, becomes one HTTP request; one answer becomes a verdict.
//!
//! It never follows a redirect, never repeats a request by itself (but once with a new access token, after a 401), and
//! never counts anything as delivered but a 2xx. What the API says is masked before anybody sees it: it may repeat secrets.

mod auth;
mod body;
mod bulk;
mod capture;
mod columns;
mod encoding;
mod fields;
mod oauth2;
mod proxy;
mod reply;
mod request;
mod resolver;
mod tls;
mod trace;
mod transport;
mod url;
mod webhook;

use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};
use ureq::http::{HeaderValue, Method, Request, Response, Uri, header};
use ureq::{Agent, Body};

use crate::config;
use crate::limits;
use crate::outcome::Answer;
use crate::record::Record;
use crate::text;
use crate::verdict::{Row, Verdict, Verdicts};

pub use auth::HEADER_TEXT;
pub use bulk::{Bulk, Pack};
pub use columns::Use;
pub use proxy::BadProxy;

use auth::Auth;
use proxy::Route;
use reply::Keep;
use request::Shape;
use tls::Tls;

/// Bytes of an answer that are kept for people: 256 for a record, less the longest "gave up after N attempts: " that an
/// outcome may put before it.
const MESSAGE_BYTES: usize = 256 - 44;

/// Connections are not used again after this idle time: many servers close theirs at 5 s.
const MAX_IDLE: Duration = Duration::from_secs(4);

/// The API that records are sent to. Shared by all workers.
pub struct Endpoint {
    agent: Agent,
    /// Where access tokens come from; the way there may be another one.
    token_agent: Option<Agent>,
    /// `Proxy-Authorization`, for a proxy that requests are handed to.
    proxy_credentials: Option<HeaderValue>,
    route: Route,
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
        let route = Route::of(&api.proxy, &base)?;
        let token_agent = match api.oauth2.token_url.as_deref() {
            None | Some("") => None,
            Some(url) => {
                let url = url.parse()?;
                let route = Route::of(&api.proxy, &url)?;
                Some(agent(api, &route, &url, 1, tls.clone()))
            }
        };
        Ok(Endpoint {
            agent: agent(api, &route, &base, workers, tls.clone()),
            token_agent,
            proxy_credentials: route.forward().and_then(|(_, credentials)| credentials),
            compress: api.compress,
            auth: Auth::open(api, url, route.secrets())?,
            route,
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
    fn exchange(&self, mut request: Request<Vec<u8>>, key: &str, keep: Keep) -> (Answer, Vec<u8>) {
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

    fn encode(&self, request: &mut Request<Vec<u8>>) {
        let packed = match self.compress {
            config::Compress::None => None,
            config::Compress::Gzip => encoding::gzip(request.body()),
        };
        if let Some(packed) = packed {
            *request.body_mut() = packed;
            let headers = request.headers_mut();
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        if let Some(credentials) = &self.proxy_credentials {
            let headers = request.headers_mut();
            headers.insert(header::PROXY_AUTHORIZATION, credentials.clone());
        }
    }

    /// Sends a request, and says with which access token.
    fn attempt(
        &self,
        mut request: Request<Vec<u8>>,
        key: &str,
        keep: Keep,
    ) -> ((Answer, Vec<u8>), Option<Arc<oauth2::Token>>) {
        let token_agent = self.token_agent.as_ref().unwrap_or(&self.agent);
        let token = match self.auth.apply(token_agent, &mut request, key) {
            Ok(token) => token,
            Err(answer) => return ((answer, Vec::new()), None),
        };
        transport::forget_begun();
        let answer = match run(&self.agent, request) {
            Ok(response) => self.read_answer(response, keep),
            // What failed before the first byte of the request was not sent for certain.
            Err(error) if transport::has_begun() && !tls::is_refusal_of_certificate(&error) => {
                let message = format!("no answer: {}", cause(&error));
                (self.no_answer(Verdict::Unknown, &message), Vec::new())
            }
            Err(error) => (self.not_sent(&error), Vec::new()),
        };
        (answer, token)
    }

    /// The URL of a record's request, and the bytes that [`Endpoint::send`] would put on the wire before any compression, but
    /// for secrets, in whose place stand asterisks. Sends nothing.
    ///
    /// # Errors
    /// One line that says why this record cannot be sent.
    pub fn write(&self, record: &Record, key: &str) -> Result<(Uri, Vec<u8>), String> {
        let mut request = self.request_of(record, key)?;
        self.auth.pretend(&mut request, key);
        let url = request.uri().clone();
        let written = capture::capture(self.agent.config(), |agent| run(agent, request));
        Ok((url, written.map_err(|error| error.to_string())?))
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

    /// Whether a connection to the API, or to the proxy before it, can be made, with TLS where the URL wants it, and how long
    /// it took; sends nothing over it.
    ///
    /// # Errors
    /// One line that says what failed.
    pub fn probe(&self, timeout: Duration) -> anyhow::Result<Duration> {
        let start = Instant::now();
        let mut last = anyhow::anyhow!("the name has no address");
        for address in resolver::look_up(self.route.first_stop(&self.base))? {
            match TcpStream::connect_timeout(&address, timeout) {
                Err(error) => last = anyhow::anyhow!("{address}: {error}"),
                Ok(mut stream) => {
                    let direct = matches!(self.route, Route::Direct);
                    if direct && self.base.scheme_str() == Some("https") {
                        stream.set_read_timeout(Some(timeout))?;
                        self.tls
                            .try_handshake(&mut stream, &self.base)
                            .map_err(|error| anyhow::anyhow!(cause(&error)))?;
                    }
                    return Ok(start.elapsed());
                }
            }
        }
        Err(last)
    }

    /// Cuts off the requests in flight and refuses new ones.
    pub fn shut_down(&self) {
        for agent in [&self.agent].into_iter().chain(&self.token_agent) {
            agent.clone().shutdown();
        }
    }

    /// For a request that did not begin. The error of a name lookup does not tell a shortage of files from an outage.
    fn not_sent(&self, error: &ureq::Error) -> Answer {
        match limits::shortage_of_files() {
            Some(shortage) => self.no_answer(Verdict::Shortage, shortage),
            None => self.no_answer(Verdict::NotSent, &format!("not sent: {}", cause(error))),
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

/// Runs a request. Without a body it has a `Content-Length` only where the method lets a server expect one (RFC 9110
/// section 8.6).
fn run(agent: &Agent, request: Request<Vec<u8>>) -> Result<Response<Body>, ureq::Error> {
    let expects_body = matches!(
        *request.method(),
        Method::POST | Method::PUT | Method::PATCH
    );
    match request.body().is_empty() && !expects_body {
        true => agent.run(request.map(drop)),
        false => agent.run(request),
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

fn agent(api: &config::Api, route: &Route, url: &Uri, workers: u32, tls: Arc<Tls>) -> Agent {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .allow_non_standard_methods(true)
        .proxy(route.tunnel())
        .timeout_global(Some(api.timeout))
        .timeout_connect(Some(api.connect_timeout))
        .max_idle_connections(workers as usize)
        .max_idle_connections_per_host(workers as usize)
        .max_idle_age(MAX_IDLE)
        .max_response_header_size(transport::BUFFER)
        .input_buffer_size(transport::BUFFER)
        .output_buffer_size(transport::BUFFER)
        .user_agent(&api.user_agent)
        .accept(ureq::config::AutoHeaderValue::None)
        .accept_encoding(ureq::config::AutoHeaderValue::None)
        .build();
    let forward = route.forward().map(|(proxy, _)| proxy.clone());
    Agent::with_parts(
        config,
        transport::connector(tls, forward.is_some().then_some(url)),
        resolver::CachingResolver::new(forward),
    )
}

/// The error in words; ureq would put "other: " before ours.
fn cause(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Other(fault) => fault.to_string(),
        error => error.to_string(),
    }
}
