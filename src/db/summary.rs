//! What the views say, for the commands that show it.

use rusqlite::{Connection, OptionalExtension, named_params};
use serde::Serialize;

use super::batches::Scope;
use super::schema;
use crate::time::Timestamp;

/// The row of `delivery_summary`; the JSON keys of `ferryd status --json` are its columns.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Summary {
    /// Records not sent at all yet.
    pub waiting: i64,
    /// Records accepted by the API.
    pub delivered: i64,
    /// Records answered "try again".
    pub retrying: i64,
    /// Records sent without an answer.
    pub unknown: i64,
    /// Records that will not be sent again.
    pub dead: i64,
    /// Batches waiting for a worker.
    pub pending_batches: i64,
    /// Batches with a worker, or on the way to one.
    pub running_batches: i64,
    /// Batches done.
    pub success_batches: i64,
    /// Batches waiting for a retry.
    pub failed_batches: i64,
    /// Batches with dead records and nothing to retry.
    pub dead_batches: i64,
    /// Since when the oldest waiting record waits.
    pub oldest_waiting_at: Option<String>,
    /// `open`, `closed`, `probing` or `paused`.
    pub gate: String,
    /// Why it is not open.
    pub gate_reason: Option<String>,
}

/// Reads `delivery_summary`.
///
/// # Errors
/// SQLite's.
pub fn summary(conn: &Connection) -> rusqlite::Result<Summary> {
    conn.prepare_cached(include_str!("../../sql/look/summary.sql"))?
        .query_row([], |row| {
            Ok(Summary {
                waiting: row.get("waiting")?,
                delivered: row.get("delivered")?,
                retrying: row.get("retrying")?,
                unknown: row.get("unknown")?,
                dead: row.get("dead")?,
                pending_batches: row.get("pending_batches")?,
                running_batches: row.get("running_batches")?,
                success_batches: row.get("success_batches")?,
                failed_batches: row.get("failed_batches")?,
                dead_batches: row.get("dead_batches")?,
                oldest_waiting_at: row.get("oldest_waiting_at")?,
                gate: row.get("gate")?,
                gate_reason: row.get("gate_reason")?,
            })
        })
}

/// How far a user's records are.
#[derive(Debug, Clone)]
pub struct User {
    /// `user_record.user_id`.
    pub user: i64,
    /// Records not sent at all yet.
    pub waiting: i64,
    /// Records accepted by the API.
    pub delivered: i64,
    /// Records that wait for a retry, or whose fate is unknown.
    pub retrying: i64,
    /// Records that will not be sent again.
    pub dead: i64,
    /// Batches of which all is delivered.
    pub done_batches: i64,
    /// All others.
    pub open_batches: i64,
}

/// The users with the most left to do, at most so many.
///
/// # Errors
/// SQLite's.
pub fn users(conn: &Connection, most: usize) -> rusqlite::Result<Vec<User>> {
    // A file that is yet to be brought up has no index for it.
    let sql = match schema::version_of(conn)? < schema::VERSION {
        true => include_str!("../../sql/look/all_users.sql"),
        false => include_str!("../../sql/look/users.sql"),
    };
    let mut statement = conn.prepare_cached(sql)?;
    let users = statement.query_map(named_params! {":users": most as i64}, |row| {
        Ok(User {
            user: row.get("user_id")?,
            waiting: row.get("waiting")?,
            delivered: row.get("delivered")?,
            retrying: row.get("retrying")?,
            dead: row.get("dead")?,
            done_batches: row.get("success_batches")?,
            open_batches: row.get("open_batches")?,
        })
    })?;
    users.collect()
}

/// Records of a user, or of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Not sent at all yet.
    pub waiting: i64,
    /// Accepted by the API.
    pub delivered: i64,
    /// Answered "try again".
    pub retrying: i64,
    /// Sent without an answer, and to be sent again.
    pub unknown: i64,
    /// Not sent again.
    pub dead: i64,
}

impl Counts {
    /// Records that are not delivered.
    pub fn undelivered(&self) -> i64 {
        self.waiting + self.retrying + self.unknown + self.dead
    }
}

/// The record counts of a scope.
///
/// # Errors
/// SQLite's.
pub fn counts(conn: &Connection, scope: Scope) -> rusqlite::Result<Counts> {
    let Some(user) = scope.user else {
        let all = summary(conn)?;
        return Ok(Counts {
            waiting: all.waiting,
            delivered: all.delivered,
            retrying: all.retrying,
            unknown: all.unknown,
            dead: all.dead,
        });
    };
    let counts = conn
        .prepare_cached(include_str!("../../sql/look/user_summary.sql"))?
        .query_row(named_params! {":user": user}, |row| {
            Ok(Counts {
                waiting: row.get("waiting")?,
                delivered: row.get("delivered")?,
                retrying: row.get("retrying")?,
                unknown: row.get("unknown")?,
                dead: row.get("dead")?,
            })
        })
        .optional()?;
    Ok(counts.unwrap_or_default())
}

/// Whether a scope still has work: something to plan, to send, or to retry.
///
/// # Errors
/// SQLite's.
pub fn work_left(conn: &Connection, scope: Scope) -> rusqlite::Result<bool> {
    conn.prepare_cached(include_str!("../../sql/look/work_left.sql"))?
        .query_row(
            named_params! {
                ":user": scope.user,
                ":retries": scope.due_by.is_none(),
                ":due": scope.due_by.map(|due: Timestamp| due.to_string()),
            },
            |row| row.get(0),
        )
}

/// The random name of this file, with which every idempotency key begins.
///
/// # Errors
/// SQLite's.
pub fn instance_id(conn: &Connection) -> rusqlite::Result<String> {
    conn.query_row(include_str!("../../sql/look/instance_id.sql"), [], |row| {
        row.get(0)
    })
}
