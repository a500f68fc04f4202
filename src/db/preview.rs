//! Which record to look at, and the key that its request has.

use rusqlite::{Connection, named_params};

use super::summary;
use crate::batch;

/// A record that waits, else the first of the table; `None` when there is no record.
///
/// # Errors
/// SQLite's.
pub fn first_waiting(conn: &Connection) -> rusqlite::Result<Option<i64>> {
    let sql = include_str!("../../sql/preview/first_waiting.sql");
    conn.query_row(sql, [], |row| row.get(0))
}

/// The idempotency key of a record; `None` while its batch is not planned, or when it cannot be told any more.
///
/// # Errors
/// SQLite's.
pub fn key_of_record(conn: &Connection, record: i64) -> rusqlite::Result<Option<String>> {
    let sql = include_str!("../../sql/preview/batch_of_record.sql");
    let id: Option<i64> =
        conn.query_row(sql, named_params! {":record": record}, |row| row.get(0))?;
    let Some(id) = id else {
        return Ok(None);
    };
    let instance = summary::instance_id(conn)?;
    Ok(Some(batch::idempotency_key(&instance, id, record)))
}
