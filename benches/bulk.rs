//! Records per second with many records in a request: one and ten million records of 10 users, 1000 a request, 10 workers,
//! ferryd's receiver on loopback, in a process of its own.
//!
//! `cargo bench --bench bulk`, about two minutes, most of it making the files; with `-- quick` a million only. The time is
//! that of the whole `ferryd drain`, planning included. In the rounds with results the answer tells what became of each
//! record, and ferryd reads that.

#![allow(clippy::expect_used)]

#[path = "rig/mod.rs"]
mod rig;

use rig::figures::median;
use rig::file::{self, Shape};
use rig::process::{Drain, Receiver};
use rig::targets::Verdicts;
use std::path::Path;

const BULK: [(&str, &str); 3] = [
    ("FERRYD_API_BULK_RECORDS", "1000"),
    ("FERRYD_BATCH_SIZE", "1000"),
    ("FERRYD_WORKERS_THREADS", "10"),
];
const RESULTS: (&str, &str) = ("FERRYD_API_BULK_ITEMS", "/results");

fn main() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let directory = directory.path();
    rig::print_machine("1000 records a request, 10 users, 10 workers, loopback receiver");
    println!(
        "{:>10}  {:>5}  {:>7}  {:>10}  {:>6}  {:>6}  {:>6}",
        "records", "round", "results", "records/s", "CPU s", "MB", "load"
    );
    let verdicts = Verdicts::default();
    let million = measure(directory, 1_000_000, 3);
    let rates = match rig::is_asked("quick") {
        true => million,
        false => measure(directory, 10_000_000, 1),
    };
    verdicts.judge("bulk records/s", median(&rates));
    verdicts.end();
}

/// Rates of the rounds without results.
fn measure(directory: &Path, records: u64, rounds: u32) -> Vec<f64> {
    let all = directory.join("all.db");
    file::remove(&all);
    Shape::waiting(records, 10).build(&all);
    let mut rates = Vec::new();
    for round in 1..=rounds {
        let settings = BULK.to_vec();
        rates.push(drain(directory, records, round, "no", &settings));
        let settings = [&BULK[..], &[RESULTS]].concat();
        drain(directory, records, round, "read", &settings);
    }
    rates
}

fn drain(
    directory: &Path,
    records: u64,
    round: u32,
    results: &str,
    settings: &[(&str, &str)],
) -> f64 {
    let database = directory.join("round.db");
    file::copy(&directory.join("all.db"), &database);
    let receiver = Receiver::start(directory, &["--summary", "--bulk"]);
    let drain = Drain {
        database: &database,
        url: &receiver.url,
        settings,
        timeout: None,
    };
    let drained = drain.run();
    let rate = records as f64 / drained.seconds;
    println!(
        "{records:>10}  {round:>5}  {results:>7}  {rate:>10.0}  {:>6.2}  {:>6.1}  {:>6}",
        drained.cpu_seconds,
        drained.peak_mb,
        rig::load()
    );
    rate
}
