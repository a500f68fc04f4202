//! Reading the input: CSV with a header, or JSONL, line by line into the stage. Every fault names its line and column.

use rusqlite::types::Value;
use std::cell::Cell;
use std::io::{BufRead, Read};
use std::path::Path;

use super::Fault;
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
    match format {
        Format::Csv => read_csv(input, columns, stage),
        Format::Jsonl => read_jsonl(input, columns, stage),
    }
}

fn read_csv(input: impl BufRead, columns: &[String], stage: &mut Stage) -> Result<(), Fault> {
    let quotes = Cell::new(0);
    let mut reader = csv::ReaderBuilder::new().from_reader(CountQuotes {
        input,
        quotes: &quotes,
    });
    let header = reader.headers().map_err(csv_fault)?.clone();
    let mut shape = Vec::new();
    for name in &header {
        shape.push(find_column(name, columns).map_err(|problem| at(1, problem))?);
    }
    check_shape(&shape, columns).map_err(|problem| at(1, problem))?;
    let without_id: Vec<usize> = shape
        .iter()
        .copied()
        .filter(|c| !is_id(&columns[*c]))
        .collect();
    let mut record = csv::StringRecord::new();
    let mut line = 1;
    while reader.read_record(&mut record).map_err(csv_fault)? {
        line = record.position().map_or(line, csv::Position::line);
        let mut values = Vec::with_capacity(shape.len());
        let mut has_id = true;
        for (field, column) in record.iter().zip(&shape) {
            if field.is_empty() && is_id(&columns[*column]) {
                has_id = false;
                continue;
            }
            let value = csv_value(field, &columns[*column]);
            values.push(value.map_err(|problem| at(line, problem))?);
        }
        let shape = if has_id { &shape } else { &without_id };
        stage.add(line, shape, values)?;
    }
    // Quotes come in pairs (RFC 4180 §2). The last one without its pair has swallowed the rest of the file.
    if quotes.get() % 2 == 1 {
        let problem =
            "a quote is never closed, here or before (inside a quoted field it is written twice)";
        return Err(at(line, problem.to_string()));
    }
    Ok(())
}

/// Counts the quotes on their way to the CSV reader, which takes the end of the file for the end of a quoted field.
struct CountQuotes<'a, R> {
    input: R,
    quotes: &'a Cell<u64>,
}

impl<R: Read> Read for CountQuotes<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.input.read(buffer)?;
        let found = buffer[..read].iter().filter(|byte| **byte == b'"').count();
        self.quotes.set(self.quotes.get() + found as u64);
        Ok(read)
    }
}

fn csv_value(field: &str, column: &str) -> Result<Value, String> {
    if is_key(column) {
        let number = field.trim().parse().map(Value::Integer);
        return number.map_err(|_| not_a_number(column, field));
    }
    Ok(match field {
        "" => Value::Null,
        text => Value::Text(text.to_string()),
    })
}

fn csv_fault(error: csv::Error) -> Fault {
    let line = error.position().map_or(1, csv::Position::line);
    match error.into_kind() {
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => at(
            line,
            format!("the line has {len} fields, the header has {expected_len}"),
        ),
        csv::ErrorKind::Utf8 { err, .. } => {
            at(line, format!("field {} is not UTF-8 text", err.field() + 1))
        }
        csv::ErrorKind::Io(error) => Fault::Other(error.into()),
        other => at(line, format!("{other:?}")),
    }
}

fn read_jsonl(mut input: impl BufRead, columns: &[String], stage: &mut Stage) -> Result<(), Fault> {
    let mut text = Vec::new();
    for line in 1.. {
        text.clear();
        let mut limited = Read::take(&mut input, LINE_BYTES);
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
    let parsed: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(text).map_err(|e| {
            // The line that serde_json counts is always 1 here.
            let problem = e.to_string();
            let problem = problem.split(" at line ").next().unwrap_or(&problem);
            format!(
                "not a JSON object: {} at column {}",
                text::printable(problem, 256),
                e.column()
            )
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
        Json::Number(number) => {
            match number.as_i64() {
                Some(integer) => Value::Integer(integer),
                None => Value::Real(number.as_f64().ok_or_else(|| {
                    format!("column {column}: the number {number} cannot be stored")
                })?),
            }
        }
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
