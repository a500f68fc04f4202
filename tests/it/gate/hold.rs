//! `Retry-After`: how long the API holds the whole destination.

use ferryd::server::Answer;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::QUICK;
use crate::harness::{Api, Seen, Site};

fn asks_to_wait(status: u16, retry_after: &str) -> Answer {
    Answer::Full {
        status,
        headers: vec![("Retry-After".into(), retry_after.into())],
        body: Vec::new(),
    }
}

/// Waits, as an API that is in no hurry, until the gate of a database is closed.
fn await_closed(database: &Path) {
    let conn = rusqlite::Connection::open(database).unwrap();
    let end = Instant::now() + Duration::from_secs(10);
    let sql = "SELECT state = 'open' FROM gate";
    while conn.query_row(sql, [], |row| row.get(0)).unwrap() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// One user's record is answered "wait"; what other workers had under way is answered when the gate has closed. Returns
/// the request that was answered "wait", and what came after it.
fn held_by(
    status: u16,
    retry_after: impl Fn() -> String + Send + Sync + 'static,
) -> (Seen, Vec<Seen>) {
    let site = Site::new();
    let database = site.database();
    let asked = OnceLock::new();
    let api = Api::answering(move |seen, _| {
        if seen.time == 1 && seen.record == 100 {
            let _ = asked.set(seen.at);
            return asks_to_wait(status, &retry_after());
        }
        // On a busy machine a user's first request may come only after the hold: it waits for nothing.
        let is_late = asked
            .get()
            .is_some_and(|at| seen.at.duration_since(*at) > Duration::from_millis(500));
        if seen.time == 1 && seen.record % 100 == 0 && !is_late {
            await_closed(&database);
        }
        Answer::status(200)
    });
    site.configure(&format!(
        "[api]\nurl = \"{}\"\n{QUICK}[workers]\nthreads = 4\n",
        api.url()
    ));
    for user in 1..=4 {
        site.import(user, user * 100..user * 100 + 5);
    }
    site.run(&["drain"]).assert_code(0);
    let seen = api.seen();
    let wait = seen.iter().find(|s| s.record == 100).unwrap().clone();
    let under_way = |s: &Seen| s.time == 1 && s.record % 100 == 0;
    let after = seen.into_iter().filter(|s| !under_way(s)).collect();
    (wait, after)
}

#[test]
fn retry_after_in_seconds_holds_the_whole_destination() {
    for status in [429, 503] {
        let (wait, after) = held_by(status, || "1".into());
        for seen in after {
            let waited = seen.at - wait.at;
            assert!(waited >= Duration::from_secs(1), "{status}: {waited:?}");
        }
    }
}

#[test]
fn retry_after_as_a_date_holds_the_whole_destination() {
    let date = || {
        let then = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(2);
        then.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
    };
    let (wait, after) = held_by(503, date);
    for seen in after {
        let waited = seen.at - wait.at;
        // The date has no fractions of a second.
        assert!(waited >= Duration::from_millis(900), "{waited:?}");
        assert!(waited < Duration::from_secs(10), "{waited:?}");
    }
}

/// A site whose only record was answered like this, in one pass.
fn one_pass(status: u16, retry_after: &'static str) -> Site {
    let api = Api::answering(move |_, _| asks_to_wait(status, retry_after));
    let site = Site::with(&api, QUICK);
    site.import(1, 1..=1);
    site.run(&["drain", "--once"]).assert_code(3);
    site
}

#[test]
fn nonsense_in_retry_after_is_ignored() {
    for nonsense in [
        "soon",
        "-5",
        "1e300",
        "99999999999999999999999",
        "",
        "Sun, 99 Foo",
    ] {
        let site = one_pass(429, nonsense);
        assert_eq!(
            site.shell("SELECT gate, retrying FROM delivery_summary"),
            "open 1",
            "{nonsense}"
        );
    }
}

#[test]
fn a_hold_of_years_is_capped_at_the_longest_retry_delay() {
    let reason = one_pass(503, "999999999").reason();
    assert!(reason.contains("asks to wait 21600 s"), "{reason}");
}

#[test]
fn retry_after_with_another_status_delays_that_batch_only() {
    let site = one_pass(500, "30");
    let sql = "SELECT gate, cast(round((julianday(next_attempt_at) - julianday(last_attempt_at)) * 86400) AS INTEGER)
                 FROM delivery_summary, processing_batch_status";
    assert_eq!(site.shell(sql), "open 30");
}
