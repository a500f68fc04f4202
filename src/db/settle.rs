//! Settling: the outcomes of an attempt, written down.
//!
//! Every write is fenced by the claim: a worker that no longer holds its batch changes nothing. An outcome and the
//! batch's progress move in one transaction, so that a record can neither be skipped nor sent again.

use rusqlite::{Connection, OptionalExtension, Row, named_params};
use std::fmt::Write;
use std::time::Duration;

use crate::batch::{Claim, Fence};
use crate::chunk::ChunkName;
use crate::outcome::Failure;
use crate::time::Timestamp;

/// `error_message` is cut at this many bytes.
const ERROR_MESSAGE_BYTES: usize = 8 * 1024;

/// Room kept for the last line of a cut `error_message`.
const LAST_LINE_BYTES: usize = 64;

/// Which way a record came to the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// From the range of ids that no attempt had reached.
    Range,
    /// From `undelivered_record`: sent again, or late.
    Undelivered,
}

/// What became of some records of a batch.
#[derive(Debug, Default)]
pub struct Outcomes {
    /// The batch goes on behind this record; `None`: its range stays where it is.
    pub through: Option<i64>,
    /// The records that were accepted.
    pub delivered: Vec<i64>,
    /// The others.
    pub failed: Vec<FailedRecord>,
}

/// A record that was not accepted.
#[derive(Debug)]
pub struct FailedRecord {
    /// `user_record.id`
    pub id: i64,
    /// Why.
    pub failure: Failure,
    /// How it is sent again.
    pub tried: Tried,
}

/// In which attempt a record counts as tried, and with which others it is sent again.
#[derive(Debug, Clone, Copy)]
pub struct Tried {
    /// The attempt; an earlier one than this makes this attempt send it again.
    pub tried_in: i64,
    /// The request that it stays part of, if any.
    pub chunk: Option<ChunkName>,
}

/// Writes down what became of records, all in one transaction. Returns false when the batch is not
/// this claim's any more.
///
/// # Errors
/// SQLite's.
pub fn settle(
    conn: &Connection,
    claim: &Claim,
    source: Source,
    outcomes: &Outcomes,
) -> rusqlite::Result<bool> {
    let delivered = outcomes.delivered.len() as i64;
    if !advance(conn, claim.fence, outcomes.through, delivered)? {
        return Ok(false);
    }
    if source == Source::Undelivered {
        for record in &outcomes.delivered {
            forget_undelivered(conn, claim, *record)?;
        }
    }
    for record in &outcomes.failed {
        record_failure(
            conn,
            claim,
            source,
            record.id,
            &record.failure,
            record.tried,
        )?;
    }
    Ok(true)
}

/// Writes down that a request is about to be sent for a stretch that none had touched. Returns false when the batch is not
/// this claim's any more.
///
/// # Errors
/// SQLite's.
pub fn begin_chunk(conn: &Connection, fence: Fence, name: ChunkName) -> rusqlite::Result<bool> {
    let changed = conn
        .prepare_cached(include_str!("../../sql/settle/begin_chunk.sql"))?
        .execute(named_params! {
            ":chunk": name.to_string(),
            ":batch": fence.batch_id,
            ":claim": fence.claim,
        })?;
    Ok(changed == 1)
}

/// Makes these records of `undelivered_record` one request from now on. Returns false when the batch is not this claim's any
/// more.
///
/// # Errors
/// SQLite's.
pub fn name_chunk(
    conn: &Connection,
    claim: &Claim,
    name: ChunkName,
    records: &[i64],
) -> rusqlite::Result<bool> {
    if !advance(conn, claim.fence, None, 0)? {
        return Ok(false);
    }
    let mut statement = conn.prepare_cached(include_str!("../../sql/settle/name_chunk.sql"))?;
    for record in records {
        statement.execute(named_params! {
            ":chunk": name.to_string(),
            ":record": record,
            ":batch": claim.fence.batch_id,
        })?;
    }
    Ok(true)
}

fn advance(
    conn: &Connection,
    fence: Fence,
    through: Option<i64>,
    delivered: i64,
) -> rusqlite::Result<bool> {
    let changed = match through {
        Some(record) => conn
            .prepare_cached(include_str!("../../sql/settle/advance.sql"))?
            .execute(named_params! {
                ":record": record,
                ":delivered": delivered,
                ":batch": fence.batch_id,
                ":claim": fence.claim,
            })?,
        None => conn
            .prepare_cached(include_str!("../../sql/settle/count_resent.sql"))?
            .execute(named_params! {
                ":delivered": delivered,
                ":batch": fence.batch_id,
                ":claim": fence.claim,
            })?,
    };
    Ok(changed == 1)
}

fn forget_undelivered(conn: &Connection, claim: &Claim, record: i64) -> rusqlite::Result<()> {
    conn.prepare_cached(include_str!("../../sql/settle/forget_undelivered.sql"))?
        .execute(named_params! {":record": record, ":batch": claim.fence.batch_id})?;
    conn.prepare_cached(include_str!("../../sql/settle/leave_out.sql"))?
        .execute(named_params! {":record": record, ":user": claim.user_id})?;
    Ok(())
}

fn record_failure(
    conn: &Connection,
    claim: &Claim,
    source: Source,
    record: i64,
    failure: &Failure,
    tried: Tried,
) -> rusqlite::Result<()> {
    conn.prepare_cached(include_str!("../../sql/settle/record_failure.sql"))?
        .execute(named_params! {
            ":record": record,
            ":user": claim.user_id,
            ":batch": claim.fence.batch_id,
            ":first": source == Source::Range,
            ":state": failure.state.word(),
            ":attempts": failure.attempts,
            ":tried_in": tried.tried_in,
            ":chunk": tried.chunk.map(|chunk| chunk.to_string()),
            ":http_status": failure.http_status,
            ":error": failure.error,
            ":now": Timestamp::now().to_string(),
        })?;
    Ok(())
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finished {
    /// What the batch is now.
    pub ending: Ending,
    /// Records that wait for a retry.
    pub retrying: i64,
    /// Dead records.
    pub dead: i64,
    /// The batch was the last of its user that had something to send.
    pub user_done: Option<UserDone>,
}

/// What a user has of whose records none waits and none is to be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserDone {
    /// Records delivered, ever.
    pub delivered: i64,
    /// Dead records.
    pub dead: i64,
    /// Batches, ever.
    pub batches: i64,
}

/// The status that an attempt leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Every record is delivered, or was deleted by its owner.
    Success,
    /// Some record waits for a retry, due at this time.
    Failed(Timestamp),
    /// None waits, at least one is dead.
    Dead,
}

/// Ends an attempt whose every record was settled. `retry_delay` is used when some have to be sent again. Returns
/// `None` when the batch is not this claim's any more.
///
/// # Errors
/// SQLite's.
pub fn finish(
    conn: &Connection,
    fence: Fence,
    retry_delay: Duration,
    busy: Duration,
) -> rusqlite::Result<Option<Finished>> {
    let now = Timestamp::now();
    conn.prepare_cached(include_str!("../../sql/settle/forget_vanished.sql"))?
        .execute(named_params! {":batch": fence.batch_id})?;
    conn.prepare_cached(include_str!("../../sql/settle/forget_begun.sql"))?
        .execute(named_params! {":batch": fence.batch_id})?;
    let (retrying, dead, asked_for) = conn
        .prepare_cached(include_str!("../../sql/settle/count_undelivered.sql"))?
        .query_row(named_params! {":batch": fence.batch_id}, |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get(2)?))
        })?;
    let retry_delay = match asked_for {
        true => Duration::ZERO,
        false => retry_delay,
    };
    let (ending, status) = match (retrying, dead) {
        (0, 0) => (Ending::Success, "SUCCESS"),
        (0, _) => (Ending::Dead, "DEAD"),
        _ => (Ending::Failed(now.plus(retry_delay)), "FAILED"),
    };
    let due = match ending {
        Ending::Failed(due) => Some(due.to_string()),
        Ending::Success | Ending::Dead => None,
    };
    let changed = conn
        .prepare_cached(include_str!("../../sql/settle/finish.sql"))?
        .execute(named_params! {
            ":status": status,
            ":undelivered": retrying + dead,
            ":now": now.to_string(),
            ":due": due,
            ":busy_ms": busy.as_millis() as i64,
            ":error_message": error_message(conn, fence.batch_id)?,
            ":batch": fence.batch_id,
            ":claim": fence.claim,
        })?;
    if changed == 0 {
        return Ok(None);
    }
    Ok(Some(Finished {
        ending,
        retrying,
        dead,
        user_done: user_done(conn, fence.batch_id)?,
    }))
}

fn user_done(conn: &Connection, batch: i64) -> rusqlite::Result<Option<UserDone>> {
    conn.prepare_cached(include_str!("../../sql/settle/user_done.sql"))?
        .query_row(named_params! {":batch": batch}, |row| {
            Ok(UserDone {
                delivered: row.get(0)?,
                dead: row.get(1)?,
                batches: row.get(2)?,
            })
        })
        .optional()
}

/// Ends an attempt that broke off because of a fault in ferryd itself.
///
/// # Errors
/// SQLite's.
pub fn break_off(conn: &Connection, fence: Fence, retry_delay: Duration) -> rusqlite::Result<()> {
    let now = Timestamp::now();
    conn.prepare_cached(include_str!("../../sql/settle/break_off.sql"))?
        .execute(named_params! {
            ":now": now.to_string(),
            ":due": now.plus(retry_delay).to_string(),
            ":batch": fence.batch_id,
            ":claim": fence.claim,
        })?;
    Ok(())
}

/// One line per undelivered record, in id order, at most 8 KiB; `None` when there is none.
fn error_message(conn: &Connection, batch: i64) -> rusqlite::Result<Option<String>> {
    let mut statement =
        conn.prepare_cached(include_str!("../../sql/settle/errors_of_batch.sql"))?;
    let mut rows = statement.query(named_params! {":batch": batch})?;
    let mut text = String::new();
    let mut more = 0;
    while let Some(row) = rows.next()? {
        let line = error_line(row)?;
        if more > 0 || text.len() + line.len() > ERROR_MESSAGE_BYTES - LAST_LINE_BYTES {
            more += 1;
        } else {
            text.push_str(&line);
        }
    }
    if more > 0 {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "… and {more} more");
    }
    Ok((!text.is_empty()).then_some(text))
}

fn error_line(row: &Row) -> rusqlite::Result<String> {
    let id: i64 = row.get(0)?;
    let error: String = row.get(1)?;
    Ok(format!("id={id}: {error}\n"))
}
