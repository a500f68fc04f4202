//! Reloads while records are sent: each record goes out once, by one configuration or by the other.

use ferryd::server::Answer;
use serde_json::Value;
use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{configure, reload};
use crate::harness::{Api, Door, Seen, Site, eventually, signal};
use crate::restart::{holding, lock, slow_api};

const SMALL: &str =
    "[workers]\nthreads = 4\n[batch]\nsize = 100\n[retry]\ninterval = \"50ms\"\nbackoff = 1.0\n";

/// The ids in a body, of one record or of several.
fn ids(seen: &Seen) -> Vec<i64> {
    let body: Value = serde_json::from_str(&seen.body).unwrap();
    let id = |record: &Value| record["id"].as_i64().unwrap();
    match &body {
        Value::Array(records) => records.iter().map(id).collect(),
        record => vec![id(record)],
    }
}

#[test]
fn a_new_url_takes_effect_and_no_record_is_lost_or_repeated() {
    let (old, new) = (slow_api(), slow_api());
    let site = Site::with(&old, SMALL);
    site.import(1, 1..=1000);
    site.import(2, 1001..=2000);
    let daemon = site.daemon();
    eventually("some came", || old.seen().len() >= 100);
    configure(&site, &new, SMALL);
    reload(&daemon);
    let before = old.seen().len();
    daemon.await_log("changed=api.url");
    site.await_delivered(2000);
    assert!(
        old.seen().len() <= before + 4,
        "each worker had one under way"
    );
    let both = old.order().into_iter().chain(new.order());
    let mut both: Vec<i64> = both.collect();
    both.sort_unstable();
    assert_eq!(both, Vec::from_iter(1..=2000));
    assert_eq!(daemon.terminate().0, 0);
    site.assert_adds_up(0);
}

#[test]
fn the_request_in_flight_ends_as_it_began_and_the_next_one_is_new() {
    let door = Door::closed();
    let old = holding(&door, |record| record == 120);
    let new = Api::accepting();
    let one = "[workers]\nthreads = 1\n";
    let site = Site::with(&old, one);
    site.import(1, 1..=300);
    let daemon = site.daemon();
    eventually("record 120 is in the API", || door.waiting() == 1);
    configure(&site, &new, one);
    reload(&daemon);
    assert_eq!(new.seen().len(), 0);
    door.open();
    site.await_delivered(300);
    old.assert_each_once(1..=120);
    new.assert_each_once(121..=300);
}

#[test]
fn what_was_sent_is_written_down_before_new_settings_ask_what_is_left() {
    let door = Door::closed();
    let wait = Arc::clone(&door);
    let api = Api::answering(move |seen, _| {
        if (seen.record, seen.time) == (2, 2) {
            wait.pass();
        }
        Answer::status(if seen.time == 1 { 500 } else { 200 })
    });
    let site = Site::with(&api, SMALL);
    site.import(1, 1..=3);
    let daemon = site.daemon();
    eventually("record 2 is in the API again", || door.waiting() == 1);
    configure(&site, &api, &format!("timeout = \"9s\"\n{SMALL}"));
    reload(&daemon);
    // Another program keeps the outcome from being written, while the file can be read.
    let lock = lock(&site);
    door.open();
    daemon.await_log("The database cannot be written");
    drop(lock);
    site.await_delivered(3);
    assert!(
        api.times().values().all(|times| *times == 2),
        "{:?}",
        api.order()
    );
}

#[test]
fn no_record_is_read_for_one_request_and_sent_as_another() {
    let api = slow_api();
    let first = format!("[api.body]\nid = \"id\"\ncity = \"city\"\n{SMALL}");
    let second = format!("[api.body]\ntown = \"city\"\nnumber = \"id\"\n{SMALL}");
    let site = Site::with(&api, &first);
    site.import(1, 1..=1500);
    site.import(2, 1501..=3000);
    let daemon = site.daemon();
    for body in [&second, &first].into_iter().cycle().take(10) {
        let before = api.seen().len();
        eventually("more came", || api.seen().len() >= before + 50);
        configure(&site, &api, body);
        reload(&daemon);
    }
    site.await_delivered(3000);
    let mut came = Vec::new();
    for seen in api.seen() {
        let body: Value = serde_json::from_str(&seen.body).unwrap();
        let city = body.get("city").or(body.get("town")).unwrap();
        assert_eq!(city, "Lisboa", "{seen:?}");
        let id = body.get("id").or(body.get("number")).unwrap();
        came.push(id.as_i64().unwrap());
    }
    came.sort_unstable();
    assert_eq!(came, Vec::from_iter(1..=3000));
}

#[test]
fn bulk_is_switched_on_and_off_in_the_middle_of_batches() {
    // Some requests fail at first, so that retries of either kind meet the other mode.
    let (failed, accepted) = (Mutex::new(HashSet::new()), Arc::new(Mutex::new(Vec::new())));
    let into = Arc::clone(&accepted);
    let api = Api::answering(move |seen, request| {
        request.sleep(Duration::from_millis(2));
        let ids = ids(seen);
        if ids[0] % 7 == 0 && failed.lock().unwrap().insert(seen.key.clone()) {
            return Answer::status(500);
        }
        into.lock().unwrap().extend(ids);
        Answer::status(200)
    });
    let mode =
        |bulk: u32| format!("[api.body]\nid = \"id\"\n[api.bulk]\nrecords = {bulk}\n{SMALL}");
    let site = Site::with(&api, &mode(0));
    site.import(1, 1..=1000);
    site.import(2, 1001..=2000);
    let daemon = site.daemon();
    for bulk in [7, 0, 10, 0, 3] {
        let before = api.seen().len();
        eventually("more came", || api.seen().len() >= before + 30);
        configure(&site, &api, &mode(bulk));
        reload(&daemon);
    }
    site.await_delivered(2000);
    let mut accepted = accepted.lock().unwrap().clone();
    accepted.sort_unstable();
    assert_eq!(accepted, Vec::from_iter(1..=2000));
    let sizes: HashSet<usize> = api.seen().iter().map(|seen| ids(seen).len()).collect();
    assert!(
        [1, 3, 7, 10].iter().all(|size| sizes.contains(size)),
        "{sizes:?}"
    );
    assert_eq!(daemon.terminate().0, 0);
    site.assert_adds_up(0);
}

#[test]
fn a_storm_of_hangups_harms_nothing() {
    let api = slow_api();
    let site = Site::with(&api, SMALL);
    site.import(1, 1..=500);
    site.import(2, 501..=1000);
    let daemon = site.daemon();
    eventually("some came", || api.seen().len() >= 50);
    for _ in 0..20 {
        signal(daemon.pid(), "HUP");
    }
    site.await_delivered(1000);
    daemon.await_log("were read again. changed=none");
    assert_eq!(daemon.terminate().0, 0);
    api.assert_each_once(1..=1000);
}
