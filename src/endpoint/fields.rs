//! The header fields of a request: `api.headers` with its placeholders, the record's key, and the trace.
//!
//! Must never happen here: a value that begins another field. What holds control characters makes its record unfit.

use ureq::http::header::{AUTHORIZATION, CONTENT_TYPE};
use ureq::http::{HeaderMap, HeaderName, HeaderValue};

use super::columns::{Columns, Part, Slot};
use super::trace::Traces;
use crate::config::{self, IdempotencyKey};
use crate::record::Record;

/// Bytes of a filled field, at most; many servers take no more.
const LONGEST: usize = 8000;

/// Header fields with places for the columns.
pub struct Fields {
    /// Those that are the same for each record.
    fixed: HeaderMap,
    filled: Vec<(HeaderName, Vec<Part>)>,
    key: Option<(HeaderName, IdempotencyKey)>,
    traces: Option<Traces>,
}

impl Fields {
    /// The fields that the configuration describes; `api.headers` may name another content type.
    ///
    /// # Errors
    /// When a name or value is not allowed in HTTP.
    pub fn new(
        api: &config::Api,
        content_type: Option<&'static str>,
        columns: &mut Columns,
    ) -> anyhow::Result<Fields> {
        let mut fields = Fields {
            fixed: HeaderMap::new(),
            filled: Vec::new(),
            key: None,
            traces: api.traceparent.then(Traces::default),
        };
        if let Some(media_type) = content_type {
            fields
                .fixed
                .insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        }
        for (name, value) in &api.headers {
            let parts = columns.parts(value, &format!("api.headers.{name}"));
            let name = HeaderName::from_bytes(name.as_bytes())?;
            if parts.iter().any(|part| matches!(part, Part::Slot(_))) {
                fields.filled.push((name, parts));
            } else {
                // Doubled braces have become single ones.
                let text: String = parts.iter().filter_map(Part::as_text).collect();
                fields.fixed.insert(name, HeaderValue::from_str(&text)?);
            }
        }
        if api.idempotency_key != IdempotencyKey::Off {
            let name = HeaderName::from_bytes(api.idempotency_header.as_bytes())?;
            fields.key = Some((name, api.idempotency_key));
        }
        Ok(fields)
    }

    /// The fields for one attempt at a record.
    ///
    /// # Errors
    /// One line that says why this record cannot have them.
    pub fn fill(&self, record: &Record, key: &str) -> Result<HeaderMap, String> {
        let mut fields = self.fixed.clone();
        for (name, parts) in &self.filled {
            if let Some(value) = fill(name, parts, record)? {
                fields.insert(name.clone(), value);
            }
        }
        if let Some((name, style)) = &self.key {
            let value = match style {
                IdempotencyKey::Quoted => HeaderValue::try_from(format!("\"{key}\"")),
                _ => HeaderValue::from_str(key),
            };
            let value = value.map_err(|error| format!("{name}: {error}"))?;
            fields.insert(name.clone(), value);
        }
        if let Some(traces) = &self.traces {
            fields.insert("traceparent", traces.next());
        }
        Ok(fields)
    }
}

/// The value for a record. A field with a column that is NULL is left out: "no value" is what NULL means, and half a value
/// would be a lie. Letters beyond ASCII are sent as UTF-8, which is opaque to HTTP (RFC 9110 section 5.5).
fn fill(name: &HeaderName, parts: &[Part], record: &Record) -> Result<Option<HeaderValue>, String> {
    let mut text = String::new();
    for part in parts {
        match part {
            Part::Text(fixed) => text.push_str(fixed),
            Part::Slot(slot) => match slot.text(record, "a header field")? {
                None => return Ok(None),
                Some(value) => {
                    refuse_control(name, slot, &value)?;
                    text.push_str(&value);
                }
            },
        }
    }
    if text.len() > LONGEST {
        return Err(format!(
            "its header field {name} would be longer than {LONGEST} bytes"
        ));
    }
    if *name == AUTHORIZATION && !text.is_ascii() {
        return Err(format!(
            "its header field {name} would hold more than ASCII"
        ));
    }
    let value = HeaderValue::try_from(text).map_err(|error| format!("{name}: {error}"))?;
    Ok(Some(value))
}

fn refuse_control(name: &HeaderName, slot: &Slot, value: &str) -> Result<(), String> {
    match value.bytes().any(|byte| byte.is_ascii_control()) {
        true => Err(format!(
            "{} holds control characters, which the header field {name} cannot carry",
            slot.column()
        )),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::record::Value;

    fn fill(headers: &[(&str, &str)], values: &[Value]) -> Result<Vec<String>, String> {
        let mut api = Config::default().api;
        let owned = headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()));
        api.headers = owned.collect();
        api.idempotency_key = IdempotencyKey::Quoted;
        api.idempotency_header = "X-Key".into();
        let fields = Fields::new(&api, Some("text/x"), &mut Columns::default()).unwrap();
        let record = Record {
            id: 1,
            attempts: 0,
            values: values.to_vec(),
        };
        let filled = fields.fill(&record, "a.1.1")?;
        let line = |(name, value): (&HeaderName, &HeaderValue)| {
            format!("{name}: {}", String::from_utf8_lossy(value.as_bytes()))
        };
        Ok(filled.iter().map(line).collect())
    }

    #[test]
    fn values_fill_the_fields_and_null_leaves_its_field_out() {
        let headers = [
            ("X-Place", "{city}/{id}"),
            ("X-Json", "{\"a\":{id}}"),
            ("X-Braces", "{{id}}"),
        ];
        let city = Value::Text("Köln".into());
        assert_eq!(
            fill(&headers, &[city, Value::Integer(5)]).unwrap(),
            [
                "content-type: text/x",
                "x-braces: {id}",
                "x-place: Köln/5",
                "x-json: {\"a\":5}",
                "x-key: \"a.1.1\""
            ]
        );
        let without = fill(&headers, &[Value::Null, Value::Integer(5)]).unwrap();
        assert_eq!(without.len(), 4, "{without:?}");
    }

    #[test]
    fn the_content_type_can_be_another() {
        let lines = fill(
            &[("content-TYPE", "application/{a}")],
            &[Value::Text("b".into())],
        );
        assert_eq!(lines.unwrap()[0], "content-type: application/b");
    }

    #[test]
    fn what_would_break_out_of_its_field_makes_the_record_unfit() {
        for (value, said) in [
            ("a\r\nHost: b", "city holds control characters"),
            ("\0", "city holds control characters"),
            ("\t", "city holds control characters"),
            ("\u{7f}", "city holds control characters"),
            (&"x".repeat(LONGEST + 1), "longer than 8000 bytes"),
        ] {
            let error = fill(&[("X-City", "{city}")], &[Value::Text(value.into())]).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
        let error = fill(
            &[("Authorization", "{city}")],
            &[Value::Text("Köln".into())],
        );
        assert!(error.unwrap_err().contains("more than ASCII"));
        assert!(fill(&[("X-City", "{city}")], &[Value::Bytes]).is_err());
    }
}
