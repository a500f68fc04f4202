//! The gate and a reload: a closed gate is probed at once, for the operator may have mended something.

use ferryd::server::Answer;
use std::sync::Arc;

use super::{configure, reload};
use crate::harness::{Api, Door, Site, eventually};

/// Nobody probes by himself.
const RARELY: &str = "[gate]\nprobe_interval = \"1h\"\n";
const TOKEN: &str = "[api.auth]\nbearer_token_file = \"token\"\n[gate]\nprobe_interval = \"1h\"\n";

fn gate(site: &Site) -> String {
    site.value("SELECT gate FROM delivery_summary")
}

/// An API that wants the token "new", and holds what comes with another one at the door.
fn picky(door: &Arc<Door>) -> Api {
    let door = Arc::clone(door);
    Api::answering(move |_, request| {
        if request.header("authorization") == Some("Bearer new") {
            return Answer::status(200);
        }
        door.pass();
        Answer::status(401)
    })
}

#[test]
fn a_login_that_was_mended_opens_it_at_once() {
    let door = Door::closed();
    door.open();
    let api = picky(&door);
    let site = Site::with(&api, TOKEN);
    site.secret("token", "old");
    site.import(1, 1..=50);
    let daemon = site.daemon();
    eventually("the gate is closed", || gate(&site) == "closed");
    site.secret("token", "new");
    reload(&daemon);
    site.await_delivered(50);
    assert_eq!(gate(&site), "open");
}

#[test]
fn an_answer_to_the_old_login_that_comes_after_the_reload_does_not_keep_it_closed() {
    let door = Door::closed();
    let api = picky(&door);
    let site = Site::with(&api, TOKEN);
    site.secret("token", "old");
    site.import(1, 1..=50);
    let daemon = site.daemon();
    eventually("a record is in the API", || door.waiting() == 1);
    site.secret("token", "new");
    reload(&daemon);
    door.open();
    site.await_delivered(50);
    eventually("the gate is open", || gate(&site) == "open");
}

#[test]
fn a_paused_gate_stays_paused() {
    let api = Api::accepting();
    let site = Site::with(&api, "");
    let daemon = site.daemon();
    site.run(&["pause"]).assert_code(0);
    site.import(1, 1..=5);
    reload(&daemon);
    assert_eq!(gate(&site), "paused");
    // What it would send now it would have sent before this command is answered.
    site.run(&["retry", "dead"]).assert_code(0);
    assert_eq!(api.seen().len(), 0);
    site.run(&["resume"]).assert_code(0);
    site.await_delivered(5);
}

#[test]
fn new_rules_hold_for_the_gate_that_is_there() {
    let api = Api::answering(|seen, _| Answer::status(if seen.time < 6 { 500 } else { 200 }));
    let retry = "[retry]\ninterval = \"1ms\"\nbackoff = 1.0\n";
    let site = Site::with(&api, retry);
    let daemon = site.daemon();
    configure(
        &site,
        &api,
        &format!("[gate]\nfailures = 3\nprobe_interval = \"1h\"\n{retry}"),
    );
    reload(&daemon);
    site.import(1, [1]);
    eventually("the gate is closed", || gate(&site) == "closed");
    assert_eq!(api.seen().len(), 3);
    configure(
        &site,
        &api,
        &format!("[gate]\nfailures = 3\nprobe_interval = \"10ms\"\n{retry}"),
    );
    reload(&daemon);
    site.await_delivered(1);
}

#[test]
fn an_api_that_has_moved_is_tried_at_once() {
    let old = Api::answering(|_, _| Answer::status(404));
    let new = Api::accepting();
    let site = Site::with(&old, RARELY);
    site.import(1, 1..=5);
    let daemon = site.daemon();
    eventually("the gate is closed", || gate(&site) == "closed");
    configure(&site, &new, RARELY);
    reload(&daemon);
    site.await_delivered(5);
    new.assert_each_once(1..=5);
}
