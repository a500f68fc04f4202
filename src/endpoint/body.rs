//! The request body: `api.body` filled in with a record, in the format of `api.format`.

mod form;
mod json;

use crate::config::{self, BodyFormat};
use crate::record::Record;

use super::columns::Columns;
use form::Form;
use json::Json;

/// The body with places for the columns.
pub enum Body {
    /// There is none.
    None,
    /// A JSON object.
    Json(Json),
    /// A form.
    Form(Form),
}

impl Body {
    /// The body that the configuration describes.
    pub fn new(api: &config::Api, columns: &mut Columns) -> Body {
        match api.format {
            BodyFormat::None => Body::None,
            BodyFormat::Json => Body::Json(Json::new(&api.body, columns)),
            BodyFormat::Form => Body::Form(Form::new(&api.body, columns)),
        }
    }

    /// The media type (RFC 9110 section 8.3), if there is a body.
    pub fn content_type(&self) -> Option<&'static str> {
        match self {
            Body::None => None,
            Body::Json(_) => Some("application/json"),
            Body::Form(_) => Some("application/x-www-form-urlencoded"),
        }
    }

    /// Appends the text for a record.
    ///
    /// # Errors
    /// One line that says why this record has no such text; what was appended is then worth nothing.
    pub fn fill(&self, record: &Record, out: &mut Vec<u8>) -> Result<(), String> {
        match self {
            Body::None => Ok(()),
            Body::Json(json) => json.fill(record, out),
            Body::Form(form) => form.fill(record, out),
        }
    }
}
