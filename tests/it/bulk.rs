//! Bulk mode: many records in one request, their results told apart, the bad ones found, and nothing repeated that need not be.

mod keys;

use ferryd::server::{Answer, Request};
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU16, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::harness::{Api, Daemon, Latch, Ran, Seen, Site, eventually};

mod answers;

const QUICK: &str =
    "[retry]\ninterval = \"100ms\"\nbackoff = 1.0\n[workers]\nthreads = 2\n[batch]\nsize = 100\n";

/// A site whose requests hold the ids of up to ten records each.
fn site(api: &Api, bulk: &str) -> Site {
    Site::with(
        api,
        &format!("[api.body]\nid = \"id\"\n[api.bulk]\nrecords = 10\n{bulk}\n{QUICK}"),
    )
}

/// The ids in a body, which is a JSON array or lines of JSON.
fn ids(body: &str) -> Vec<i64> {
    let records: Vec<Value> = match body.starts_with('[') {
        true => serde_json::from_str(body).unwrap(),
        false => body
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect(),
    };
    let id = |record: &Value| record["id"].as_i64().unwrap();
    records.iter().map(id).collect()
}

/// All ids that came, in order of arrival.
fn came(api: &Api) -> Vec<i64> {
    api.seen().iter().flat_map(|seen| ids(&seen.body)).collect()
}

/// Fails unless exactly these records came, each exactly once.
#[track_caller]
fn assert_each_once(api: &Api, records: impl IntoIterator<Item = i64>) {
    let mut came = came(api);
    came.sort_unstable();
    assert_eq!(came, Vec::from_iter(records));
}

/// Fails unless requests with the same key held the same records.
#[track_caller]
fn assert_keys_name_their_records(seen: &[Seen]) {
    let mut bodies = HashMap::new();
    for one in seen {
        let first = bodies.entry(&one.key).or_insert(&one.body);
        assert_eq!(*first, &one.body, "the key {} has two bodies", one.key);
    }
}

#[test]
fn a_batch_goes_out_in_chunks_and_each_record_once() {
    for (format, media_type) in [
        ("json", "application/json"),
        ("ndjson", "application/x-ndjson"),
    ] {
        let types = Arc::new(Mutex::new(BTreeSet::new()));
        let noted = Arc::clone(&types);
        let api = Api::answering(move |_, request| {
            let of = request.header("content-type").unwrap_or_default();
            noted.lock().unwrap().insert(of.to_string());
            Answer::status(200)
        });
        let site = site(&api, &format!("format = \"{format}\""));
        site.import(1, 1..=25);
        site.import(2, 101..=103);
        site.run(&["drain"]).assert_code(0);
        assert_each_once(&api, (1..=25).chain(101..=103));
        let mut sizes: Vec<usize> = api.seen().iter().map(|s| ids(&s.body).len()).collect();
        sizes.sort_unstable();
        assert_eq!(sizes, [3, 5, 10, 10]);
        assert_eq!(*types.lock().unwrap(), [media_type.to_string()].into());
        let keys: BTreeSet<String> = api.seen().into_iter().map(|seen| seen.key).collect();
        assert_eq!(keys.len(), 4);
        assert_eq!(
            site.shell("SELECT delivered, waiting, success_batches FROM delivery_summary"),
            "28 0 2"
        );
    }
}

#[test]
fn a_body_stays_within_max_bytes() {
    let api = Api::accepting();
    // Seven members of eight bytes, the commas and the brackets.
    let site = site(&api, "max_bytes = 64");
    site.import(1, 1..=9);
    site.import(2, 10..=40);
    site.run(&["drain"]).assert_code(0);
    assert_each_once(&api, 1..=40);
    let longest = api.seen().iter().map(|seen| seen.body.len()).max();
    assert!(longest > Some(50) && longest <= Some(64), "{longest:?}");
}

#[test]
fn one_bad_record_is_found_by_halves_and_the_others_are_delivered() {
    const BAD: [i64; 3] = [7, 8, 33];
    let api = Api::answering(|seen, _| match ids(&seen.body) {
        ids if ids.iter().any(|id| BAD.contains(id)) => Answer::text(422, "no such city"),
        _ => Answer::status(200),
    });
    let site = site(&api, "");
    site.import(1, 1..=40);
    site.run(&["drain"]).assert_code(3);
    assert_eq!(
        site.shell("SELECT delivered, waiting, retrying, dead, dead_batches FROM delivery_summary"),
        "37 0 0 3 1"
    );
    assert_eq!(
        site.shell("SELECT group_concat(record_id || ' ' || state || ' ' || attempts || ' ' || error, ', ') FROM undelivered_record"),
        "7 DEAD 1 HTTP 422 Unprocessable Entity: no such city, 8 DEAD 1 HTTP 422 Unprocessable Entity: no such city, 33 DEAD 1 HTTP 422 Unprocessable Entity: no such city"
    );
    assert_keys_name_their_records(&api.seen());
    // No good record was accepted twice.
    let accepted = api.seen().into_iter().map(|seen| ids(&seen.body));
    let accepted = accepted.filter(|ids| !ids.iter().any(|id| BAD.contains(id)));
    let mut accepted: Vec<i64> = accepted.flatten().collect();
    accepted.sort_unstable();
    assert_eq!(
        accepted,
        Vec::from_iter((1..=40).filter(|id| !BAD.contains(id)))
    );
}

/// What an API says that tells results per item.
fn results(ids: &[i64], status: impl Fn(i64) -> u16) -> Answer {
    let result = |id: &i64| format!("{{\"status\":{},\"error\":\"as told\"}}", status(*id));
    let results: Vec<String> = ids.iter().map(result).collect();
    Answer::text(200, format!("{{\"results\":[{}]}}", results.join(",")))
}

const ITEMS: &str = "items = \"/results\"\nok = \"/status\"\nerror = \"/error\"";

#[test]
fn failed_items_alone_are_sent_again() {
    let refused_once = Mutex::new(BTreeSet::from([3, 4, 15]));
    let api = Api::answering(move |seen, _| {
        results(&ids(&seen.body), |id| {
            match refused_once.lock().unwrap().remove(&id) {
                true => 503,
                false if id == 9 => 400,
                false => 201,
            }
        })
    });
    let site = site(&api, ITEMS);
    site.import(1, 1..=20);
    site.run(&["drain"]).assert_code(3);
    let mut came = came(&api);
    came.sort_unstable();
    let mut wanted: Vec<i64> = (1..=20).chain([3, 4, 15]).collect();
    wanted.sort_unstable();
    assert_eq!(came, wanted);
    assert_eq!(
        site.shell("SELECT record_id, state, http_status, error FROM undelivered_record"),
        "9 DEAD 400 item 400: as told"
    );
    assert_keys_name_their_records(&api.seen());
}

#[test]
fn an_answer_without_the_results_it_should_tell_delivers_nothing() {
    for answer in ["{}", "{\"results\":[]}", "{\"results\":7}", "<html>", ""] {
        let first = Mutex::new(true);
        let api =
            Api::answering(
                move |seen, _| match std::mem::take(&mut *first.lock().unwrap()) {
                    true => Answer::text(200, answer),
                    false => results(&ids(&seen.body), |_| 200),
                },
            );
        let site = site(&api, ITEMS);
        site.import(1, 1..=5);
        site.run(&["drain", "--once"]).assert_code(3);
        assert_eq!(
            site.shell("SELECT delivered, unknown FROM delivery_summary"),
            "0 5",
            "{answer}"
        );
        site.run(&["drain"]).assert_code(0);
        // The same request again, for it may have been accepted.
        let seen = api.seen();
        assert_eq!(seen.len(), 2);
        assert_eq!((&seen[0].key, &seen[0].body), (&seen[1].key, &seen[1].body));
    }
}

#[test]
fn a_chunk_that_failed_is_the_same_request_when_it_comes_again() {
    let times = Mutex::new(HashMap::new());
    let api = Api::answering(move |seen, _| {
        let mut times = times.lock().unwrap();
        let time = times.entry(seen.key.clone()).or_insert(0);
        *time += 1;
        match (ids(&seen.body)[0], *time) {
            (1, 1) => Answer::status(500),
            (11, 1) => Answer::Hangup,
            (21, 1 | 2) => Answer::status(429),
            _ => Answer::status(200),
        }
    });
    let site = site(&api, "");
    site.import(1, 1..=40);
    site.run(&["drain"]).assert_code(0);
    let seen = api.seen();
    assert_keys_name_their_records(&seen);
    assert_eq!(seen.len(), 4 + 1 + 1 + 2);
    let keys: BTreeSet<&str> = seen.iter().map(|seen| seen.key.as_str()).collect();
    assert_eq!(keys.len(), 4);
}

#[test]
fn everything_refused_alike_is_the_fault_of_the_request_and_no_record_dies_of_it() {
    let status = Arc::new(AtomicU16::new(400));
    let told = Arc::clone(&status);
    let api = Api::answering(move |_, _| Answer::status(told.load(SeqCst)));
    let gate = "[gate]\nfailures = 3\nprobe_interval = \"100ms\"\n";
    let site = site(&api, gate);
    site.import(1, 1..=40);
    let daemon = site.daemon();
    eventually("the gate has closed", || {
        site.value::<String>("SELECT gate FROM delivery_summary") != "open"
    });
    eventually("the refused records have come back", || {
        site.value::<i64>("SELECT dead FROM delivery_summary") == 0
    });
    status.store(200, SeqCst);
    site.await_delivered(40);
    assert_eq!(daemon.terminate().0, 0);
}

#[test]
fn late_rows_and_deleted_rows_find_their_way_in_chunks_too() {
    let (api, latch) = Api::held();
    let site = site(&api, "");
    site.import(1, (10..=400).step_by(10));
    let daemon = site.daemon();
    api.await_request();
    site.write("DELETE FROM user_record WHERE id IN (350, 360); INSERT INTO user_record VALUES (5, 1, 'x', 'y'), (15, 1, 'x', 'y')");
    latch.open();
    site.await_delivered(40);
    eventually("all batches are SUCCESS", || {
        site.value::<i64>("SELECT count(*) FROM processing_batch_status WHERE status <> 'SUCCESS'")
            == 0
    });
    assert_eq!(daemon.terminate().0, 0);
    let wanted = (10..=400).step_by(10).filter(|id| ![350, 360].contains(id));
    let mut wanted: Vec<i64> = wanted.chain([5, 15]).collect();
    wanted.sort_unstable();
    assert_each_once(&api, wanted);
    site.assert_adds_up(0);
}

#[test]
fn a_record_that_has_no_form_is_dead_and_its_neighbours_go_without_it() {
    let api = Api::accepting();
    let site = Site::with(
        &api,
        &format!("[api.body]\nid = \"id\"\ncity = \"city\"\n[api.bulk]\nrecords = 10\n{QUICK}"),
    );
    site.import(1, 1..=12);
    site.write("UPDATE user_record SET city = x'ff' WHERE id IN (1, 5, 12)");
    site.run(&["drain"]).assert_code(3);
    assert_each_once(&api, (1..=12).filter(|id| ![1, 5, 12].contains(id)));
    assert_eq!(
        site.shell("SELECT delivered, dead FROM delivery_summary"),
        "9 3"
    );
}

/// Kills the daemon while it waits for answers, and says how many requests were under way.
fn kill_in_flight(site: &Site, api: &Api, latch: &Latch) -> usize {
    let daemon = site.daemon();
    eventually("both workers have a request under way", || {
        api.seen().len() >= 2
    });
    Daemon::kill(daemon);
    latch.open();
    api.seen().len()
}

#[test]
fn a_kill_repeats_one_request_of_each_worker_with_the_same_key_and_records() {
    let (api, latch) = Api::held();
    let site = site(&api, "");
    site.import(1, 1..=40);
    site.import(2, 101..=140);
    let before = kill_in_flight(&site, &api, &latch);
    site.run(&["drain"]).assert_code(0);
    let seen = api.seen();
    assert_keys_name_their_records(&seen);
    let keys: BTreeSet<&str> = seen.iter().map(|seen| seen.key.as_str()).collect();
    assert_eq!(keys.len(), 8);
    assert_eq!(seen.len(), 8 + before);
}

/// The halves of a refused request are names in the file before they are sent.
#[test]
fn a_kill_during_a_split_repeats_the_half_with_the_same_key_and_records() {
    let latch = Latch::default();
    let held = latch.clone();
    let answer = move |seen: &Seen, request: &Request| match ids(&seen.body).as_slice() {
        ids if ids.contains(&7) => Answer::status(413),
        [8, 9, 10] => {
            held.wait(request);
            Answer::status(200)
        }
        _ => Answer::status(200),
    };
    let api = Api::answering(answer);
    let site = site(&api, "");
    site.import(1, 1..=10);
    let daemon = site.daemon();
    // 1 to 10 was refused, 6 to 10 of it again, and 6 to 7 of that.
    eventually("the last piece is under way", || {
        api.seen().iter().any(|seen| ids(&seen.body) == [8, 9, 10])
    });
    daemon.kill();
    latch.open();
    site.run(&["drain"]).assert_code(3);
    let seen = api.seen();
    assert_keys_name_their_records(&seen);
    let pieces = seen.iter().filter(|seen| ids(&seen.body) == [8, 9, 10]);
    assert_eq!(pieces.count(), 2);
    assert_eq!(
        site.shell("SELECT delivered, dead FROM delivery_summary"),
        "9 1"
    );
}

#[test]
fn a_stop_repeats_nothing() {
    let api = Api::answering(|_, request| {
        request.sleep(Duration::from_millis(20));
        Answer::status(200)
    });
    let site = site(&api, "");
    for user in 1..=4 {
        site.import(user, user * 1000..user * 1000 + 100);
    }
    let daemon = site.daemon();
    eventually("half of it is sent", || api.seen().len() >= 20);
    assert_eq!(daemon.terminate().0, 0);
    site.run(&["drain"]).assert_code(0);
    assert_each_once(
        &api,
        (1..=4).flat_map(|user| user * 1000..user * 1000 + 100),
    );
}

#[test]
fn the_rate_counts_requests_and_not_records() {
    let api = Api::accepting();
    let site = site(&api, "");
    site.import(1, 1..=50);
    let mut drain = site.ferryd(&["drain"]);
    drain.env("FERRYD_API_RATE_LIMIT", "10/s");
    Ran::wait(drain).assert_code(0);
    assert_each_once(&api, 1..=50);
    let seen = api.seen();
    assert_eq!(seen.len(), 5);
    let took = seen[4].at - seen[0].at;
    assert!(took >= Duration::from_millis(300), "{took:?}");
}
