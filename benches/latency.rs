//! An API that takes 50 ms: how much of what the workers could do at most is done, and whether one short batch is shared.
//!
//! `cargo bench --bench latency`, about a minute and a half; with `-- quick` without the smaller batches and 1000 workers.
//! A worker that loses no time sends 20 records a second, so that the most is workers / 50 ms. The share is that of the
//! whole `ferryd drain`, from the start of the process to its end; each measurement is to last 6 s. Batches of 1000
//! records, the default, are fewer than workers where there are many of these, and must be shared.

#![allow(clippy::expect_used)]

#[path = "rig/mod.rs"]
mod rig;

use rig::file::{self, Shape};
use rig::process::{Drain, Drained, Receiver};
use rig::targets::Verdicts;
use std::path::Path;

const SECONDS: u64 = 6;
/// Of a worker that loses no time.
const A_SECOND: u64 = 20;

fn main() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let directory = directory.path();
    rig::print_machine("receiver with 50 ms, 10 users, whole drains");
    println!(
        "{:>7}  {:>6}  {:>8}  {:>9}  {:>6}  {:>6}  {:>6}  {:>6}",
        "workers", "batch", "records", "records/s", "share", "CPU s", "MB", "load"
    );
    let verdicts = Verdicts::default();
    let quick = rig::is_asked("quick");
    for workers in [10, 64, 256, 1000] {
        for batch_size in [1000, 100] {
            if quick && (workers > 256 || batch_size < 1000) {
                continue;
            }
            let (share, peak_mb) = measure(directory, workers, batch_size);
            if batch_size < 1000 {
                continue;
            }
            if workers <= 256 {
                let target = format!("50 ms API, share at {workers} workers");
                verdicts.judge(&target, share);
            }
            if workers == 256 {
                verdicts.judge("peak MB, 256 workers", peak_mb);
            }
        }
    }
    let drained = drain(directory, &Shape::waiting(1000, 1), 10, 1000);
    println!(
        "\none batch of 1000 records, 10 workers: {:.2} s (least possible 5.00)",
        drained.seconds
    );
    verdicts.judge("one batch of 1000, 10 workers, s", drained.seconds);
    verdicts.end();
}

/// Share of what is possible, and peak memory.
fn measure(directory: &Path, workers: u64, batch_size: u64) -> (f64, f64) {
    let records = workers * A_SECOND * SECONDS;
    let shape = Shape::waiting(records, 10);
    let drained = drain(directory, &shape, workers, batch_size);
    let rate = records as f64 / drained.seconds;
    let share = rate / (workers * A_SECOND) as f64;
    println!(
        "{workers:>7}  {batch_size:>6}  {records:>8}  {rate:>9.0}  {share:>6.3}  {:>6.2}  {:>6.1}  {:>6}",
        drained.cpu_seconds,
        drained.peak_mb,
        rig::load()
    );
    (share, drained.peak_mb)
}

fn drain(directory: &Path, shape: &Shape, workers: u64, batch_size: u64) -> Drained {
    let database = directory.join("round.db");
    file::remove(&database);
    shape.build(&database);
    let receiver = Receiver::start(directory, &["--summary", "--latency", "50ms"]);
    let drain = Drain {
        database: &database,
        url: &receiver.url,
        settings: &[
            ("FERRYD_WORKERS_THREADS", &workers.to_string()),
            ("FERRYD_BATCH_SIZE", &batch_size.to_string()),
        ],
        timeout: None,
    };
    drain.run()
}
