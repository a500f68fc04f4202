//! `ferryd audit`: proves from the tables, and from a receiver's journal, that the promises of delivery hold.
//!
//! It trusts no sum that ferryd keeps: every record is placed and counted one by one, and the views and totals are held
//! against that. All is read in one transaction, and the journal after it has begun, so that a record that the file
//! calls delivered is in the journal even while the daemon runs. It never writes to the file. What it counts goes to
//! SQLite's temporary file, so that its memory does not grow with the records.
//!
//! What it cannot know: how often a process was killed. Repeats under the same key are therefore counted, not judged.
//! A delivered row that got another id from its owner is taken for lost, for no journal knows the new id. And a row that
//! was delivered, deleted and inserted again looks delivered if the new one is passed over: the journal has the old one.

mod report;

pub use report::{Broken, JournalCounts, Records, Report};

use anyhow::Context;
use rusqlite::{Connection, Row, Transaction, named_params};
use std::path::{Path, PathBuf};

use crate::db::{self, summary};
use crate::journal::{self, Key};
use crate::text;

/// Users shown, those with the most left to do first.
const USERS: i64 = 10;

/// Width of a user's name: a user_id that is not a whole number can be any text.
const NAME_WIDTH: usize = 24;

/// Examples shown of what breaks a promise.
const EXAMPLES: usize = 5;

/// Width of an example: it can hold foreign text.
const EXAMPLE_WIDTH: usize = 200;

/// What holds, and the statement that finds what breaks it.
type Promise = (&'static str, &'static str);

/// Told by the tables alone.
const OF_THE_FILE: &[Promise] = &[
    (
        "no record counts as delivered that no batch has delivered",
        include_str!("../sql/audit/more_delivered_than_accepted.sql"),
    ),
    (
        "each record of a batch is delivered, deleted, waiting or in undelivered_record",
        include_str!("../sql/audit/counts_differ.sql"),
    ),
    (
        "a SUCCESS batch leaves no record behind",
        include_str!("../sql/audit/success_with_undelivered.sql"),
    ),
    (
        "each record that is to be sent is on its way",
        include_str!("../sql/audit/stuck.sql"),
    ),
    (
        "the ranges of a user do not overlap",
        include_str!("../sql/audit/ranges_overlap.sql"),
    ),
    (
        "the batches of a user are numbered without gaps",
        include_str!("../sql/audit/offsets_have_gaps.sql"),
    ),
    (
        "what is remembered about a record goes away with it",
        include_str!("../sql/audit/exceptions_without_record.sql"),
    ),
    (
        "user_cursor adds up the SUCCESS batches",
        include_str!("../sql/audit/totals_differ.sql"),
    ),
    (
        "user_cursor counts what stands open",
        include_str!("../sql/audit/open_counts_differ.sql"),
    ),
    (
        "delivery_total adds up the users",
        include_str!("../sql/audit/total_differs.sql"),
    ),
    (
        "user_progress says what the tables hold",
        include_str!("../sql/audit/progress_differs.sql"),
    ),
    (
        "delivery_summary says what the tables hold",
        include_str!("../sql/audit/summary_differs.sql"),
    ),
];

const LOST: Promise = (
    "each record that the file calls delivered was accepted",
    include_str!("../sql/audit/lost.sql"),
);
const FALSE_SUCCESS: Promise = (
    "a batch counts no record as delivered that was not accepted",
    include_str!("../sql/audit/false_success.sql"),
);
const ANOTHER_KEY: Promise = (
    "a record is not repeated under another key",
    include_str!("../sql/audit/another_key.sql"),
);

/// What to audit, and how to say it.
#[derive(Debug, Default)]
pub struct Options {
    /// What the receiver answered, from the first request on.
    pub journal: Option<PathBuf>,
    /// One JSON object instead of tables.
    pub json: bool,
}

/// Audits a database, prints the result, and says whether every promise holds.
///
/// # Errors
/// As for [`audit`].
pub fn run(database: &Path, options: &Options) -> anyhow::Result<bool> {
    use std::io::Write;
    let report = audit(database, options.journal.as_deref())?;
    let text = match options.json {
        true => serde_json::to_string(&report)? + "\n",
        false => report.to_string(),
    };
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // Whoever reads it has seen enough; the exit code still tells the verdict.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
        written => written.context("standard output cannot be written")?,
    }
    Ok(report.holds)
}

/// Audits a database.
///
/// # Errors
/// When the file or the journal cannot be read, or is none.
pub fn audit(database: &Path, journal: Option<&Path>) -> anyhow::Result<Report> {
    let conn = open(database)?;
    let tx = conn.unchecked_transaction()?;
    let (records, users) = count(&tx)?;
    let mut broken = Vec::new();
    for promise in OF_THE_FILE {
        look_for(&tx, *promise, &mut broken)?;
    }
    let journal = journal
        .map(|path| compare(&tx, path, &mut broken))
        .transpose()?;
    Ok(Report {
        records,
        users,
        journal,
        holds: broken.is_empty(),
        broken,
        most_left: most_left(&tx)?,
    })
}

/// A connection that cannot write to the database, but to temporary tables.
fn open(database: &Path) -> anyhow::Result<Connection> {
    let conn = db::open_to_look(database)?;
    db::schema::expect_this_version(&conn, database)?;
    // It is opened read-only; query_only would forbid the temporary tables too. 8 MB of cache serve the lookups.
    conn.execute_batch(
        "PRAGMA query_only = OFF; PRAGMA temp_store = FILE; PRAGMA cache_size = -8000;",
    )?;
    Ok(conn)
}

/// Places and counts the records one by one. Returns the sums, and how many users there are.
fn count(tx: &Transaction) -> anyhow::Result<(Records, i64)> {
    tx.execute_batch(include_str!("../sql/audit/record_place.sql"))?;
    tx.execute_batch(include_str!("../sql/audit/under_way.sql"))?;
    tx.execute_batch(include_str!("../sql/audit/count_users.sql"))?;
    tx.execute_batch(include_str!("../sql/audit/count_batches.sql"))?;
    let sums = tx.query_row(include_str!("../sql/audit/totals.sql"), [], |row| {
        Ok((read_records(row)?, row.get("users")?))
    })?;
    Ok(sums)
}

fn read_records(row: &Row) -> rusqlite::Result<Records> {
    Ok(Records {
        records: row.get("records")?,
        delivered: row.get("delivered")?,
        waiting: row.get("waiting")?,
        retrying: row.get("retrying")?,
        unknown: row.get("unknown")?,
        dead: row.get("dead")?,
        gone: row.get("gone")?,
    })
}

fn most_left(tx: &Transaction) -> anyhow::Result<Vec<(String, Records)>> {
    let mut statement = tx.prepare(include_str!("../sql/audit/users.sql"))?;
    let users = statement.query_map(named_params! {":users": USERS}, |row| {
        let name: Option<String> = row.get("name")?;
        let name = text::printable(name.as_deref().unwrap_or("none"), NAME_WIDTH).into_owned();
        Ok((name, read_records(row)?))
    })?;
    Ok(users.collect::<rusqlite::Result<_>>()?)
}

/// Adds a promise to `broken` if something breaks it, and returns how often.
fn look_for(
    tx: &Transaction,
    (promise, sql): Promise,
    broken: &mut Vec<Broken>,
) -> anyhow::Result<i64> {
    let mut statement = tx.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut times = 0;
    let mut examples = Vec::new();
    while let Some(row) = rows.next()? {
        times += 1;
        if examples.len() < EXAMPLES {
            let found: String = row.get("found")?;
            examples.push(text::printable(&found, EXAMPLE_WIDTH).into_owned());
        }
    }
    if times > 0 {
        broken.push(Broken {
            promise,
            times,
            examples,
        });
    }
    Ok(times)
}

/// Holds the file against the journal.
fn compare(
    tx: &Transaction,
    path: &Path,
    broken: &mut Vec<Broken>,
) -> anyhow::Result<JournalCounts> {
    let mut counts = load(tx, path)?;
    counts.lost = look_for(tx, LOST, broken)?;
    counts.falsely_successful = look_for(tx, FALSE_SUCCESS, broken)?;
    counts.repeated_with_another_key = look_for(tx, ANOTHER_KEY, broken)?;
    let repeats = include_str!("../sql/audit/repeats.sql");
    (counts.repeated, counts.sent_anew) =
        tx.query_row(repeats, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let again = include_str!("../sql/audit/will_be_repeated.sql");
    counts.will_be_repeated = tx.query_row(again, [], |row| row.get(0))?;
    Ok(counts)
}

/// Reads the journal into a temporary table, and counts its lines.
fn load(tx: &Transaction, path: &Path) -> anyhow::Result<JournalCounts> {
    let instance = summary::instance_id(tx)?;
    tx.execute_batch(include_str!("../sql/audit/create_accepted.sql"))?;
    let mut accept = tx.prepare(include_str!("../sql/audit/accept.sql"))?;
    let mut counts = JournalCounts::default();
    journal::read(path, |line| {
        let key = line.key.as_deref().and_then(Key::parse);
        let Some(key) = key.filter(|key| key.instance == instance) else {
            counts.foreign += 1;
            return Ok(());
        };
        counts.requests += 1;
        if (200..=299).contains(&line.status) {
            counts.accepted += 1;
            accept.execute(named_params! {":record": key.record, ":batch": key.batch})?;
        }
        Ok(())
    })?;
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_database_keeps_every_promise_and_every_statement_prepares() {
        let dir = tempfile::tempdir().unwrap();
        let (database, journal) = (dir.path().join("a.db"), dir.path().join("journal"));
        db::set_up(&database, db::BUSY_TIMEOUT).unwrap();
        std::fs::write(&journal, "").unwrap();
        let report = audit(&database, Some(&journal)).unwrap();
        assert!(report.holds, "{report}");
        assert_eq!((report.records, report.users), Default::default());
        assert_eq!(report.journal, Some(JournalCounts::default()));
    }
}
