//! Claiming batches for workers, freeing them again, and when FAILED ones are due.
//!
//! A claim is a committed state, never an open transaction. Two workers never hold one batch: the claim number that is
//! written with it fences out every earlier holder.

use rusqlite::{Connection, OptionalExtension, named_params};
use std::time::Duration;

use super::batches::Scope;
use crate::batch::{Claim, Fence, IdRange};
use crate::time::Timestamp;

/// Whose turn it is to be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// FAILED ones that are due.
    Due,
    /// PENDING ones.
    Pending,
}

impl Turn {
    /// The other one.
    pub fn other(self) -> Turn {
        match self {
            Turn::Due => Turn::Pending,
            Turn::Pending => Turn::Due,
        }
    }
}

/// What was claimed.
#[derive(Debug)]
pub struct Claimed {
    /// For the workers, in this order.
    pub claims: Vec<Claim>,
    /// No batch was PENDING: it is time to plan.
    pub none_pending: bool,
}

/// Takes up to `batches` batches for workers. The two kinds take turns, and either gets the turns that the other leaves:
/// neither new records nor retries wait for the end of the others.
///
/// # Errors
/// SQLite's.
pub fn claim(
    conn: &Connection,
    scope: Scope,
    batches: usize,
    first: Turn,
    now: Timestamp,
) -> rusqlite::Result<Claimed> {
    let due = due_batches(conn, scope, batches, now)?;
    let pending = pending_batches(conn, scope, batches)?;
    let none_pending = pending.is_empty();
    let ids = match first {
        Turn::Due => in_turn(due, pending),
        Turn::Pending => in_turn(pending, due),
    };
    let mut claims = Vec::new();
    for id in ids.take(batches) {
        claims.extend(claim_batch(conn, id, now)?);
    }
    Ok(Claimed {
        claims,
        none_pending,
    })
}

fn due_batches(
    conn: &Connection,
    scope: Scope,
    batches: usize,
    now: Timestamp,
) -> rusqlite::Result<Vec<i64>> {
    conn.prepare_cached(include_str!("../../sql/claim/due_batches.sql"))?
        .query_map(
            named_params! {
                ":due": scope.due_by.unwrap_or(now).to_string(),
                ":user": scope.user,
                ":batches": batches as i64,
            },
            |row| row.get(0),
        )?
        .collect()
}

fn pending_batches(conn: &Connection, scope: Scope, batches: usize) -> rusqlite::Result<Vec<i64>> {
    conn.prepare_cached(include_str!("../../sql/claim/pending_batches.sql"))?
        .query_map(
            named_params! {":user": scope.user, ":batches": batches as i64},
            |row| row.get(0),
        )?
        .collect()
}

/// One of the first, one of the second, and so on; then the rest of the longer.
fn in_turn(first: Vec<i64>, second: Vec<i64>) -> impl Iterator<Item = i64> {
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut turn = false;
    std::iter::from_fn(move || {
        turn = !turn;
        match turn {
            true => first.next().or_else(|| second.next()),
            false => second.next().or_else(|| first.next()),
        }
    })
}

fn claim_batch(conn: &Connection, batch: i64, now: Timestamp) -> rusqlite::Result<Option<Claim>> {
    conn.prepare_cached(include_str!("../../sql/claim/claim_batch.sql"))?
        .query_row(
            named_params! {":batch": batch, ":now": now.to_string()},
            |row| {
                let range = IdRange {
                    first: row.get("start_id")?,
                    last: row.get("end_id")?,
                };
                let sent_through: Option<i64> = row.get("sent_through")?;
                let begun: Option<String> = row.get("begun")?;
                let late = row.get_ref("kind")?.as_str()? == "LATE";
                Ok(Claim {
                    fence: Fence {
                        batch_id: batch,
                        claim: row.get("claim")?,
                    },
                    user_id: row.get("user_id")?,
                    batch_offset: row.get("batch_offset")?,
                    attempt: row.get("retry_count")?,
                    begun: begun.and_then(|text| text.parse().ok()),
                    unsent: match sent_through {
                        _ if late => None,
                        None => Some(range),
                        Some(id) => range.above(id),
                    },
                })
            },
        )
        .optional()
}

/// Makes every RUNNING batch PENDING again and returns how many there were. Only for a process that holds the instance
/// lock and has no worker at work.
///
/// # Errors
/// SQLite's.
pub fn rescue(conn: &Connection) -> rusqlite::Result<usize> {
    conn.execute(include_str!("../../sql/claim/rescue.sql"), [])
}

/// When the FAILED batches that are not due at `now` will be: the first and the last of them.
///
/// # Errors
/// SQLite's.
pub fn next_due(
    conn: &Connection,
    now: Timestamp,
) -> rusqlite::Result<Option<(Timestamp, Timestamp)>> {
    let read = |text: Option<String>| text.and_then(|text| Timestamp::parse(&text).ok());
    conn.prepare_cached(include_str!("../../sql/claim/next_due.sql"))?
        .query_row(named_params! {":now": now.to_string()}, |row| {
            Ok(read(row.get(0)?).zip(read(row.get(1)?)))
        })
}

/// Makes the batches that wait at `now` due earlier by `step`, by which the clock was set back.
///
/// # Errors
/// SQLite's.
pub fn shift_due(conn: &Connection, now: Timestamp, step: Duration) -> rusqlite::Result<usize> {
    let shift = format!("-{:.3} seconds", step.as_secs_f64());
    conn.prepare_cached(include_str!("../../sql/claim/shift_due.sql"))?
        .execute(named_params! {":now": now.to_string(), ":shift": shift})
}

/// Makes batches due now whose due time is later than `latest`, which no delay could have set.
///
/// # Errors
/// SQLite's.
pub fn clamp_due(conn: &Connection, now: Timestamp, latest: Timestamp) -> rusqlite::Result<usize> {
    conn.prepare_cached(include_str!("../../sql/claim/clamp_due.sql"))?
        .execute(named_params! {":now": now.to_string(), ":latest": latest.to_string()})
}
