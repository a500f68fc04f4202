//! Pruning: SUCCESS batches that ended long ago go, and with them, if that is wanted, the records that they delivered.
//!
//! `user_record` may be the only copy of the data. A record goes only if its batch is SUCCESS and goes too, and if nothing in
//! the file stands against it that this record was delivered: it is still the user's, it is not in `undelivered_record` and
//! not left out of a range, no younger batch of late rows reaches over it, and the triggers saw all that became of it. What is
//! in doubt stays. Work is done in steps, each a short transaction of the caller's.

use rusqlite::{Connection, Row, named_params};

use crate::time::Timestamp;

/// Batches that a step looks at, at most.
const BATCHES: i64 = 100;

/// Records that a step deletes, at most: a few milliseconds of work.
const RECORDS: usize = 250;

/// What to prune.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// Batches that ended before.
    pub before: Timestamp,
    /// Their records too.
    pub records: bool,
}

/// Up to where the batches were looked at: the end of a batch's last attempt, and its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    time: String,
    batch: i64,
}

impl Default for Place {
    /// Before all batches.
    fn default() -> Place {
        Place {
            time: String::new(),
            batch: 0,
        }
    }
}

/// What a step, or several, did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pruned {
    /// SUCCESS batches deleted.
    pub batches: u64,
    /// Rows of `user_record` deleted.
    pub records: u64,
}

impl std::ops::AddAssign for Pruned {
    fn add_assign(&mut self, more: Pruned) {
        self.batches += more.batches;
        self.records += more.records;
    }
}

/// Prunes a little, inside the caller's transaction. Returns what it did, and where to go on; `None`: nothing is left.
///
/// # Errors
/// SQLite's; a constraint of the owner's may forbid that a record goes.
pub fn step(
    conn: &Connection,
    order: Order,
    from: &Place,
) -> rusqlite::Result<(Pruned, Option<Place>)> {
    let mut pruned = Pruned::default();
    let mut place = from.clone();
    let batches = old_batches(conn, order, from)?;
    let more = batches.len() == BATCHES as usize;
    for batch in batches {
        if order.records && !batch.late {
            if batch.is_reached_over(conn, order)? {
                place = batch.place;
                continue;
            }
            let room = RECORDS - pruned.records as usize;
            let records = batch.delete_records(conn, room)?;
            pruned.records += records as u64;
            if records == room {
                // There may be more of it: the next step comes back to it.
                count(conn, pruned.records)?;
                return Ok((pruned, Some(place)));
            }
        }
        batch.delete(conn)?;
        pruned.batches += 1;
        place = batch.place;
    }
    count(conn, pruned.records)?;
    Ok((pruned, more.then_some(place)))
}

/// A SUCCESS batch that ended long ago.
struct Batch {
    id: i64,
    user: i64,
    late: bool,
    first: i64,
    last: i64,
    place: Place,
}

fn old_batches(conn: &Connection, order: Order, from: &Place) -> rusqlite::Result<Vec<Batch>> {
    let read = |row: &Row| {
        let id = row.get("id")?;
        Ok(Batch {
            id,
            user: row.get("user_id")?,
            late: row.get("late")?,
            first: row.get("start_id")?,
            last: row.get("end_id")?,
            place: Place {
                time: row.get("last_attempt_at")?,
                batch: id,
            },
        })
    };
    conn.prepare_cached(include_str!("../../sql/prune/old_batches.sql"))?
        .query_map(
            named_params! {
                ":before": order.before.to_string(),
                ":after_time": from.time,
                ":after_batch": from.batch,
                ":batches": BATCHES,
            },
            read,
        )?
        .collect()
}

impl Batch {
    fn is_reached_over(&self, conn: &Connection, order: Order) -> rusqlite::Result<bool> {
        conn.prepare_cached(include_str!("../../sql/prune/is_reached_over.sql"))?
            .query_row(
                named_params! {
                    ":user": self.user,
                    ":first": self.first,
                    ":last": self.last,
                    ":before": order.before.to_string(),
                },
                |row| row.get(0),
            )
    }

    fn delete_records(&self, conn: &Connection, most: usize) -> rusqlite::Result<usize> {
        conn.prepare_cached(include_str!("../../sql/prune/delete_records.sql"))?
            .execute(named_params! {
                ":user": self.user,
                ":first": self.first,
                ":last": self.last,
                ":records": most as i64,
            })
    }

    fn delete(&self, conn: &Connection) -> rusqlite::Result<()> {
        let batch = named_params! {":batch": self.id};
        conn.prepare_cached(include_str!("../../sql/settle/forget_begun.sql"))?
            .execute(batch)?;
        conn.prepare_cached(include_str!("../../sql/prune/delete_batch.sql"))?
            .execute(batch)?;
        Ok(())
    }
}

fn count(conn: &Connection, records: u64) -> rusqlite::Result<()> {
    if records > 0 {
        conn.prepare_cached(include_str!("../../sql/prune/count_records.sql"))?
            .execute(named_params! {":records": records as i64})?;
    }
    Ok(())
}
