//! `ferryd db`: the sqlite3 shell on the database, read-only, with settings that suit people.
//!
//! The process becomes the shell. The settings are those of `packaging/sqliterc`; they are for a terminal, and elsewhere the
//! shell's own serve, which scripts know.

use std::ffi::OsString;
use std::io::{ErrorKind, IsTerminal};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::db;

/// The settings, a line each, with comments.
const SETTINGS: &str = include_str!("../packaging/sqliterc");

/// There is no shell to become.
#[derive(Debug, thiserror::Error)]
pub enum NoShell {
    /// It is not on the PATH.
    #[error("the sqlite3 shell is not installed; install it (Debian: apt-get install sqlite3), or open {} with any other SQLite tool, read-only", .0.display())]
    NotInstalled(PathBuf),
    /// It cannot be started.
    #[error("the sqlite3 shell cannot be started ({0})")]
    CannotStart(std::io::Error),
}

/// Becomes the shell; returns only when that cannot be done. The arguments are SQL, or options of the shell's.
///
/// # Errors
/// [`NoShell`]; or when the file cannot be read or is not ours.
pub fn run(database: &Path, arguments: &[OsString]) -> anyhow::Result<()> {
    drop(db::open_to_look(database)?);
    // A name that begins with a dash or `file:` would mean something else to the shell.
    let path = std::path::absolute(database)?;
    let mut shell = Command::new("sqlite3");
    shell.args(["-readonly", "-cmd", ".timeout 5000"]);
    if std::io::stdout().is_terminal() {
        for line in settings() {
            shell.args(["-cmd", line]);
        }
    }
    let error = shell.arg(&path).args(arguments).exec();
    Err(match error.kind() {
        ErrorKind::NotFound => NoShell::NotInstalled(path),
        _ => NoShell::CannotStart(error),
    }
    .into())
}

fn settings() -> impl Iterator<Item = &'static str> {
    let lines = SETTINGS.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with("--"))
}
