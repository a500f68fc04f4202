//! A JSON body. Nested objects, lists and constants are folded into the text between two values when the configuration is
//! read, so that filling them in costs no more than a flat body.

use serde::de::IgnoredAny;

use super::super::columns::{Columns, Slot};
use crate::config::Content;
use crate::record::{Record, Value};

/// A JSON object with places for the columns.
pub struct Json {
    places: Vec<Place>,
    /// What stands behind the last value.
    end: String,
}

struct Place {
    /// What stands between the value before and this one: `{"networkId":`, `,"place":{"city":`.
    before: String,
    slot: Slot,
    /// The column holds JSON text, which is taken as it is.
    raw: bool,
}

impl Json {
    /// The object with these members.
    pub fn new(members: &[(String, Content)], columns: &mut Columns) -> Json {
        let mut folder = Folder {
            places: Vec::new(),
            text: String::new(),
            columns,
        };
        folder.object("api.body", members);
        Json {
            places: folder.places,
            end: folder.text,
        }
    }

    /// Appends the JSON text for a record.
    ///
    /// # Errors
    /// One line that says why this record has no JSON form.
    pub fn fill(&self, record: &Record, out: &mut Vec<u8>) -> Result<(), String> {
        for place in &self.places {
            out.extend_from_slice(place.before.as_bytes());
            match place.raw {
                false => place.slot.push_json(record, out)?,
                true => push_raw(&place.slot, record, out)?,
            }
        }
        out.extend_from_slice(self.end.as_bytes());
        Ok(())
    }
}

/// Appends JSON text as it is, so that its numbers keep their digits. A number in the column is JSON too.
fn push_raw(slot: &Slot, record: &Record, out: &mut Vec<u8>) -> Result<(), String> {
    let Value::Text(text) = slot.value(record) else {
        return slot.push_json(record, out);
    };
    if let Err(error) = serde_json::from_str::<IgnoredAny>(text) {
        return Err(format!("{} does not hold JSON: {error}", slot.column()));
    }
    out.extend_from_slice(text.trim_ascii().as_bytes());
    Ok(())
}

/// Folds members into places and the text between them.
struct Folder<'a> {
    places: Vec<Place>,
    text: String,
    columns: &'a mut Columns,
}

impl Folder<'_> {
    fn object(&mut self, key: &str, members: &[(String, Content)]) {
        let mut separator = '{';
        for (name, content) in members {
            self.text.push(separator);
            self.text
                .push_str(&serde_json::Value::from(name.as_str()).to_string());
            self.text.push(':');
            self.content(&format!("{key}.{name}"), content);
            separator = ',';
        }
        self.text.push('}');
    }

    fn list(&mut self, key: &str, items: &[Content]) {
        let mut separator = '[';
        for (number, content) in items.iter().enumerate() {
            self.text.push(separator);
            self.content(&format!("{key}[{number}]"), content);
            separator = ',';
        }
        self.text.push(']');
    }

    fn content(&mut self, key: &str, content: &Content) {
        match content {
            Content::Column(column) => self.place(key, column, false),
            Content::Json(column) => self.place(key, column, true),
            Content::Constant(value) => self.text.push_str(&value.to_string()),
            Content::Object(members) => self.object(key, members),
            Content::List(items) => self.list(key, items),
        }
    }

    fn place(&mut self, key: &str, column: &str, raw: bool) {
        self.places.push(Place {
            before: std::mem::take(&mut self.text),
            slot: self.columns.slot(column, key),
            raw,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn column(name: &str) -> Content {
        Content::Column(name.into())
    }

    fn members(members: Vec<(&str, Content)>) -> Vec<(String, Content)> {
        let owned = members
            .into_iter()
            .map(|(key, content)| (key.to_string(), content));
        owned.collect()
    }

    fn fill(body: Vec<(&str, Content)>, values: Vec<Value>) -> Result<String, String> {
        let mut columns = Columns::default();
        let json = Json::new(&members(body), &mut columns);
        assert_eq!(columns.names().count(), values.len());
        let record = Record {
            id: 1,
            attempts: 0,
            values,
        };
        let mut text = Vec::new();
        json.fill(&record, &mut text)?;
        Ok(String::from_utf8(text).unwrap())
    }

    fn flat(values: Vec<Value>) -> Result<String, String> {
        let body = vec![
            ("networkId", column("network_id")),
            ("city", column("city")),
        ];
        fill(body, values)
    }

    #[test]
    fn null_and_text_become_json() {
        let text = Value::Text("Köln \"1\"\n".into());
        assert_eq!(
            flat(vec![Value::Null, text]).unwrap(),
            r#"{"networkId":null,"city":"Köln \"1\"\n"}"#
        );
    }

    #[test]
    fn numbers_keep_their_type() {
        assert_eq!(
            flat(vec![Value::Integer(i64::MIN), Value::Real(2.0)]).unwrap(),
            r#"{"networkId":-9223372036854775808,"city":2.0}"#
        );
    }

    #[test]
    fn what_json_cannot_carry_names_its_column() {
        let error = flat(vec![Value::Null, Value::Bytes]).unwrap_err();
        assert!(error.starts_with("city is neither"), "{error}");
        let error = flat(vec![Value::Real(f64::INFINITY), Value::Null]).unwrap_err();
        assert!(error.starts_with("network_id is infinite"), "{error}");
    }

    #[test]
    fn objects_lists_and_constants_stand_where_they_were_written() {
        let place = members(vec![
            ("city", column("city")),
            ("kind", Content::Constant(json!("c"))),
        ]);
        let body = vec![
            (
                "v",
                Content::Constant(json!({"b": [1, 2.5, null], "a": true})),
            ),
            ("place", Content::Object(place)),
            (
                "at",
                Content::List(vec![column("lon"), column("lat"), column("lon")]),
            ),
            ("\"", Content::Constant(json!([]))),
        ];
        let values = vec![
            Value::Text("Faro".into()),
            Value::Real(-7.9),
            Value::Integer(37),
        ];
        assert_eq!(
            fill(body, values).unwrap(),
            r#"{"v":{"b":[1,2.5,null],"a":true},"place":{"city":"Faro","kind":"c"},"at":[-7.9,37,-7.9],"\"":[]}"#
        );
        let constant = vec![("a", Content::Constant(json!(1)))];
        assert_eq!(fill(constant, vec![]).unwrap(), r#"{"a":1}"#);
    }

    #[test]
    fn json_text_is_taken_as_it_is() {
        let raw = |value| fill(vec![("extra", Content::Json("extra".into()))], vec![value]);
        let text = |text: &str| raw(Value::Text(text.into()));
        assert_eq!(
            text(" {\"n\": 1.00000000000000000000001, \"n\":[ ]}\n").unwrap(),
            "{\"extra\":{\"n\": 1.00000000000000000000001, \"n\":[ ]}}"
        );
        assert_eq!(raw(Value::Null).unwrap(), r#"{"extra":null}"#);
        assert_eq!(raw(Value::Integer(5)).unwrap(), r#"{"extra":5}"#);
        for bad in ["", "{", "nul", "1,2", "{\"a\":1}}", "NaN"] {
            let error = text(bad).unwrap_err();
            assert!(error.starts_with("extra does not hold JSON: "), "{error}");
        }
        assert!(raw(Value::Bytes).is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_as_the_same(
            text in any::<String>(), integer in any::<i64>(), real in any::<f64>(), key in any::<String>(),
        ) {
            prop_assume!(real.is_finite());
            let inner = vec![
                (key.clone(), column("text")),
                (format!("{key}2"), Content::List(vec![column("integer"), column("real")])),
            ];
            let body = vec![("in", Content::Object(inner))];
            let values = vec![Value::Text(text.clone()), Value::Integer(integer), Value::Real(real)];
            let json: serde_json::Value = serde_json::from_str(&fill(body, values).unwrap()).unwrap();
            prop_assert_eq!(json["in"][&key].as_str(), Some(text.as_str()));
            let list = &json["in"][format!("{key}2")];
            prop_assert_eq!(list[0].as_i64(), Some(integer));
            prop_assert_eq!(list[1].to_string().parse::<f64>().unwrap(), real);
        }

        #[test]
        fn json_text_reads_back_as_the_same(text in any::<String>(), number in "-?[1-9][0-9]{0,40}(\\.[0-9]{1,40})?") {
            let wanted: serde_json::Value = serde_json::from_str(&format!("[{}, {number}]", json!(text))).unwrap();
            let body = vec![("extra", Content::Json("extra".into()))];
            let filled = fill(body, vec![Value::Text(wanted.to_string())]).unwrap();
            let json: serde_json::Value = serde_json::from_str(&filled).unwrap();
            prop_assert_eq!(&json["extra"], &wanted);
            prop_assert_eq!(json["extra"][1].to_string(), number);
        }
    }
}
