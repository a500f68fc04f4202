//! Whether ferryd keeps its manners, in numbers: how well a rate is kept over 10 s, and what adaptive concurrency reaches of
//! the best fixed number of requests at a time.
//!
//! `cargo bench --bench manners`, about 4 minutes; with `-- rate`, `-- takes` or `-- refuses` a part of it. Each measurement is a `ferryd drain` of its own into a new file, from a
//! cold start, against a server in this process that takes 50 ms for each request; the second one refuses with 429 what comes
//! while it has 20 under way.

#![allow(clippy::expect_used)]

use ferryd::server::{Answer, Limits, Server};
use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// More than can be sent in a measurement.
const RECORDS: u32 = 60_000;
const TIME: Duration = Duration::from_secs(10);
const LATENCY: Duration = Duration::from_millis(50);
const FERRYD: &str = env!("CARGO_BIN_EXE_ferryd");

fn main() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let directory = directory.path();
    std::fs::write(directory.join("records.csv"), records()).expect("records are written");
    let part = std::env::args().skip(1).find(|word| !word.starts_with('-'));
    let is_wanted = |name: &str| part.as_deref().is_none_or(|part| name.starts_with(part));
    if is_wanted("rate") {
        rates(directory);
    }
    for (name, most, fixed) in [
        ("takes all", u32::MAX, &[10, 20, 40, 64][..]),
        (
            "refuses above 20",
            20,
            &[10, 16, 19, 20, 21, 24, 40, 64][..],
        ),
    ] {
        if is_wanted(name) {
            concurrency(directory, name, most, fixed);
        }
    }
}

fn records() -> String {
    let mut csv = String::from("id,user_id,network_id,city\n");
    for id in 1..=RECORDS {
        let _ = writeln!(csv, "{id},{},net-{:04},Lisboa", id % 100 + 1, id % 9973);
    }
    csv
}

fn rates(directory: &Path) {
    println!("rate limit, over {} s", TIME.as_secs());
    println!("{:>8}  {:>8}  {:>8}", "wanted/s", "came/s", "off %");
    for wanted in [5, 50, 500] {
        let api = Api::start(u32::MAX, Duration::ZERO);
        let setting = format!("rate_limit = \"{wanted}/s\"");
        drain(directory, &api, &setting, 10);
        let came = api.spacing_rate(TIME);
        let off = (came / f64::from(wanted) - 1.0) * 100.0;
        println!("{wanted:>8}  {came:>8.1}  {off:>+8.2}");
    }
}

fn concurrency(directory: &Path, name: &str, most: u32, fixed: &[u32]) {
    println!(
        "\nrequests at a time, an API that {name}, over {} s",
        TIME.as_secs()
    );
    println!("{:>8}  {:>10}  {:>8}", "setting", "accepted/s", "refused");
    let measure = |setting: &str, threads: u32, name: &str| {
        let api = Api::start(most, LATENCY);
        drain(directory, &api, setting, threads);
        let rate = api.accepted_in(TIME).len() as f64 / TIME.as_secs_f64();
        let refused = api.refused.load(Ordering::SeqCst);
        println!("{name:>8}  {rate:>10.1}  {refused:>8}");
        rate
    };
    let rates = fixed.iter().map(|n| measure("", *n, &n.to_string()));
    let best = rates.fold(0.0, f64::max);
    let adaptive = measure("concurrency = \"adaptive\"", 64, "adaptive");
    println!(
        "adaptive reaches {:.1} % of the best",
        adaptive / best * 100.0
    );
}

/// A server that counts.
struct Api {
    server: Server,
    accepted: Arc<Mutex<Vec<Instant>>>,
    refused: Arc<AtomicU32>,
}

impl Api {
    fn start(most: u32, latency: Duration) -> Api {
        let accepted = Arc::new(Mutex::new(Vec::new()));
        let refused = Arc::new(AtomicU32::new(0));
        let under_way = AtomicU32::new(0);
        let (times, refusals) = (Arc::clone(&accepted), Arc::clone(&refused));
        let handler = move |request: &ferryd::server::Request| {
            let came = Instant::now();
            let beside = under_way.fetch_add(1, Ordering::SeqCst) + 1;
            let status = match beside > most {
                true => 429,
                false if request.sleep(latency) => 200,
                false => 503,
            };
            under_way.fetch_sub(1, Ordering::SeqCst);
            if status == 200 {
                times.lock().expect("no handler panics").push(came);
            } else {
                refusals.fetch_add(1, Ordering::SeqCst);
            }
            Answer::status(status)
        };
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        Api {
            server: Server::start(listener, handler, Limits::default()).expect("a server"),
            accepted,
            refused,
        }
    }

    /// When the requests came that were accepted within this time of the first, in order.
    fn accepted_in(&self, time: Duration) -> Vec<Instant> {
        let mut accepted = self.accepted.lock().expect("no handler panics").clone();
        accepted.sort_unstable();
        accepted.retain({
            let first = accepted.first().copied();
            move |at| first.is_some_and(|first| *at - first < time)
        });
        accepted
    }

    /// Requests a second, from the first to the last in this time.
    fn spacing_rate(&self, time: Duration) -> f64 {
        let times = self.accepted_in(time);
        let span = times[times.len() - 1] - times[0];
        (times.len() - 1) as f64 / span.as_secs_f64()
    }
}

/// Imports into a new file and drains it for a little longer than the measurement.
fn drain(directory: &Path, api: &Api, setting: &str, threads: u32) {
    let room = tempfile::tempdir_in(directory).expect("a directory");
    let url = api.server.addr().expect("it is TCP");
    let settings = format!(
        "[api]\nurl = \"http://{url}/records\"\n{setting}\n[workers]\nthreads = {threads}\n\
         [batch]\nsize = 100\n[retry]\ninterval = \"1s\"\nbackoff = 1.0\n"
    );
    std::fs::write(room.path().join("ferryd.toml"), settings).expect("settings are written");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(FERRYD);
        command.arg("-q").args(arguments).current_dir(room.path());
        command.output().expect("ferryd runs").status.code()
    };
    assert_eq!(run(&["import", "../records.csv"]), Some(0));
    let time = format!("{}s", TIME.as_secs() + 1);
    assert_eq!(run(&["drain", "--timeout", &time]), Some(3));
}
