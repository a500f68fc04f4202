//! A body as HTML forms have it: `application/x-www-form-urlencoded` (WHATWG URL standard, section 5).

use super::super::columns::{Columns, Slot};
use crate::config::Content;
use crate::percent;
use crate::record::Record;

/// A form with places for the columns.
pub struct Form {
    fields: Vec<Field>,
}

struct Field {
    /// `key=`, and behind it the value if that is always the same.
    text: Vec<u8>,
    slot: Option<Slot>,
}

impl Form {
    /// The form with these fields. The configuration lets columns and single constants through.
    pub fn new(members: &[(String, Content)], columns: &mut Columns) -> Form {
        let field = |(key, content): &(String, Content)| {
            let mut text = Vec::new();
            percent::push_form(&mut text, key);
            text.push(b'=');
            let slot = match content {
                Content::Column(column) => Some(columns.slot(column, &format!("api.body.{key}"))),
                Content::Constant(serde_json::Value::String(value)) => {
                    percent::push_form(&mut text, value);
                    None
                }
                Content::Constant(value) => {
                    percent::push_form(&mut text, &value.to_string());
                    None
                }
                Content::Json(_) | Content::Object(_) | Content::List(_) => return None,
            };
            Some(Field { text, slot })
        };
        Form {
            fields: members.iter().filter_map(field).collect(),
        }
    }

    /// Appends the form for a record. A field whose column is NULL is left out: a form has no NULL, and an empty text would
    /// be another value.
    ///
    /// # Errors
    /// One line that says why a form cannot carry this record.
    pub fn fill(&self, record: &Record, out: &mut Vec<u8>) -> Result<(), String> {
        let start = out.len();
        for Field { text, slot } in &self.fields {
            let value = match slot {
                None => None,
                Some(slot) => match slot.text(record, "a form")? {
                    None => continue,
                    value => value,
                },
            };
            if out.len() > start {
                out.push(b'&');
            }
            out.extend_from_slice(text);
            percent::push_form(out, &value.unwrap_or_default());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Value;

    #[test]
    fn fields_are_encoded_and_null_is_left_out() {
        let column = |name: &str| Content::Column(name.into());
        let members = [
            ("a", column("a")),
            ("the b", column("b")),
            ("c", Content::Constant("x y".into())),
            ("d", Content::Constant(1.5.into())),
            ("e", column("e")),
        ];
        let members = members.map(|(key, content)| (key.to_string(), content));
        let form = Form::new(&members, &mut Columns::default());
        let fill = |values: [Value; 3]| {
            let record = Record {
                id: 1,
                attempts: 0,
                values: values.into(),
            };
            let mut out = b"[".to_vec();
            form.fill(&record, &mut out)
                .map(|()| String::from_utf8(out).unwrap())
        };
        let text = Value::Text("Köln & Ä=\n".into());
        assert_eq!(
            fill([Value::Null, text, Value::Real(2.0)]).unwrap(),
            "[the+b=K%C3%B6ln+%26+%C3%84%3D%0A&c=x+y&d=1.5&e=2.0"
        );
        let empty = Value::Text(String::new());
        assert_eq!(
            fill([empty, Value::Null, Value::Null]).unwrap(),
            "[a=&c=x+y&d=1.5"
        );
        let error = fill([Value::Null, Value::Bytes, Value::Null]).unwrap_err();
        assert!(error.ends_with("so a form cannot carry it"), "{error}");
    }
}
