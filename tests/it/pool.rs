//! The pool: a fixed number of named threads behind a bounded queue that holds the planner back and loses nothing.

use crate::harness::{Api, Change, Daemon, Door, Site, eventually, threads};
use ferryd::server::Answer;
use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Linux cuts a thread's name at 15 bytes, so the number of `BatchProcessor-1` is not seen here.
const WORKER: &str = "BatchProcessor-";

fn workers(daemon: &Daemon) -> usize {
    daemon
        .threads()
        .iter()
        .filter(|name| *name == WORKER)
        .count()
}

/// Counts how many are inside at the same time.
#[derive(Default)]
struct Inside {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Inside {
    fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        let value = work();
        self.now.fetch_sub(1, Ordering::SeqCst);
        value
    }

    fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

#[test]
fn the_pool_is_exactly_as_many_named_threads_as_configured() {
    let api = Api::accepting();
    for (toml, wanted) in [
        ("", 10),
        ("[workers]\nthreads = 1\n", 1),
        ("[workers]\nthreads = 33\n", 33),
    ] {
        let site = Site::with(&api, toml);
        let daemon = site.daemon();
        // A thread takes its name after its start.
        eventually("the workers are there", || workers(&daemon) == wanted);
        site.insert(1, 1);
        site.await_delivered(1);
        assert_eq!(workers(&daemon), wanted, "{toml}");
    }
}

#[test]
fn no_record_and_no_batch_gets_a_thread_of_its_own() {
    let pid = Arc::new(AtomicU32::new(0));
    let counts = Arc::new(Mutex::new(HashSet::new()));
    let (of, into) = (Arc::clone(&pid), Arc::clone(&counts));
    let api = Api::answering(move |_, _| {
        let count = threads(of.load(Ordering::SeqCst)).len();
        into.lock().unwrap().insert(count);
        Answer::status(200)
    });
    let site = Site::with(&api, "[workers]\nthreads = 3\n[batch]\nsize = 10\n");
    let daemon = site.daemon();
    pid.store(daemon.pid(), Ordering::SeqCst);
    let idle = daemon.threads();
    site.import(1, 1..=150);
    site.import(2, 151..=300);
    site.await_delivered(300);
    assert_eq!(*counts.lock().unwrap(), HashSet::from([idle.len()]));
    assert_eq!(workers(&daemon), 3);
}

#[test]
fn requests_run_side_by_side_up_to_the_number_of_workers_and_never_more() {
    let (inside, door) = (Arc::new(Inside::default()), Door::closed());
    let (counter, wait) = (Arc::clone(&inside), Arc::clone(&door));
    let api = Api::answering(move |_, _| {
        counter.during(|| wait.pass());
        Answer::status(200)
    });
    let site = Site::with(&api, "[workers]\nthreads = 4\n[batch]\nsize = 5\n");
    site.import(1, 1..=200);
    let daemon = site.daemon();
    eventually("four requests are in the API", || door.waiting() == 4);
    door.open();
    site.await_delivered(200);
    assert_eq!(inside.most(), 4);
    assert_eq!(daemon.terminate().0, 0);
    api.assert_each_once(1..=200);
}

#[test]
fn one_user_with_one_batch_does_not_keep_the_other_workers_idle() {
    let door = Door::closed();
    let wait = Arc::clone(&door);
    let api = Api::answering(move |seen, _| {
        if seen.record == 1 {
            wait.pass();
        }
        Answer::status(200)
    });
    let site = Site::with(&api, "[workers]\nthreads = 2\n");
    site.import(1, 1..=3);
    site.import(2, 4..=500);
    let _daemon = site.daemon();
    eventually("the first record is in the API", || door.waiting() == 1);
    site.await_delivered(497);
    door.open();
    site.await_delivered(500);
    api.assert_each_once(1..=500);
}

#[test]
fn a_full_queue_holds_the_planner_back_and_loses_nothing() {
    let door = Door::closed();
    let wait = Arc::clone(&door);
    let api = Api::answering(move |_, request| {
        wait.pass();
        request.sleep(Duration::from_micros(200));
        Answer::status(200)
    });
    let toml = "[workers]\nthreads = 2\nqueue = 1\n[batch]\nsize = 5\n";
    let site = Site::with(&api, toml);
    site.import(1, 1..=100);
    site.import(2, 101..=200);
    site.import(3, 201..=300);
    site.keep_journal();
    let daemon = site.daemon();
    // Two with the workers, one in the queue, one in the planner's hand.
    let running = "SELECT running_batches FROM delivery_summary";
    eventually("four batches are taken", || site.value::<i64>(running) == 4);
    site.insert(1, 301);
    door.open();
    site.await_delivered(301);
    assert_eq!(daemon.terminate().0, 0);

    let journal = site.journal();
    let most = |of: fn(&Change) -> i64| journal.iter().map(of).max();
    assert_eq!(most(|change| change.running), Some(4));
    // One turn for each user, and no more before those are taken.
    assert!(most(|change| change.pending) <= Some(3), "{journal:?}");
    api.assert_each_once(1..=301);
    let batches =
        "SELECT count(*), sum(batch_size), min(status), max(status) FROM processing_batch_status";
    assert_eq!(site.shell(batches), "61 301 SUCCESS SUCCESS");
}
