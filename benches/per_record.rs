//! Records per second, one request a record: 100,000 records of 10 users, 10 workers, our receiver on loopback.
//!
//! `cargo bench`. Each round runs `ferryd drain` and then `wrk -t1 -c10` with the same body against the same receiver, so
//! that the ratio holds on a noisy machine. Without wrk (Debian package `wrk`) the ratio is left out, visibly.

#![allow(clippy::expect_used)]

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use std::io::{BufRead, BufReader};

const RECORDS: u32 = 100_000;
const ROUNDS: u32 = 3;
const FERRYD: &str = env!("CARGO_BIN_EXE_ferryd");

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
        let mut receiver = Receiver::start(directory);
        let drained = drain(directory, &receiver.url, round);
        let wrk = wrk(directory, &receiver.url);
        receiver.stop();
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

struct Receiver {
    child: Child,
    url: String,
}

impl Receiver {
    fn start(directory: &Path) -> Receiver {
        let mut child = Command::new(FERRYD)
            .args(["receiver", "--listen", "127.0.0.1:0", "--summary"])
            .current_dir(directory)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the receiver starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("it was piped");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("it says where it listens");
        let url = line
            .trim()
            .rsplit(' ')
            .next()
            .expect("the line ends with the URL");
        Receiver {
            child,
            url: format!("{url}records"),
        }
    }

    fn stop(&mut self) {
        self.child
            .kill()
            .and_then(|()| self.child.wait())
            .expect("the receiver ends");
    }
}

struct Drained {
    rate: f64,
    cpu_seconds: f64,
    peak_mb: f64,
}

/// Imports into a new file and drains it, watching the process from outside.
fn drain(directory: &Path, url: &str, round: u32) -> Drained {
    let database = format!("round-{round}.db");
    let imported = Command::new(FERRYD)
        .args(["-q", "--database", &database, "import", "records.csv"])
        .current_dir(directory)
        .status();
    assert!(imported.expect("import runs").success());
    let start = Instant::now();
    let mut child = Command::new(FERRYD)
        .args(["-q", "--database", &database, "drain"])
        .current_dir(directory)
        .env("FERRYD_API_URL", url)
        .spawn()
        .expect("drain starts");
    let mut drained = Drained {
        rate: 0.0,
        cpu_seconds: 0.0,
        peak_mb: 0.0,
    };
    let code = loop {
        if let Some(code) = child.try_wait().expect("drain can be waited for") {
            break code;
        }
        look(child.id(), &mut drained);
        std::thread::sleep(Duration::from_millis(10));
    };
    assert!(code.success());
    drained.rate = f64::from(RECORDS) / start.elapsed().as_secs_f64();
    drained
}

/// The last values seen before the process ends: at most 10 ms of its work is missed.
fn look(pid: u32, drained: &mut Drained) {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return;
    };
    // proc_pid_stat(5): utime and stime are the 14th and 15th field; the 2nd may hold blanks, but ends with ')'.
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or("")
        .split_whitespace()
        .collect();
    let ticks = |field: usize| {
        fields
            .get(field)
            .and_then(|t| t.parse::<f64>().ok())
            .unwrap_or(0.0)
    };
    if ticks(11) + ticks(12) > 0.0 {
        drained.cpu_seconds = (ticks(11) + ticks(12)) / 100.0;
    }
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.and_then(|kb| kb.trim().trim_end_matches(" kB").parse::<f64>().ok());
    drained.peak_mb = drained.peak_mb.max(peak.unwrap_or(0.0) / 1024.0);
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
