//! The endpoint: one record becomes one HTTP request, one answer becomes a verdict.
//!
//! It never follows a redirect, never repeats a request by itself (but once with a new access token, after a 401), and
//! never counts anything as delivered but a 2xx. What the API says is masked before anybody sees it: it may repeat secrets.

mod auth;
mod body;
mod oauth2;
mod resolver;
mod tls;
mod transport;
mod webhook;

use std::io::Read;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};
use ureq::Agent;
use ureq::http::{HeaderMap, HeaderValue, Method, Request, Uri, header};

use crate::config;
use crate::outcome::Answer;
use crate::record::Record;
use crate::text;
use crate::time::Timestamp;
use crate::verdict::{Verdict, Verdicts};

pub use body::Template;

use auth::Auth;
use tls::Tls;

/// Bytes of an answer's body that are read, so that its connection can be used again.
const BODY_LIMIT: u64 = 64 * 1024;

/// Bytes of an answer that are kept for people: 256 for a record, less the longest "gave up after N attempts: " that an
/// outcome may put before it.
const MESSAGE_BYTES: usize = 256 - 44;

/// Connections are not used again after this idle time: many servers close theirs at 5 s.
const MAX_IDLE: Duration = Duration::from_secs(4);

/// The API that records are sent to. Shared by all workers.
pub struct Endpoint {
    agent: Agent,
    method: Method,
    url: Uri,
    headers: HeaderMap,
    body: Template,
    verdicts: Verdicts,
    key_style: config::IdempotencyKey,
    auth: Auth,
    tls: Arc<Tls>,
}

impl Endpoint {
    /// Describes the requests to one API, for `workers` workers at a time.
    ///
    /// # Errors
    /// One line that names the setting at fault.
    pub fn new(api: &config::Api, url: &str, workers: u32) -> anyhow::Result<Endpoint> {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        for (name, value) in &api.headers {
            let name = header::HeaderName::from_bytes(name.as_bytes())?;
            headers.insert(name, HeaderValue::from_str(value)?);
        }
        let token_url = api.oauth2.token_url.as_deref().unwrap_or_default();
        let is_secure = |url: &str| url.to_ascii_lowercase().starts_with("https:");
        let tls = Tls::open(&api.tls, is_secure(url) || is_secure(token_url))?;
        let tls = Arc::new(tls);
        Ok(Endpoint {
            agent: agent(api, workers, tls.clone())?,
            auth: Auth::open(api, url)?,
            tls,
            method: Method::from_bytes(api.method.as_bytes())?,
            url: url.parse()?,
            headers,
            body: Template::new(&api.body),
            verdicts: verdicts(api)?,
            key_style: api.idempotency_key,
        })
    }

    /// Sends one record and says what became of it. Takes at most `api.timeout`; with OAuth2 up to four times that, when
    /// a token has to be had and is refused.
    pub fn send(&self, record: &Record, key: &str) -> Answer {
        let body = match self.body.fill(record) {
            Ok(body) => body,
            Err(reason) => {
                return Answer {
                    verdict: Verdict::Dead,
                    http_status: None,
                    message: reason,
                };
            }
        };
        let request = match self.request(key, body) {
            Ok(request) => request,
            Err(error) => return self.no_answer(Verdict::Dead, &error.to_string()),
        };
        let spare = self.auth.can_renew().then(|| request.clone());
        let (answer, token) = self.attempt(request, key);
        // A 401 says that the API did not take the record in: with a new token it is sent again, once.
        match (spare, token) {
            (Some(request), Some(token)) if answer.http_status == Some(401) => {
                self.auth.forget(&token);
                self.attempt(request, key).0
            }
            _ => answer,
        }
    }

    /// Sends a request, and says with which access token.
    fn attempt(
        &self,
        mut request: Request<Vec<u8>>,
        key: &str,
    ) -> (Answer, Option<Arc<oauth2::Token>>) {
        let token = match self.auth.apply(&self.agent, &mut request, key) {
            Ok(token) => token,
            Err(answer) => return (answer, None),
        };
        transport::forget_begun();
        let answer = match self.agent.run(request) {
            Ok(response) => self.read_answer(response),
            // What failed before the first byte of the request was not sent for certain.
            Err(error) if transport::has_begun() && !tls::is_refusal_of_certificate(&error) => {
                self.no_answer(Verdict::Unknown, &format!("no answer: {}", cause(&error)))
            }
            Err(error) => self.no_answer(Verdict::NotSent, &format!("not sent: {}", cause(&error))),
        };
        (answer, token)
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

    /// Reads secrets and certificates again; of what is unfit the last good one stays in use.
    pub fn reload(&self) {
        self.auth.reload();
        self.tls.reload();
    }

    /// Whether a connection to the API can be made, with TLS where the URL wants it, and how long it took; sends nothing
    /// over it.
    ///
    /// # Errors
    /// One line that says what failed.
    pub fn probe(&self, timeout: Duration) -> anyhow::Result<Duration> {
        let start = Instant::now();
        let mut last = anyhow::anyhow!("the name has no address");
        for address in resolver::look_up(&self.url)? {
            match TcpStream::connect_timeout(&address, timeout) {
                Err(error) => last = anyhow::anyhow!("{address}: {error}"),
                Ok(mut stream) => {
                    if self.url.scheme_str() == Some("https") {
                        stream.set_read_timeout(Some(timeout))?;
                        self.tls
                            .try_handshake(&mut stream, &self.url)
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
        self.agent.clone().shutdown();
    }

    fn read_answer(&self, mut response: ureq::http::Response<ureq::Body>) -> Answer {
        let status = response.status();
        let retry_after = response.headers().get(header::RETRY_AFTER);
        let retry_after = retry_after.and_then(|value| parse_retry_after(value.to_str().ok()?));
        let verdict = self.verdicts.of(status.as_u16(), retry_after);

        let mut body = Vec::new();
        let mut reader = response.body_mut().as_reader().take(BODY_LIMIT);
        if verdict == Verdict::Delivered {
            // Read only so that the connection can be used again; a body that breaks off changes nothing.
            let _ = std::io::copy(&mut reader, &mut std::io::sink());
            return Answer {
                verdict,
                http_status: Some(status.as_u16()),
                message: String::new(),
            };
        }
        let _ = reader.read_to_end(&mut body);
        let reason = status.canonical_reason().unwrap_or("");
        let body = String::from_utf8_lossy(&body);
        let mut message = format!("HTTP {} {reason}", status.as_u16());
        message.truncate(message.trim_end().len());
        if !body.trim().is_empty() {
            message.push_str(": ");
            message.push_str(self.auth.mask().cover(body.trim()).trim());
        }
        let mut verdict = verdict;
        if self.is_page_about_certificate(status.as_u16(), &body) {
            verdict = Verdict::DestinationFault;
            message = self.tls.remedy(self.url.host().unwrap_or_default());
        }
        Answer {
            verdict,
            http_status: Some(status.as_u16()),
            message: text::printable(&message, MESSAGE_BYTES).into(),
        }
    }

    /// nginx answers so, with a plain 400, when it misses our certificate or does not like it. That is no fault of the
    /// record.
    fn is_page_about_certificate(&self, status: u16, body: &str) -> bool {
        const PAGES: [&str; 2] = [
            "<title>400 No required SSL certificate was sent</title>",
            "<title>400 The SSL certificate error</title>",
        ];
        status == 400 && self.tls.is_asked() && PAGES.iter().any(|page| body.contains(page))
    }

    fn no_answer(&self, verdict: Verdict, message: &str) -> Answer {
        let message = self.auth.mask().cover(message);
        Answer {
            verdict,
            http_status: None,
            message: text::printable(&message, MESSAGE_BYTES).into(),
        }
    }

    fn request(&self, key: &str, body: Vec<u8>) -> Result<Request<Vec<u8>>, ureq::http::Error> {
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.url.clone();
        *request.headers_mut() = self.headers.clone();
        let value = match self.key_style {
            config::IdempotencyKey::Off => return Ok(request),
            config::IdempotencyKey::Bare => HeaderValue::from_str(key)?,
            config::IdempotencyKey::Quoted => HeaderValue::from_str(&format!("\"{key}\""))?,
        };
        request.headers_mut().insert("idempotency-key", value);
        Ok(request)
    }
}

fn verdicts(api: &config::Api) -> anyhow::Result<Verdicts> {
    let mut moved = Vec::new();
    for (status, row) in &api.verdicts {
        moved.push((status.parse()?, row.parse().map_err(anyhow::Error::msg)?));
    }
    Ok(Verdicts::new(moved))
}

fn agent(api: &config::Api, workers: u32, tls: Arc<Tls>) -> anyhow::Result<Agent> {
    let proxy = match &api.proxy {
        config::Proxy::None => None,
        config::Proxy::Env => ureq::Proxy::try_from_env(),
        config::Proxy::Url(url) => Some(ureq::Proxy::new(url)?),
    };
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .allow_non_standard_methods(true)
        .proxy(proxy)
        .timeout_global(Some(api.timeout))
        .timeout_connect(Some(api.connect_timeout))
        .max_idle_connections(workers as usize)
        .max_idle_connections_per_host(workers as usize)
        .max_idle_age(MAX_IDLE)
        .max_response_header_size(transport::BUFFER)
        .input_buffer_size(transport::BUFFER)
        .output_buffer_size(transport::BUFFER)
        .user_agent(concat!("ferryd/", env!("CARGO_PKG_VERSION")))
        .accept(ureq::config::AutoHeaderValue::None)
        .accept_encoding(ureq::config::AutoHeaderValue::None)
        .build();
    Ok(Agent::with_parts(
        config,
        transport::connector(tls),
        resolver::CachingResolver::default(),
    ))
}

/// The error in words; ureq would put "other: " before ours.
fn cause(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Other(fault) => fault.to_string(),
        error => error.to_string(),
    }
}

/// Reads `Retry-After` (RFC 9110 §10.2.3): seconds, or an HTTP date. Nonsense is nothing.
fn parse_retry_after(value: &str) -> Option<Duration> {
    let value = value.trim();
    // `u64` would also read a sign, which the standard does not have.
    if value.bytes().all(|byte| byte.is_ascii_digit()) {
        return value.parse().ok().map(Duration::from_secs);
    }
    Some(Timestamp::parse_http_date(value)?.after(Timestamp::now()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date_and_nonsense_is_ignored() {
        assert_eq!(parse_retry_after("120"), Some(Duration::from_secs(120)));
        assert_eq!(
            parse_retry_after("Sun, 06 Nov 1994 08:49:37 GMT"),
            Some(Duration::ZERO)
        );
        for nonsense in ["", "-1", "+1", "soon", "1e300", "99999999999999999999999"] {
            assert_eq!(parse_retry_after(nonsense), None, "{nonsense}");
        }
    }
}
