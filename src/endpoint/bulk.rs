//! Bulk mode: many records become the body of one request, and its answer is taken apart again, record by record.
//!
//! Where the API tells results per item, a record is delivered only if its own item says so; an answer that should tell
//! them and does not leaves it unknown what was accepted.

mod pointer;

use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;

use super::reply::{ITEMS_LIMIT, Keep};
use super::request::Shape;
use super::{Endpoint, MESSAGE_BYTES};
use crate::client::Request;
use crate::config;
use crate::outcome::Answer;
use crate::record::Record;
use crate::secret::Mask;
use crate::text;
use crate::verdict::{Verdict, Verdicts};
use pointer::Pointer;

/// Bytes of a value that tells success from failure; a longer one is neither a status nor a word.
const TOLD_MAX: usize = 1024;

/// How records are put together, and how the answer is read.
pub struct Bulk {
    /// Records in a request at most.
    pub records: usize,
    max_bytes: usize,
    format: config::BulkFormat,
    items: Option<Items>,
}

/// Where an answer tells what became of each record (JSON pointers, RFC 6901).
struct Items {
    /// To the array, in the order of the records.
    array: Pointer,
    /// The same as it was written, for people.
    array_name: String,
    /// Within an item, to what tells success from failure.
    ok: Pointer,
    /// Within an item, to the reason for people.
    error: Pointer,
    /// The values that mean success; empty: `true`, or a number from 200 to 299.
    ok_values: Vec<Value>,
}

/// The body of one request.
#[derive(Debug, Default)]
pub struct Pack {
    /// The body.
    pub body: Vec<u8>,
    /// How many of the records it was to hold have been looked at: the others are for the next request.
    pub taken: usize,
    /// Those of them that have no JSON form, by their place, and why.
    pub unfit: Vec<(usize, String)>,
}

impl Pack {
    /// Records in the body.
    pub fn records(&self) -> usize {
        self.taken - self.unfit.len()
    }
}

impl Bulk {
    /// Bulk mode as the configuration describes it; `None` when records are sent one by one.
    pub fn new(bulk: &config::Bulk) -> Option<Bulk> {
        let items = || Items {
            array: Pointer::new(&bulk.items),
            array_name: bulk.items.clone(),
            ok: Pointer::new(&bulk.ok),
            error: Pointer::new(&bulk.error),
            ok_values: bulk.ok_values.clone(),
        };
        (bulk.records > 0).then(|| Bulk {
            records: bulk.records as usize,
            max_bytes: bulk.max_bytes as usize,
            format: bulk.format,
            items: (!bulk.items.is_empty()).then(items),
        })
    }

    /// The media type of the bodies.
    pub(super) fn media_type(&self) -> &'static str {
        match self.format {
            config::BulkFormat::Json => "application/json",
            config::BulkFormat::Ndjson => "application/x-ndjson",
        }
    }

    /// Whether answers tell results per item, so that their bodies have to be read.
    pub(super) fn reads_items(&self) -> bool {
        self.items.is_some()
    }

    /// Puts as many of the records into a body as may be; at least one, however long it is. `whole` takes all of them:
    /// a request that is made again must not lose records to a limit that it kept before.
    pub(super) fn pack(&self, shape: &Shape, records: &[Record], whole: bool) -> Pack {
        let mut pack = Pack {
            body: Vec::with_capacity(64 * records.len()),
            ..Pack::default()
        };
        let (opening, between, closing): (&[u8], &[u8], &[u8]) = match self.format {
            config::BulkFormat::Json => (b"[", b",", b"]"),
            config::BulkFormat::Ndjson => (b"", b"\n", b"\n"),
        };
        for record in records {
            let (before, first) = (pack.body.len(), pack.records() == 0);
            let prefix = if first { opening } else { between };
            pack.body.extend_from_slice(prefix);
            if let Err(reason) = shape.fill_body(record, &mut pack.body) {
                pack.body.truncate(before);
                pack.unfit.push((pack.taken, reason));
            } else if !first && !whole && pack.body.len() + closing.len() > self.max_bytes {
                pack.body.truncate(before);
                break;
            }
            pack.taken += 1;
        }
        pack.body.extend_from_slice(closing);
        pack
    }

    /// One answer for each of `records` records, from the body of a 2xx answer; `None` where answers do not tell them.
    ///
    /// # Errors
    /// One line that says why this body does not tell them, although it should.
    pub(super) fn read_items(
        &self,
        body: &[u8],
        records: usize,
        verdicts: &Verdicts,
        mask: &Mask,
    ) -> Option<Result<Vec<Answer>, String>> {
        let items = self.items.as_ref()?;
        Some(items.read(body, records, verdicts, mask))
    }
}

impl Items {
    fn read(
        &self,
        body: &[u8],
        records: usize,
        verdicts: &Verdicts,
        mask: &Mask,
    ) -> Result<Vec<Answer>, String> {
        let unreadable = |error| match body.len() >= ITEMS_LIMIT {
            true => format!(
                "the answer is longer than {ITEMS_LIMIT} bytes, so that the results per item are not read: set api.bulk.records lower"
            ),
            false => format!("the results per item cannot be read: {error}"),
        };
        let array = self.array.find(body).map_err(unreadable)?;
        let members = match array {
            Some(array) => pointer::members(array, records).map_err(unreadable)?,
            None => None,
        };
        let (items, found) =
            members.ok_or_else(|| format!("the answer has no array at {}", self.array_name))?;
        if found != records {
            return Err(format!(
                "the answer has {found} results for {records} records"
            ));
        }
        Ok(items
            .into_iter()
            .map(|item| self.answer(item, verdicts, mask))
            .collect())
    }

    fn answer(&self, item: &RawValue, verdicts: &Verdicts, mask: &Mask) -> Answer {
        let find = |pointer: &Pointer| pointer.find(item.get().as_bytes()).ok().flatten();
        let raw = find(&self.ok);
        let told = raw.filter(|raw| raw.get().len() <= TOLD_MAX);
        let told: Option<Value> = told.and_then(|raw| serde_json::from_str(raw.get()).ok());
        let status = told.as_ref().and_then(Value::as_u64);
        let status = status.and_then(|n| u16::try_from(n).ok());
        let status = status.filter(|status| (100..=999).contains(status));
        if told.as_ref().is_some_and(|told| self.is_ok(told, status)) {
            return Answer {
                verdict: Verdict::Delivered,
                http_status: status,
                message: String::new(),
            };
        }
        let verdict = match status.map(|status| verdicts.of(status, None)) {
            // The destination as a whole has accepted the request, and what is not listed as a success is none.
            None | Some(Verdict::Delivered | Verdict::DestinationFault) => Verdict::Retry(None),
            Some(verdict) => verdict,
        };
        let reason = find(&self.error).unwrap_or(item).get();
        let reason = serde_json::from_str(reason).unwrap_or_else(|_| reason.to_string());
        let told = raw.map_or("no result", RawValue::get);
        // Before it is cut: of a secret that is cut short the mask would not know the rest.
        let message = mask.cover(&format!("item {told}: {reason}"));
        Answer {
            verdict,
            http_status: status,
            message: text::printable(&message, MESSAGE_BYTES).into(),
        }
    }

    fn is_ok(&self, told: &Value, status: Option<u16>) -> bool {
        match self.ok_values.is_empty() {
            true => *told == Value::Bool(true) || matches!(status, Some(200..=299)),
            false => self.ok_values.contains(told),
        }
    }
}

impl Endpoint {
    /// How many records make one request; `None` when each is one.
    pub fn bulk(&self) -> Option<&Bulk> {
        self.bulk.as_ref()
    }

    /// The body of one request for these records, or for the first of them, as many as it may hold; for all if it is
    /// `whole`.
    pub fn pack(&self, bulk: &Bulk, records: &[Record], whole: bool) -> Pack {
        bulk.pack(&self.shape, records, whole)
    }

    /// Sends the records of a chunk in one request. Returns what became of it, and of each record in the body, where the
    /// answer tells that.
    pub fn send_pack(
        &self,
        bulk: &Bulk,
        chunk: &[Record],
        pack: &Pack,
        key: &str,
    ) -> (Answer, Option<Vec<Answer>>) {
        let request = match chunk.first() {
            Some(first) => self
                .shape
                .fill_around(first, key, Cow::Borrowed(&pack.body)),
            None => Err("there is no record to send".to_string()),
        };
        let keep = match bulk.reads_items() {
            true => Keep::Items,
            false => Keep::Nothing,
        };
        let (answer, body) = match request {
            Ok(request) => self.exchange(request, key, keep),
            Err(reason) => return (self.no_answer(Verdict::Dead, &reason), None),
        };
        if answer.verdict != Verdict::Delivered {
            return (answer, None);
        }
        let mask = self.auth.mask();
        match bulk.read_items(&body, pack.records(), &self.verdicts, &mask) {
            None => (answer, None),
            Some(Ok(items)) => (overall(answer, &items), Some(items)),
            // The request was taken, but nobody knows for which records.
            Some(Err(reason)) => {
                let unknown = Answer {
                    http_status: answer.http_status,
                    ..self.no_answer(Verdict::Unknown, &reason)
                };
                (unknown, None)
            }
        }
    }

    /// The request that a record has for itself.
    pub(super) fn request_of(&self, record: &Record, key: &str) -> Result<Request<'_>, String> {
        let Some(bulk) = &self.bulk else {
            return self.shape.fill(record, key);
        };
        let pack = self.pack(bulk, std::slice::from_ref(record), true);
        match pack.unfit.into_iter().next() {
            Some((_, reason)) => Err(reason),
            None => self.shape.fill_around(record, key, Cow::Owned(pack.body)),
        }
    }
}

/// What an answer is to the gate that accepted none of the records in it: what it says of the first.
fn overall(answer: Answer, items: &[Answer]) -> Answer {
    let any = items.iter().any(|item| item.verdict == Verdict::Delivered);
    match items.first() {
        Some(first) if !any => first.clone(),
        _ => answer,
    }
}
