//! The endpoint: one record becomes one HTTP request, one answer becomes a verdict.
//!
//! It never follows a redirect, never repeats a request by itself, and never counts anything as delivered but a 2xx.

mod body;
mod encoding;
mod proxy;
mod resolver;
mod transport;

use std::io::Read;
use std::time::{Duration, Instant};
use ureq::Agent;
use ureq::http::{HeaderMap, HeaderValue, Method, Request, Uri, header};
use ureq::tls::{RootCerts, TlsConfig};

use crate::config;
use crate::outcome::Answer;
use crate::record::Record;
use crate::text;
use crate::time::Timestamp;
use crate::verdict::{Verdict, Verdicts};

pub use body::Template;
pub use proxy::BadProxy;
use proxy::Route;

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
    compress: config::Compress,
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
        let url: Uri = url.parse()?;
        let route = Route::of(&api.proxy, &url)?;
        if let Some((_, Some(credentials))) = route.forward() {
            headers.insert(header::PROXY_AUTHORIZATION, credentials);
        }
        Ok(Endpoint {
            agent: agent(api, &route, &url, workers),
            method: Method::from_bytes(api.method.as_bytes())?,
            url,
            headers,
            body: Template::new(&api.body),
            verdicts: verdicts(api)?,
            key_style: api.idempotency_key,
            compress: api.compress,
        })
    }

    /// Sends one record and says what became of it. Takes at most `api.timeout`.
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
            Err(error) => return no_answer(Verdict::Dead, &error.to_string()),
        };
        transport::forget_begun();
        match self.agent.run(request) {
            Ok(response) => self.read_answer(response),
            // What failed before the first byte of the request was not sent for certain.
            Err(error) if transport::has_begun() => {
                no_answer(Verdict::Unknown, &format!("no answer: {error}"))
            }
            Err(error) => no_answer(Verdict::NotSent, &format!("not sent: {error}")),
        }
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
            message.push_str(body.trim());
        }
        Answer {
            verdict,
            http_status: Some(status.as_u16()),
            message: text::printable(&message, MESSAGE_BYTES).into(),
        }
    }

    fn request(&self, key: &str, body: Vec<u8>) -> Result<Request<Vec<u8>>, ureq::http::Error> {
        let packed = match self.compress {
            config::Compress::None => None,
            config::Compress::Gzip => encoding::gzip(&body),
        };
        let mut headers = self.headers.clone();
        if packed.is_some() {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        let mut request = Request::new(packed.unwrap_or(body));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.url.clone();
        *request.headers_mut() = headers;
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

fn agent(api: &config::Api, route: &Route, url: &Uri, workers: u32) -> Agent {
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
        .tls_config(
            TlsConfig::builder()
                .root_certs(RootCerts::PlatformVerifier)
                .build(),
        )
        .build();
    let forward = route.forward().map(|(proxy, _)| proxy.clone());
    Agent::with_parts(
        config,
        transport::connector(forward.is_some().then_some(url)),
        resolver::CachingResolver::new(forward),
    )
}

fn no_answer(verdict: Verdict, message: &str) -> Answer {
    Answer {
        verdict,
        http_status: None,
        message: text::printable(message, MESSAGE_BYTES).into(),
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

/// Whether a TCP connection to the API, or to the proxy before it, can be made, and how long it took; sends nothing over it.
///
/// # Errors
/// One line that says what failed.
pub fn probe(api: &config::Api, url: &str) -> anyhow::Result<Duration> {
    let url: Uri = url.parse()?;
    let timeout = api.connect_timeout;
    let route = Route::of(&api.proxy, &url)?;
    let start = Instant::now();
    let addresses = resolver::look_up(route.first_stop(&url))?;
    let mut last = anyhow::anyhow!("the name has no address");
    for address in addresses {
        match std::net::TcpStream::connect_timeout(&address, timeout) {
            Ok(_) => return Ok(start.elapsed()),
            Err(error) => last = anyhow::anyhow!("{address}: {error}"),
        }
    }
    Err(last)
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
