//! `ferryd init`: a commented configuration file and an empty database. Never overwrites either.

use anyhow::Context;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::config::{self, Flags};
use crate::db;
use crate::lock::InstanceLock;
use crate::output;

/// Makes what is missing and says what it did.
///
/// # Errors
/// When a file cannot be made, or one that is there cannot be used.
pub fn run(flags: &Flags) -> anyhow::Result<()> {
    let file = flags
        .config
        .clone()
        // An empty variable is reported with all else that is wrong with the configuration.
        .or_else(|| {
            std::env::var_os("FERRYD_CONFIG")
                .filter(|path| !path.is_empty())
                .map(PathBuf::from)
        })
        .unwrap_or_else(|| PathBuf::from("ferryd.toml"));
    let made = make_config(&file)?;
    say(&file, made);
    let config = config::load(flags)?.config;
    let database = &config.database.path;
    let made = db::needs_set_up(database, db::BUSY_TIMEOUT)?;
    if made {
        let _lock = InstanceLock::take(database)?;
        db::set_up(database, db::BUSY_TIMEOUT)?;
    }
    say(database, made);
    if config.api.url.is_none() {
        output::say(&format!(
            "next: set api.url in {}, then `ferryd check --probe`",
            file.display()
        ));
    }
    Ok(())
}

fn make_config(file: &Path) -> anyhow::Result<bool> {
    match OpenOptions::new().write(true).create_new(true).open(file) {
        Ok(mut made) => {
            made.write_all(config::template().as_bytes())
                .with_context(|| format!("{}: the file cannot be written", file.display()))?;
            Ok(true)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(source) => Err(CannotCreate {
            path: file.to_path_buf(),
            source,
        }
        .into()),
    }
}

/// A file that cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("{}: the file cannot be created ({source}); make the directory, or name another with --config", .path.display())]
pub struct CannotCreate {
    path: PathBuf,
    source: std::io::Error,
}

fn say(path: &Path, made: bool) {
    let done = if made { "made" } else { "kept as it was" };
    output::say(&format!("{}: {done}", path.display()));
}
