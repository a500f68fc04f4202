//! `ferryd explain`: the one exact reason why a record is not delivered, or when it was, in one line or as JSON. Read-only.

use anyhow::Context;
use rusqlite::{Connection, OptionalExtension, Row, named_params};
use serde::Serialize;
use std::path::Path;

use crate::db;
use crate::db::{schema, steer};
use crate::gate::State;
use crate::lock;

/// Where a record stands; the fields are the JSON keys of `ferryd explain --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explained {
    /// `user_record.id`.
    pub record_id: i64,
    /// `ABSENT`, `WAITING`, `DELIVERED`, or the state in `undelivered_record`: `LATE`, `RETRY`, `UNKNOWN`, `DEAD`.
    pub state: String,
    /// The batch that it is in; `None` where it is in none, or the file does not tell.
    pub batch_id: Option<i64>,
    /// When that batch is due, if it waits for a retry.
    pub next_attempt_at: Option<String>,
    /// The line for people.
    pub explanation: String,
}

/// Explains where a record stands.
///
/// # Errors
/// When the file cannot be read or is not ours.
pub fn run(database: &Path, record: i64) -> anyhow::Result<Explained> {
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
    let away = Away(lock::holder_of(database).is_none());
    let Some(user) = user else {
        let mut reason =
            "is not in user_record: it was never there, or its owner deleted it".to_string();
        if records_were_pruned(&tx)? {
            reason += ", or it was delivered and then pruned";
        }
        return Ok(of(record, "ABSENT", None, &reason));
    };
    if let Some(explained) = undelivered(&tx, record, away)? {
        return Ok(explained);
    }
    let rusqlite::types::Value::Integer(user) = user else {
        let reason = "is not delivered: user_id is not a whole number";
        return Ok(of(record, "DEAD", None, reason));
    };
    place(&tx, record, user, away)
}

/// What is said of a record.
fn of(record: i64, state: &str, batch: Option<i64>, said: &str) -> Explained {
    Explained {
        record_id: record,
        state: state.to_string(),
        batch_id: batch,
        next_attempt_at: None,
        explanation: format!("record {record} {said}"),
    }
}

/// Why a record that stands in `undelivered_record` is not delivered.
fn undelivered(conn: &Connection, record: i64, away: Away) -> anyhow::Result<Option<Explained>> {
    let sql = include_str!("../sql/explain/undelivered.sql");
    let read = |row: &Row| {
        let state: String = row.get("state")?;
        let reason: String = row.get("reason")?;
        let attempts: i64 = row.get("attempts")?;
        let batch: Option<i64> = row.get("batch_id")?;
        let due: Option<String> = row.get("next_attempt_at")?;
        let status: Option<String> = row.get("batch_status")?;
        let mut said = format!("is not delivered: {state}, {reason}");
        match attempts {
            0 => {}
            1 => said += "; 1 attempt",
            _ => said += &format!("; {attempts} attempts"),
        }
        match (batch, &due, status) {
            (Some(batch), Some(due), _) => said += &format!("; batch {batch} is due at {due}"),
            (Some(batch), None, Some(status)) => {
                said += &format!("; batch {batch} is {status}{}", away.left(&status));
            }
            _ => {}
        }
        // A record without a batch is of no user that could be sent for; its reason says what to mend.
        if state == "DEAD" && batch.is_some() {
            said += &format!("; `ferryd retry record:{record}` sends it again");
        }
        Ok(Explained {
            next_attempt_at: due,
            ..of(record, &state, batch, &said)
        })
    };
    let found = conn.query_row(sql, named_params! {":record": record}, read);
    let Some(mut explained) = found.optional()? else {
        return Ok(None);
    };
    if explained.state != "DEAD" {
        explained.explanation += &held(conn, away)?;
    }
    Ok(Some(explained))
}

/// Where a record stands that no row of `undelivered_record` tells of.
fn place(conn: &Connection, record: i64, user: i64, away: Away) -> anyhow::Result<Explained> {
    let params = named_params! {":user": user, ":record": record};
    let (planned, left_out): (bool, bool) =
        conn.query_row(include_str!("../sql/explain/place.sql"), params, |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    if left_out {
        let said =
            "is delivered, by a batch of late rows, or under the id or user that it had before";
        return Ok(of(record, "DELIVERED", None, said));
    }
    if !planned {
        let held = held(conn, away)?;
        let said =
            format!("is not delivered: it waits to be cut into a batch of user {user}{held}");
        return Ok(of(record, "WAITING", None, &said));
    }
    let mut statement = conn.prepare(include_str!("../sql/explain/batch.sql"))?;
    let batches: Vec<Batch> = statement
        .query_map(params, Batch::read)?
        .collect::<rusqlite::Result<_>>()?;
    let Some(first) = batches.first() else {
        let said = "is delivered; its batch was pruned";
        return Ok(of(record, "DELIVERED", None, said));
    };
    if !first.sent {
        let Batch { name, status, .. } = first;
        let held = held(conn, away)?;
        let left = away.left(status);
        let said =
            format!("is not delivered: it waits its turn in {name}, which is {status}{left}{held}");
        return Ok(of(record, "WAITING", Some(first.id), &said));
    }
    // The batch of its range is gone; one of late rows, which may reach over many ids, is there.
    if first.late && batches_were_pruned(conn, user)? {
        let said =
            format!("is delivered; its batch was pruned, or, if it came in late, with {first}");
        return Ok(of(record, "DELIVERED", None, &said));
    }
    let said = format!("is delivered, with {first}");
    let mut explained = of(record, "DELIVERED", Some(first.id), &said);
    // A late row leaves no trace but its batch, so that which of the two it was cannot be told.
    if let (false, Some(late)) = (first.late, batches.get(1)) {
        explained.explanation += &format!(", or, if it came in late, with {late}");
        explained.batch_id = None;
    }
    Ok(explained)
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
    id: i64,
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
            id,
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

/// Whether no ferryd works on the file.
#[derive(Debug, Clone, Copy)]
struct Away(bool);

impl Away {
    /// What it means for a batch of this status.
    fn left(self, status: &str) -> &'static str {
        match (self.0, status) {
            (true, "RUNNING") => ", left by a dead process, freed at the next start",
            _ => "",
        }
    }
}

/// What holds back every record, whatever else is said of it.
fn held(conn: &Connection, away: Away) -> anyhow::Result<String> {
    let down = match away.0 {
        true => "; ferryd is not running",
        false => "",
    };
    let (sign, _) = steer::load_gate(conn)?;
    Ok(match (sign.state, sign.reason) {
        (State::Open, _) => down.to_string(),
        (state, reason) => format!(
            "{down}; sending is held, the gate is {}: {}",
            state.word(),
            reason.unwrap_or_default()
        ),
    })
}
