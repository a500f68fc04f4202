//! From another process's commit to the request's arrival, and what waiting for it costs.
//!
//! `cargo bench --bench pickup`, about a minute; with `-- quick` without the file of 10 million rows. `-- seconds=60` is
//! how long 100 commits a second go on (default 10), `-- commits=1000` how many single ones there are (default 300). The
//! clock starts before the COMMIT of one row, in this process, and ends when the request is read by a receiver in this
//! process. Commits are not synced but where the table says so: there the disk's part of COMMIT counts as well, for others
//! see the row only after it. Idle CPU is that of all of ferryd's threads over 10 s.

#![allow(clippy::expect_used)]

#[path = "rig/mod.rs"]
mod rig;

use rig::api::Api;
use rig::daemon::Daemon;
use rig::figures::{milliseconds, quantile};
use rig::file::Shape;
use rig::process;
use rig::targets::Verdicts;
use rusqlite::Connection;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

const IDLE: Duration = Duration::from_secs(10);
/// Between single commits: long enough for ferryd to come to rest.
const APART: Duration = Duration::from_millis(25);
const PATIENCE: Duration = Duration::from_secs(20);

fn main() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    rig::print_machine("one row committed by another process, ferryd at rest");
    println!(
        "{:>10}  {:<16}  {:>7}  {:>7}  {:>7}  {:>7}  {:>6}  {:>7}  {:>6}",
        "rows", "commits", "p50 ms", "p99 ms", "max ms", "idle %", "CPU %", "idle MB", "load"
    );
    let verdicts = Verdicts::default();
    let quick = rig::is_asked("quick");
    for records in [100_000, 10_000_000] {
        if quick && records > 100_000 {
            continue;
        }
        let database = directory.path().join(format!("{records}.db"));
        Shape::delivered(records, 10, 1000).build(&database);
        let is_last = quick || records == 10_000_000;
        measure(&database, records, is_last.then_some(&verdicts));
    }
    verdicts.end();
}

/// The largest file is what is judged.
fn measure(database: &Path, records: u64, verdicts: Option<&Verdicts>) {
    let api = Api::start();
    let daemon = Daemon::start(database, &api.url, &[]);
    let conn = Connection::open(database).expect("the file opens");
    conn.busy_timeout(PATIENCE).expect("a limit");
    // What a start leaves to do is not rest.
    sleep(Duration::from_secs(1));
    let before = process::cpu_seconds(daemon.pid());
    sleep(IDLE);
    let idle = (process::cpu_seconds(daemon.pid()) - before) / IDLE.as_secs_f64() * 100.0;
    let idle_mb = process::megabytes(daemon.pid(), "VmRSS:").expect("ferryd runs");

    let single = rig::number("commits", 300);
    let steady = rig::number("seconds", 10) * 100;
    let runs = [
        ("alone", "NORMAL", single, None),
        ("alone, synced", "FULL", single, None),
        (
            "100 a second",
            "NORMAL",
            steady,
            Some(Duration::from_millis(10)),
        ),
    ];
    for (name, synchronous, commits, every) in runs {
        conn.pragma_update(None, "synchronous", synchronous)
            .expect("a pragma");
        let start = Instant::now();
        let before = process::cpu_seconds(daemon.pid());
        let delays = commit(&conn, &api, name, commits, every);
        let cpu = process::cpu_seconds(daemon.pid()) - before;
        let cpu = cpu / start.elapsed().as_secs_f64() * 100.0;
        let (middle, tail) = (quantile(&delays, 0.5), quantile(&delays, 0.99));
        println!(
            "{records:>10}  {name:<16}  {middle:>7.2}  {tail:>7.2}  {:>7.2}  {idle:>7.4}  {cpu:>6.2}  {idle_mb:>7.1}  {:>6}",
            quantile(&delays, 1.0),
            rig::load()
        );
        if let (Some(verdicts), "alone") = (verdicts, name) {
            verdicts.judge("pickup p50 ms", middle);
            verdicts.judge("pickup p99 ms", tail);
        }
    }
    if let Some(verdicts) = verdicts {
        verdicts.judge("idle CPU %", idle);
    }
}

/// Commits one row after another, and returns how long each took to arrive, in milliseconds.
fn commit(
    conn: &Connection,
    api: &Api,
    name: &str,
    commits: u64,
    every: Option<Duration>,
) -> Vec<f64> {
    let start = Instant::now();
    let mut committed = Vec::new();
    for n in 0..commits {
        let record = format!("{name} {n}");
        if let Some(every) = every {
            sleep((every * n as u32).saturating_sub(start.elapsed()));
        }
        conn.execute_batch("BEGIN IMMEDIATE").expect("the lock");
        conn.prepare_cached("INSERT INTO user_record (user_id, network_id) VALUES (?, ?)")
            .and_then(|mut insert| insert.execute((n as i64 % 10 + 1, &record)))
            .expect("a row");
        let at = Instant::now();
        conn.execute_batch("COMMIT").expect("a commit");
        if every.is_none() {
            api.arrival(&record, at + PATIENCE);
            // Not in step with anything that ferryd does by the clock.
            sleep(APART + Duration::from_micros(n * 7919 % 10_000));
        }
        committed.push((record, at));
    }
    let delay = |(record, at): (String, Instant)| {
        let came = api
            .arrival(&record, at + PATIENCE)
            .expect("every row arrives");
        milliseconds(came - at)
    };
    committed.into_iter().map(delay).collect()
}
