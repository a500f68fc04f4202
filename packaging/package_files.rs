//! Writes the files of the packages that follow from the program itself into a directory: manual pages, completions,
//! `ferryd.toml`, `schema.sql`; and for build-deb.sh `assets`, the list of what a package holds, and `control`.
//!
//! An example and no command, so that nothing of it weighs on the program. Must never happen here: a word about a command
//! or a key that is not the program's own.

mod manual;
mod metadata;

use anyhow::Context;
use clap_complete::Shell;
use rusqlite::{Connection, OpenFlags};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ferryd::{cli, config, db};
use metadata::Metadata;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(out), None) = (arguments.next(), arguments.next()) else {
        anyhow::bail!("usage: package_files DIRECTORY");
    };
    let out = PathBuf::from(out);
    manual::write(&emptied(out.join("man"))?)?;
    write_completions(&emptied(out.join("completions"))?)?;
    write(&out.join("ferryd.toml"), &config::packaged_template())?;
    write(&out.join("schema.sql"), &schema()?)?;
    let metadata = Metadata::read()?;
    write(&out.join("control"), &metadata.control()?)?;
    write(&out.join("assets"), &metadata.assets()?)
}

/// A directory without what an earlier version wrote there.
fn emptied(directory: PathBuf) -> anyhow::Result<PathBuf> {
    if directory.exists() {
        fs::remove_dir_all(&directory)
            .with_context(|| format!("{} cannot be emptied", directory.display()))?;
    }
    fs::create_dir_all(&directory)
        .with_context(|| format!("{} cannot be made", directory.display()))?;
    Ok(directory)
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(file, text).with_context(|| format!("{} cannot be written", file.display()))
}

fn write_completions(directory: &Path) -> anyhow::Result<()> {
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut cli::command(), "ferryd", directory)?;
    }
    Ok(())
}

/// What a new database holds, as the sqlite3 shell's `.schema` would show it, in the order in which it is made.
fn schema() -> anyhow::Result<String> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("ferryd.db");
    db::set_up(&file, Duration::ZERO)?;
    let conn = Connection::open_with_flags(&file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let number = |pragma| conn.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let mut text = format!(
        "-- The schema of a database of ferryd, to read. ferryd makes it; `ferryd init` does so without starting to send.\n\
         PRAGMA application_id = {};\nPRAGMA user_version = {};\n",
        number("application_id")?,
        number("user_version")?
    );
    let mut statements = conn.prepare(
        "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY rowid",
    )?;
    for sql in statements.query_map([], |row| row.get::<_, String>(0))? {
        text += &format!("\n{};\n", sql?);
    }
    Ok(text)
}
