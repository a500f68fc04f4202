//! `ferryd status`: what the views say, as tables or JSON, once or every second. Read-only, daemon up or down.
//!
//! What it costs does not grow with the file: the counts are kept by triggers, and of batches, failures and users only the
//! first few are read, by index.

mod facts;
mod history;
mod snapshot;
mod tables;
mod watch;

use std::path::Path;

use crate::line::Line;
use crate::output;
use crate::stop::Stop;
use crate::terminal::Terminal;
use snapshot::{Look, Snapshot};

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
    let look = Look::open(database)?;
    if options.watch {
        return watch::run(look, options.json, stop);
    }
    let text = match options.json {
        true => json(&look)?,
        false => {
            let terminal = Terminal::of_stdout();
            let lines = page(&look.read(tables::ROWS)?, database, terminal.columns);
            show(&lines, terminal.escapes)
        }
    };
    output::print(text.as_bytes()).map(drop)
}

/// All there is to say, for reading from top to bottom.
fn page(snapshot: &Snapshot, database: &Path, columns: usize) -> Vec<Line> {
    let mut lines = facts::all(snapshot, database, columns);
    lines.extend(tables::all(snapshot, columns));
    lines
}

fn show(lines: &[Line], colour: bool) -> String {
    lines.iter().map(|line| line.show(colour) + "\n").collect()
}

/// The object of `--json`, as a line.
fn json(look: &Look) -> anyhow::Result<String> {
    Ok(serde_json::to_string(&look.summary()?)? + "\n")
}
