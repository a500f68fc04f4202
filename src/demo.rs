//! `ferryd demo`: the main job with nothing installed, on the real pipeline: a temporary file, made-up records that are
//! imported, our own receiver that refuses a share of the requests, and the file left for the sqlite3 shell.

use anyhow::Context;
use std::fs::{DirBuilder, File};
use std::io::{BufWriter, ErrorKind, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::Config;
use crate::drain;
use crate::import;
use crate::output::say;
use crate::receiver::{self, Receiver};
use crate::stop::Stop;

const USERS: u64 = 7;

const CITIES: [&str; 8] = [
    "Lisboa",
    "Kraków",
    "Tromsø",
    "Nairobi",
    "Osaka",
    "Valparaíso",
    "Halifax",
    "Tbilisi",
];

/// What to show.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Made-up records.
    pub records: u64,
    /// Share of requests that the receiver refuses.
    pub fail_rate: f64,
}

/// Runs the demonstration and returns how it ended.
///
/// # Errors
/// Whatever keeps the pipeline from running.
pub fn run(options: Options, stop: &Stop) -> anyhow::Result<drain::Ended> {
    let directory = make_directory()?;
    let mut receiver = Receiver::start(receiver::Options {
        listen: ([127, 0, 0, 1], 0).into(),
        fail_rate: options.fail_rate,
        print: false,
        ..receiver::Options::default()
    })?;
    let mut config = Config::default();
    config.database.path = directory.join("ferryd.db");
    config.api.url = Some(format!("http://{}/records", receiver.addr()));
    config.retry.interval = Duration::from_secs(1);
    config.retry.backoff = 1.0;
    config.retry.max_attempts = 0;
    let database = config.database.path.clone();

    let csv = directory.join("records.csv");
    write_records(&csv, options.records)?;
    let imported = import::run(
        &database,
        &import::Options {
            source: csv.clone(),
            format: None,
            replace: false,
        },
    )?;
    say(&format!(
        "imported   {} records of {USERS} users from {}",
        imported.added,
        csv.display()
    ));
    say(&format!(
        "receiver   http://{}/records, answers 500 to {:.0} % of the requests",
        receiver.addr(),
        options.fail_rate * 100.0
    ));
    say("retries    of what failed, and nothing else, every second");
    let report = drain::run(&config, &drain::Options::default(), stop)?;
    let counts = receiver.counts();
    receiver.stop();
    say(&format!("ferryd     {report}"));
    say(&format!(
        "receiver   {} requests: {} accepted, {} refused; {} records came twice after they were accepted",
        counts.requests, counts.accepted, counts.refused, counts.repeated
    ));
    say(&format!(
        "look       sqlite3 -readonly {} 'SELECT * FROM recent_batches'",
        database.display()
    ));
    Ok(report.ended)
}

/// A new directory that only this user can enter: the names of temporary directories can be guessed, so one that is
/// there already is never used.
fn make_directory() -> anyhow::Result<PathBuf> {
    let place = std::env::temp_dir();
    let mut number = 0;
    loop {
        let directory = place.join(format!("ferryd-demo-{}-{number}", std::process::id()));
        match DirBuilder::new().mode(0o700).create(&directory) {
            Ok(()) => return Ok(directory),
            Err(error) if error.kind() == ErrorKind::AlreadyExists && number < 100 => number += 1,
            Err(error) => {
                let problem = format!("{}: the directory cannot be made", directory.display());
                return Err(anyhow::Error::from(error).context(problem));
            }
        }
    }
}

fn write_records(path: &Path, records: u64) -> anyhow::Result<()> {
    let file = File::create(path)
        .with_context(|| format!("{}: the file cannot be made", path.display()))?;
    let mut out = BufWriter::new(file);
    writeln!(out, "id,user_id,network_id,city")?;
    for id in 1..=records {
        let user = id % USERS + 1;
        let city = CITIES[(id / USERS) as usize % CITIES.len()];
        writeln!(out, "{id},{user},net-{:04},{city}", id % 9973)?;
    }
    out.flush()?;
    Ok(())
}
