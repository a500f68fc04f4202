//! The keys of chunks: an API that works a key only once must neither lose a record by that nor take one in twice.

use ferryd::server::Answer;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use super::{ITEMS, QUICK, assert_keys_name_their_records, ids, results, site};
use crate::harness::{Api, Latch, Ran, Site, eventually};

/// The chunk in a key, without the instance and the batch.
fn chunk(key: &str) -> &str {
    key.rsplit('.').next().unwrap()
}

#[test]
fn an_operator_who_retries_one_record_of_a_request_sends_the_whole_request_again() {
    let times = Mutex::new(0);
    let api = Api::answering(move |seen, _| {
        if chunk(&seen.key) != "1:10" {
            return Answer::status(200);
        }
        let mut times = times.lock().unwrap();
        *times += 1;
        match *times {
            1 => Answer::status(500),
            2 => Answer::Full {
                status: 503,
                headers: vec![("Retry-After".into(), "60".into())],
                body: Vec::new(),
            },
            _ => Answer::status(200),
        }
    });
    let site = site(&api, "");
    site.import(1, 1..=20);
    let daemon = site.daemon();
    eventually("the second attempt waits at the gate", || {
        site.value::<i64>("SELECT count(*) FROM undelivered_record WHERE tried_in = 1") == 10
    });
    let ran = site.run(&["retry", "record:5"]).assert_code(0);
    assert_eq!(ran.stdout, "10 records of 1 batch are sent again\n");
    site.run(&["resume"]).assert_code(0);
    site.await_delivered(20);
    assert_eq!(daemon.terminate().0, 0);
    assert_keys_name_their_records(&api.seen());
}

#[test]
fn a_request_that_was_given_up_keeps_its_key_when_it_is_retried() {
    let answers = std::sync::Arc::new(AtomicBool::new(false));
    let told = std::sync::Arc::clone(&answers);
    let api = Api::answering(move |_, _| match told.load(SeqCst) {
        true => Answer::status(200),
        false => Answer::Hangup,
    });
    let site = Site::with(
        &api,
        &format!(
            "[api.body]\nid = \"id\"\n[api.bulk]\nrecords = 10\n{}",
            QUICK.replace("[retry]", "[retry]\nmax_attempts = 2")
        ),
    );
    site.import(1, 1..=20);
    site.run(&["drain"]).assert_code(3);
    assert_eq!(site.shell("SELECT dead FROM delivery_summary"), "20");
    answers.store(true, SeqCst);
    let daemon = site.daemon();
    // One record of a request, and then all the others.
    site.run(&["retry", "record:5"]).assert_code(0);
    site.await_delivered(10);
    site.run(&["retry", "dead"]).assert_code(0);
    site.await_delivered(20);
    assert_eq!(daemon.terminate().0, 0);
    let seen = api.seen();
    assert_keys_name_their_records(&seen);
    assert_eq!(seen.len(), 6);
}

#[test]
fn a_row_that_was_mended_after_a_kill_does_not_slip_into_the_request_that_went_without_it() {
    let (api, latch) = Api::held();
    let site = Site::with(
        &api,
        &format!("[api.body]\nid = \"id\"\ncity = \"city\"\n[api.bulk]\nrecords = 10\n{QUICK}"),
    );
    site.import(1, 1..=10);
    site.write("UPDATE user_record SET city = x'ff' WHERE id IN (1, 5)");
    let daemon = site.daemon();
    api.await_request();
    daemon.kill();
    latch.open();
    site.run(&["audit"]).assert_code(0);
    site.write("UPDATE user_record SET city = 'Lisboa' WHERE id IN (1, 5)");
    site.run(&["drain"]).assert_code(3);
    assert_keys_name_their_records(&api.seen());
    let daemon = site.daemon();
    site.run(&["retry", "dead"]).assert_code(0);
    site.await_delivered(10);
    assert_eq!(daemon.terminate().0, 0);
    assert_keys_name_their_records(&api.seen());
    site.assert_adds_up(0);
}

/// A request that was cut anew is a name in the file before it is sent.
#[test]
fn a_kill_repeats_a_request_that_was_cut_anew_whatever_came_back_to_life_meanwhile() {
    let latch = Latch::default();
    let held = latch.clone();
    let api = Api::answering(move |seen, request| match ids(&seen.body).as_slice() {
        ids if ids.len() == 10 => results(ids, |id| match id {
            3 | 7 => 500,
            5 => 422,
            _ => 200,
        }),
        ids => {
            held.wait(request);
            results(ids, |_| 200)
        }
    });
    let site = site(&api, ITEMS);
    site.import(1, 1..=10);
    let daemon = site.daemon();
    eventually("the failed items are under way", || api.seen().len() == 2);
    daemon.kill();
    latch.open();
    site.write("INSERT INTO command (verb, target) VALUES ('retry', 'dead')");
    let daemon = site.daemon();
    site.await_delivered(10);
    assert_eq!(daemon.terminate().0, 0);
    let seen = api.seen();
    assert_keys_name_their_records(&seen);
    let of = |id| {
        seen.iter()
            .filter(move |seen| ids(&seen.body).contains(&id))
    };
    for id in [3, 7] {
        let keys: Vec<&str> = of(id).skip(1).map(|seen| seen.key.as_str()).collect();
        assert_eq!(keys.len(), 2, "{keys:?}");
        assert_eq!(keys[0], keys[1]);
    }
    assert_eq!(of(5).count(), 2);
}

/// What is cut anew twice in one attempt are two requests.
#[test]
fn no_two_requests_of_one_attempt_have_one_name() {
    let latch = Latch::default();
    let held = latch.clone();
    let turns = Mutex::new(0);
    let api = Api::answering(move |seen, request| {
        let ids = ids(&seen.body);
        let mut turns = turns.lock().unwrap();
        *turns += 1;
        match *turns {
            1 => results(&ids, |id| if id % 2 == 0 { 500 } else { 200 }),
            2 => {
                held.wait(request);
                results(&ids, |id| if id == 6 { 200 } else { 500 })
            }
            _ => results(&ids, |_| 200),
        }
    });
    // The rate keeps the attempt waiting before it looks for more.
    let site = Site::with(
        &api,
        &format!(
            "rate_limit = \"2/s\"\n[gate]\nfailures = 1000000\n[api.body]\nid = \"id\"\n[api.bulk]\nrecords = 10\n{ITEMS}\n{QUICK}"
        ),
    );
    site.import(1, 1..=10);
    let daemon = site.daemon();
    eventually("the failed items are under way", || api.seen().len() == 2);
    latch.open();
    eventually("their results are written down", || {
        site.value::<i64>("SELECT count(*) FROM undelivered_record WHERE tried_in = 1") == 4
    });
    site.run(&["retry", "record:2"]).assert_code(0);
    site.run(&["retry", "record:10"]).assert_code(0);
    site.await_delivered(10);
    assert_eq!(daemon.terminate().0, 0);
    assert_keys_name_their_records(&api.seen());
}

/// Whether the API has taken the request in, nobody knows: it has to come again under its key, less what is gone.
#[test]
fn a_kill_and_a_deletion_leave_a_request_its_key() {
    let (api, latch) = Api::held();
    let site = site(&api, "");
    site.import(1, 1..=20);
    let daemon = site.daemon();
    api.await_request();
    daemon.kill();
    latch.open();
    site.write("DELETE FROM user_record WHERE id IN (1, 10)");
    let mut drain = site.ferryd(&["drain"]);
    drain.env("FERRYD_API_BULK_RECORDS", "3");
    Ran::wait(drain).assert_code(0);
    let seen = api.seen();
    let sent: Vec<_> = seen.iter().map(|s| (chunk(&s.key), ids(&s.body))).collect();
    let ten = |from: i64| Vec::from_iter(from..from + 10);
    assert_eq!(sent[0], ("1:10", ten(1)));
    assert_eq!(sent[1], ("1:10", Vec::from_iter(2..=9)));
    assert_eq!(sent[2], ("11:13", Vec::from_iter(11..=13)));
    assert_eq!(sent.len(), 6);
    site.assert_adds_up(0);
}
