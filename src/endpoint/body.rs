//! The request body: `api.body` filled in with a record.

use crate::record::{Record, Value};

/// The body with places for the columns, in the order of the configuration.
pub struct Template {
    /// JSON keys, each as the text that stands before its value: `{"networkId":`, `,"city":`.
    prefixes: Vec<String>,
    /// The columns behind them, for messages.
    columns: Vec<String>,
}

impl Template {
    /// A template of (JSON key, column) pairs.
    pub fn new(body: &[(String, String)]) -> Template {
        let prefix = |(i, (key, _)): (usize, &(String, String))| {
            let opening = if i == 0 { '{' } else { ',' };
            format!("{opening}{}:", serde_json::Value::from(key.as_str()))
        };
        Template {
            prefixes: body.iter().enumerate().map(prefix).collect(),
            columns: body.iter().map(|(_, column)| column.clone()).collect(),
        }
    }

    /// The JSON text for a record, whose values are in the template's order.
    ///
    /// # Errors
    /// One line that says why this record has no JSON form.
    pub fn fill(&self, record: &Record) -> Result<Vec<u8>, String> {
        let mut json = Vec::with_capacity(128);
        for ((prefix, column), value) in self.prefixes.iter().zip(&self.columns).zip(&record.values)
        {
            json.extend_from_slice(prefix.as_bytes());
            let scalar = match value {
                Value::Null => serde_json::Value::Null,
                Value::Integer(i) => (*i).into(),
                Value::Real(f) => match serde_json::Number::from_f64(*f) {
                    Some(number) => number.into(),
                    None => return Err(format!("{column} is infinite, which JSON cannot carry")),
                },
                Value::Text(text) => text.as_str().into(),
                Value::Bytes => {
                    return Err(format!(
                        "{column} is neither a number nor UTF-8 text, so JSON cannot carry it"
                    ));
                }
            };
            serde_json::to_writer(&mut json, &scalar).map_err(|e| format!("{column}: {e}"))?;
        }
        json.push(b'}');
        Ok(json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(values: Vec<Value>) -> Result<String, String> {
        let body = [("networkId", "network_id"), ("city", "city")];
        let body: Vec<_> = body.map(|(k, c)| (k.to_string(), c.to_string())).into();
        let record = Record {
            id: 1,
            attempts: 0,
            values,
        };
        let json = Template::new(&body).fill(&record)?;
        Ok(String::from_utf8(json).unwrap())
    }

    #[test]
    fn null_and_text_become_json() {
        let text = Value::Text("Köln \"1\"\n".into());
        assert_eq!(
            fill(vec![Value::Null, text]).unwrap(),
            r#"{"networkId":null,"city":"Köln \"1\"\n"}"#
        );
    }

    #[test]
    fn numbers_keep_their_type() {
        assert_eq!(
            fill(vec![Value::Integer(i64::MIN), Value::Real(2.0)]).unwrap(),
            r#"{"networkId":-9223372036854775808,"city":2.0}"#
        );
    }

    #[test]
    fn what_json_cannot_carry_names_its_column() {
        let error = fill(vec![Value::Null, Value::Bytes]).unwrap_err();
        assert!(error.starts_with("city is neither"), "{error}");
        let error = fill(vec![Value::Real(f64::INFINITY), Value::Null]).unwrap_err();
        assert!(error.starts_with("network_id is infinite"), "{error}");
    }
}
