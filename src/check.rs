//! `ferryd check`: configuration, file, schema, integrity, permissions, and the upkeep of file and machine, each as one line
//! with advice.

mod upkeep;

use rusqlite::Connection;
use rustix::fs::{Access, access};
use std::path::Path;
use std::time::Duration;

use crate::config::{self, BodyFormat, Config, Loaded};
use crate::db::{self, OpenError, place, records, restored, schema};
use crate::endpoint::Endpoint;
use crate::exit;
use crate::listener;
use crate::output::say;
use crate::time::Timestamp;

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
    if let Some(note) = note(config) {
        report.put("api.method", Line::Note(note));
    }
    if let Some(listen) = &config.status.listen {
        report.add("listener", listener::look(listen).map_err(Into::into));
    }
    report.put("retention", upkeep::retention(config.retention));
    let url = config.require_url();
    // Without a URL the rest of the request is looked at all the same.
    let endpoint = Endpoint::new(
        &config.api,
        url.as_deref().unwrap_or("http://localhost/"),
        1,
    );
    let endpoint = match endpoint {
        Ok(endpoint) => {
            report.add_secrets(&endpoint);
            Some(endpoint)
        }
        Err(error) => {
            report.add("secrets", Err(error));
            None
        }
    };
    let database = &config.database.path;
    report.add("permissions", permissions(database));
    report.put("disk", upkeep::disk(database));
    report.put("daemon", upkeep::daemon(database));
    match open(database) {
        Err(error) => report.add("schema", Err(error)),
        Ok(None) => report.add(
            "schema",
            Ok("not set up yet; the first `ferryd run` does it".into()),
        ),
        Ok(Some(conn)) => {
            report.add("schema", Ok(format!("version {}", schema::VERSION)));
            if let Some(endpoint) = &endpoint {
                report.add("columns", columns(endpoint, &conn));
            }
            let newest = upkeep::newest_time(&conn).unwrap_or_default();
            report.put("clock", upkeep::clock(Timestamp::now(), newest));
            report.put("wal", upkeep::wal(database));
            if let Ok(Some(mark)) = restored::look(&conn) {
                report.put("restored", upkeep::restored(&mark));
            }
            report.add("integrity", integrity(database, &conn));
        }
    }
    if let Some(endpoint) = endpoint.filter(|_| probe && url.is_ok()) {
        report.add("probe", reach(config, &endpoint));
    }
    report.first_failure.map_or(Ok(()), Err)
}

/// What is said of one thing.
#[derive(Debug)]
enum Line {
    Ok(String),
    /// Allowed, and good to know.
    Note(String),
    /// It works, but something should be done.
    Warn(String),
    Fail(anyhow::Error),
}

#[derive(Default)]
struct Report {
    first_failure: Option<anyhow::Error>,
}

impl Report {
    /// Nothing where there are none.
    fn add_secrets(&mut self, endpoint: &Endpoint) {
        let warnings = endpoint.warnings();
        for warning in &warnings {
            self.put("secrets", Line::Warn(warning.clone()));
        }
        if endpoint.files() > 0 && warnings.is_empty() {
            self.add("secrets", Ok(format!("files in use: {}", endpoint.files())));
        }
    }

    fn add(&mut self, what: &str, result: anyhow::Result<String>) {
        self.put(what, result.map_or_else(Line::Fail, Line::Ok));
    }

    fn put(&mut self, what: &str, line: Line) {
        match line {
            Line::Ok(detail) => say(&format!("ok    {what:<12} {detail}")),
            Line::Note(detail) => say(&format!("note  {what:<12} {detail}")),
            Line::Warn(detail) => say(&format!("warn  {what:<12} {detail}")),
            Line::Fail(error) => {
                for line in exit::message(&error).lines() {
                    say(&format!("FAIL  {what:<12} {line}"));
                }
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
    let directory = place::directory_of(database);
    if !place::find(directory)?.is_some_and(|found| found.is_dir()) {
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
    place::check_access(database)?;
    let can = match database.exists() {
        true => "read and written",
        false => "created",
    };
    Ok(format!("{} can be {can}", database.display()))
}

/// What the request takes from a record.
fn columns(endpoint: &Endpoint, conn: &Connection) -> anyhow::Result<String> {
    let uses = endpoint.uses().iter();
    records::check_columns(
        conn,
        uses.map(|used| (used.key.as_str(), used.column.as_str())),
    )?;
    let names: Vec<&str> = endpoint.columns().collect();
    Ok(match names.is_empty() {
        true => "the request names none".into(),
        false => format!("user_record has {}", names.join(", ")),
    })
}

/// What is allowed but seldom meant.
fn note(config: &Config) -> Option<String> {
    let config::Api { method, format, .. } = &config.api;
    let seldom = matches!(method.as_str(), "GET" | "DELETE") && *format != BodyFormat::None;
    seldom.then(|| {
        format!("{method} with a body, which many servers ignore; api.format = \"none\" sends none")
    })
}

/// Reads all of a database.
///
/// # Errors
/// [`OpenError::Corrupt`], with what was found.
pub(crate) fn integrity(path: &Path, conn: &Connection) -> anyhow::Result<String> {
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

fn reach(config: &Config, endpoint: &Endpoint) -> anyhow::Result<String> {
    match endpoint.probe(config.api.connect_timeout) {
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
