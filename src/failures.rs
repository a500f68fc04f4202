//! `ferryd failures`: the records that are not simply waiting their turn, the newest first, each with its reason in words.
//! Read-only, with the daemon up or down.
//!
//! The rows of `user_record` are personal data: ids and reasons are shown, and the record's own columns only when they are
//! asked for.

use anyhow::Context;
use clap::ValueEnum;
use rusqlite::{Connection, named_params};
use std::path::Path;

use crate::db;
use crate::line::{Cell, Tone};
use crate::listing::{Form, PAGE, Page, Printer, Row, Shape};
use crate::table::{left, right, text};
use crate::time::Timestamp;

/// Which records, and how.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How they are written.
    pub form: Form,
    /// Only this user's.
    pub user: Option<i64>,
    /// Only those in this state.
    pub state: Option<State>,
    /// At most so many.
    pub limit: Option<i64>,
    /// All columns of `undelivered`, those of the record too.
    pub all_columns: bool,
}

/// `undelivered_record.state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)]
pub enum State {
    Dead,
    Retry,
    Unknown,
    Late,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            State::Dead => "DEAD",
            State::Retry => "RETRY",
            State::Unknown => "UNKNOWN",
            State::Late => "LATE",
        }
    }
}

const SHAPE: Shape = Shape {
    columns: &[
        right("record", 0),
        right("user", 1),
        left("state", 0),
        right("batch", 4),
        right("failures", 5),
        right("ago", 2),
        right("retry", 3),
        text("reason", 0),
    ],
    cells,
};

/// Prints the records.
///
/// # Errors
/// When the file cannot be read, or the output cannot be written.
pub fn run(database: &Path, options: &Options) -> anyhow::Result<()> {
    let conn = db::open_to_look(database)?;
    let trouble = || format!("{}: the failures cannot be read", database.display());
    let limit = options.form.limit(options.limit);
    // One more, to know whether there are more.
    let found = collect(&conn, options, limit.saturating_add(1)).with_context(trouble)?;
    let last = found.min(limit);
    let mut printer = Printer::new(options.form);
    let mut after = 0;
    loop {
        let through = last.min(after + PAGE);
        let page = read(&conn, options, after, through).with_context(trouble)?;
        if !printer.print(&page, SHAPE)? {
            return Ok(());
        }
        if through == last {
            return printer.end(found > last);
        }
        after = through;
    }
}

/// Notes which records to show, and returns how many they are.
fn collect(conn: &Connection, options: &Options, limit: i64) -> rusqlite::Result<i64> {
    // It is opened read-only; query_only would forbid the temporary table too.
    conn.execute_batch("PRAGMA query_only = OFF; PRAGMA temp_store = FILE;")?;
    conn.execute(
        include_str!("../sql/failures/collect.sql"),
        named_params! {
            ":user": options.user,
            ":state": options.state.map(State::word),
            ":limit": limit,
        },
    )?;
    conn.query_row(include_str!("../sql/failures/last.sql"), [], |row| {
        row.get(0)
    })
}

fn read(conn: &Connection, options: &Options, after: i64, through: i64) -> rusqlite::Result<Page> {
    let sql = match options.all_columns {
        true => include_str!("../sql/failures/page_in_full.sql"),
        false => include_str!("../sql/failures/page.sql"),
    };
    let params = named_params! {":after": after, ":through": through};
    Page::read(&mut *conn.prepare_cached(sql)?, params)
}

fn cells(row: Row, now: Timestamp) -> Vec<Cell> {
    let state = row.text("state");
    let tone = Tone::of_status(&state);
    let when = match row.text("last_attempt_at").as_str() {
        "" => "first_seen_at",
        _ => "last_attempt_at",
    };
    vec![
        row.text("record_id").into(),
        row.text("user_id").into(),
        Cell::toned(state, tone),
        row.text("batch_id").into(),
        row.text("attempts").into(),
        row.ago(when, now).into(),
        row.until("next_attempt_at", now).into(),
        row.text("reason").into(),
    ]
}
