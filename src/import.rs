//! `ferryd import`: rows from a CSV or JSONL file into `user_record`, all or nothing.
//!
//! The input is read and checked into a temporary table first, so that a slow input never holds the write lock, and a
//! bad line is found before anything is stored. Then one synced transaction moves it into `user_record`.

mod parse;
mod rows;
mod store;

use anyhow::Context;
use std::fs::File;
use std::io::{BufReader, IsTerminal, Read};
use std::path::{Path, PathBuf};

use crate::config::Durability;
use crate::db;
use crate::lock::InstanceLock;
use crate::progress;
use crate::text;

pub use parse::Format;

/// What to import.
#[derive(Debug)]
pub struct Options {
    /// The file; `-` is standard input.
    pub source: PathBuf,
    /// The format, or what the file's name says, or CSV.
    pub format: Option<Format>,
    /// Whether a row whose id is there with other content changes that row.
    pub replace: bool,
}

/// What an import did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Imported {
    /// New rows.
    pub added: u64,
    /// Rows that were there with the same content.
    pub skipped: u64,
    /// Rows whose content was changed.
    pub replaced: u64,
}

/// A line that cannot be imported. Nothing was stored.
#[derive(Debug, thiserror::Error)]
#[error("{source_name}:{line}: {problem}; nothing was imported")]
pub struct BadLine {
    /// The file.
    pub source_name: String,
    /// Its line, from 1.
    pub line: u64,
    /// What is wrong, with the column.
    pub problem: String,
}

/// Imports into the database, which is set up if need be.
///
/// # Errors
/// [`BadLine`] for the input's faults; otherwise what kept the file from being read or the rows from being stored.
pub fn run(database: &Path, options: &Options) -> anyhow::Result<Imported> {
    let name = source_name(&options.source);
    let (input, size) = open(&options.source)?;
    if db::needs_set_up(database, db::BUSY_TIMEOUT)? {
        let _lock = InstanceLock::take(database)?;
        db::set_up(database, db::BUSY_TIMEOUT)?;
    }
    let conn = db::open_writer(database, Durability::Full, db::BUSY_TIMEOUT)?;
    let columns = store::insertable_columns(&conn)?;

    let bar = progress::bytes(size, "reading");
    let input = BufReader::with_capacity(64 * 1024, bar.wrap_read(input));
    let mut stage = store::Stage::new(&conn, &columns)?;
    let format = options
        .format
        .unwrap_or_else(|| Format::of_name(&options.source));
    parse::read(input, format, &columns, &mut stage).map_err(|e| e.in_source(&name))?;
    bar.finish_and_clear();

    let bar = progress::records(stage.rows(), "storing");
    let imported = stage
        .store(options.replace, || bar.inc(1))
        .map_err(|e| e.in_source(&name))?;
    bar.finish_and_clear();
    Ok(imported)
}

fn source_name(source: &Path) -> String {
    if source == Path::new("-") {
        "standard input".to_string()
    } else {
        source.display().to_string()
    }
}

/// The input, and its size where that is known.
fn open(source: &Path) -> anyhow::Result<(Box<dyn Read>, Option<u64>)> {
    if source == Path::new("-") {
        let stdin = std::io::stdin();
        if stdin.is_terminal() {
            log::info!("Reading records from the terminal; end with Ctrl-D.");
        }
        return Ok((Box::new(stdin), None));
    }
    let file = File::open(source)
        .with_context(|| format!("{}: the file cannot be read", source.display()))?;
    let size = file
        .metadata()
        .ok()
        .filter(|m| m.is_file())
        .map(|m| m.len());
    Ok((Box::new(file), size))
}

/// A fault on the way, which becomes a [`BadLine`] where it has a line.
#[derive(Debug)]
enum Fault {
    Line { line: u64, problem: String },
    Other(anyhow::Error),
}

impl Fault {
    fn in_source(self, name: &str) -> anyhow::Error {
        match self {
            Fault::Line { line, problem } => BadLine {
                source_name: name.to_string(),
                line,
                problem,
            }
            .into(),
            Fault::Other(error) if error.is::<std::io::Error>() => {
                error.context(format!("{name}: the input cannot be read"))
            }
            Fault::Other(error) => error,
        }
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Fault {
        Fault::Other(error.into())
    }
}

impl std::fmt::Display for Imported {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let added = text::count(self.added as i64, "record", "records");
        write!(f, "imported {added}")?;
        if self.replaced > 0 {
            write!(f, ", replaced {}", self.replaced)?;
        }
        if self.skipped > 0 {
            write!(f, ", skipped {} that were there", self.skipped)?;
        }
        Ok(())
    }
}
