//! `ferryd status`: what the views say, as a table or JSON, once or every second. Read-only, daemon up or down.

use anyhow::Context;
use rusqlite::{Connection, named_params};
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use crate::db;
use crate::db::restored::{self, Mark};
use crate::db::summary::{self, Summary};
use crate::progress;
use crate::stop::Stop;
use crate::text;
use crate::time::Timestamp;

/// Time between two looks of `--watch`.
const WATCH_EVERY: Duration = Duration::from_secs(1);

/// Lines of each table.
const USERS: i64 = 10;
const FAILURES: i64 = 5;

/// Width that a batch's first error may take.
const ERROR_WIDTH: usize = 80;

/// How long after a restore it is told.
const TOLD_FOR: Duration = Duration::from_secs(7 * 24 * 3600);

/// How to show it.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// One JSON object instead of tables.
    pub json: bool,
    /// Again every second until the stop.
    pub watch: bool,
}

/// Prints the status of a database.
///
/// # Errors
/// When the file cannot be read or is not ours.
pub fn run(database: &Path, options: Options, stop: &Stop) -> anyhow::Result<()> {
    let conn = db::open_to_look(database)?;
    let render = || {
        render(&conn, database, options.json)
            .with_context(|| format!("{}: the status cannot be read", database.display()))
    };
    if !options.watch {
        return print(&render()?);
    }
    let redraw = progress::can_redraw(&std::io::stdout()) && !options.json;
    loop {
        let screen = render()?;
        if redraw {
            // Home, the text with each line cleared to its end, then clear what is left below.
            let lines = screen.replace('\n', "\x1b[K\n");
            print(&format!("\x1b[H{lines}\x1b[J"))?;
        } else {
            print(&screen)?;
        }
        if stop.wait(WATCH_EVERY) {
            return Ok(());
        }
    }
}

/// Prints, and ends quietly when nobody reads any more.
fn print(text: &str) -> anyhow::Result<()> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        written => written.context("standard output cannot be written"),
    }
}

fn render(conn: &Connection, database: &Path, json: bool) -> anyhow::Result<String> {
    // One transaction, so that all tables tell of the same moment.
    let tx = conn.unchecked_transaction()?;
    let summary = summary::summary(&tx)?;
    if json {
        return Ok(serde_json::to_string(&summary)? + "\n");
    }
    let mut out = overview(database, &summary);
    if let Some(mark) = restored::look(&tx)? {
        out.push_str(&restored_line(&mark, Timestamp::now()));
    }
    users(&tx, &mut out)?;
    failures(&tx, &mut out)?;
    Ok(out)
}

fn overview(database: &Path, s: &Summary) -> String {
    let gate = match &s.gate_reason {
        Some(reason) => format!("{}: {reason}", s.gate),
        None => s.gate.clone(),
    };
    let oldest = s.oldest_waiting_at.as_deref().unwrap_or("-");
    format!(
        "database  {}\n\
         gate      {gate}\n\
         records   waiting {}  delivered {}  retrying {}  unknown {}  dead {}\n\
         batches   pending {}  running {}  success {}  failed {}  dead {}\n\
         oldest waiting since {oldest}\n",
        database.display(),
        s.waiting,
        s.delivered,
        s.retrying,
        s.unknown,
        s.dead,
        s.pending_batches,
        s.running_batches,
        s.success_batches,
        s.failed_batches,
        s.dead_batches,
    )
}

/// Nothing once it is an old story.
fn restored_line(mark: &Mark, now: Timestamp) -> String {
    let backup = &mark.backup_at;
    match &mark.restored_at {
        None => {
            format!("restored  from a backup of {backup}; what was sent since may be sent again\n")
        }
        Some(at) if *at > now.minus(TOLD_FOR).to_string() => {
            format!(
                "restored  on {at} from a backup of {backup}; what was sent between may be sent again\n"
            )
        }
        Some(_) => String::new(),
    }
}

fn users(conn: &Connection, out: &mut String) -> anyhow::Result<()> {
    let mut rows = summary::users(conn, USERS + 1)?;
    let more = rows.len() > USERS as usize;
    rows.truncate(USERS as usize);
    if rows.is_empty() {
        return Ok(());
    }
    let head = [
        "user",
        "waiting",
        "delivered",
        "retrying",
        "dead",
        "done",
        "open",
    ];
    let mut table = vec![head.map(String::from).to_vec()];
    table.extend(
        rows.iter()
            .map(|row| row.numbers.iter().map(i64::to_string).collect()),
    );
    out.push('\n');
    align(&table, out);
    if more {
        out.push_str("… and more: SELECT * FROM user_progress\n");
    }
    Ok(())
}

fn align(table: &[Vec<String>], out: &mut String) {
    let columns = table.first().map_or(0, Vec::len);
    let width = |column: usize| table.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in table {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, w)| format!("{cell:>w$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{line}");
    }
}

fn failures(conn: &Connection, out: &mut String) -> anyhow::Result<()> {
    let mut statement = conn.prepare_cached(include_str!("../sql/look/failures.sql"))?;
    let mut rows = statement.query(named_params! {":batches": FAILURES})?;
    let mut first = true;
    while let Some(row) = rows.next()? {
        if std::mem::take(&mut first) {
            out.push_str("\nlast failed batches\n");
        }
        let due: Option<String> = row.get("next_attempt_at")?;
        let error: Option<String> = row.get("error_message")?;
        let error = error.unwrap_or_default();
        let error = text::printable(error.lines().next().unwrap_or_default(), ERROR_WIDTH);
        let _ = writeln!(
            out,
            "batch {} of user {} (offset {}): {}, attempts {}, {}\n    {error}",
            row.get::<_, i64>("id")?,
            row.get::<_, i64>("user_id")?,
            row.get::<_, i64>("batch_offset")?,
            row.get::<_, String>("status")?,
            row.get::<_, i64>("retry_count")?,
            due.map_or("no retry".to_string(), |due| format!("due {due}")),
        );
    }
    Ok(())
}
