//! The URL of a request: `api.url`, with its placeholders filled in.
//!
//! Must never happen here: a value that reaches beyond its place. Everything but unreserved characters is percent-encoded,
//! and what would still change the path's shape (nothing at all, `.`, `..`) makes the record unfit.

use http::Uri;
use http::uri::PathAndQuery;
use std::borrow::Cow;

use super::columns::{Columns, Part, Slot};
use crate::percent;
use crate::record::Record;

/// Bytes of a filled path and query, at most: what every server should take (RFC 9110 section 4.1).
pub const LONGEST: usize = 8000;

/// Path and query of a URL, with places for the columns.
pub enum Url {
    /// The same for each record.
    Fixed(PathAndQuery),
    Filled(Vec<UrlPart>),
}

/// A piece of path and query.
pub enum UrlPart {
    Text(String),
    Path(Slot),
    Query(Slot),
}

impl Url {
    /// Takes an `api.url` apart.
    ///
    /// # Errors
    /// When it is no URL.
    pub fn new(url: &str, columns: &mut Columns) -> anyhow::Result<Url> {
        let parts = columns.parts(url, "api.url");
        if let [] | [Part::Text(_)] = &parts[..] {
            let parts = url.parse::<Uri>()?.into_parts();
            let none = PathAndQuery::from_static("/");
            return Ok(Url::Fixed(parts.path_and_query.unwrap_or(none)));
        }
        // The configuration has a placeholder nowhere before the path and nowhere behind the query.
        let mut before = path_of(url);
        let mut in_query = false;
        let mut rest = Vec::new();
        for part in parts {
            match part {
                Part::Text(text) => {
                    let skipped = before.min(text.len());
                    before -= skipped;
                    let text = text[skipped..].split('#').next().unwrap_or_default();
                    in_query |= text.contains('?');
                    rest.push(UrlPart::Text(text.to_string()));
                }
                Part::Slot(slot) if in_query => rest.push(UrlPart::Query(slot)),
                Part::Slot(slot) => rest.push(UrlPart::Path(slot)),
            }
        }
        Ok(Url::Filled(rest))
    }

    /// Whether a record decides where its request goes.
    pub fn is_filled(&self) -> bool {
        matches!(self, Url::Filled(_))
    }

    /// Path and query for a record.
    ///
    /// # Errors
    /// One line that says why this record has none.
    pub fn fill(&self, record: &Record) -> Result<Cow<'_, PathAndQuery>, String> {
        let parts = match self {
            Url::Fixed(target) => return Ok(Cow::Borrowed(target)),
            Url::Filled(parts) => parts,
        };
        let mut text = String::with_capacity(128);
        for part in parts {
            match part {
                UrlPart::Text(fixed) => text.push_str(fixed),
                UrlPart::Path(slot) => match slot.text(record, "a URL")? {
                    None => {
                        return Err(format!(
                            "{} is NULL, but part of the URL's path",
                            slot.column()
                        ));
                    }
                    Some(value) if value.is_empty() => {
                        return Err(format!(
                            "{} is empty, but part of the URL's path",
                            slot.column()
                        ));
                    }
                    Some(value) => percent::push_url(&mut text, &value),
                },
                UrlPart::Query(slot) => {
                    // A query has no NULL; an empty value keeps the place.
                    let value = slot.text(record, "a URL")?.unwrap_or_default();
                    percent::push_url(&mut text, &value);
                }
            }
        }
        let path = text.split('?').next().unwrap_or_default();
        if path.split('/').any(percent::is_dot_segment) {
            return Err(
                "its URL's path would hold a segment . or .., which does not arrive".into(),
            );
        }
        if text.len() > LONGEST {
            return Err(format!("its URL would be longer than {LONGEST} bytes"));
        }
        let filled = PathAndQuery::try_from(text).map_err(|error| format!("its URL: {error}"))?;
        Ok(Cow::Owned(filled))
    }
}

/// The scheme and the authority of a URL, which hold no placeholders: where to connect to.
///
/// # Errors
/// When it is no URL.
pub fn base(url: &str) -> anyhow::Result<Uri> {
    Ok(url[..path_of(url)].parse()?)
}

/// Where path, query or fragment begin.
fn path_of(url: &str) -> usize {
    let authority = url.find("://").map_or(0, |at| at + 3);
    let rest = &url[authority..];
    rest.find(['/', '?', '#'])
        .map_or(url.len(), |at| authority + at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Value;
    use proptest::prelude::*;

    fn fill(url: &str, values: &[Value]) -> Result<String, String> {
        let mut columns = Columns::default();
        let url = Url::new(url, &mut columns).unwrap();
        let record = Record {
            id: 1,
            attempts: 0,
            values: values.to_vec(),
        };
        url.fill(&record).map(|target| target.to_string())
    }

    fn text(text: &str) -> Value {
        Value::Text(text.into())
    }

    #[test]
    fn a_url_without_placeholders_stays_as_it_is() {
        for (url, target) in [
            ("http://h", "/"),
            ("http://h?a=b", "/?a=b"),
            ("https://u:p@h:1/a/../b?c=d#e", "/a/../b?c=d"),
        ] {
            assert_eq!(fill(url, &[]).unwrap(), target);
        }
    }

    #[test]
    fn values_are_percent_encoded_in_path_and_query() {
        assert_eq!(
            fill(
                "https://u:p@h:81/a%20b/{a}-{b}/x?q={c}&r={a}&s={d}",
                &[
                    text("a/b?ü #"),
                    Value::Integer(-5),
                    text("x y&z"),
                    Value::Null
                ]
            )
            .unwrap(),
            "/a%20b/a%2Fb%3F%C3%BC%20%23--5/x?q=x%20y%26z&r=a%2Fb%3F%C3%BC%20%23&s="
        );
        assert_eq!(
            fill("http://h?a={a}#x", &[Value::Real(1e300)]).unwrap(),
            "/?a=1e%2B300"
        );
        assert_eq!(fill("http://h/{a}", &[text("{b}")]).unwrap(), "/%7Bb%7D");
    }

    #[test]
    fn what_would_change_the_path_makes_the_record_unfit() {
        for (value, said) in [
            (Value::Null, "a is NULL"),
            (text(""), "a is empty"),
            (text("."), "segment . or .."),
            (text(".."), "segment . or .."),
            (Value::Bytes, "a URL cannot carry it"),
            (Value::Real(f64::INFINITY), "a URL cannot carry"),
            (text(&"x".repeat(LONGEST)), "longer than 8000 bytes"),
        ] {
            let error = fill("http://h/{a}/b", &[value]).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
        assert!(fill("http://h/{a}{b}", &[text("."), text(".")]).is_err());
        assert!(fill("http://h/%2e{a}/b", &[text(".")]).is_err());
        // In the query they are harmless.
        assert_eq!(
            fill("http://h/x?a={a}/{b}", &[text(".."), text("")]).unwrap(),
            "/x?a=../"
        );
        assert_eq!(fill("http://h/...{a}", &[text(".")]).unwrap(), "/....");
    }

    proptest! {
        #[test]
        fn a_value_stays_in_its_segment_and_decodes_to_the_same(value in any::<String>()) {
            prop_assume!(!["", ".", ".."].contains(&value.as_str()));
            let url = fill("http://h/a/{v}/b?q={v}", &[text(&value)]).unwrap();
            let uri: Uri = url.parse().unwrap();
            let segments: Vec<_> = uri.path().split('/').collect();
            prop_assert_eq!((segments.len(), segments[1], segments[3]), (4, "a", "b"));
            for encoded in [segments[2], &uri.query().unwrap()[2..]] {
                let decoded = percent_encoding::percent_decode_str(encoded).decode_utf8().unwrap();
                prop_assert_eq!(decoded, value.as_str());
            }
        }
    }
}
