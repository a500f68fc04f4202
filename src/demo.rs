//! `ferryd demo`: the main job with nothing installed, on the real pipeline: a temporary file, made-up records that are
//! imported, our own receiver that refuses a share of the requests, and the file left for the sqlite3 shell.

use anyhow::Context;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::Config;
use crate::drain;
use crate::import;
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
    println!(
        "imported   {} records of {USERS} users from {}",
        imported.added,
        csv.display()
    );
    println!(
        "receiver   http://{}/records, answers 500 to {:.0} % of the requests",
        receiver.addr(),
        options.fail_rate * 100.0
    );
    println!("retries    of what failed, and nothing else, every second");
    let report = drain::run(&config, &drain::Options::default(), stop)?;
    let counts = receiver.counts();
    receiver.stop();
    println!("ferryd     {report}");
    println!(
        "receiver   {} requests: {} accepted, {} refused; {} records came twice after they were accepted",
        counts.requests, counts.accepted, counts.refused, counts.repeated
    );
    println!(
        "look       sqlite3 -readonly {} 'SELECT * FROM recent_batches'",
        database.display()
    );
    Ok(report.ended)
}

fn make_directory() -> anyhow::Result<PathBuf> {
    let name = format!("ferryd-demo-{}", std::process::id());
    let directory = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&directory)
        .with_context(|| format!("{}: the directory cannot be made", directory.display()))?;
    Ok(directory)
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
