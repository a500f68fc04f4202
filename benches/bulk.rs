//! Records per second with many records in a request: a million records of 10 users, 1000 a request, 10 workers, our
//! receiver on loopback, in a process of its own.
//!
//! `cargo bench --bench bulk`. The time is that of the whole `ferryd drain`, planning included. In the rounds with results
//! the answer tells what became of each record, and ferryd reads that.

#![allow(clippy::expect_used)]

#[path = "rig/process.rs"]
mod process;

use process::{Receiver, Round};
use std::fmt::Write as _;

const RECORDS: u32 = 1_000_000;
const ROUNDS: u32 = 4;

const BULK: [(&str, &str); 3] = [
    ("FERRYD_API_BULK_RECORDS", "1000"),
    ("FERRYD_BATCH_SIZE", "1000"),
    ("FERRYD_WORKERS_THREADS", "10"),
];
const RESULTS: (&str, &str) = ("FERRYD_API_BULK_ITEMS", "/results");

fn main() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let directory = directory.path();
    std::fs::write(directory.join("records.csv"), records()).expect("records are written");
    println!("{RECORDS} records, 10 users, 1000 a request, 10 workers, loopback receiver");
    println!(
        "{:>5}  {:>7}  {:>10}  {:>8}  {:>9}",
        "round", "results", "records/s", "CPU s", "peak MB"
    );
    for round in 1..=ROUNDS {
        for (results, settings) in [
            ("no", BULK.to_vec()),
            ("read", [&BULK[..], &[RESULTS]].concat()),
        ] {
            let receiver = Receiver::start(directory, &["--summary", "--bulk"]);
            let database = format!("round-{round}-{results}.db");
            let drained = process::drain(&Round {
                directory,
                url: &receiver.url,
                records: RECORDS,
                settings: &settings,
                database: &database,
            });
            println!(
                "{round:>5}  {results:>7}  {:>10.0}  {:>8.2}  {:>9.1}",
                drained.rate, drained.cpu_seconds, drained.peak_mb
            );
            std::fs::remove_file(directory.join(&database)).expect("the database is removed");
        }
    }
}

fn records() -> String {
    let mut csv = String::from("id,user_id,network_id,city\n");
    for id in 1..=RECORDS {
        let _ = writeln!(csv, "{id},{},net-{:04},Lisboa", id % 10 + 1, id % 9973);
    }
    csv
}
