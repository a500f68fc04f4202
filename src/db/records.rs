//! Loading records for a worker, in short pages.
//!
//! A page is read in one short transaction and held in memory; the reader goes back before anything is sent.

use rusqlite::types::{Type, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, named_params};

use crate::batch::{Claim, IdRange};
use crate::chunk::{ChunkName, NoChunk};
use crate::nearest::nearest;
use crate::record::{Record, Value};
use crate::text;

/// Bytes of a column's name that a message shows at most.
const SHOWN_BYTES: usize = 80;

/// The ways to records, with the columns that the request needs filled in.
#[derive(Debug, Clone)]
pub struct Loader {
    range_sql: String,
    undelivered_sql: String,
    one_sql: String,
    chunk_sql: String,
}

/// The configuration names columns that are not there: a line for each key that does.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct NoColumn(Vec<String>);

/// Whether the columns exist that keys of the configuration name; `uses` are pairs of key and column.
///
/// # Errors
/// [`NoColumn`] for all that do not; otherwise SQLite's.
pub fn check_columns<'a>(
    conn: &Connection,
    uses: impl Iterator<Item = (&'a str, &'a str)>,
) -> anyhow::Result<()> {
    let sql = "SELECT name FROM pragma_table_xinfo('user_record')";
    let mut statement = conn.prepare(sql)?;
    let names = statement.query_map([], |row| row.get(0))?;
    let there: Vec<String> = names.collect::<rusqlite::Result<_>>()?;
    let is_there = |column: &str| there.iter().any(|name| name.eq_ignore_ascii_case(column));
    let missing = uses.filter(|(_, column)| !is_there(column));
    let problems: Vec<String> = missing
        .map(|(key, column)| {
            let near = nearest(column, there.iter().map(String::as_str));
            let near = near.map_or(String::new(), |near| format!(", did you mean \"{near}\"?"));
            format!(
                "{} names the column \"{}\", which is not in user_record{near}; it has {}",
                text::printable(key, SHOWN_BYTES),
                text::printable(column, SHOWN_BYTES),
                there.join(", ")
            )
        })
        .collect();
    match problems.is_empty() {
        true => Ok(()),
        false => Err(NoColumn(problems).into()),
    }
}

impl Loader {
    /// A loader of these columns of `user_record`.
    pub fn new<'a>(columns: impl Iterator<Item = &'a str>) -> Loader {
        let mut list = String::new();
        for column in columns {
            // An identifier in SQL is quoted by doubling its quotes.
            list.push_str(", user_record.\"");
            list.push_str(&column.replace('"', "\"\""));
            list.push('"');
        }
        let fill = |sql: &str| sql.replace("{columns}\n", &format!("{list}\n"));
        Loader {
            range_sql: fill(include_str!("../../sql/load/load_range.sql")),
            undelivered_sql: fill(include_str!("../../sql/load/load_undelivered.sql")),
            one_sql: fill(include_str!("../../sql/load/load_one.sql")),
            chunk_sql: fill(include_str!("../../sql/load/load_chunk.sql")),
        }
    }

    /// Up to `records` records of `ids` that no attempt has reached.
    ///
    /// # Errors
    /// SQLite's, for example when a column does not exist.
    pub fn load_range(
        &self,
        conn: &Connection,
        user: i64,
        ids: IdRange,
        records: usize,
    ) -> rusqlite::Result<Vec<Record>> {
        conn.prepare_cached(&self.range_sql)?
            .query_map(
                named_params! {
                    ":user": user,
                    ":first": ids.first,
                    ":last": ids.last,
                    ":records": records as i64,
                },
                read_record,
            )?
            .collect()
    }

    /// Up to `records` records of `ids` that this attempt has to send again, or that came in late.
    ///
    /// # Errors
    /// As for [`Loader::load_range`].
    pub fn load_undelivered(
        &self,
        conn: &Connection,
        claim: &Claim,
        ids: IdRange,
        records: usize,
    ) -> rusqlite::Result<Vec<Record>> {
        conn.prepare_cached(&self.undelivered_sql)?
            .query_map(
                named_params! {
                    ":batch": claim.fence.batch_id,
                    ":attempt": claim.attempt,
                    ":first": ids.first,
                    ":last": ids.last,
                    ":records": records as i64,
                },
                read_record,
            )?
            .collect()
    }

    /// Up to `records` records of `ids` that are left of this chunk; or, of none, that this attempt has to send again or that came
    /// in late.
    ///
    /// # Errors
    /// As for [`Loader::load_range`].
    pub fn load_chunk(
        &self,
        conn: &Connection,
        claim: &Claim,
        chunk: Option<ChunkName>,
        ids: IdRange,
        records: usize,
    ) -> rusqlite::Result<Vec<Record>> {
        conn.prepare_cached(&self.chunk_sql)?
            .query_map(
                named_params! {
                    ":batch": claim.fence.batch_id,
                    ":attempt": claim.attempt,
                    ":chunk": chunk.map(|chunk| chunk.to_string()),
                    ":first": ids.first,
                    ":last": ids.last,
                    ":records": records as i64,
                },
                read_record,
            )?
            .collect()
    }

    /// One record, wherever it stands; `None` when there is no such record.
    ///
    /// # Errors
    /// As for [`Loader::load_range`].
    pub fn load_one(&self, conn: &Connection, record: i64) -> rusqlite::Result<Option<Record>> {
        conn.prepare_cached(&self.one_sql)?
            .query_row(named_params! {":record": record}, read_record)
            .optional()
    }
}

/// The first record from `from` on that this attempt has to send again, or that came in late, and its chunk.
///
/// # Errors
/// SQLite's.
pub fn next_undelivered(
    conn: &Connection,
    claim: &Claim,
    from: i64,
) -> rusqlite::Result<Option<(i64, Option<ChunkName>)>> {
    conn.prepare_cached(include_str!("../../sql/load/next_undelivered.sql"))?
        .query_row(
            named_params! {
                ":batch": claim.fence.batch_id,
                ":attempt": claim.attempt,
                ":from": from,
            },
            |row| {
                let chunk: Option<String> = row.get(1)?;
                let chunk = chunk.map(|text| text.parse()).transpose();
                let unreadable = |error: NoChunk| {
                    rusqlite::Error::FromSqlConversionFailure(1, Type::Text, Box::new(error))
                };
                Ok((row.get(0)?, chunk.map_err(unreadable)?))
            },
        )
        .optional()
}

fn read_record(row: &Row) -> rusqlite::Result<Record> {
    let columns = row.as_ref().column_count();
    let values = (2..columns).map(|i| Ok(read_value(row.get_ref(i)?)));
    Ok(Record {
        id: row.get(0)?,
        attempts: row.get(1)?,
        values: values.collect::<rusqlite::Result<_>>()?,
    })
}

fn read_value(value: ValueRef) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(i) => Value::Integer(i),
        ValueRef::Real(f) => Value::Real(f),
        ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Value::Text(text.to_string()),
            Err(_) => Value::Bytes,
        },
        ValueRef::Blob(_) => Value::Bytes,
    }
}
