//! Rows for people as a table, for programs as CSV or JSON, page by page: a page is read in one short transaction, and
//! printed after it. Neither memory nor the database's -wal grows with the number of rows, or while nobody reads.
//!
//! CSV is that of RFC 4180 with a header; NULL is an empty field. JSON is one object a line, as `jq` and databases read it.
//! The keys are the names of the columns, and are kept. A BLOB is written in hexadecimal in both.

use rusqlite::types::ValueRef;
use rusqlite::{Params, Statement};
use serde_json::{Map, Value};

use crate::line::{Cell, Line};
use crate::output;
use crate::table::{self, Column};
use crate::terminal::Terminal;
use crate::text;
use crate::time::Timestamp;

/// Rows of a page. A table has its head again on each.
pub const PAGE: i64 = 500;

/// Rows of a table, where it is not said how many.
pub const ROWS: i64 = 20;

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Table,
    /// An object a line.
    Json,
    /// RFC 4180.
    Csv,
}

impl Form {
    /// The number of rows: as many as there are for a program, and the newest for a person, unless it is said.
    pub fn limit(self, said: Option<i64>) -> i64 {
        said.unwrap_or(match self {
            Form::Table => ROWS,
            Form::Json | Form::Csv => i64::MAX,
        })
    }
}

/// Rows with the names of their columns.
#[derive(Debug, Clone, Default)]
pub struct Page {
    names: Vec<String>,
    rows: Vec<Vec<Value>>,
}

impl Page {
    /// Reads all rows of a statement, which are those of a page.
    ///
    /// # Errors
    /// SQLite's.
    pub fn read(statement: &mut Statement, params: impl Params) -> rusqlite::Result<Page> {
        let names: Vec<String> = statement.column_names().map(String::from).collect();
        let columns = names.len();
        let rows = statement.query_map(params, |row| {
            (0..columns)
                .map(|column| row.get_ref(column).map(value))
                .collect()
        })?;
        let rows = rows.collect::<rusqlite::Result<_>>()?;
        Ok(Page { names, rows })
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The rows, to be read by the columns' names.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        let names = &self.names;
        self.rows.iter().map(move |values| Row { names, values })
    }
}

/// A row of a page.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    names: &'a [String],
    values: &'a [Value],
}

impl Row<'_> {
    /// A column as text for a terminal; empty for NULL.
    pub fn text(&self, name: &str) -> String {
        let column = self.names.iter().position(|known| known == name);
        match column.map(|column| &self.values[column]) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text::shown(text).into_owned(),
            Some(value) => value.to_string(),
        }
    }

    /// The first line of a column of several.
    pub fn first_line(&self, name: &str) -> String {
        let column = self.names.iter().position(|known| known == name);
        let value = column.and_then(|column| self.values[column].as_str());
        let line = value.and_then(|text| text.lines().next());
        text::shown(line.unwrap_or_default()).into_owned()
    }

    /// How long ago a time was; empty for NULL.
    pub fn ago(&self, name: &str, now: Timestamp) -> String {
        match self.text(name) {
            text if text.is_empty() => text,
            text => now.ago(&text),
        }
    }

    /// How long until a time; empty for NULL.
    pub fn until(&self, name: &str, now: Timestamp) -> String {
        match self.text(name) {
            text if text.is_empty() => text,
            text => now.until(&text),
        }
    }
}

/// How a page becomes a table.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// The columns.
    pub columns: &'static [Column],
    /// Their cells.
    pub cells: fn(Row, Timestamp) -> Vec<Cell>,
}

/// Prints pages.
#[derive(Debug)]
pub struct Printer {
    form: Form,
    terminal: Terminal,
    is_first: bool,
}

impl Printer {
    /// Prints to standard output in this form.
    pub fn new(form: Form) -> Printer {
        Printer {
            form,
            terminal: Terminal::of_stdout(),
            is_first: true,
        }
    }

    /// Prints a page, and says whether anybody still reads. The first one brings the head, also when it is empty.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub fn print(&mut self, page: &Page, shape: Shape) -> anyhow::Result<bool> {
        let is_first = std::mem::replace(&mut self.is_first, false);
        let bytes = match self.form {
            Form::Table if page.is_empty() && is_first => b"none\n".to_vec(),
            Form::Table if page.is_empty() => Vec::new(),
            Form::Table => self.table(page, shape).into_bytes(),
            Form::Json => page.rows().map(json).collect::<String>().into_bytes(),
            Form::Csv => csv(page, is_first, self.terminal.columns != usize::MAX)?,
        };
        output::print(&bytes)
    }

    /// Tells a person when there are more rows than were asked for.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub fn end(&self, there_are_more: bool) -> anyhow::Result<()> {
        if there_are_more && self.form == Form::Table {
            output::print("… and more: use --limit, --csv or --json\n".as_bytes())?;
        }
        Ok(())
    }

    fn table(&self, page: &Page, shape: Shape) -> String {
        let now = Timestamp::now();
        let rows: Vec<Vec<Cell>> = page.rows().map(|row| (shape.cells)(row, now)).collect();
        let lines = table::lay_out(shape.columns, &rows, self.terminal.columns);
        let show = |line: &Line| line.show(self.terminal.escapes) + "\n";
        lines.iter().map(show).collect()
    }
}

fn value(value: ValueRef) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => number.into(),
        // Infinity has no number in JSON, and becomes null.
        ValueRef::Real(number) => number.into(),
        ValueRef::Text(bytes) => String::from_utf8_lossy(bytes).into(),
        ValueRef::Blob(bytes) => bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
            .into(),
    }
}

fn json(row: Row) -> String {
    let pairs = row.names.iter().cloned().zip(row.values.iter().cloned());
    Value::Object(Map::from_iter(pairs)).to_string() + "\n"
}

fn csv(page: &Page, with_header: bool, on_terminal: bool) -> anyhow::Result<Vec<u8>> {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    if with_header {
        writer.write_record(&page.names)?;
    }
    for values in &page.rows {
        writer.write_record(values.iter().map(|value| match value {
            Value::Null => String::new(),
            // Programs get the text as it is. A terminal would obey the escape sequences in it.
            Value::String(text) if on_terminal => text::shown(text).into_owned(),
            Value::String(text) => text.clone(),
            value => value.to_string(),
        }))?;
    }
    Ok(writer.into_inner()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;

    fn page(sql: &str) -> Page {
        let conn = Connection::open_in_memory().unwrap();
        Page::read(&mut conn.prepare(sql).unwrap(), []).unwrap()
    }

    #[test]
    fn every_value_has_its_place_in_json() {
        let page = page(
            "SELECT NULL AS a, 9007199254740993 AS b, 1.5 AS c, 'x\"' || char(10) AS d, x'00ff' AS e, 9e999 AS f,
                    CAST(x'c3' AS TEXT) AS g",
        );
        let lines: String = page.rows().map(json).collect();
        assert_eq!(
            lines,
            "{\"a\":null,\"b\":9007199254740993,\"c\":1.5,\"d\":\"x\\\"\\n\",\"e\":\"00ff\",\"f\":null,\"g\":\"\u{fffd}\"}\n"
        );
    }

    #[test]
    fn csv_quotes_as_the_standard_says_and_has_its_header_once() {
        let page = page("SELECT 1 AS a, 'x,\"y\"' || char(10) AS b UNION ALL SELECT NULL, 'z'");
        let text = String::from_utf8(csv(&page, true, false).unwrap()).unwrap();
        assert_eq!(text, "a,b\r\n1,\"x,\"\"y\"\"\n\"\r\n,z\r\n");
        let text = String::from_utf8(csv(&page, false, false).unwrap()).unwrap();
        assert_eq!(text, "1,\"x,\"\"y\"\"\n\"\r\n,z\r\n");
    }

    #[test]
    fn a_terminal_gets_no_escape_sequence_out_of_a_field() {
        let page = page("SELECT char(27) || '[31m' AS a");
        let text = String::from_utf8(csv(&page, false, true).unwrap()).unwrap();
        assert_eq!(text, "\\u{1b}[31m\r\n");
    }
}
