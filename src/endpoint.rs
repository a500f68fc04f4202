//! The endpoint: one record becomes one HTTP request, one answer becomes a verdict.
//!
//! It never follows a redirect, never repeats a request by itself, and never counts anything as delivered but a 2xx.

mod body;
mod capture;
mod columns;
mod fields;
mod request;
mod resolver;
mod trace;
mod transport;
mod url;

use std::io::Read;
use std::time::{Duration, Instant};
use ureq::http::{Method, Request, Response, Uri, header};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body};

use crate::config;
use crate::limits;
use crate::outcome::Answer;
use crate::record::Record;
use crate::text;
use crate::time::Timestamp;
use crate::verdict::{Row, Verdict, Verdicts};

pub use columns::Use;
use request::Shape;

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
    shape: Shape,
    verdicts: Verdicts,
}

impl Endpoint {
    /// Describes the requests to one API, for `workers` workers at a time.
    ///
    /// # Errors
    /// One line that names the setting at fault.
    pub fn new(api: &config::Api, url: &str, workers: u32) -> anyhow::Result<Endpoint> {
        let shape = Shape::new(api, url)?;
        Ok(Endpoint {
            agent: agent(api, workers)?,
            verdicts: verdicts(api, shape.fills_url())?,
            shape,
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

    /// Sends one record and says what became of it. Takes at most `api.timeout`.
    pub fn send(&self, record: &Record, key: &str) -> Answer {
        self.exchange(record, key, false)
    }

    /// Sends one record as [`Endpoint::send`] does, and keeps what the API says also when it accepts it.
    pub fn try_out(&self, record: &Record, key: &str) -> Answer {
        self.exchange(record, key, true)
    }

    fn exchange(&self, record: &Record, key: &str, keep_success: bool) -> Answer {
        let request = match self.shape.fill(record, key) {
            Ok(request) => request,
            Err(reason) => return no_answer(Verdict::Dead, &reason),
        };
        transport::forget_begun();
        match run(&self.agent, request) {
            Ok(response) => self.read_answer(response, keep_success),
            // What failed before the first byte of the request was not sent for certain.
            Err(error) if transport::has_begun() => {
                no_answer(Verdict::Unknown, &format!("no answer: {error}"))
            }
            Err(error) => not_sent(&error),
        }
    }

    /// The URL of a record's request, and the bytes that [`Endpoint::send`] would put on the wire. Sends nothing.
    ///
    /// # Errors
    /// One line that says why this record cannot be sent.
    pub fn write(&self, record: &Record, key: &str) -> Result<(Uri, Vec<u8>), String> {
        let request = self.shape.fill(record, key)?;
        let url = request.uri().clone();
        let written = capture::capture(self.agent.config(), |agent| run(agent, request));
        Ok((url, written.map_err(|error| error.to_string())?))
    }

    /// Cuts off the requests in flight and refuses new ones.
    pub fn shut_down(&self) {
        self.agent.clone().shutdown();
    }

    fn read_answer(&self, mut response: Response<Body>, keep_success: bool) -> Answer {
        let status = response.status();
        let retry_after = response.headers().get(header::RETRY_AFTER);
        let retry_after = retry_after.and_then(|value| parse_retry_after(value.to_str().ok()?));
        let verdict = self.verdicts.of(status.as_u16(), retry_after);

        let mut body = Vec::new();
        let mut reader = response.body_mut().as_reader().take(BODY_LIMIT);
        if verdict == Verdict::Delivered && !keep_success {
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

fn agent(api: &config::Api, workers: u32) -> anyhow::Result<Agent> {
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
        .tls_config(
            TlsConfig::builder()
                .root_certs(RootCerts::PlatformVerifier)
                .build(),
        )
        .build();
    Ok(Agent::with_parts(
        config,
        transport::connector(),
        resolver::CachingResolver::default(),
    ))
}

/// For a request that did not begin. The error of a name lookup does not tell a shortage of files from an outage.
fn not_sent(error: &ureq::Error) -> Answer {
    match limits::shortage_of_files() {
        Some(shortage) => no_answer(Verdict::Shortage, shortage),
        None => no_answer(Verdict::NotSent, &format!("not sent: {error}")),
    }
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

/// Whether a TCP connection to the API can be made, and how long it took; sends nothing over it.
///
/// # Errors
/// One line that says what failed.
pub fn probe(url: &str, timeout: Duration) -> anyhow::Result<Duration> {
    let url = url::base(url)?;
    let start = Instant::now();
    let addresses = resolver::look_up(&url)?;
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
