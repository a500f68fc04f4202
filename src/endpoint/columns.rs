//! The columns that a request needs, and a record's values as the parts of a request carry them.

use serde_json::Number;
use std::borrow::Cow;

use crate::placeholder::{self, Piece};
use crate::record::{Record, Value};

/// The columns that a request needs, each once, and what names them.
#[derive(Default)]
pub struct Columns {
    names: Vec<String>,
    uses: Vec<Use>,
}

/// A key of the configuration that names a column.
#[derive(Debug, Clone)]
pub struct Use {
    /// Such as `api.body.city`.
    pub key: String,
    /// Such as `city`.
    pub column: String,
}

impl Columns {
    /// In the order that the values of a record must have.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// Every key that names a column.
    pub fn uses(&self) -> &[Use] {
        &self.uses
    }

    /// The place of a column in a record, for the setting `key`.
    pub fn slot(&mut self, column: &str, key: &str) -> Slot {
        self.uses.push(Use {
            key: key.to_string(),
            column: column.to_string(),
        });
        let had = self.names.iter().position(|name| name == column);
        let index = had.unwrap_or_else(|| {
            self.names.push(column.to_string());
            self.names.len() - 1
        });
        let column = column.to_string();
        Slot { index, column }
    }

    /// The pieces of a text with placeholders, for the setting `key`.
    pub fn parts(&mut self, text: &str, key: &str) -> Vec<Part> {
        let pieces = placeholder::parse(text).into_iter();
        let part = |piece| match piece {
            Piece::Text(text) => Part::Text(text.to_string()),
            Piece::Column(column) => Part::Slot(self.slot(column, key)),
        };
        pieces.map(part).collect()
    }
}

/// A piece of a text with placeholders.
pub enum Part {
    /// Stands as it is.
    Text(String),
    /// Stands for a value.
    Slot(Slot),
}

impl Part {
    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Part::Text(text) => Some(text),
            Part::Slot(_) => None,
        }
    }
}

/// The place of a column in a record.
pub struct Slot {
    index: usize,
    column: String,
}

impl Slot {
    /// The column, for messages.
    pub fn column(&self) -> &str {
        &self.column
    }

    /// The value in this place.
    pub fn value<'a>(&self, record: &'a Record) -> &'a Value {
        &record.values[self.index]
    }

    /// The value as text; `None` is NULL. Numbers are written as in JSON.
    ///
    /// # Errors
    /// One line that says why `carrier` ("a URL") cannot carry it.
    pub fn text<'a>(
        &self,
        record: &'a Record,
        carrier: &str,
    ) -> Result<Option<Cow<'a, str>>, String> {
        Ok(Some(match self.value(record) {
            Value::Null => return Ok(None),
            Value::Integer(i) => i.to_string().into(),
            Value::Real(f) => self.number(*f, carrier)?.to_string().into(),
            Value::Text(text) => text.as_str().into(),
            Value::Bytes => return Err(self.unfit(carrier)),
        }))
    }

    /// Appends the value as JSON, with its own type.
    ///
    /// # Errors
    /// One line that says why JSON cannot carry it.
    pub fn push_json(&self, record: &Record, out: &mut Vec<u8>) -> Result<(), String> {
        let written = match self.value(record) {
            Value::Null => serde_json::to_writer(out, &()),
            Value::Integer(i) => serde_json::to_writer(out, i),
            Value::Real(f) => serde_json::to_writer(out, &self.number(*f, "JSON")?),
            Value::Text(text) => serde_json::to_writer(out, text),
            Value::Bytes => return Err(self.unfit("JSON")),
        };
        written.map_err(|error| format!("{}: {error}", self.column))
    }

    fn number(&self, f: f64, carrier: &str) -> Result<Number, String> {
        let Slot { column, .. } = self;
        Number::from_f64(f)
            .ok_or_else(|| format!("{column} is infinite, which {carrier} cannot carry"))
    }

    fn unfit(&self, carrier: &str) -> String {
        let Slot { column, .. } = self;
        format!("{column} is neither a number nor UTF-8 text, so {carrier} cannot carry it")
    }
}
