//! The header fields of a request: `api.headers` with its placeholders, the record's key, and the trace.
//!
//! Must never happen here: a value that begins another field. What holds control characters makes its record unfit.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::header::{AUTHORIZATION, CONTENT_TYPE, InvalidHeaderValue, USER_AGENT};
use http::{HeaderName, HeaderValue};

use super::columns::{Columns, Part, Slot};
use super::trace::Traces;
use crate::client::Lines;
use crate::config::{self, IdempotencyKey};
use crate::record::Record;

/// Bytes of a filled field, at most; many servers take no more.
const LONGEST: usize = 8000;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Header fields with places for the columns.
pub struct Fields {
    /// Those that are the same for each record, ready to be sent.
    fixed: Lines,
    filled: Vec<Filled>,
    key: Option<(HeaderName, IdempotencyKey)>,
    traces: Option<Traces>,
}

struct Filled {
    name: HeaderName,
    parts: Vec<Part>,
    /// Stands in when a column is NULL.
    otherwise: Option<HeaderValue>,
}

impl Fields {
    /// The fields that the configuration describes for this `api.url`; `api.headers` may name another content type and
    /// another user agent.
    ///
    /// # Errors
    /// When a name or value is not allowed in HTTP.
    pub fn new(
        api: &config::Api,
        url: &str,
        content_type: Option<&'static str>,
        columns: &mut Columns,
    ) -> anyhow::Result<Fields> {
        let mut usual = vec![(USER_AGENT, HeaderValue::from_str(&api.user_agent)?)];
        let content_type = content_type.map(HeaderValue::from_static);
        usual.extend(content_type.map(|value| (CONTENT_TYPE, value)));
        if let Some(user) = config::user_of(url) {
            usual.push((AUTHORIZATION, basic(user)?));
        }
        // What [`super::auth`] writes takes the place of what is usual.
        let of_auth = |name: &HeaderName| {
            let mut names = api.auth.headers.iter();
            names.any(|(had, _)| had.eq_ignore_ascii_case(name.as_str()))
        };
        usual.retain(|(name, _)| !of_auth(name));
        let mut fixed = Vec::new();
        let mut filled = Vec::new();
        for (name, value) in &api.headers {
            let parts = columns.parts(value, &format!("api.headers.{name}"));
            let name = HeaderName::from_bytes(name.as_bytes())?;
            let at = usual.iter().position(|(usual, _)| *usual == name);
            let otherwise = at.map(|at| usual.swap_remove(at).1);
            if parts.iter().any(|part| matches!(part, Part::Slot(_))) {
                filled.push(Filled {
                    name,
                    parts,
                    otherwise,
                });
            } else {
                // Doubled braces have become single ones.
                let text: String = parts.iter().filter_map(Part::as_text).collect();
                fixed.push((name, HeaderValue::from_str(&text)?));
            }
        }
        let mut lines = Lines::default();
        for (name, value) in usual.iter().chain(&fixed) {
            lines.add(name, value);
        }
        let key_name = HeaderName::from_bytes(api.idempotency_header.as_bytes())?;
        let has_key = api.idempotency_key != IdempotencyKey::Off && !of_auth(&key_name);
        Ok(Fields {
            fixed: lines,
            filled,
            key: has_key.then_some((key_name, api.idempotency_key)),
            traces: api.traceparent.then(Traces::default),
        })
    }

    /// The fields for one attempt at a record.
    ///
    /// # Errors
    /// One line that says why this record cannot have them.
    pub fn fill(&self, record: &Record, key: &str) -> Result<Lines, String> {
        let mut lines = Lines::beginning_with(&self.fixed);
        for Filled {
            name,
            parts,
            otherwise,
        } in &self.filled
        {
            let value = fill(name, parts, record)?;
            if let Some(value) = value.as_ref().or(otherwise.as_ref()) {
                lines.add(name, value);
            }
        }
        if let Some((name, style)) = &self.key {
            let value = match style {
                IdempotencyKey::Quoted => HeaderValue::try_from(format!("\"{key}\"")),
                _ => HeaderValue::from_str(key),
            };
            let value = value.map_err(|error| format!("{name}: {error}"))?;
            lines.add(name, &value);
        }
        if let Some(traces) = &self.traces {
            lines.add(&TRACEPARENT, &traces.next());
        }
        Ok(lines)
    }
}

/// User and password of a URL as RFC 7617 section 2 shows them.
fn basic(user: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    let colon = if user.contains(':') { "" } else { ":" };
    let encoded = BASE64_STANDARD.encode(format!("{user}{colon}"));
    let mut value = HeaderValue::from_str(&format!("Basic {encoded}"))?;
    value.set_sensitive(true);
    Ok(value)
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
        let fields = Fields::new(
            &api,
            "http://me@h/",
            Some("text/x"),
            &mut Columns::default(),
        );
        let record = Record {
            id: 1,
            attempts: 0,
            values: values.to_vec(),
        };
        let filled = fields.unwrap().fill(&record, "a.1.1")?;
        let lines = String::from_utf8(filled.as_bytes().to_vec()).unwrap();
        Ok(lines.lines().map(str::to_string).collect())
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
                concat!("user-agent: ferryd/", env!("CARGO_PKG_VERSION")),
                "content-type: text/x",
                "authorization: Basic bWU6",
                "x-braces: {id}",
                "x-place: Köln/5",
                "x-json: {\"a\":5}",
                "x-key: \"a.1.1\""
            ]
        );
        let without = fill(&headers, &[Value::Null, Value::Integer(5)]).unwrap();
        assert_eq!(without.len(), 6, "{without:?}");
    }

    #[test]
    fn the_content_type_can_be_another_and_is_the_usual_one_where_that_is_null() {
        let headers = [("content-TYPE", "application/{a}"), ("User-Agent", "me")];
        for (value, line) in [
            (Value::Text("b".into()), "content-type: application/b"),
            (Value::Null, "content-type: text/x"),
        ] {
            let lines = fill(&headers, &[value]).unwrap();
            assert!(lines.contains(&line.to_string()), "{lines:?}");
            assert!(lines.contains(&"user-agent: me".to_string()), "{lines:?}");
            assert_eq!(lines.len(), 4, "{lines:?}");
        }
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
