//! Planning batches.
//!
//! All of this runs in the writer's transactions. A record is planned exactly once: the cursor and the new batch move in
//! the same transaction, and a batch that was planned is never renumbered or planned again.

use rusqlite::{Connection, OptionalExtension, Row, named_params};
use std::time::Duration;

use crate::batch::IdRange;
use crate::time::Timestamp;

/// Users planned in one transaction.
const USERS_A_ROUND: u32 = 64;

/// Which part of the file a process works on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scope {
    /// Only this user's records; `None` is all users.
    pub user: Option<i64>,
    /// Take up FAILED batches that were due by then; `None` is: when they become due.
    pub due_by: Option<Timestamp>,
}

/// How records are cut into batches.
#[derive(Debug, Clone, Copy)]
pub struct Cut {
    /// Records in a full batch.
    pub batch_size: u32,
    /// How long a short batch waits for more rows.
    pub linger: Duration,
}

/// A time that can only have been written by a wrong clock; small differences between two looks at it are none.
fn future(now: Timestamp) -> String {
    now.plus(Duration::from_secs(60)).to_string()
}

impl Cut {
    /// Short batches whose first row came by then wait no longer.
    fn ripe_before(self, now: Timestamp) -> String {
        now.minus(self.linger).to_string()
    }
}

/// Whether there is something to claim or to plan; full batches are looked for only if `full`, for that may take long.
/// Takes no lock: an idle daemon is in nobody's way.
///
/// # Errors
/// SQLite's.
pub fn work_to_do(
    conn: &Connection,
    scope: Scope,
    cut: Cut,
    full: bool,
    now: Timestamp,
) -> rusqlite::Result<bool> {
    let due = scope.due_by.unwrap_or(now).to_string();
    conn.prepare_cached(include_str!("../../sql/claim/work_to_do.sql"))?
        .query_row(
            named_params! {
                ":user": scope.user,
                ":due": due,
                ":future": future(now),
                ":full": full,
                ":batch_size": cut.batch_size,
                ":ripe_before": cut.ripe_before(now),
            },
            |row| row.get(0),
        )
}

/// What a round of planning did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Round {
    /// Batches that are PENDING now.
    pub batches: u32,
    /// The last user that had a turn; the next round starts behind it.
    pub last_user: Option<i64>,
}

/// Gives each of the next users behind `after` one turn: at most one batch of late rows and one of new rows.
///
/// # Errors
/// SQLite's.
pub fn plan(
    conn: &Connection,
    scope: Scope,
    cut: Cut,
    after: Option<i64>,
    now: Timestamp,
) -> rusqlite::Result<Round> {
    let mut round = Round::default();
    let Some(from) = after.map_or(Some(i64::MIN), |user| user.checked_add(1)) else {
        return Ok(round);
    };
    let mut statement = conn.prepare_cached(include_str!("../../sql/plan/ripe_users.sql"))?;
    let users: Vec<i64> = statement
        .query_map(
            named_params! {
                ":from": from,
                ":user": scope.user,
                ":batch_size": cut.batch_size,
                ":ripe_before": cut.ripe_before(now),
                ":future": future(now),
                ":users": USERS_A_ROUND,
            },
            |row| row.get(0),
        )?
        .collect::<rusqlite::Result<_>>()?;
    for user in users {
        round.batches += plan_user(conn, user, cut.batch_size, now)?;
        round.last_user = Some(user);
    }
    Ok(round)
}

fn plan_user(
    conn: &Connection,
    user: i64,
    batch_size: u32,
    now: Timestamp,
) -> rusqlite::Result<u32> {
    let (mut planned_through, mut next_offset) = conn
        .prepare_cached(include_str!("../../sql/plan/cursor.sql"))?
        .query_row(named_params! {":user": user}, |row| {
            Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, i64>(1)?))
        })
        .optional()?
        .unwrap_or((None, 0));

    let mut batches = 0;
    let late = cut_late(conn, user, batch_size)?;
    if let Some(page) = late {
        let batch = insert_batch(conn, user, next_offset, page, "LATE", now)?;
        conn.prepare_cached(include_str!("../../sql/plan/name_late_batch.sql"))?
            .execute(named_params! {":batch": batch, ":user": user, ":end_id": page.ids.last})?;
        next_offset += 1;
        batches += 1;
    }
    let fresh = cut_range(conn, user, planned_through, batch_size)?;
    if let Some(page) = fresh {
        insert_batch(conn, user, next_offset, page, "RANGE", now)?;
        planned_through = Some(page.ids.last);
        next_offset += 1;
        batches += 1;
    }
    if batches > 0 {
        conn.prepare_cached(include_str!("../../sql/plan/move_cursor.sql"))?
            .execute(named_params! {
                ":user": user,
                ":planned_through": planned_through,
                ":next_offset": next_offset,
            })?;
    }
    let planned = |page: Option<Page>| page.map_or(0, |page| page.records);
    let full = i64::from(batch_size);
    let may_have_more = planned(late) == full || planned(fresh) == full;
    if may_have_more && more_waits(conn, user, planned_through)? {
        conn.prepare_cached(include_str!("../../sql/plan/shrink_backlog.sql"))?
            .execute(named_params! {":user": user, ":planned": planned(late) + planned(fresh)})?;
    } else {
        conn.prepare_cached(include_str!("../../sql/plan/close_backlog.sql"))?
            .execute(named_params! {":user": user})?;
    }
    Ok(batches)
}

/// Asked after a full batch, which may have been the last; some id is planned then.
fn more_waits(
    conn: &Connection,
    user: i64,
    planned_through: Option<i64>,
) -> rusqlite::Result<bool> {
    conn.prepare_cached(include_str!("../../sql/plan/more_waits.sql"))?
        .query_row(
            named_params! {":user": user, ":planned_through": planned_through},
            |row| row.get(0),
        )
}

/// A page of records to make a batch of.
#[derive(Clone, Copy)]
struct Page {
    records: i64,
    ids: IdRange,
}

impl Page {
    fn read(row: &Row) -> rusqlite::Result<Option<Page>> {
        let records = row.get(0)?;
        if records == 0 {
            return Ok(None);
        }
        let ids = IdRange {
            first: row.get(1)?,
            last: row.get(2)?,
        };
        Ok(Some(Page { records, ids }))
    }
}

fn cut_late(conn: &Connection, user: i64, batch_size: u32) -> rusqlite::Result<Option<Page>> {
    conn.prepare_cached(include_str!("../../sql/plan/cut_late.sql"))?
        .query_row(
            named_params! {":user": user, ":batch_size": batch_size},
            Page::read,
        )
}

fn cut_range(
    conn: &Connection,
    user: i64,
    planned_through: Option<i64>,
    batch_size: u32,
) -> rusqlite::Result<Option<Page>> {
    let unplanned = match planned_through {
        None => IdRange::ALL,
        Some(id) => match IdRange::ALL.above(id) {
            Some(range) => range,
            None => return Ok(None),
        },
    };
    conn.prepare_cached(include_str!("../../sql/plan/cut_range.sql"))?
        .query_row(
            named_params! {":user": user, ":from": unplanned.first, ":batch_size": batch_size},
            Page::read,
        )
}

fn insert_batch(
    conn: &Connection,
    user: i64,
    batch_offset: i64,
    page: Page,
    kind: &str,
    now: Timestamp,
) -> rusqlite::Result<i64> {
    conn.prepare_cached(include_str!("../../sql/plan/insert_batch.sql"))?
        .insert(named_params! {
            ":user": user,
            ":batch_offset": batch_offset,
            ":batch_size": page.records,
            ":kind": kind,
            ":start_id": page.ids.first,
            ":end_id": page.ids.last,
            ":now": now.to_string(),
        })
}
