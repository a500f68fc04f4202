//! Restored copies: what `ferryd backup` marks, and what the first that writes to such a copy says and sees to.
//!
//! The copy does not know what the lost file did after it was made. What that has sent may be sent again: with the same keys
//! as far as it was in a batch by then. Numbers of batches that the lost file may have given since are passed over, for
//! another record under a key that was used would be taken for a repeat by the API, and be lost.

use rusqlite::{Connection, OptionalExtension, named_params};
use std::path::Path;

use super::schema;
use crate::time::Timestamp;

/// The first schema that knows copies.
const SINCE_SCHEMA: i32 = 4;

/// Numbers of batches passed over for each millisecond since the backup: no machine plans so many.
const NUMBERS_A_MS: i64 = 100;

/// And so many at least, whatever the clock says.
const NUMBERS: i64 = 1_000_000;

/// What a copy says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// When the backup was made.
    pub backup_at: String,
    /// When the copy was first worked on; `None`: nobody did yet.
    pub restored_at: Option<String>,
}

/// The mark of a copy; `None` for a file that is none.
///
/// # Errors
/// SQLite's.
pub fn look(conn: &Connection) -> rusqlite::Result<Option<Mark>> {
    if schema::version_of(conn)? < SINCE_SCHEMA {
        return Ok(None);
    }
    conn.query_row(include_str!("../../sql/restored/look.sql"), [], |row| {
        Ok(Mark {
            backup_at: row.get(0)?,
            restored_at: row.get(1)?,
        })
    })
    .optional()
}

/// Marks a copy that was just made.
///
/// # Errors
/// SQLite's.
pub fn mark_copy(copy: &Connection, made: Timestamp) -> rusqlite::Result<()> {
    let sql = include_str!("../../sql/restored/mark_copy.sql");
    copy.execute(sql, named_params! {":now": made.to_string()})?;
    Ok(())
}

/// Says, once, that this is a restored copy, and passes over the numbers that the lost file may have given.
///
/// # Errors
/// SQLite's.
pub(super) fn announce(conn: &Connection, database: &Path) -> rusqlite::Result<()> {
    let is_new = |mark: &Mark| mark.restored_at.is_none();
    let Some(mark) = look(conn)?.filter(is_new) else {
        return Ok(());
    };
    let now = Timestamp::now();
    let tx = conn.unchecked_transaction()?;
    let sql = include_str!("../../sql/restored/mark_announced.sql");
    if tx.execute(sql, named_params! {":now": now.to_string()})? == 0 {
        // Another process came first.
        return Ok(());
    }
    tx.execute(include_str!("../../sql/restored/begin_numbers.sql"), [])?;
    let passed_over = numbers_since(&mark.backup_at, now);
    tx.execute(
        include_str!("../../sql/restored/pass_over.sql"),
        named_params! {":numbers": passed_over},
    )?;
    tx.commit()?;
    log::warn!(
        "{} was restored from a backup of {}: what was sent since may be sent again, with the same keys as far as it was in a batch by then.",
        database.display(),
        mark.backup_at
    );
    Ok(())
}

/// Numbers of batches that were perhaps given since then.
fn numbers_since(backup_at: &str, now: Timestamp) -> i64 {
    let made = Timestamp::parse(backup_at).unwrap_or(now);
    let ms = i64::try_from(now.after(made).as_millis()).unwrap_or(i64::MAX);
    ms.saturating_mul(NUMBERS_A_MS)
        .saturating_add(NUMBERS)
        .min(i64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_numbers_are_passed_over_the_older_the_backup_is_and_some_whatever_the_clock_says() {
        let now = Timestamp::parse("2026-11-22T12:00:00.000Z").unwrap();
        let day = 24 * 3600 * 1000;
        assert_eq!(
            numbers_since("2026-11-21T12:00:00.000Z", now),
            100 * day + NUMBERS
        );
        for odd in ["2031-01-01T00:00:00.000Z", "nonsense"] {
            assert_eq!(numbers_since(odd, now), NUMBERS);
        }
        assert!(numbers_since("-009999-01-02T00:00:00Z", now) < i64::MAX / 2);
    }
}
