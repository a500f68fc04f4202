//! `ferryd explain`: the one exact reason why a record is not delivered, or when it was. Read-only.

use anyhow::Context;
use rusqlite::{Connection, OptionalExtension, Row, named_params};
use std::path::Path;

use crate::db;
use crate::db::{schema, steer};
use crate::gate::State;

/// Explains where a record stands, in one line.
///
/// # Errors
/// When the file cannot be read or is not ours.
pub fn run(database: &Path, record: i64) -> anyhow::Result<String> {
    let conn = db::open_to_look(database)?;
    // One transaction, so that all that is read is of the same moment.
    let tx = conn.unchecked_transaction()?;
    let user = tx
        .query_row(
            include_str!("../sql/explain/record.sql"),
            named_params! {":record": record},
            |row| row.get::<_, rusqlite::types::Value>(0),
        )
        .optional()
        .context("user_record cannot be read")?;
    let Some(user) = user else {
        let pruned = match records_were_pruned(&tx)? {
            true => ", or it was delivered and then pruned",
            false => "",
        };
        return Ok(format!(
            "record {record} is not in user_record: it was never there, or its owner deleted it{pruned}"
        ));
    };
    if let Some(reason) = undelivered(&tx, record)? {
        return Ok(format!("record {record} is not delivered: {reason}"));
    }
    let rusqlite::types::Value::Integer(user) = user else {
        return Ok(format!(
            "record {record} is not delivered: user_id is not a whole number"
        ));
    };
    place(&tx, record, user)
}

/// Why a record that stands in `undelivered_record` is not delivered.
fn undelivered(conn: &Connection, record: i64) -> anyhow::Result<Option<String>> {
    let reason = conn
        .query_row(
            include_str!("../sql/explain/undelivered.sql"),
            named_params! {":record": record},
            |row| {
                let state: String = row.get("state")?;
                let reason: String = row.get("reason")?;
                let attempts: i64 = row.get("attempts")?;
                let batch: Option<i64> = row.get("batch_id")?;
                let due: Option<String> = row.get("next_attempt_at")?;
                let status: Option<String> = row.get("batch_status")?;
                let attempts = match attempts {
                    1 => "1 attempt".to_string(),
                    more => format!("{more} attempts"),
                };
                let mut text = format!("{state}, {reason}; {attempts}");
                match (batch, due, status) {
                    (Some(batch), Some(due), _) => {
                        text.push_str(&format!("; batch {batch} is due at {due}"));
                    }
                    (Some(batch), None, Some(status)) => {
                        text.push_str(&format!("; batch {batch} is {status}"));
                    }
                    _ => {}
                }
                // A record without a batch is of no user that could be sent for; its reason says what to mend.
                if state == "DEAD" && batch.is_some() {
                    text.push_str(&format!("; `ferryd retry record:{record}` sends it again"));
                }
                Ok((text, state))
            },
        )
        .optional()?;
    Ok(match reason {
        Some((text, state)) if state != "DEAD" => Some(text + &held(conn)?),
        Some((text, _)) => Some(text),
        None => None,
    })
}

/// Where a record stands that no row of `undelivered_record` tells of.
fn place(conn: &Connection, record: i64, user: i64) -> anyhow::Result<String> {
    let params = named_params! {":user": user, ":record": record};
    let (planned, left_out): (bool, bool) =
        conn.query_row(include_str!("../sql/explain/place.sql"), params, |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    if left_out {
        return Ok(format!(
            "record {record} is delivered, by a batch of late rows, or under the id or user that it had before"
        ));
    }
    if !planned {
        return Ok(format!(
            "record {record} is not delivered: it waits to be cut into a batch of user {user}{}",
            held(conn)?
        ));
    }
    let mut statement = conn.prepare(include_str!("../sql/explain/batch.sql"))?;
    let batches: Vec<Batch> = statement
        .query_map(params, Batch::read)?
        .collect::<rusqlite::Result<_>>()?;
    let Some(first) = batches.first() else {
        return Ok(format!(
            "record {record} is delivered; its batch was pruned"
        ));
    };
    if !first.sent {
        let held = held(conn)?;
        return Ok(format!(
            "record {record} is not delivered: it waits its turn in {}, which is {}{held}",
            first.name, first.status
        ));
    }
    // The batch of its range is gone; one of late rows, which may reach over many ids, is there.
    if first.late && batches_were_pruned(conn, user)? {
        return Ok(format!(
            "record {record} is delivered; its batch was pruned, or, if it came in late, with {first}"
        ));
    }
    let mut text = format!("record {record} is delivered, with {first}");
    // A late row leaves no trace but its batch, so that which of the two it was cannot be told.
    if let (false, Some(late)) = (first.late, batches.get(1)) {
        text.push_str(&format!(", or, if it came in late, with {late}"));
    }
    Ok(text)
}

/// Whether `prune` has ever deleted records of this file.
fn records_were_pruned(conn: &Connection) -> rusqlite::Result<bool> {
    if schema::version_of(conn)? < schema::VERSION {
        return Ok(false);
    }
    let sql = include_str!("../sql/explain/records_were_pruned.sql");
    conn.query_row(sql, [], |row| row.get(0))
}

/// Whether batches of the user were pruned.
fn batches_were_pruned(conn: &Connection, user: i64) -> rusqlite::Result<bool> {
    if schema::version_of(conn)? < schema::VERSION {
        return Ok(false);
    }
    let sql = include_str!("../sql/explain/batches_were_pruned.sql");
    conn.query_row(sql, named_params! {":user": user}, |row| row.get(0))
}

/// A batch that may have delivered the record.
struct Batch {
    name: String,
    status: String,
    ended: String,
    late: bool,
    /// It has passed the record.
    sent: bool,
}

impl Batch {
    fn read(row: &Row) -> rusqlite::Result<Batch> {
        let (id, user): (i64, i64) = (row.get("id")?, row.get("user_id")?);
        let offset: i64 = row.get("batch_offset")?;
        Ok(Batch {
            name: format!("batch {id} of user {user} (offset {offset})"),
            status: row.get("status")?,
            ended: row.get("last_attempt_at")?,
            late: row.get("late")?,
            sent: row.get("sent")?,
        })
    }
}

impl std::fmt::Display for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.status.as_str() {
            "SUCCESS" => write!(f, "{}, which ended at {}", self.name, self.ended),
            status => write!(f, "{}, which is {status}", self.name),
        }
    }
}

/// What the gate adds to every reason.
fn held(conn: &Connection) -> anyhow::Result<String> {
    let (sign, _) = steer::load_gate(conn)?;
    Ok(match (sign.state, sign.reason) {
        (State::Open, _) => String::new(),
        (state, reason) => format!(
            "; sending is held, the gate is {}: {}",
            state.word(),
            reason.unwrap_or_default()
        ),
    })
}
