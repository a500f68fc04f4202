//! `ferryd batches`: the batches, those planned last first. Read-only, with the daemon up or down.

use anyhow::Context;
use clap::ValueEnum;
use rusqlite::{Connection, named_params};
use std::path::Path;

use crate::db;
use crate::line::{Cell, Tone};
use crate::listing::{Form, PAGE, Page, Printer, Row, Shape};
use crate::table::{left, right, text};
use crate::time::Timestamp;

/// Which batches, and how.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How they are written.
    pub form: Form,
    /// Only this user's.
    pub user: Option<i64>,
    /// Only those of this status.
    pub status: Option<Status>,
    /// At most so many.
    pub limit: Option<i64>,
}

/// `processing_batch_status.status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)]
pub enum Status {
    Pending,
    Running,
    Success,
    Failed,
    Dead,
}

impl Status {
    fn word(self) -> &'static str {
        match self {
            Status::Pending => "PENDING",
            Status::Running => "RUNNING",
            Status::Success => "SUCCESS",
            Status::Failed => "FAILED",
            Status::Dead => "DEAD",
        }
    }
}

const SHAPE: Shape = Shape {
    columns: &[
        right("batch", 0),
        right("user", 0),
        left("status", 0),
        right("delivered", 0),
        right("of", 0),
        right("failures", 5),
        right("ago", 2),
        right("retry", 3),
        right("seconds", 6),
        right("rec/s", 4),
        text("first error", 1),
    ],
    cells,
};

/// Prints the batches.
///
/// # Errors
/// When the file cannot be read, or the output cannot be written.
pub fn run(database: &Path, options: &Options) -> anyhow::Result<()> {
    let conn = db::open_to_look(database)?;
    let mut printer = Printer::new(options.form);
    let mut left = options.form.limit(options.limit);
    let mut below = i64::MAX;
    let trouble = || format!("{}: the batches cannot be read", database.display());
    loop {
        let wanted = left.min(PAGE);
        let page = read(&conn, options, below, wanted).with_context(trouble)?;
        let last = page.rows().last();
        below = last
            .and_then(|row| row.text("id").parse().ok())
            .unwrap_or(below);
        left -= page.len() as i64;
        if !printer.print(&page, SHAPE)? {
            return Ok(());
        }
        if (page.len() as i64) < wanted || left == 0 {
            let next = read(&conn, options, below, 1).with_context(trouble)?;
            return printer.end(!next.is_empty());
        }
    }
}

fn read(conn: &Connection, options: &Options, below: i64, page: i64) -> rusqlite::Result<Page> {
    let mut statement = conn.prepare_cached(include_str!("../sql/look/batches.sql"))?;
    let params = named_params! {
        ":below": below,
        ":user": options.user,
        ":status": options.status.map(Status::word),
        ":page": page,
    };
    Page::read(&mut statement, params)
}

fn cells(row: Row, now: Timestamp) -> Vec<Cell> {
    let status = row.text("status");
    let tone = Tone::of_status(&status);
    // No attempt has ended yet: the time of one that runs is counted at its end.
    let seconds = match row.text("seconds") {
        none if none == "0.0" => String::new(),
        seconds => seconds,
    };
    vec![
        row.text("id").into(),
        row.text("user_id").into(),
        Cell::toned(status, tone),
        row.text("delivered_count").into(),
        row.text("batch_size").into(),
        row.text("retry_count").into(),
        row.ago("last_attempt_at", now).into(),
        row.until("next_attempt_at", now).into(),
        seconds.into(),
        row.text("records_per_second").into(),
        row.first_line("error_message").into(),
    ]
}
