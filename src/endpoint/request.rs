//! The shape of a request, as the configuration describes it: read once, filled in for each record.

use http::Method;
use std::borrow::Cow;

use super::body::Body;
use super::bulk::Bulk;
use super::columns::{Columns, Use};
use super::fields::Fields;
use super::url::Url;
use crate::client::Request;
use crate::config;
use crate::record::Record;

/// What all requests have in common, with places for the columns.
pub struct Shape {
    method: Method,
    url: Url,
    fields: Fields,
    body: Body,
    columns: Columns,
}

impl Shape {
    /// The shape that the configuration describes, for this `api.url`.
    ///
    /// # Errors
    /// One line that names what is wrong.
    pub fn new(api: &config::Api, url: &str, bulk: Option<&Bulk>) -> anyhow::Result<Shape> {
        let mut columns = Columns::default();
        let body = Body::new(api, &mut columns);
        let media_type = bulk.map(Bulk::media_type).or(body.content_type());
        Ok(Shape {
            method: Method::from_bytes(api.method.as_bytes())?,
            url: Url::new(url, &mut columns)?,
            fields: Fields::new(api, url, media_type, &mut columns)?,
            body,
            columns,
        })
    }

    /// The columns that a record must have, in this order.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.columns.names()
    }

    /// Every key of the configuration that names a column.
    pub fn uses(&self) -> &[Use] {
        self.columns.uses()
    }

    /// Whether the URL is another for each record.
    pub fn fills_url(&self) -> bool {
        self.url.is_filled()
    }

    /// The request for one attempt at a record.
    ///
    /// # Errors
    /// One line that says why this record cannot be sent.
    pub fn fill(&self, record: &Record, key: &str) -> Result<Request<'_>, String> {
        let mut body = Vec::with_capacity(128);
        self.fill_body(record, &mut body)?;
        self.fill_around(record, key, Cow::Owned(body))
    }

    /// The request for a finished body, whose URL and header fields are those of a record.
    ///
    /// # Errors
    /// As for [`Shape::fill`].
    pub fn fill_around<'a>(
        &'a self,
        record: &Record,
        key: &str,
        body: Cow<'a, [u8]>,
    ) -> Result<Request<'a>, String> {
        Ok(Request {
            method: self.method.clone(),
            target: self.url.fill(record)?,
            fields: self.fields.fill(record, key)?,
            body,
        })
    }

    /// Appends the body's text for a record.
    ///
    /// # Errors
    /// As for [`Shape::fill`].
    pub fn fill_body(&self, record: &Record, out: &mut Vec<u8>) -> Result<(), String> {
        self.body.fill(record, out)
    }
}
