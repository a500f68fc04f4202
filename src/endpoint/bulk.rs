//! Bulk mode: many records become the body of one request, and its answer is taken apart again, record by record.
//!
//! Where the API tells results per item, a record is delivered only if its own item says so; an answer that should tell
//! them and does not leaves it unknown what was accepted.

use serde_json::Value;

use super::MESSAGE_BYTES;
use super::request::Shape;
use crate::config;
use crate::outcome::Answer;
use crate::record::Record;
use crate::text;
use crate::verdict::{Verdict, Verdicts};

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
    array: String,
    /// Within an item, to what tells success from failure.
    ok: String,
    /// Within an item, to the reason for people.
    error: String,
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
            array: bulk.items.clone(),
            ok: bulk.ok.clone(),
            error: bulk.error.clone(),
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
    ) -> Option<Result<Vec<Answer>, String>> {
        let items = self.items.as_ref()?;
        Some(items.read(body, records, verdicts))
    }
}

impl Items {
    fn read(
        &self,
        body: &[u8],
        records: usize,
        verdicts: &Verdicts,
    ) -> Result<Vec<Answer>, String> {
        let body: Value = serde_json::from_slice(body)
            .map_err(|error| format!("the results per item cannot be read: {error}"))?;
        let array = body.pointer(&self.array).and_then(Value::as_array);
        let array = array.ok_or_else(|| format!("the answer has no array at {}", self.array))?;
        if array.len() != records {
            let found = array.len();
            return Err(format!(
                "the answer has {found} results for {records} records"
            ));
        }
        Ok(array
            .iter()
            .map(|item| self.answer(item, verdicts))
            .collect())
    }

    fn answer(&self, item: &Value, verdicts: &Verdicts) -> Answer {
        let told = item.pointer(&self.ok);
        let status = told
            .and_then(Value::as_u64)
            .and_then(|n| u16::try_from(n).ok());
        let status = status.filter(|status| (100..=999).contains(status));
        if told.is_some_and(|told| self.is_ok(told, status)) {
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
        let reason = item.pointer(&self.error).unwrap_or(item);
        let reason = match reason {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let status_word = told.map_or("no result".to_string(), Value::to_string);
        Answer {
            verdict,
            http_status: status,
            message: text::printable(&format!("item {status_word}: {reason}"), MESSAGE_BYTES)
                .into(),
        }
    }

    fn is_ok(&self, told: &Value, status: Option<u16>) -> bool {
        match self.ok_values.is_empty() {
            true => *told == Value::Bool(true) || matches!(status, Some(200..=299)),
            false => self.ok_values.contains(told),
        }
    }
}
