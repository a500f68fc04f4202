//! What the status listener reads of the file: the numbers for monitoring, and the few rows that its page shows.
//!
//! Each is read in one transaction, tells of one moment, and costs a few milliseconds however much is in the file: nothing
//! here reads without an index and a limit.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, named_params};

use super::claims;
use super::summary::{self, Summary, User};
use crate::text;
use crate::time::Timestamp;

/// Users on the page.
const USERS: usize = 8;

/// Batches of each kind that are looked at for records that failed.
const BATCHES: i64 = 8;

/// Records of each kind on the page, and of them those of one batch.
const RECORDS: usize = 8;
const OF_A_BATCH: usize = 2;

/// Bytes of a column of a record.
const CONTENT_BYTES: usize = 40;

/// Columns of a record.
const COLUMNS: usize = 6;

/// The numbers.
#[derive(Debug, Clone)]
pub struct Facts {
    /// When they were read.
    pub at: Timestamp,
    /// The row of `delivery_summary`.
    pub summary: Summary,
    /// Since when the gate is as it is.
    pub gate_since: Option<Timestamp>,
    /// When a closed gate may be probed.
    pub probe_at: Option<Timestamp>,
    /// When the next batch that waits for a retry is due.
    pub next_due: Option<Timestamp>,
}

/// The numbers, and what the page shows beside them.
#[derive(Debug, Clone)]
pub struct Glance {
    /// The numbers.
    pub facts: Facts,
    /// The users with the most left to do.
    pub users: Vec<User>,
    /// Whether there are more users than those.
    pub more_users: bool,
    /// Some of the records that are dead, the newest batches first.
    pub dead: Vec<Failed>,
    /// Some of those that wait for a retry, the next first.
    pub retrying: Vec<Failed>,
    /// Dead records that belong to no user, for their `user_id` is no whole number.
    pub userless: i64,
}

/// A record that failed.
#[derive(Debug, Clone)]
pub struct Failed {
    /// `user_record.id`.
    pub record: i64,
    /// Its user.
    pub user: i64,
    /// Its batch.
    pub batch: i64,
    /// `RETRY`, `UNKNOWN` or `DEAD`.
    pub state: String,
    /// Times that it was sent.
    pub attempts: i64,
    /// When its batch is sent again.
    pub due: Option<Timestamp>,
    /// What went wrong, in one printable line; may hold what the API said.
    pub error: String,
    /// Its columns with their values, printable; empty unless they were asked for.
    pub content: Vec<(String, String)>,
}

/// Reads the numbers.
///
/// # Errors
/// SQLite's.
pub fn facts(conn: &Connection) -> rusqlite::Result<Facts> {
    let tx = conn.unchecked_transaction()?;
    read_facts(&tx)
}

/// Reads all that the page shows, and what is in the records if `with_content` says so.
///
/// # Errors
/// SQLite's.
pub fn glance(conn: &Connection, with_content: bool) -> rusqlite::Result<Glance> {
    let tx = conn.unchecked_transaction()?;
    let facts = read_facts(&tx)?;
    let mut users = summary::users(&tx, USERS + 1)?;
    let more_users = users.len() > USERS;
    users.truncate(USERS);
    let dead = include_str!("../../sql/look/page_dead_batches.sql");
    let due = include_str!("../../sql/look/page_due_batches.sql");
    Ok(Glance {
        facts,
        users,
        more_users,
        dead: failed(&tx, dead, true, with_content)?,
        retrying: failed(&tx, due, false, with_content)?,
        userless: tx
            .prepare_cached(include_str!("../../sql/look/page_userless.sql"))?
            .query_row([], |row| row.get(0))?,
    })
}

fn read_facts(conn: &Connection) -> rusqlite::Result<Facts> {
    let at = Timestamp::now();
    let (gate_since, probe_at) = conn
        .prepare_cached(include_str!("../../sql/look/held.sql"))?
        .query_row([], |row| Ok((time(row, 0)?, time(row, 1)?)))?;
    Ok(Facts {
        at,
        summary: summary::summary(conn)?,
        gate_since,
        probe_at,
        next_due: claims::next_due(conn, at)?.map(|(first, _)| first),
    })
}

/// Records of the batches that `batches` selects, `dead` ones or those that wait for a retry; and as far as there is room,
/// others, for a batch in work may have some of both.
fn failed(
    conn: &Connection,
    batches: &str,
    dead: bool,
    with_content: bool,
) -> rusqlite::Result<Vec<Failed>> {
    let mut found = Vec::new();
    let mut batches = conn.prepare_cached(batches)?;
    let mut of_batch = conn.prepare_cached(include_str!("../../sql/look/page_records.sql"))?;
    let mut batches = batches.query(named_params! {":batches": BATCHES})?;
    while let Some(batch) = batches.next()? {
        let (id, due): (i64, Option<String>) = (batch.get(0)?, batch.get(1)?);
        let named =
            named_params! {":batch": id, ":due": due, ":dead": dead, ":records": OF_A_BATCH as i64};
        for failed in of_batch.query_map(named, read_failed)? {
            found.push(failed?);
        }
    }
    let mut newest = conn.prepare_cached(include_str!("../../sql/look/page_newest.sql"))?;
    let named = named_params! {":dead": dead, ":records": RECORDS as i64};
    for failed in newest.query_map(named, read_failed)? {
        let failed = failed?;
        if found
            .iter()
            .all(|known: &Failed| known.record != failed.record)
        {
            found.push(failed);
        }
    }
    found.truncate(RECORDS);
    if with_content {
        for failed in &mut found {
            failed.content = content(conn, failed.record)?;
        }
    }
    Ok(found)
}

fn read_failed(row: &Row) -> rusqlite::Result<Failed> {
    Ok(Failed {
        record: row.get(0)?,
        user: row.get::<_, Option<i64>>(1)?.unwrap_or_default(),
        batch: row.get(2)?,
        due: time(row, 3)?,
        state: row.get(4)?,
        attempts: row.get(5)?,
        error: row.get::<_, Option<String>>(6)?.unwrap_or_default(),
        content: Vec::new(),
    })
}

/// The columns of a record; none when its owner has deleted it.
fn content(conn: &Connection, record: i64) -> rusqlite::Result<Vec<(String, String)>> {
    let mut statement = conn.prepare_cached(include_str!("../../sql/look/page_content.sql"))?;
    let names: Vec<String> = statement
        .column_names()
        .take(COLUMNS)
        .map(|name| text::printable(name, CONTENT_BYTES).into_owned())
        .collect();
    let mut rows = statement.query(named_params! {":record": record})?;
    let Some(row) = rows.next()? else {
        return Ok(Vec::new());
    };
    let values = (0..names.len()).map(|column| Ok(shown(row.get_ref(column)?)));
    let values: Vec<String> = values.collect::<rusqlite::Result<_>>()?;
    Ok(names.into_iter().zip(values).collect())
}

fn shown(value: ValueRef) -> String {
    match value {
        ValueRef::Null => "NULL".to_string(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            text::printable_bytes(bytes, CONTENT_BYTES).into_owned()
        }
    }
}

fn time(row: &Row, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    let text: Option<String> = row.get(column)?;
    Ok(text.and_then(|text| Timestamp::parse(&text).ok()))
}
