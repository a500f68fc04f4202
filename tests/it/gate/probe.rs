//! Probes of a closed gate: one at a time, no faster than they may be, and slowly back to full speed.

use ferryd::server::Answer;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use super::{Mood, ONE_WORKER, QUICK, Reserved};
use crate::harness::{Api, Daemon, Site, eventually};

const INTERVAL: Duration = Duration::from_millis(200);

#[test]
fn probes_come_one_at_a_time_and_no_faster_than_the_interval() {
    let api = Mood::new(403).api();
    let site = Site::with(&api, &format!("{QUICK}[workers]\nthreads = 4\n"));
    for user in 1..=4 {
        site.import(user, user * 100..user * 100 + 10);
    }
    let daemon = site.daemon();
    eventually("five probes have come", || api.seen().len() >= 4 + 5);
    // What the four workers had under way when the gate closed came at once.
    let probes = &api.seen()[4..];
    for pair in probes.windows(2) {
        let gap = pair[1].at - pair[0].at;
        assert!(gap >= INTERVAL, "{gap:?}");
    }
    site.assert_no_attempt_burned(40);
    assert_eq!(daemon.terminate().0, 0);
}

/// At the default interval of 30 s the same arithmetic gives two requests a minute.
#[test]
fn an_outage_costs_one_connection_an_interval_however_long_it_lasts() {
    let address = Reserved::new();
    let site = address.site(QUICK);
    for user in 1..=10 {
        site.import(user, user * 100..user * 100 + 10);
    }
    let run = site.ferryd(&["run", "-v"]);
    let daemon = Daemon::start(run, site.path("daemon.log"));
    let tries = || daemon.log().matches("A request was not accepted").count();
    site.await_held();
    // Ten workers may have been on their way when the third failure closed the gate.
    let (before, start) = (tries(), Instant::now());
    eventually("there are more tries than were under way", || {
        tries() >= before + 14
    });
    let probes = tries().saturating_sub(before + 10);
    let intervals = start.elapsed().as_secs_f64() / INTERVAL.as_secs_f64();
    assert!(
        probes as f64 <= intervals + 1.0,
        "{probes} in {intervals} intervals"
    );
    site.assert_no_attempt_burned(100);
    assert_eq!(daemon.terminate().0, 0);
}

/// One attempt of each may count: those before anybody knew that the destination is at fault.
#[test]
fn a_probe_that_ends_in_a_5xx_is_no_attempt_of_its_record() {
    let mood = Mood::new(500);
    let api = mood.api();
    let toml = "[gate]\nfailures = 3\nprobe_interval = \"20ms\"\n[retry]\ninterval = \"20ms\"\nmax_attempts = 2\n";
    let site = Site::with(&api, &format!("{toml}{ONE_WORKER}"));
    site.import(1, 1..=5);
    let daemon = site.daemon();
    eventually("each record has probed more than twice", || {
        api.seen().len() >= 25
    });
    let most = site.value::<i64>("SELECT max(attempts) FROM undelivered_record");
    assert!(most <= 1, "{most} attempts");
    mood.set(200);
    site.await_delivered(5);
    assert_eq!(daemon.terminate().0, 0);
}

/// How many requests are with the API, and what became of them.
#[derive(Default)]
struct Traffic {
    now: AtomicUsize,
    done: AtomicUsize,
    most: AtomicUsize,
    beyond_the_ramp: AtomicUsize,
}

#[test]
fn workers_come_back_one_by_one_when_the_gate_has_opened() {
    const WORKERS: usize = 8;
    let traffic = Arc::new(Traffic::default());
    let seen_by_api = Arc::clone(&traffic);
    let api = Api::answering(move |seen, request| {
        if seen.record == 0 && seen.time == 1 {
            return Answer::status(401);
        }
        let traffic = &seen_by_api;
        let now = traffic.now.fetch_add(1, SeqCst) + 1;
        // The probe, and then one more for each success.
        if now > traffic.done.load(SeqCst).max(1) {
            traffic.beyond_the_ramp.fetch_add(1, SeqCst);
        }
        traffic.most.fetch_max(now, SeqCst);
        request.sleep(Duration::from_millis(20));
        traffic.done.fetch_add(1, SeqCst);
        traffic.now.fetch_sub(1, SeqCst);
        Answer::status(200)
    });
    let site = Site::with(&api, &format!("{QUICK}[workers]\nthreads = {WORKERS}\n"));
    site.import(1, 0..=0);
    site.run(&["drain", "--once"]).assert_code(3);
    for user in 1..=WORKERS as i64 {
        site.import(user, user * 100..user * 100 + 20);
    }
    site.run(&["drain"]).assert_code(0);
    assert_eq!(traffic.done.load(SeqCst), 1 + WORKERS * 20);
    assert_eq!(traffic.beyond_the_ramp.load(SeqCst), 0);
    let most = traffic.most.load(SeqCst);
    assert!(most > WORKERS / 2, "it stays at {most} at a time");
}

#[test]
fn the_log_tells_once_that_records_go_back_to_waiting_and_why() {
    let mood = Mood::new(422);
    let api = mood.api();
    let site = Site::with(&api, QUICK);
    site.import(1, 1..=8);
    let daemon = site.daemon();
    site.await_held();
    let closed = api.seen().len();
    eventually("it is probed some times", || api.seen().len() >= closed + 3);
    mood.set(500);
    eventually("a probe was answered otherwise", || {
        site.reason().contains("; last probe: HTTP 500")
    });
    let reason = site.reason();
    assert!(reason.contains("refused with HTTP 422"), "{reason}");
    mood.set(200);
    site.await_delivered(8);
    let log = daemon.log();
    assert_eq!(
        log.matches("Records go back to waiting.").count(),
        1,
        "{log}"
    );
    assert_eq!(log.matches("The gate is closed").count(), 1, "{log}");
}
