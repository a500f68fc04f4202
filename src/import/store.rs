//! The stage, a temporary table that holds the checked input, and its way into `user_record` in one transaction.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};

use super::{Fault, Imported};
use crate::db;

/// A JSONL file whose lines have more different sets of keys than this is refused: each set needs statements of its own.
const MAX_SHAPES: usize = 256;

/// The columns of `user_record` that can be written, in its order.
pub(super) fn insertable_columns(conn: &Connection) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT name FROM pragma_table_xinfo('user_record') WHERE hidden = 0 ORDER BY cid";
    let mut statement = conn.prepare(sql)?;
    statement.query_map([], |row| row.get(0))?.collect()
}

/// Checked rows on their way into the file.
pub(super) struct Stage<'a> {
    conn: &'a Connection,
    columns: &'a [String],
    shapes: Vec<Shape>,
    rows: u64,
}

/// A set of columns that some rows have, and the statements for such rows.
struct Shape {
    columns: Vec<usize>,
    /// Where the id stands among them.
    id: Option<usize>,
    stage_sql: String,
    insert_sql: String,
    /// Whether the row with this id has the same content: one row with 0 or 1, or none.
    same_sql: String,
    update_sql: String,
}

impl<'a> Stage<'a> {
    /// An empty stage. It lives in SQLite's temporary files and is gone with the connection.
    pub(super) fn new(conn: &'a Connection, columns: &'a [String]) -> rusqlite::Result<Stage<'a>> {
        let slots: Vec<String> = (0..columns.len()).map(|i| format!("c{i}")).collect();
        conn.execute_batch(&format!(
            "CREATE TEMP TABLE stage (line INTEGER, shape INTEGER, {}); BEGIN",
            slots.join(", ")
        ))?;
        Ok(Stage {
            conn,
            columns,
            shapes: Vec::new(),
            rows: 0,
        })
    }

    /// Rows so far.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Adds the row of a line, with values for the columns that `shape` names.
    pub(super) fn add(
        &mut self,
        line: u64,
        shape: &[usize],
        values: Vec<Value>,
    ) -> Result<(), Fault> {
        let index = match self.shapes.iter().position(|s| s.columns == shape) {
            Some(index) => index,
            None if self.shapes.len() == MAX_SHAPES => {
                let problem = format!("more than {MAX_SHAPES} different sets of keys");
                return Err(Fault::Line { line, problem });
            }
            None => {
                self.shapes.push(Shape::new(shape, self.columns));
                self.shapes.len() - 1
            }
        };
        let head = [Value::Integer(line as i64), Value::Integer(index as i64)];
        self.conn
            .prepare_cached(&self.shapes[index].stage_sql)?
            .execute(params_from_iter(head.into_iter().chain(values)))?;
        self.rows += 1;
        Ok(())
    }

    /// Moves all rows into `user_record` in one transaction, or none.
    pub(super) fn store(self, replace: bool, mut step: impl FnMut()) -> Result<Imported, Fault> {
        let conn: &Connection = self.conn;
        conn.execute_batch("COMMIT")?;
        // An error on the way leaves the transaction open; it ends with the connection, and nothing is stored.
        db::begin_patiently(conn)?;
        let mut imported = Imported::default();
        {
            let mut staged = conn.prepare("SELECT * FROM temp.stage ORDER BY rowid")?;
            let mut rows = staged.query([])?;
            while let Some(row) = rows.next()? {
                let shape = &self.shapes[row.get::<_, u32>("shape")? as usize];
                store_row(conn, shape, row, replace, &mut imported)
                    .map_err(|fault| name_line(fault, row))?;
                step();
            }
        }
        conn.execute_batch("COMMIT")?;
        Ok(imported)
    }
}

fn store_row(
    conn: &Connection,
    shape: &Shape,
    row: &Row,
    replace: bool,
    imported: &mut Imported,
) -> Result<(), Fault> {
    let values: Vec<Value> = shape
        .columns
        .iter()
        .map(|column| row.get(column + 2))
        .collect::<rusqlite::Result<_>>()?;
    let same = match shape.id {
        None => None,
        Some(_) => conn
            .prepare_cached(&shape.same_sql)?
            .query_row(params_from_iter(&values), |row| row.get::<_, bool>(0))
            .optional()?,
    };
    let (sql, count) = match same {
        None => (&shape.insert_sql, &mut imported.added),
        Some(true) => {
            imported.skipped += 1;
            return Ok(());
        }
        Some(false) if replace => (&shape.update_sql, &mut imported.replaced),
        Some(false) => {
            return Err(Fault::Line {
                line: 0,
                problem: format!(
                    "column id: {} is there with other content (--replace changes it)",
                    shape.id.map_or(String::new(), |at| show(&values[at]))
                ),
            });
        }
    };
    conn.prepare_cached(sql)?
        .execute(params_from_iter(&values))?;
    *count += 1;
    Ok(())
}

fn show(value: &Value) -> String {
    match value {
        Value::Integer(id) => id.to_string(),
        other => format!("{other:?}"),
    }
}

/// A refused row is named by its line; so is a row that the owner's own constraints refuse.
fn name_line(fault: Fault, row: &Row) -> Fault {
    let problem = match fault {
        Fault::Line { problem, .. } => problem,
        Fault::Other(error) => match error.downcast_ref::<rusqlite::Error>() {
            Some(sqlite)
                if sqlite.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation) =>
            {
                sqlite.to_string()
            }
            _ => return Fault::Other(error),
        },
    };
    match row.get::<_, i64>("line") {
        Ok(line) => Fault::Line {
            line: line as u64,
            problem,
        },
        Err(error) => error.into(),
    }
}

impl Shape {
    fn new(columns: &[usize], names: &[String]) -> Shape {
        let quoted: Vec<String> = columns
            .iter()
            .map(|&column| format!("\"{}\"", names[column].replace('"', "\"\"")))
            .collect();
        let id = columns
            .iter()
            .position(|&column| names[column].eq_ignore_ascii_case("id"));
        // ?1, ?2, … are the values in the order of the columns.
        let numbered = |operator: &str, separator: &str| {
            let pairs = quoted.iter().enumerate();
            let pairs = pairs.map(|(i, name)| format!("{name} {operator} ?{}", i + 1));
            pairs.collect::<Vec<_>>().join(separator)
        };
        let places = (1..=columns.len()).map(|i| format!("?{i}"));
        let places = places.collect::<Vec<_>>().join(", ");
        let slots = columns.iter().map(|column| format!(", c{column}"));
        let id_place = id.map_or(0, |at| at + 1);
        Shape {
            columns: columns.to_vec(),
            id,
            stage_sql: format!(
                "INSERT INTO temp.stage (line, shape{}) VALUES (?, ?{})",
                slots.collect::<String>(),
                ", ?".repeat(columns.len())
            ),
            insert_sql: format!(
                "INSERT INTO user_record ({}) VALUES ({places})",
                quoted.join(", ")
            ),
            same_sql: format!(
                "SELECT {} FROM user_record WHERE id = ?{id_place}",
                numbered("IS", " AND ")
            ),
            update_sql: format!(
                "UPDATE user_record SET {} WHERE id = ?{id_place}",
                numbered("=", ", ")
            ),
        }
    }
}
