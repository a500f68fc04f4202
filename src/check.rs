//! `ferryd check`: configuration, file, schema, integrity and permissions, each as one line with advice.

use rusqlite::Connection;
use rustix::fs::{Access, access};
use std::path::Path;
use std::time::Duration;

use crate::config::{Config, Loaded};
use crate::db::records::Loader;
use crate::db::{self, OpenError, schema};
use crate::endpoint;
use crate::exit;
use crate::output::say;

/// Prints a line per check and returns the first failure.
///
/// # Errors
/// The first check that failed.
pub fn run(loaded: &Loaded, probe: bool) -> anyhow::Result<()> {
    let config = &loaded.config;
    let mut report = Report::default();
    let source = loaded
        .file
        .as_ref()
        .map_or("built-in defaults".to_string(), |file| {
            file.display().to_string()
        });
    report.add("config", Ok(source));
    report.add(
        "api.url",
        config
            .require_url()
            .map(|_| config.shown_url())
            .map_err(Into::into),
    );
    report.add("permissions", permissions(&config.database.path));
    match open(&config.database.path) {
        Err(error) => report.add("schema", Err(error)),
        Ok(None) => report.add(
            "schema",
            Ok("not set up yet; the first `ferryd run` does it".into()),
        ),
        Ok(Some(conn)) => {
            report.add("schema", Ok(format!("version {}", schema::VERSION)));
            report.add("api.body", columns(config, &conn));
            report.add("integrity", integrity(&config.database.path, &conn));
        }
    }
    if probe {
        report.add("probe", reach(config));
    }
    report.first_failure.map_or(Ok(()), Err)
}

#[derive(Default)]
struct Report {
    first_failure: Option<anyhow::Error>,
}

impl Report {
    fn add(&mut self, what: &str, result: anyhow::Result<String>) {
        match result {
            Ok(detail) => say(&format!("ok    {what:<12} {detail}")),
            Err(error) => {
                say(&format!("FAIL  {what:<12} {}", exit::message(&error)));
                self.first_failure.get_or_insert(error);
            }
        }
    }
}

/// The database, if it is set up.
fn open(path: &Path) -> anyhow::Result<Option<Connection>> {
    match db::open_to_look(path) {
        Ok(conn) => Ok(Some(conn)),
        Err(OpenError::Missing(_) | OpenError::NotSetUp(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn permissions(database: &Path) -> anyhow::Result<String> {
    let denied = |reason: String| OpenError::Permission {
        path: database.to_path_buf(),
        reason,
    };
    let directory = match database.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    if !directory.is_dir() {
        return Err(OpenError::CannotCreate {
            path: database.to_path_buf(),
            reason: "the directory does not exist".into(),
        }
        .into());
    }
    access(
        directory,
        Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK,
    )
    .map_err(|error| denied(format!("directory {}: {error}", directory.display())))?;
    if database.exists() {
        access(database, Access::READ_OK | Access::WRITE_OK)
            .map_err(|error| denied(error.to_string()))?;
    }
    Ok(format!("{} can be read and written", database.display()))
}

fn columns(config: &Config, conn: &Connection) -> anyhow::Result<String> {
    let columns = config.api.body.iter().map(|(_, column)| column.as_str());
    let names: Vec<&str> = columns.collect();
    Loader::new(names.iter().copied()).check(conn)?;
    Ok(format!("user_record has {}", names.join(", ")))
}

fn integrity(path: &Path, conn: &Connection) -> anyhow::Result<String> {
    let lines = integrity_check(conn).map_err(|error| OpenError::of(path, error))?;
    if lines == ["ok"] {
        return Ok("the file is sound".into());
    }
    let path = path.to_path_buf();
    let lines: Vec<_> = lines.iter().flat_map(|line| line.lines()).collect();
    let reason = lines.join("; ");
    Err(OpenError::Corrupt { path, reason }.into())
}

fn integrity_check(conn: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = conn.prepare("PRAGMA integrity_check(10)")?;
    statement.query_map([], |row| row.get(0))?.collect()
}

/// The API cannot be reached.
#[derive(Debug, thiserror::Error)]
#[error("{url} cannot be reached: {reason}; check the address, the network and the firewall")]
pub struct Unreachable {
    url: String,
    reason: String,
}

fn reach(config: &Config) -> anyhow::Result<String> {
    let url = config.require_url()?;
    match endpoint::probe(&config.api, url) {
        Ok(took) => Ok(format!("connected in {}", in_ms(took))),
        Err(reason) => Err(Unreachable {
            url: config.shown_url(),
            reason: reason.to_string(),
        }
        .into()),
    }
}

fn in_ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}
