//! The machine is suspended: nothing runs, and the wall clock is hours later when it goes on.

use super::clock::Clock;
use crate::harness::{Api, Door, Site, eventually, signal};
use ferryd::server::Answer;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// Longer than `api.timeout` of these tests.
const SUSPENDED: Duration = Duration::from_millis(1500);

const TOML: &str = "[workers]\nthreads = 3\n[retry]\ninterval = \"1s\"\n";

/// Each of three users has two records, and the first three of them wait inside the API.
fn site(api: &Api, door: &Door) -> (Site, Option<(Clock, crate::harness::Daemon)>) {
    let site = Site::with(api, TOML);
    let toml = std::fs::read_to_string(site.path("ferryd.toml")).unwrap();
    site.configure(&toml.replacen("[api]", "[api]\ntimeout = \"1s\"", 1));
    let Some(clock) = Clock::of(&site) else {
        return (site, None);
    };
    for user in 1..=3 {
        site.import(user, [user, user + 10]);
    }
    let daemon = clock.daemon(&site);
    eventually("three requests are in flight", || door.waiting() == 3);
    (site, Some((clock, daemon)))
}

fn behind(door: &Arc<Door>) -> Api {
    let door = Arc::clone(door);
    Api::answering(move |_, _| {
        door.pass();
        Answer::status(200)
    })
}

#[test]
fn requests_that_a_suspend_outlasts_are_unknown_and_repeated_with_their_key() {
    let door = Door::closed();
    let api = behind(&door);
    let (site, Some((clock, daemon))) = site(&api, &door) else {
        return;
    };
    signal(daemon.pid(), "STOP");
    std::thread::sleep(SUSPENDED);
    clock.jump(1);
    signal(daemon.pid(), "CONT");
    let unknown = "SELECT unknown FROM delivery_summary";
    eventually("their answers are unknown", || {
        site.value::<i64>(unknown) >= 3
    });
    door.open();
    site.await_delivered(6);
    daemon.assert_small();
    assert_eq!(daemon.terminate().0, 0);
    let seen = api.seen();
    for record in [1, 2, 3, 11, 12, 13] {
        let of_it = seen.iter().filter(|seen| seen.record == record);
        let keys: HashSet<_> = of_it.clone().map(|seen| &seen.key).collect();
        assert_eq!(keys.len(), 1, "record {record}");
        assert!(of_it.count() <= 3, "record {record}: {seen:?}");
    }
    site.assert_adds_up(0);
}

#[test]
fn answers_that_came_while_suspended_count() {
    let door = Door::closed();
    let api = behind(&door);
    let (site, Some((clock, daemon))) = site(&api, &door) else {
        return;
    };
    signal(daemon.pid(), "STOP");
    door.open();
    std::thread::sleep(SUSPENDED);
    clock.jump(1);
    signal(daemon.pid(), "CONT");
    site.await_delivered(6);
    assert_eq!(daemon.terminate().0, 0);
    api.assert_each_once([1, 2, 3, 11, 12, 13]);
    site.assert_adds_up(0);
}
