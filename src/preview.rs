//! `ferryd preview`: the exact request of a record, and what comes back when it is sent once, as a trial.
//!
//! Nothing that is sent here is written down as delivered: the daemon sends the record when its turn comes, with the same
//! key. Must never happen here: a secret that is shown, a request with a key that the record will not keep.

use anyhow::Context;
use http::Uri;
use rusqlite::Connection;
use std::io::{IsTerminal, Write};

use crate::config::{self, Config, IdempotencyKey};
use crate::db;
use crate::db::batches::Cut;
use crate::db::preview;
use crate::db::records::{self, Loader};
use crate::endpoint::Endpoint;
use crate::operate;
use crate::outcome::Answer;
use crate::record::Record;
use crate::verdict::Verdict;
use std::time::Duration;

/// Stands for a key that is not known yet.
const NO_KEY: &str = "<key>";

/// What to look at.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// `user_record.id`; without it a record that waits, else the first of the table.
    pub record: Option<i64>,
    /// Send it once.
    pub send: bool,
}

/// Prints a record's request, and sends it if it is asked to. Returns whether all is well: a request that was sent was also
/// accepted.
///
/// # Errors
/// When there is no such record, it cannot be sent, or configuration or file cannot be used.
pub fn run(config: &Config, options: Options) -> anyhow::Result<bool> {
    let endpoint = Endpoint::new(&config.api, config.require_url()?, 1)?;
    let conn = db::open_to_look(&config.database.path)?;
    let uses = endpoint.uses().iter();
    records::check_columns(
        &conn,
        uses.map(|used| (used.key.as_str(), used.column.as_str())),
    )?;
    let record = find(&conn, &endpoint, options.record)?;
    let id = record.id;
    let key = match preview::key_of_record(&conn, id)? {
        None if options.send && config.api.idempotency_key != IdempotencyKey::Off => {
            Some(plan(config, &conn, id)?)
        }
        key => key,
    };
    // That of a chunk which holds this record and no other: see `ChunkName`.
    let key = match endpoint.bulk() {
        Some(_) => key.map(|key| format!("{key}:{id}")),
        None => key,
    };
    let key = key.as_deref().unwrap_or(NO_KEY);
    let (url, written) = endpoint.write(&record, key).map_err(|reason| {
        anyhow::anyhow!("record {id} cannot be sent and will be dead: {reason}")
    })?;
    print(&shown(&url, &written));
    if !options.send {
        return Ok(true);
    }
    let answer = endpoint.try_out(&record, key);
    print(format!("\nrecord {id}: {}\n", in_words(&answer)).as_bytes());
    Ok(answer.verdict == Verdict::Delivered)
}

fn find(conn: &Connection, endpoint: &Endpoint, record: Option<i64>) -> anyhow::Result<Record> {
    let first = || {
        preview::first_waiting(conn)?.context("user_record is empty: there is no record to look at")
    };
    let id = record.map_or_else(first, Ok)?;
    let loader = Loader::new(endpoint.columns());
    loader
        .load_one(conn, id)?
        .with_context(|| format!("record {id} is not in user_record"))
}

/// Cuts a record into a batch, so that it has the key that it will keep.
fn plan(config: &Config, conn: &Connection, record: i64) -> anyhow::Result<String> {
    let cut = Cut {
        batch_size: config.batch.size,
        linger: Duration::ZERO,
    };
    operate::plan(&config.database.path, record, cut)?;
    preview::key_of_record(conn, record)?.with_context(|| {
        format!("record {record} has no key to be sent with; see `ferryd explain {record}`")
    })
}

/// A request as people see it: method and URL, header fields, a blank line, the body.
fn shown(url: &Uri, written: &[u8]) -> Vec<u8> {
    let end = written.windows(4).position(|four| four == b"\r\n\r\n");
    let (head, body) = match end {
        Some(end) => (&written[..end], &written[end + 4..]),
        None => (written, &[][..]),
    };
    let head = String::from_utf8_lossy(head);
    let mut lines = head.split("\r\n");
    let mut shown = request_line(lines.next().unwrap_or_default(), url);
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap_or((line, ""));
        let value = if is_secret(name) { "***" } else { value };
        shown += &format!("{name}: {value}\n");
    }
    shown.push('\n');
    let mut shown = shown.into_bytes();
    if !body.is_empty() {
        shown.extend_from_slice(body);
        shown.push(b'\n');
    }
    shown
}

/// The first line, with the whole URL in place of its path, but without a user name and password.
fn request_line(line: &str, url: &Uri) -> String {
    let mut words = line.split(' ');
    let (method, path) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let scheme = url.scheme_str().unwrap_or_default();
    let authority = url.authority().map_or("", |authority| authority.as_str());
    let server = authority.rsplit('@').next().unwrap_or_default();
    format!("{method} {scheme}://{server}{path} HTTP/1.1\n")
}

/// Whether the value of a header field is shown to nobody. A secret that comes from a file does not get this far.
fn is_secret(name: &str) -> bool {
    config::is_secret_name(name) || name.eq_ignore_ascii_case("webhook-signature")
}

/// Writes bytes as they are, but to a terminal no control characters: a record's text must not steer it.
fn print(bytes: &[u8]) {
    let mut out = std::io::stdout().lock();
    let plain = |c: char| {
        if c.is_control() && c != '\n' {
            '\u{fffd}'
        } else {
            c
        }
    };
    let written = match out.is_terminal() {
        true => {
            let text: String = String::from_utf8_lossy(bytes).chars().map(plain).collect();
            out.write_all(text.as_bytes())
        }
        false => out.write_all(bytes),
    };
    // A closed pipe is no failure of the preview.
    let _ = written.and_then(|()| out.flush());
}

fn in_words(answer: &Answer) -> String {
    let verdict = match answer.verdict {
        Verdict::Delivered => "accepted; ferryd will send it again when its turn comes",
        Verdict::NotSent | Verdict::Shortage => "nothing was sent",
        Verdict::Unknown => "may have been accepted",
        Verdict::Retry(_) => "to be sent again later",
        Verdict::DestinationFault => {
            "refused through no fault of the record; all sending would be held"
        }
        Verdict::Dead => "refused for good; it would be dead",
    };
    match (answer.message.as_str(), answer.http_status) {
        ("", Some(status)) => format!("{verdict}; HTTP {status}"),
        (message, _) => format!("{verdict}; {message}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_wherever_they_stand() {
        let url: Uri = "https://me:geheim@h:1/a?b=c".parse().unwrap();
        let written = b"POST /a?b=c HTTP/1.1\r\nhost: h:1\r\nauthorization: Basic geheim\r\nx-api-key: geheim\r\nx-team: red\r\n\r\n{}";
        assert_eq!(
            String::from_utf8(shown(&url, written)).unwrap(),
            "POST https://h:1/a?b=c HTTP/1.1\nhost: h:1\nauthorization: ***\nx-api-key: ***\nx-team: red\n\n{}\n"
        );
        for name in [
            "Proxy-Authorization",
            "Cookie",
            "X-Auth-Token",
            "Client-Secret",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in ["Host", "Idempotency-Key", "X-Team", "traceparent"] {
            assert!(!is_secret(name), "{name}");
        }
    }
}
