//! How many requests are under way at a time.

use super::{Answer, Api, site};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// An API that knows how many requests are under way, and refuses those above a number.
struct Busy {
    api: Api,
    /// The most that were ever under way.
    peak: Arc<AtomicU32>,
    refused: Arc<AtomicU32>,
}

impl Busy {
    fn refusing_above(most: u32, latency: Duration) -> Busy {
        let peak = Arc::new(AtomicU32::new(0));
        let refused = Arc::new(AtomicU32::new(0));
        let under_way = AtomicU32::new(0);
        let (peak_seen, refusals) = (Arc::clone(&peak), Arc::clone(&refused));
        let api = Api::answering(move |_, request| {
            let beside = under_way.fetch_add(1, Ordering::SeqCst) + 1;
            peak_seen.fetch_max(beside, Ordering::SeqCst);
            let status = if beside > most {
                refusals.fetch_add(1, Ordering::SeqCst);
                429
            } else {
                request.sleep(latency);
                200
            };
            under_way.fetch_sub(1, Ordering::SeqCst);
            Answer::status(status)
        });
        Busy { api, peak, refused }
    }
}

#[test]
fn never_more_than_max_in_flight_are_under_way() {
    let busy = Busy::refusing_above(u32::MAX, Duration::from_millis(5));
    let site = site(&busy.api, "max_in_flight = 3", "");
    site.import(1, 1..=300);
    site.run(&["drain"]).assert_code(0);
    busy.api.assert_each_once(1..=300);
    assert_eq!(busy.peak.load(Ordering::SeqCst), 3);
}

#[test]
fn an_adaptive_number_finds_what_an_api_takes_and_neither_gate_nor_records_suffer() {
    let busy = Busy::refusing_above(4, Duration::from_millis(10));
    let site = site(
        &busy.api,
        "concurrency = \"adaptive\"",
        "[workers]\nthreads = 20\n[retry]\ninterval = \"200ms\"\nbackoff = 1.0\nmax_attempts = 1\n[gate]\nfailures = 1\n",
    );
    site.import(1, 1..=400);
    // A refusal beside others neither closes the gate nor counts as the record's one attempt.
    let ran = site.run(&["drain"]).assert_code(0);
    assert!(!ran.stderr.contains("held"), "{}", ran.stderr);
    let refused = busy.refused.load(Ordering::SeqCst);
    // With 20 workers and a fixed number, four of five are refused.
    assert!(refused < 40, "{refused}");
    assert!(busy.peak.load(Ordering::SeqCst) >= 4);
}

#[test]
fn an_adaptive_number_grows_to_all_workers_where_the_api_takes_all() {
    let busy = Busy::refusing_above(u32::MAX, Duration::from_millis(20));
    let site = site(
        &busy.api,
        "concurrency = \"adaptive\"\nmax_in_flight = 12",
        "[workers]\nthreads = 20\n",
    );
    site.import(1, 1..=300);
    site.run(&["drain"]).assert_code(0);
    assert_eq!(busy.peak.load(Ordering::SeqCst), 12);
}
