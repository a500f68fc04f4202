//! Reading the input: CSV with a header, or JSONL, line by line into the stage. Every fault names its line and column.

use rusqlite::types::Value;
use std::io::{self, BufRead, Read};
use std::path::Path;

use super::Fault;
use super::rows::Rows;
use super::store::Stage;
use crate::text;

/// The longest line of JSONL, so that a wrong file cannot fill the memory.
const LINE_BYTES: u64 = 16 * 1024 * 1024;

/// Foreign text in messages is cut at this.
const SHOWN_BYTES: usize = 80;

/// How the records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Comma-separated values with the column names in the first line; an empty field is NULL.
    Csv,
    /// One JSON object a line, with the column names as keys.
    Jsonl,
}

impl Format {
    /// What a file's name says; CSV where it says nothing.
    pub fn of_name(path: &Path) -> Format {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
        match extension.to_ascii_lowercase().as_str() {
            "jsonl" | "ndjson" | "json" => Format::Jsonl,
            _ => Format::Csv,
        }
    }
}

/// Reads all of the input into the stage.
pub(super) fn read(
    input: impl BufRead,
    format: Format,
    columns: &[String],
    stage: &mut Stage,
) -> Result<(), Fault> {
    let input = without_bom(input).map_err(|error| Fault::Other(error.into()))?;
    match format {
        Format::Csv => read_csv(input, columns, stage),
        Format::Jsonl => read_jsonl(input, columns, stage),
    }
}

/// Passes over the byte order mark that some programs put before UTF-8 text.
fn without_bom(mut input: impl BufRead) -> io::Result<impl BufRead> {
    let mut head = Vec::with_capacity(3);
    input.by_ref().take(3).read_to_end(&mut head)?;
    if head == b"\xef\xbb\xbf" {
        head.clear();
    }
    Ok(io::Cursor::new(head).chain(input))
}

fn read_csv(input: impl BufRead, columns: &[String], stage: &mut Stage) -> Result<(), Fault> {
    let mut rows = Rows::new(input);
    let mut row = csv::ByteRecord::new();
    let head_line = rows.next(&mut row)?.unwrap_or(1);
    let shape = csv_shape(&row, columns).map_err(|problem| at(head_line, problem))?;
    let without_id: Vec<usize> = shape
        .iter()
        .copied()
        .filter(|&column| !is_id(&columns[column]))
        .collect();
    let mut last_line = head_line;
    while let Some(line) = rows.next(&mut row)? {
        last_line = line;
        let id = shape.iter().position(|&column| is_id(&columns[column]));
        // An empty id is one that is left out.
        let has_id = id.is_none_or(|at| row.get(at).is_none_or(|field| !field.is_empty()));
        let values = csv_row(&row, &shape, columns, has_id).map_err(|problem| at(line, problem))?;
        stage.add(line, if has_id { &shape } else { &without_id }, values)?;
    }
    if rows.quote_is_open() {
        let problem =
            "a quote is never closed, here or before (inside a quoted field it is written twice)";
        return Err(at(last_line, problem.to_string()));
    }
    Ok(())
}

/// Which column each field of the header names.
fn csv_shape(header: &csv::ByteRecord, columns: &[String]) -> Result<Vec<usize>, String> {
    let shape = header
        .iter()
        .map(|name| find_column(&String::from_utf8_lossy(name), columns))
        .collect::<Result<Vec<_>, _>>()?;
    check_shape(&shape, columns)?;
    Ok(shape)
}

fn csv_row(
    row: &csv::ByteRecord,
    shape: &[usize],
    columns: &[String],
    has_id: bool,
) -> Result<Vec<Value>, String> {
    let (fields, wanted) = (row.len(), shape.len());
    if fields != wanted {
        let counts = format!("the line has {fields} fields, the header has {wanted}");
        return Err(match shape.get(fields) {
            Some(&missing) => format!("column {} is missing: {counts}", columns[missing]),
            None => counts,
        });
    }
    let fields = row.iter().zip(shape);
    fields
        .filter(|(_, column)| has_id || !is_id(&columns[**column]))
        .map(|(field, &column)| csv_value(field, &columns[column]))
        .collect()
}

fn csv_value(field: &[u8], column: &str) -> Result<Value, String> {
    let field =
        std::str::from_utf8(field).map_err(|_| format!("column {column}: not UTF-8 text"))?;
    if is_key(column) {
        let number = field.trim().parse().map(Value::Integer);
        return number.map_err(|_| not_a_number(column, field));
    }
    Ok(match field {
        "" => Value::Null,
        text => Value::Text(text.to_string()),
    })
}

fn read_jsonl(mut input: impl BufRead, columns: &[String], stage: &mut Stage) -> Result<(), Fault> {
    let mut text = Vec::new();
    for line in 1.. {
        text.clear();
        let mut limited = input.by_ref().take(LINE_BYTES);
        let read = limited
            .read_until(b'\n', &mut text)
            .map_err(|error| Fault::Other(error.into()))?;
        if read == 0 {
            break;
        }
        if read as u64 == LINE_BYTES {
            return Err(at(line, "the line is longer than 16 MiB".into()));
        }
        if text.trim_ascii().is_empty() {
            continue;
        }
        let (shape, values) = json_row(&text, columns).map_err(|problem| at(line, problem))?;
        stage.add(line, &shape, values)?;
    }
    Ok(())
}

fn json_row(text: &[u8], columns: &[String]) -> Result<(Vec<usize>, Vec<Value>), String> {
    let Pairs(parsed) = serde_json::from_slice(text.trim_ascii_end()).map_err(|error| {
        // The text is one line of the file, and the message names that one.
        let reason = error.to_string().replace(" at line 1 column ", " at byte ");
        format!("not a JSON object: {}", text::printable(&reason, 256))
    })?;
    let mut shape = Vec::with_capacity(parsed.len());
    let mut values = Vec::with_capacity(parsed.len());
    for (key, value) in parsed {
        let column = find_column(&key, columns)?;
        if value.is_null() && is_id(&columns[column]) {
            continue;
        }
        shape.push(column);
        values.push(json_value(value, &columns[column])?);
    }
    check_shape(&shape, columns)?;
    Ok((shape, values))
}

/// The members of a JSON object in their order, a repeated name included: a map would drop one of the two values.
struct Pairs(Vec<(String, serde_json::Value)>);

impl<'de> serde::Deserialize<'de> for Pairs {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Pairs, D::Error> {
        struct Members;
        impl<'de> serde::de::Visitor<'de> for Members {
            type Value = Pairs;

            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

fn json_value(value: serde_json::Value, column: &str) -> Result<Value, String> {
    use serde_json::Value as Json;
    if is_key(column) {
        let number = value.as_i64().map(Value::Integer);
        let shown = value
            .as_str()
            .map_or_else(|| value.to_string(), String::from);
        return number.ok_or_else(|| not_a_number(column, &shown));
    }
    Ok(match value {
        Json::Null => Value::Null,
        Json::Bool(yes) => Value::Integer(yes.into()),
        // The column's type decides what becomes of the digits, as with CSV.
        Json::Number(number) => match number.as_i64() {
            Some(integer) => Value::Integer(integer),
            None => Value::Text(number.to_string()),
        },
        Json::String(text) => Value::Text(text),
        nested => Value::Text(nested.to_string()),
    })
}

/// The columns that must be whole numbers.
fn is_key(column: &str) -> bool {
    is_id(column) || column.eq_ignore_ascii_case("user_id")
}

/// The column that may be left out, or left empty: SQLite assigns it.
fn is_id(column: &str) -> bool {
    column.eq_ignore_ascii_case("id")
}

fn not_a_number(column: &str, value: &str) -> String {
    let shown = text::printable(value, SHOWN_BYTES);
    format!("column {column}: \"{shown}\" is not a whole number of 64 bits")
}

/// Column names are compared as SQLite does, without regard to ASCII case.
fn find_column(name: &str, columns: &[String]) -> Result<usize, String> {
    let name = name.trim();
    let found = columns.iter().position(|c| c.eq_ignore_ascii_case(name));
    found.ok_or_else(|| {
        format!(
            "column \"{}\" is not in user_record, which has {}",
            text::printable(name, SHOWN_BYTES),
            columns.join(", ")
        )
    })
}

fn check_shape(shape: &[usize], columns: &[String]) -> Result<(), String> {
    if let Some(twice) = (1..shape.len()).find(|&i| shape[..i].contains(&shape[i])) {
        return Err(format!("column {} is there twice", columns[shape[twice]]));
    }
    let has_user = shape
        .iter()
        .any(|&column| columns[column].eq_ignore_ascii_case("user_id"));
    if has_user {
        Ok(())
    } else {
        Err("column user_id is missing".into())
    }
}

fn at(line: u64, problem: String) -> Fault {
    Fault::Line { line, problem }
}
