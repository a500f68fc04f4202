//! The tables below the facts: batches in work, batches that failed, and users. The name of the first column says which.

use super::snapshot::Snapshot;
use crate::line::{Cell, Line, Tone};
use crate::table::{self, Column, left, right, text};
use crate::text::shown;

/// Rows that are read where there is no screen to fill.
pub const ROWS: usize = USERS + 1;

/// Rows of each table where there is no screen to fill.
const USERS: usize = 10;
const FAILED: usize = 5;

/// A table, before it is known how much room it has.
pub struct Table {
    columns: &'static [Column],
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// Rows without the head.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// The head, and the first so many rows.
    pub fn lines(&self, rows: usize, columns: usize) -> Vec<Line> {
        let rows = &self.rows[..rows.min(self.rows.len())];
        table::lay_out(self.columns, rows, columns)
    }
}

/// The tables of users and of what failed last, where there are any.
pub fn all(snapshot: &Snapshot, columns: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    let users = users(snapshot);
    if users.rows() > 0 {
        lines.push(Line::default());
        lines.extend(users.lines(USERS, columns));
    }
    if users.rows() > USERS {
        let more = "… and more: SELECT * FROM user_progress";
        lines.push(Line::default().with(more).cut(columns));
    }
    let failed = failed(snapshot);
    if failed.rows() > 0 {
        lines.push(Line::default());
        lines.extend(failed.lines(FAILED, columns));
    }
    if failed.rows() > FAILED {
        let more = match (
            snapshot.summary.failed_batches,
            snapshot.summary.dead_batches,
        ) {
            (_, 0) => "… and more: `ferryd batches --status failed`",
            (0, _) => "… and more: `ferryd batches --status dead`",
            _ => "… and more: `ferryd batches --status failed`, or dead",
        };
        lines.push(Line::default().with(more).cut(columns));
    }
    lines
}

/// Batches in work.
pub fn running(snapshot: &Snapshot) -> Table {
    const COLUMNS: &[Column] = &[
        right("in work", 0),
        right("user", 0),
        right("delivered", 1),
        right("of", 1),
        right("for", 0),
    ];
    let rows = snapshot.running.iter().map(|batch| {
        let since = batch.since.as_deref();
        vec![
            batch.batch.to_string().into(),
            batch.user.to_string().into(),
            batch.delivered.to_string().into(),
            batch.size.to_string().into(),
            since
                .map_or(String::new(), |since| snapshot.now.ago(since))
                .into(),
        ]
    });
    let (columns, rows) = (COLUMNS, rows.collect());
    Table { columns, rows }
}

/// Batches that failed, the newest first.
pub fn failed(snapshot: &Snapshot) -> Table {
    const COLUMNS: &[Column] = &[
        right("failed", 0),
        right("user", 1),
        left("status", 0),
        right("failures", 4),
        right("ago", 3),
        right("retry", 2),
        text("first error", 0),
    ];
    let rows = snapshot.failed.iter().map(|batch| {
        let when = batch.due.as_deref();
        vec![
            batch.batch.to_string().into(),
            batch.user.to_string().into(),
            Cell::toned(batch.status.as_str(), Tone::of_status(&batch.status)),
            batch.attempts.to_string().into(),
            snapshot.now.ago(&batch.ended).into(),
            when.map_or(String::new(), |when| snapshot.now.until(when))
                .into(),
            shown(&batch.error).into_owned().into(),
        ]
    });
    let (columns, rows) = (COLUMNS, rows.collect());
    Table { columns, rows }
}

/// Users, those with the most left to do first.
pub fn users(snapshot: &Snapshot) -> Table {
    const COLUMNS: &[Column] = &[
        right("user", 0),
        right("%", 0),
        right("waiting", 0),
        right("delivered", 1),
        right("retrying", 2),
        right("dead", 2),
        right("batches", 3),
    ];
    let rows = snapshot.users.iter().map(|user| {
        let all = user.waiting + user.delivered + user.retrying + user.dead;
        // Rounded down: 100 is all.
        let percent = (user.delivered * 100).checked_div(all).unwrap_or_default();
        let batches = user.done_batches + user.open_batches;
        let count = |count: i64, tone| match count {
            0 => Cell::from("0"),
            _ => Cell::toned(count.to_string(), tone),
        };
        vec![
            user.user.to_string().into(),
            percent.to_string().into(),
            user.waiting.to_string().into(),
            user.delivered.to_string().into(),
            count(user.retrying, Tone::Warn),
            count(user.dead, Tone::Bad),
            format!("{}/{batches}", user.done_batches).into(),
        ]
    });
    let (columns, rows) = (COLUMNS, rows.collect());
    Table { columns, rows }
}
