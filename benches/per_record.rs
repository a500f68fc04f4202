//! Records per second, one request a record: 100,000 records of 10 users, 10 workers, our receiver on loopback.
//!
//! `cargo bench`. Each round runs `ferryd drain` and then `wrk -t1 -c10` with the same body against the same receiver, so
//! that the ratio holds on a noisy machine. Without wrk (Debian package `wrk`) the ratio is left out, visibly.

#![allow(clippy::expect_used)]

#[path = "rig/process.rs"]
mod process;

use process::{Receiver, Round};
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

const RECORDS: u32 = 100_000;
const ROUNDS: u32 = 3;

fn main() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let directory = directory.path();
    std::fs::write(directory.join("records.csv"), records()).expect("records are written");
    std::fs::write(directory.join("post.lua"), POST).expect("the script is written");
    println!("{RECORDS} records, 10 users, 10 workers, loopback receiver");
    println!(
        "{:>5}  {:>10}  {:>8}  {:>9}  {:>10}  {:>5}",
        "round", "records/s", "CPU s", "peak MB", "wrk req/s", "ratio"
    );
    for round in 1..=ROUNDS {
        let receiver = Receiver::start(directory, &["--summary"]);
        let drained = process::drain(&Round {
            directory,
            url: &receiver.url,
            records: RECORDS,
            settings: &[],
            database: &format!("round-{round}.db"),
        });
        let wrk = wrk(directory, &receiver.url);
        drop(receiver);
        let ratio = wrk.map_or("-".into(), |wrk| format!("{:.2}", drained.rate / wrk));
        let wrk = wrk.map_or("no wrk".into(), |wrk| format!("{wrk:.0}"));
        println!(
            "{round:>5}  {:>10.0}  {:>8.2}  {:>9.1}  {wrk:>10}  {ratio:>5}",
            drained.rate, drained.cpu_seconds, drained.peak_mb
        );
    }
}

const POST: &str = r#"wrk.method = "POST"
wrk.body = '{"networkId":"net-0001","city":"Lisboa"}'
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Idempotency-Key"] = "0123456789abcdef.42.1000"
"#;

fn records() -> String {
    let mut csv = String::from("id,user_id,network_id,city\n");
    for id in 1..=RECORDS {
        let _ = writeln!(csv, "{id},{},net-{:04},Lisboa", id % 10 + 1, id % 9973);
    }
    csv
}

fn wrk(directory: &Path, url: &str) -> Option<f64> {
    let output = Command::new("wrk")
        .args(["-t1", "-c10", "-d3", "-s", "post.lua", url])
        .current_dir(directory)
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines()
        .find_map(|line| line.strip_prefix("Requests/sec:"))
        .and_then(|rate| rate.trim().parse().ok())
}
