//! What grows with the file, and what does not: rows, users, batches.
//!
//! `cargo bench --bench growth`, about four minutes, most of it making files; `-- quick` stays below 10 million rows,
//! `-- large` adds 30 million. Everything is measured with the file in the system's cache. Ready is the time from the start
//! of the process to READY=1; planning and claiming are ferryd's own functions, called here in a transaction of their own,
//! with 10 new batches of 1000 rows in a file of this size; status is a whole `ferryd status --json`. Idle memory is read
//! 2 s after ready. Then a backlog of the largest size is drained for 5 s, and the peak of memory is read.

#![allow(clippy::expect_used)]

#[path = "rig/mod.rs"]
mod rig;

use ferryd::config::Durability;
use ferryd::db::batches::{self, Cut, Scope};
use ferryd::db::claims::{self, Turn};
use ferryd::time::Timestamp;
use rig::daemon::Daemon;
use rig::figures::{median, milliseconds};
use rig::file::{self, Shape};
use rig::process::{self, Drain, Receiver, ferryd};
use rig::targets::Verdicts;
use rusqlite::Connection;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const MILLION: u64 = 1_000_000;

/// What was measured of one file.
struct Seen {
    ready: f64,
    planning: f64,
    claiming: f64,
    status: f64,
    idle_mb: f64,
}

fn main() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let directory = directory.path();
    rig::print_machine("what grows with the file");
    println!(
        "{:>9}  {:>8}  {:>8}  {:>8}  {:>8}  {:>8}  {:>8}  {:>9}  {:>8}  {:>7}  {:>6}",
        "rows",
        "users",
        "batches",
        "waiting",
        "MB/mill.",
        "ready ms",
        "plan µs",
        "claim µs",
        "status",
        "idle MB",
        "load"
    );
    let quick = rig::is_asked("quick");
    let verdicts = Verdicts::default();

    let smallest = measure(directory, &Shape::delivered(100_000, 10, 1000));
    let mut largest = measure(directory, &Shape::delivered(MILLION, 10, 1000));
    // Users, and batches down to one record.
    measure(directory, &Shape::delivered(MILLION, 100_000, 10));
    measure(directory, &Shape::delivered(MILLION, MILLION, 1));
    measure(directory, &Shape::waiting(MILLION, 10));
    measure(directory, &Shape::waiting(MILLION, MILLION));
    measure(directory, &Shape::delivered(MILLION, 10, 10));
    let mut ready = measure(directory, &Shape::delivered(MILLION, 10, 1)).ready;
    if !quick {
        largest = measure(directory, &Shape::delivered(10 * MILLION, 10, 1000));
        ready = measure(directory, &Shape::delivered(10 * MILLION, 10, 100)).ready;
    }
    if rig::is_asked("large") {
        largest = measure(directory, &Shape::delivered(30 * MILLION, 10, 1000));
    }
    verdicts.judge("ready ms", ready);
    verdicts.judge("idle MB", largest.idle_mb);
    let grown = [
        ("planning", largest.planning / smallest.planning),
        ("claiming", largest.claiming / smallest.claiming),
        ("status", largest.status / smallest.status),
    ];
    for (name, ratio) in grown {
        verdicts.judge(&format!("{name}, largest / smallest file"), ratio);
    }
    let backlog = if quick { MILLION } else { 10 * MILLION };
    drain_for_a_while(directory, backlog, &verdicts);
    verdicts.end();
}

fn measure(directory: &Path, shape: &Shape) -> Seen {
    let database = directory.join("file.db");
    file::remove(&database);
    shape.build(&database);
    let bytes = std::fs::metadata(&database).expect("the file is there");
    let megabytes = bytes.len() as f64 / shape.records as f64;
    // Held, so that a start sends nothing.
    let pause = Command::new(ferryd())
        .args(["-q", "--database"])
        .arg(&database)
        .arg("pause")
        .stdout(Stdio::null())
        .status();
    assert!(pause.expect("pause runs").success());

    let url = "http://127.0.0.1:9/records";
    drop(Daemon::start(&database, url, &[]));
    let starts = (0..7).map(|_| milliseconds(Daemon::start(&database, url, &[]).ready_after));
    let ready = median(&starts.collect::<Vec<_>>());
    let daemon = Daemon::start(&database, url, &[]);
    sleep(Duration::from_secs(2));
    let idle_mb = process::megabytes(daemon.pid(), "VmRSS:").expect("ferryd runs");
    drop(daemon);
    let status = median(&(0..9).map(|_| status(&database)).collect::<Vec<_>>());
    let (planning, claiming) = plan_and_claim(&database, shape);
    println!(
        "{:>9}  {:>8}  {:>8}  {:>8}  {megabytes:>8.1}  {ready:>8.1}  {planning:>8.0}  {claiming:>9.0}  {status:>8.1}  {idle_mb:>7.1}  {:>6}",
        shape.records,
        shape.users,
        shape.batches,
        shape.records - shape.batches * shape.batch_size,
        rig::load()
    );
    Seen {
        ready,
        planning,
        claiming,
        status,
        idle_mb,
    }
}

/// Milliseconds of a whole `ferryd status --json`.
fn status(database: &Path) -> f64 {
    let start = Instant::now();
    let output = Command::new(ferryd())
        .args(["status", "--json", "--database"])
        .arg(database)
        .output()
        .expect("status runs");
    assert!(output.status.success());
    milliseconds(start.elapsed())
}

/// Microseconds for a batch of 1000 rows each, the middle of 7 rounds after one that warms up.
fn plan_and_claim(database: &Path, shape: &Shape) -> (f64, f64) {
    let wait = Duration::from_secs(5);
    let conn = ferryd::db::open_writer(database, Durability::Normal, wait).expect("it opens");
    let waiting = shape.records > shape.batches * shape.batch_size;
    let (mut planning, mut claiming) = (Vec::new(), Vec::new());
    for _ in 0..8 {
        if !waiting || shape.users > 10 {
            let rows = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 9999)
                INSERT INTO user_record (user_id, network_id, city) SELECT i % 10 + 1, 'net-0001', 'Lisboa' FROM n";
            conn.execute_batch(rows).expect("rows");
        }
        let cut = Cut {
            batch_size: 1000,
            linger: Duration::from_secs(3600),
        };
        let now = Timestamp::now();
        let (time, round) = timed(&conn, || {
            batches::plan(&conn, Scope::default(), cut, None, now)
        });
        assert!(round.batches >= 10, "{round:?}");
        planning.push(time / f64::from(round.batches));
        let (time, claimed) = timed(&conn, || {
            claims::claim(&conn, Scope::default(), 10, Turn::Due, now)
        });
        assert_eq!(claimed.claims.len(), 10);
        claiming.push(time / 10.0);
    }
    (median(&planning[1..]), median(&claiming[1..]))
}

/// Microseconds of a transaction, commit included.
fn timed<T>(conn: &Connection, work: impl FnOnce() -> rusqlite::Result<T>) -> (f64, T) {
    let start = Instant::now();
    conn.execute_batch("BEGIN IMMEDIATE").expect("the lock");
    let value = work().expect("the statements work");
    conn.execute_batch("COMMIT").expect("a commit");
    (start.elapsed().as_secs_f64() * 1e6, value)
}

fn drain_for_a_while(directory: &Path, records: u64, verdicts: &Verdicts) {
    let database = directory.join("file.db");
    file::remove(&database);
    Shape::waiting(records, 10).build(&database);
    println!("\n{records} waiting, drained for 5 s, loopback receiver");
    for workers in [10, 256] {
        let receiver = Receiver::start(directory, &["--summary"]);
        let drain = Drain {
            database: &database,
            url: &receiver.url,
            settings: &[("FERRYD_WORKERS_THREADS", &workers.to_string())],
            timeout: Some("5s"),
        };
        let peak_mb = drain.run().peak_mb;
        println!("{workers:>5} workers: peak {peak_mb:.1} MB");
        verdicts.judge(&format!("peak MB, {workers} workers"), peak_mb);
    }
}
