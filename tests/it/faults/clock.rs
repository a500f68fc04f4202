//! The wall clock is set by years while the daemon runs. libfaketime moves it, and leaves the monotonic clock alone.

use crate::harness::{Api, Daemon, Seen, Site, eventually};
use crate::rights::skip;
use ferryd::server::{Answer, Request};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The ways the clock jumps, in days.
const JUMPS: [i64; 2] = [3650, -3650];

/// A wall clock that the test sets, for one daemon.
pub struct Clock {
    library: PathBuf,
    file: PathBuf,
}

impl Clock {
    /// A clock that is right; nothing, and a word about it, where libfaketime is not installed.
    pub fn of(site: &Site) -> Option<Clock> {
        let places = std::fs::read_dir("/usr/lib").unwrap();
        let mut libraries =
            places.map(|place| place.unwrap().path().join("faketime/libfaketimeMT.so.1"));
        let Some(library) = libraries.find(|library| library.exists()) else {
            skip("libfaketime is not installed");
            return None;
        };
        let clock = Clock {
            library,
            file: site.path("clock"),
        };
        clock.set("+0");
        Some(clock)
    }

    /// Starts the daemon under this clock.
    #[track_caller]
    pub fn daemon(&self, site: &Site) -> Daemon {
        let mut command = site.ferryd(&["run"]);
        command
            .env("LD_PRELOAD", &self.library)
            .env("FAKETIME_TIMESTAMP_FILE", &self.file)
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        Daemon::start(command, site.path("daemon.log"))
    }

    /// Sets the clock by so many days from the right time.
    pub fn jump(&self, days: i64) {
        self.set(&format!("{days:+}d"));
    }

    fn set(&self, offset: &str) {
        // At once: a half written file would be another time.
        let new = self.file.with_extension("new");
        std::fs::write(&new, offset).unwrap();
        std::fs::rename(&new, &self.file).unwrap();
    }
}

/// An API that refuses with this status until it is told to accept.
fn refusing(status: u16) -> (Api, Arc<AtomicBool>) {
    let accepts = Arc::new(AtomicBool::new(false));
    let accept = Arc::clone(&accepts);
    let answer = move |_: &Seen, _: &Request| match accept.load(Ordering::SeqCst) {
        true => Answer::status(200),
        false => Answer::status(status),
    };
    (Api::answering(answer), accepts)
}

/// Record 1 is answered 500 the first time, and all else is accepted.
fn failing_once() -> Api {
    Api::answering(|seen, _| match (seen.record, seen.time) {
        (1, 1) => Answer::status(500),
        _ => Answer::status(200),
    })
}

fn await_failed(site: &Site) {
    let failed = "SELECT failed_batches FROM delivery_summary";
    eventually("the batch waits for its retry", || {
        site.value::<i64>(failed) == 1
    });
}

#[track_caller]
fn end(daemon: Daemon, site: &Site) {
    daemon.assert_small();
    assert_eq!(daemon.terminate().0, 0);
    site.assert_adds_up(0);
}

#[test]
fn an_idle_daemon_delivers_new_rows_at_once_whatever_the_clock_does() {
    let api = Api::accepting();
    let site = Site::with(&api, "");
    let Some(clock) = Clock::of(&site) else {
        return;
    };
    let daemon = clock.daemon(&site);
    site.insert(1, 1);
    site.await_delivered(1);
    for (jump, record) in [(3650, 2), (0, 3), (-3650, 4), (3650, 5)] {
        clock.jump(jump);
        site.insert(1, record);
        site.await_delivered(record);
    }
    end(daemon, &site);
    api.assert_each_once(1..=5);
}

#[test]
fn a_retry_keeps_its_delay_when_the_clock_is_set_back() {
    // By less than the longest delay, and by years.
    for days in [-0.2, -3650.0] {
        let api = failing_once();
        let site = Site::with(&api, "[retry]\ninterval = \"1s\"\n");
        let Some(clock) = Clock::of(&site) else {
            return;
        };
        let daemon = clock.daemon(&site);
        site.insert(1, 1);
        await_failed(&site);
        clock.set(&format!("{days}d"));
        site.await_delivered(1);
        end(daemon, &site);
        assert_eq!(api.order(), [1, 1]);
        let delay = api.seen()[1].at - api.seen()[0].at;
        assert!(delay > Duration::from_millis(850), "{delay:?}");
    }
}

#[test]
fn a_clock_set_back_and_a_batch_that_waits_for_an_hour_are_no_storm() {
    let (api, _) = refusing(500);
    let site = Site::with(&api, "[retry]\ninterval = \"1h\"\n");
    let Some(clock) = Clock::of(&site) else {
        return;
    };
    let daemon = clock.daemon(&site);
    site.insert(1, 1);
    await_failed(&site);
    clock.jump(-3650);
    daemon.await_log("The clock was set back; waiting batches keep their delays.");
    let hours: f64 = site.value(
        "SELECT 24 * (julianday(next_attempt_at) - julianday('now', '-3650 days'))
           FROM processing_batch_status",
    );
    assert!((0.8..1.2).contains(&hours), "due in {hours} hours");
    site.insert(2, 2);
    eventually("the new row is sent", || api.order() == [1, 2]);
    end(daemon, &site);
    assert_eq!(api.order(), [1, 2]);
}

#[test]
fn a_clock_set_forward_makes_a_batch_due_once() {
    let (api, accepts) = refusing(500);
    let site = Site::with(&api, "[retry]\ninterval = \"1h\"\n");
    let Some(clock) = Clock::of(&site) else {
        return;
    };
    let daemon = clock.daemon(&site);
    site.insert(1, 1);
    await_failed(&site);
    for (jumps, days) in [(1, 3650), (2, 7300)] {
        clock.jump(days);
        eventually("it is sent again", || api.order().len() == 1 + jumps);
        await_failed(&site);
    }
    accepts.store(true, Ordering::SeqCst);
    site.insert(2, 2);
    site.await_delivered(1);
    end(daemon, &site);
    assert_eq!(api.order(), [1, 1, 1, 2]);
}

#[test]
fn rows_that_wait_for_more_rows_are_delivered_once_when_the_clock_jumps() {
    for jump in JUMPS {
        let api = Api::accepting();
        let site = Site::with(&api, "[batch]\nlinger = \"1h\"\n");
        let Some(clock) = Clock::of(&site) else {
            return;
        };
        let daemon = clock.daemon(&site);
        site.insert(1, 1);
        site.insert(1, 2);
        clock.jump(jump);
        site.await_delivered(2);
        end(daemon, &site);
        api.assert_each_once(1..=2);
    }
}

#[test]
fn a_closed_gate_is_probed_after_its_interval_whatever_the_clock_does() {
    for jump in JUMPS {
        let (api, accepts) = refusing(401);
        let site = Site::with(&api, "[gate]\nprobe_interval = \"1s\"\n");
        let Some(clock) = Clock::of(&site) else {
            return;
        };
        let daemon = clock.daemon(&site);
        site.insert(1, 1);
        daemon.await_log("The gate is closed");
        clock.jump(jump);
        accepts.store(true, Ordering::SeqCst);
        site.insert(2, 2);
        site.await_delivered(2);
        end(daemon, &site);
        let seen = api.seen();
        assert_eq!(seen.len(), 3, "one probe more than records: {seen:?}");
        let pause = seen[1].at - seen[0].at;
        assert!(pause > Duration::from_millis(950), "{pause:?}");
    }
}

#[test]
fn a_clock_that_leaps_forward_makes_nothing_old_enough_to_be_pruned() {
    let api = Api::accepting();
    let retention = "[retention]\nolder_than = \"20s\"\nrecords = true\n";
    let site = Site::with(&api, retention);
    let Some(clock) = Clock::of(&site) else {
        return;
    };
    let daemon = clock.daemon(&site);
    site.import(1, 1..=3);
    site.await_delivered(3);
    clock.jump(3650);
    daemon.await_log("The clock leapt forward: nothing is pruned for a day.");
    let start = std::time::Instant::now();
    eventually("there was time for two runs", || {
        start.elapsed() > Duration::from_secs(5)
    });
    let left =
        "SELECT (SELECT count(*) FROM user_record), (SELECT count(*) FROM processing_batch_status)";
    assert_eq!(site.shell(left), "3 1");
}
