//! Good manners: how fast requests come, how many at a time, and what they look like.

mod concurrency;
mod proxy;

use crate::harness::{Api, Ran, Site, eventually};
use ferryd::server::Answer;
use std::io::Read;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A site with these further lines in section `[api]`, and small batches, so that all workers are busy.
fn site(api: &Api, lines: &str, sections: &str) -> Site {
    let site = Site::new();
    site.configure(&format!(
        "[api]\nurl = \"{}\"\n{lines}\n[batch]\nsize = 5\n{sections}",
        api.url()
    ));
    site
}

/// Times of the requests, in seconds since the first.
fn times(api: &Api) -> Vec<f64> {
    let seen = api.seen();
    let first = seen[0].at;
    seen.iter()
        .map(|seen| (seen.at - first).as_secs_f64())
        .collect()
}

#[test]
fn the_rate_is_kept_over_all_workers_and_requests_are_evenly_spaced() {
    let api = Api::accepting();
    let site = site(&api, "rate_limit = \"50/s\"", "");
    site.import(1, 1..=100);
    site.run(&["drain"]).assert_code(0);
    api.assert_each_once(1..=100);
    let times = times(&api);
    // 99 spaces of 20 ms; faster is forbidden, slower only as far as this machine was busy with something else.
    let took = times[99] - times[0];
    assert!((1.93..2.5).contains(&took), "{took}");
    for window in times.windows(26) {
        assert!(window[25] - window[0] > 0.43, "{window:?}");
    }
}

#[test]
fn a_burst_goes_at_once() {
    let api = Api::accepting();
    let site = site(&api, "rate_limit = \"20/s\"\nburst = 20", "");
    site.import(1, 1..=30);
    site.run(&["drain"]).assert_code(0);
    let times = times(&api);
    assert!(times[19] < 0.4, "{times:?}");
    assert!(times[29] > 0.4, "{times:?}");
}

#[test]
fn a_record_that_changes_while_it_waits_for_its_turn_is_sent_as_it_is_then() {
    let api = Api::accepting();
    let site = site(&api, "rate_limit = \"40/m\"", "");
    site.import(1, 1..=3);
    let daemon = site.daemon();
    api.await_request();
    site.write(
        "DELETE FROM user_record WHERE id = 2; UPDATE user_record SET city = 'Tromsø' WHERE id = 3",
    );
    site.await_delivered(2);
    assert_eq!(daemon.terminate().0, 0);
    api.assert_each_once([1, 3]);
    assert!(api.seen()[1].body.contains("Tromsø"), "{:?}", api.seen());
}

#[test]
fn a_stop_ends_the_wait_for_a_turn_at_once_and_nothing_is_sent_then() {
    let api = Api::accepting();
    let site = site(
        &api,
        "rate_limit = \"1/h\"",
        "[shutdown]\ngrace = \"20s\"\n",
    );
    site.import(1, 1..=40);
    let daemon = site.daemon();
    site.await_delivered(1);
    let (code, took) = daemon.terminate();
    assert_eq!(code, 0);
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(api.seen().len(), 1);
    let rows = site.shell("SELECT delivered, waiting, running_batches FROM delivery_summary");
    assert_eq!(rows, "1 39 0");
}

#[test]
fn a_pause_is_obeyed_by_those_who_wait_for_their_turn() {
    let api = Api::accepting();
    let site = site(&api, "rate_limit = \"4/s\"", "");
    site.import(1, 1..=40);
    let daemon = site.daemon();
    site.await_delivered(1);
    site.run(&["pause"]).assert_code(0);
    eventually("it is paused", || {
        site.shell("SELECT gate FROM delivery_summary") == "paused"
    });
    let sent = api.seen().len();
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!(api.seen().len(), sent);
    assert_eq!(daemon.terminate().0, 0);
}

#[test]
fn long_bodies_are_packed_on_demand_and_short_ones_are_not() {
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&bodies);
    let api = Api::answering(move |_, request| {
        let encoding = request.header("content-encoding").map(str::to_owned);
        kept.lock().unwrap().push((encoding, request.body.clone()));
        Answer::status(200)
    });
    let site = site(&api, "compress = \"gzip\"", "[workers]\nthreads = 1\n");
    let long = "Lisboa ".repeat(1000);
    let csv = format!("id,user_id,network_id,city\n1,1,1,short\n2,1,2,{long}\n");
    site.import_file("long.csv", csv);
    site.run(&["drain"]).assert_code(0);
    let bodies = bodies.lock().unwrap();
    assert_eq!(bodies[0].0, None);
    assert_eq!(bodies[0].1, br#"{"networkId":"1","city":"short"}"#);
    assert_eq!(bodies[1].0.as_deref(), Some("gzip"));
    assert!(bodies[1].1.len() < 300);
    let mut unpacked = String::new();
    flate2::read::GzDecoder::new(&bodies[1].1[..])
        .read_to_string(&mut unpacked)
        .unwrap();
    assert_eq!(unpacked, format!(r#"{{"networkId":"2","city":"{long}"}}"#));
}

#[test]
fn the_user_agent_is_ferryd_or_what_the_operator_says() {
    let ours = concat!("ferryd/", env!("CARGO_PKG_VERSION"));
    for (line, wanted) in [
        ("", ours),
        (
            "user_agent = \"Harbour (me@example.com)\"",
            "Harbour (me@example.com)",
        ),
    ] {
        let agents = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&agents);
        let api = Api::answering(move |_, request| {
            let agent = request.header("user-agent").unwrap_or_default();
            kept.lock().unwrap().push(agent.to_owned());
            Answer::status(200)
        });
        let site = site(&api, line, "");
        site.import(1, 1..=1);
        site.run(&["drain"]).assert_code(0);
        assert_eq!(*agents.lock().unwrap(), [wanted]);
    }
}
