//! Records per second, one request a record: 100,000 records of 10 users, 10 workers, on loopback.
//!
//! `cargo bench --bench per_record`, about a minute. In each round, against ferryd's receiver and against nginx: `wrk -t1
//! -c10` with the same body and a sender written by hand over TcpStream with 10 threads, which is the limit of blocking
//! threads, both before and after `ferryd drain`; ratios are to their means, and the verdict is the middle round's. `drift`
//! is by how much the hand-written sender before and the one after differ: above 1.2 the round says little. No round is
//! left out. What is missing (wrk, nginx-light, strace) is left out, visibly.
//! `-- rounds=5` takes more rounds.

#![allow(clippy::expect_used)]

#[path = "rig/mod.rs"]
mod rig;

use rig::figures::median;
use rig::file::{self, Shape};
use rig::nginx::Nginx;
use rig::process::{Drain, Receiver};
use rig::targets::Verdicts;
use rig::{blocking, trace, wrk};
use std::collections::BTreeMap;
use std::path::Path;

const RECORDS: u64 = 100_000;
/// strace needs no more to count.
const TRACED: u64 = 5_000;

/// What one receiver saw in all rounds.
#[derive(Default)]
struct Seen {
    to_wrk: Vec<f64>,
    to_blocking: Vec<f64>,
    cpu: Vec<f64>,
    peak_mb: Vec<f64>,
}

fn main() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let directory = directory.path();
    rig::print_machine("100,000 records of 10 users, one request a record, 10 workers, loopback");
    Shape::waiting(RECORDS, 10).build(&directory.join("all.db"));
    println!(
        "{:>5}  {:>8}  {:>9}  {:>9}  {:>10}  {:>6}  {:>10}  {:>6}  {:>6}  {:>5}  {:>6}",
        "round",
        "receiver",
        "records/s",
        "wrk",
        "blocking",
        "/ wrk",
        "/ blocking",
        "CPU s",
        "MB",
        "drift",
        "load"
    );
    let mut seen = BTreeMap::from([("ferryd", Seen::default()), ("nginx", Seen::default())]);
    for round in 1..=rig::number("rounds", 3) {
        let receiver = Receiver::start(directory, &["--summary"]);
        measure(directory, round, "ferryd", &receiver.url, &mut seen);
        drop(receiver);
        if let Some(nginx) = Nginx::start(directory) {
            measure(directory, round, "nginx", &nginx.url, &mut seen);
        }
    }
    let verdicts = Verdicts::default();
    for (name, seen) in &seen {
        let receiver = if *name == "ferryd" {
            "ferryd receiver"
        } else {
            name
        };
        for (target, values) in [
            ("per record / wrk", &seen.to_wrk),
            ("per record / blocking", &seen.to_blocking),
            ("CPU s per 100,000 records", &seen.cpu),
        ] {
            if !values.is_empty() {
                verdicts.judge(&format!("{target}, {receiver}"), median(values));
            }
        }
    }
    count_calls(directory, &verdicts);
    verdicts.end();
}

fn measure(
    directory: &Path,
    round: u64,
    name: &'static str,
    url: &str,
    seen: &mut BTreeMap<&str, Seen>,
) {
    let database = directory.join("round.db");
    file::copy(&directory.join("all.db"), &database);
    let drain = Drain {
        database: &database,
        url,
        settings: &[],
        timeout: None,
    };
    let peers = || {
        (
            wrk::send(directory, url, 1),
            blocking::send(url, RECORDS / 2, 10),
        )
    };
    let before = peers();
    let drained = drain.run();
    let after = peers();
    let rate = RECORDS as f64 / drained.seconds;
    let wrk = before
        .0
        .zip(after.0)
        .map(|(one, other)| (one + other) / 2.0);
    let blocking = (before.1 + after.1) / 2.0;
    // By how much the machine itself changed meanwhile, as the simpler of the two saw it.
    let drift = before.1.max(after.1) / before.1.min(after.1);
    let seen = seen.get_mut(name).expect("both are there");
    seen.to_wrk.extend(wrk.map(|wrk| rate / wrk));
    seen.to_blocking.push(rate / blocking);
    seen.cpu.push(drained.cpu_seconds);
    seen.peak_mb.push(drained.peak_mb);
    let text = |value: Option<f64>, digits: usize| {
        value.map_or("-".into(), |value| format!("{value:.digits$}"))
    };
    println!(
        "{round:>5}  {name:>8}  {rate:>9.0}  {:>9}  {blocking:>10.0}  {:>6}  {:>10.2}  {:>6.2}  {:>6.1}  {drift:>5.2}  {:>6}",
        text(wrk, 0),
        text(wrk.map(|wrk| rate / wrk), 2),
        rate / blocking,
        drained.cpu_seconds,
        drained.peak_mb,
        rig::load()
    );
}

/// All calls on sockets, connecting included.
fn count_calls(directory: &Path, verdicts: &Verdicts) {
    let database = directory.join("traced.db");
    Shape::waiting(TRACED, 10).build(&database);
    let receiver = Receiver::start(directory, &["--summary"]);
    let drain = Drain {
        database: &database,
        url: &receiver.url,
        settings: &[],
        timeout: None,
    };
    let kinds = "network,read,write,readv,writev,poll,ppoll,fcntl,ioctl,epoll_wait,futex";
    let Some(calls) = trace::calls(&drain, kinds, directory) else {
        return;
    };
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for call in calls.iter().filter(|call| call.is_on_socket()) {
        *counts.entry(&call.name).or_default() += 1;
    }
    let per_record = |count: u64| count as f64 / TRACED as f64;
    let futexes = calls.iter().filter(|call| call.name == "futex").count();
    let named: Vec<String> = counts
        .iter()
        .map(|(name, count)| format!("{name} {:.3}", per_record(*count)))
        .collect();
    println!(
        "\nsocket calls per record: {}; besides futex {:.2} (traced, so slow)",
        named.join(", "),
        per_record(futexes as u64)
    );
    verdicts.judge(
        "socket syscalls per record",
        per_record(counts.values().sum()),
    );
}
