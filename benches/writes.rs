//! What reaches the disk: commits, bytes and syncs per 1000 records, for both durabilities; and how many updates a second
//! the writer acknowledges when each commit is synced.
//!
//! `cargo bench --bench writes`, half a minute. Calls and their bytes are counted by strace in a run of their own, whose
//! pace says nothing: it is slower, so that more outcomes share a commit. A commit is seen as a write lock of the -wal
//! (byte 120 of the -shm). Bytes to disk are the kernel's count of pages made dirty in a run at full speed.

#![allow(clippy::expect_used)]

#[path = "rig/mod.rs"]
mod rig;

use ferryd::activity::Activity;
use ferryd::config::Durability;
use ferryd::db::writer::Writer;
use rig::file::{self, Shape};
use rig::process::{Drain, Receiver};
use rig::targets::Verdicts;
use rig::trace::{self, Call};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const RECORDS: u64 = 50_000;
const TRACED: u64 = 10_000;
const THREADS: u64 = 10;
const UPDATES: u64 = 5_000;

fn main() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let directory = directory.path();
    rig::print_machine("per 1000 records: 10 users, 10 workers, loopback receiver");
    println!(
        "{:>10}  {:>9}  {:>8}  {:>7}  {:>5}  {:>6}  {:>6}  {:>6}  {:>6}",
        "durability",
        "records/s",
        "kB disk",
        "commits",
        "syncs",
        "kB wal",
        "kB db",
        "writes",
        "load"
    );
    for durability in ["normal", "full"] {
        measure(directory, durability);
    }
    let verdicts = Verdicts::default();
    println!("\n{THREADS} threads, one update each at a time, acknowledged after the commit");
    for (name, durability) in [("normal", Durability::Normal), ("full", Durability::Full)] {
        let rate = updates(directory, durability);
        println!("{name:>10}  {rate:>9.0} updates/s");
        if name == "full" {
            verdicts.judge("durable updates/s, full", rate);
        }
    }
    verdicts.end();
}

fn measure(directory: &Path, durability: &str) {
    let receiver = Receiver::start(directory, &["--summary"]);
    let settings = [("FERRYD_DATABASE_DURABILITY", durability)];
    let database = directory.join("file.db");
    let drain = Drain {
        database: &database,
        url: &receiver.url,
        settings: &settings,
        timeout: None,
    };
    file::remove(&database);
    Shape::waiting(RECORDS, 10).build(&database);
    let drained = drain.run();
    let rate = RECORDS as f64 / drained.seconds;
    let disk = drained.written_mb * 1e3 / (RECORDS as f64 / 1e3);
    print!("{durability:>10}  {rate:>9.0}  {disk:>8.0}");

    file::remove(&database);
    Shape::waiting(TRACED, 10).build(&database);
    let kinds = "fsync,fdatasync,pwrite64,pwritev,write,fcntl";
    let Some(calls) = trace::calls(&drain, kinds, directory) else {
        println!();
        return;
    };
    let per_thousand = |count: f64| count / (TRACED as f64 / 1e3);
    let count = |is: &dyn Fn(&Call) -> bool| {
        per_thousand(calls.iter().filter(|call| is(call)).count() as f64)
    };
    let is_write = |call: &Call| call.name.contains("write");
    let kilobytes = |end: &str| {
        let written = calls
            .iter()
            .filter(|call| is_write(call) && call.is_on_file(end));
        per_thousand(written.map(|call| call.result as f64 / 1e3).sum())
    };
    let commits = count(&|call| {
        let locks = "l_type=F_WRLCK, l_whence=SEEK_SET, l_start=120, l_len=1";
        call.name == "fcntl" && call.result == 0 && call.arguments.contains(locks)
    });
    println!(
        "  {commits:>7.0}  {:>5.1}  {:>6.0}  {:>6.0}  {:>6.0}  {:>6}",
        count(&|call| call.name.contains("sync")),
        kilobytes("-wal"),
        kilobytes(".db"),
        count(&|call| is_write(call) && (call.is_on_file("-wal") || call.is_on_file(".db"))),
        rig::load()
    );
}

/// Updates a second of the writer alone, without HTTP.
fn updates(directory: &Path, durability: Durability) -> f64 {
    let database = directory.join("updates.db");
    file::remove(&database);
    Shape::delivered(100_000, 10, 1000).build(&database);
    let conn =
        ferryd::db::open_writer(&database, durability, Duration::from_secs(5)).expect("it opens");
    let activity = Arc::new(Activity::new(THREADS as u32));
    let (_deadline, given_up) = crossbeam_channel::bounded(0);
    let (writer, serve) = Writer::new(conn, durability, given_up, activity).expect("a writer");
    let thread = std::thread::spawn(serve);
    let start = Instant::now();
    std::thread::scope(|scope| {
        for thread in 1..=THREADS as i64 {
            let writer = &writer;
            scope.spawn(move || {
                for _ in 0..UPDATES {
                    let sql =
                        "UPDATE processing_batch_status SET busy_ms = busy_ms + 1 WHERE id = ?";
                    let update = move |conn: &rusqlite::Connection| {
                        conn.prepare_cached(sql)?.execute([thread])
                    };
                    assert_eq!(writer.call(update).expect("it is written"), 1);
                }
            });
        }
    });
    let rate = (THREADS * UPDATES) as f64 / start.elapsed().as_secs_f64();
    writer.end();
    thread.join().expect("the writer ends well");
    rate
}
