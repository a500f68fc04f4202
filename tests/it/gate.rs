//! The gate, through the real executable: what closes it, what waits at it, and what opens it again.

mod hold;
mod pause;
mod probe;

use ferryd::server::{Answer, Request};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering::SeqCst};

use crate::harness::{Api, Seen, Site, eventually};

/// Fast enough for a test, and slow enough to be told from "at once".
const QUICK: &str =
    "[gate]\nfailures = 3\nprobe_interval = \"200ms\"\n[retry]\ninterval = \"200ms\"\n";

const ONE_WORKER: &str = "[workers]\nthreads = 1\n";

/// An API whose status can be changed while it runs.
struct Mood(Arc<AtomicU16>);

impl Mood {
    fn new(status: u16) -> Mood {
        Mood(Arc::new(AtomicU16::new(status)))
    }

    fn set(&self, status: u16) {
        self.0.store(status, SeqCst);
    }

    fn api(&self) -> Api {
        let status = Arc::clone(&self.0);
        Api::answering(move |_, _| Answer::status(status.load(SeqCst)))
    }
}

/// An address of this machine where nothing listens, and which nobody else can get.
struct Reserved {
    _socket: OwnedFd,
    address: String,
}

impl Reserved {
    fn new() -> Reserved {
        use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket, sockopt};
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        // With this on both sides, a listener may join an address that is only bound.
        sockopt::set_socket_reuseaddr(&socket, true).unwrap();
        bind(&socket, &"127.0.0.1:0".parse::<SocketAddr>().unwrap()).unwrap();
        let address = SocketAddr::try_from(getsockname(&socket).unwrap()).unwrap();
        Reserved {
            _socket: socket,
            address: address.to_string(),
        }
    }

    fn site(&self, toml: &str) -> Site {
        let site = Site::new();
        site.configure(&format!(
            "[api]\nurl = \"http://{}/\"\n{toml}",
            self.address
        ));
        site
    }

    fn listen(&self, answer: impl Fn(&Seen, &Request) -> Answer + Send + Sync + 'static) -> Api {
        Api::listening_at(&self.address, answer)
    }
}

impl Site {
    /// Waits until sending is held, and returns why.
    #[track_caller]
    fn await_held(&self) -> String {
        eventually("the gate is closed", || {
            self.value::<String>("SELECT gate FROM delivery_summary") != "open"
        });
        self.reason()
    }

    fn reason(&self) -> String {
        let reason: Option<String> = self.value("SELECT gate_reason FROM delivery_summary");
        reason.unwrap_or_default()
    }

    /// Nobody has been charged for the closed gate.
    #[track_caller]
    fn assert_no_attempt_burned(&self, waiting: i64) {
        let sql = "SELECT waiting || ' ' || (SELECT count(*) FROM undelivered_record) || ' '
                       || (SELECT coalesce(sum(retry_count), 0) FROM processing_batch_status) FROM delivery_summary";
        assert_eq!(self.value::<String>(sql), format!("{waiting} 0 0"));
    }
}

#[test]
fn an_outage_closes_the_gate_burns_no_attempt_and_sending_goes_on_by_itself() {
    let address = Reserved::new();
    let site = address.site(QUICK);
    site.import(1, 1..=30);
    site.import(2, 31..=60);
    let daemon = site.daemon();
    let reason = site.await_held();
    assert!(reason.contains("3 failures in a row"), "{reason}");
    assert!(reason.contains("refused"), "the cause is named: {reason}");
    site.assert_no_attempt_burned(60);
    let api = address.listen(|_, _| Answer::status(200));
    site.await_delivered(60);
    api.assert_each_once(1..=60);
    eventually("the gate shows that it is open", || {
        site.value::<String>("SELECT gate FROM delivery_summary") == "open"
    });
    site.assert_no_attempt_burned(0);
    assert_eq!(site.reason(), "");
    assert_eq!(daemon.terminate().0, 0);
}

#[test]
fn batches_keep_their_place_in_an_outage_and_nothing_is_sent_twice() {
    let address = Reserved::new();
    let site = address.site(&format!("{QUICK}[batch]\nsize = 25\n"));
    let api = address.listen(|_, _| Answer::status(200));
    let daemon = site.daemon();
    site.import(1, 1..=10);
    site.await_delivered(10);
    drop(api);
    site.import(1, 11..=70);
    site.import(2, 71..=130);
    site.await_held();
    let planned = "SELECT coalesce(group_concat(user_id || ':' || batch_offset || ':' || start_id || ':' || end_id), '')
                     FROM (SELECT * FROM processing_batch_status WHERE id <= 3 ORDER BY id)";
    eventually("three batches are planned", || {
        site.value::<i64>("SELECT count(*) FROM processing_batch_status") >= 3
    });
    site.assert_no_attempt_burned(120);
    let before: String = site.value(planned);
    let api = address.listen(|_, _| Answer::status(200));
    site.await_delivered(130);
    api.assert_each_once(11..=130);
    assert_eq!(site.value::<String>(planned), before);
    assert_eq!(daemon.terminate().0, 0);
}

#[test]
fn a_refusal_of_the_destination_closes_the_gate_at_once() {
    for status in [401, 403, 404, 405, 407, 410, 302] {
        let mood = Mood::new(status);
        let api = mood.api();
        let site = Site::with(&api, &format!("{QUICK}{ONE_WORKER}"));
        site.import(1, 1..=5);
        site.run(&["drain", "--once"]).assert_code(3);
        assert_eq!(api.seen().len(), 1, "one answer {status} is enough");
        assert_eq!(site.shell("SELECT gate FROM delivery_summary"), "closed");
        let reason = site.reason();
        assert!(reason.contains(&format!("HTTP {status}")), "{reason}");
        site.assert_no_attempt_burned(5);
        mood.set(200);
        site.run(&["drain"]).assert_code(0);
        assert_eq!(api.seen().len(), 6, "the others were sent once");
        site.assert_no_attempt_burned(0);
    }
}

#[test]
fn dropped_connections_in_a_row_close_the_gate_and_are_sent_again_with_the_same_key() {
    let api = Api::answering(|seen, _| match seen.time {
        1 if seen.record <= 3 => Answer::Hangup,
        _ => Answer::status(200),
    });
    let site = Site::with(&api, &format!("{QUICK}{ONE_WORKER}"));
    site.import(1, 1..=8);
    let once = site.run(&["drain", "--once"]).assert_code(3);
    assert!(once.stdout.contains("the gate is closed"), "{once:?}");
    let reason = site.reason();
    assert!(reason.contains("no answer"), "{reason}");
    assert_eq!(
        site.shell("SELECT unknown, waiting, delivered FROM delivery_summary"),
        "3 5 0"
    );
    site.run(&["drain"]).assert_code(0);
    let seen = api.seen();
    for one in &seen {
        let wanted = if one.record <= 3 { 2 } else { 1 };
        let same: Vec<_> = seen.iter().filter(|s| s.record == one.record).collect();
        assert_eq!(same.len(), wanted, "record {}", one.record);
        assert!(same.iter().all(|s| s.key == one.key));
    }
}

#[test]
fn everything_refused_alike_is_the_fault_of_the_request_and_no_record_dies_of_it() {
    let mood = Mood::new(400);
    let api = mood.api();
    let site = Site::with(&api, QUICK);
    site.import(1, 1..=12);
    site.import(2, 13..=24);
    let daemon = site.daemon();
    let reason = site.await_held();
    assert!(reason.contains("refused with HTTP 400"), "{reason}");
    eventually("the refused records have come back", || {
        site.value::<i64>("SELECT dead FROM delivery_summary") == 0
    });
    assert_eq!(
        site.value::<i64>("SELECT waiting + retrying FROM delivery_summary"),
        24
    );
    assert_eq!(
        site.value::<i64>("SELECT coalesce(max(attempts), 0) FROM undelivered_record"),
        0
    );
    mood.set(200);
    site.await_delivered(24);
    eventually("all batches are SUCCESS", || {
        site.value::<i64>("SELECT success_batches FROM delivery_summary") == 2
    });
    assert_eq!(daemon.terminate().0, 0);
}

#[test]
fn bad_records_among_good_ones_die_and_the_gate_stays_open() {
    let api = Api::answering(|seen, _| match seen.record % 3 {
        0 => Answer::text(422, "no such city"),
        _ => Answer::status(200),
    });
    let site = Site::with(&api, &format!("{QUICK}{ONE_WORKER}"));
    site.import(1, 1..=30);
    site.run(&["drain"]).assert_code(3);
    api.assert_each_once(1..=30);
    assert_eq!(
        site.shell("SELECT delivered, dead, dead_batches, gate FROM delivery_summary"),
        "20 10 1 open"
    );
}

#[test]
fn statuses_mean_what_api_verdicts_makes_of_them() {
    let api = Api::answering(|seen, _| match (seen.record, seen.time) {
        (1, _) => Answer::status(404),
        (2, 1) => Answer::status(202),
        (3, 1) => Answer::status(422),
        (4, 1) => Answer::status(400),
        _ => Answer::status(200),
    });
    let verdicts =
        "[api.verdicts]\n404 = \"dead\"\n202 = \"retry\"\n422 = \"hold\"\n400 = \"retry\"\n";
    let site = Site::with(&api, &format!("{verdicts}{QUICK}{ONE_WORKER}"));
    site.import(1, 1..=3);
    site.run(&["drain", "--once"]).assert_code(3);
    assert_eq!(
        site.shell("SELECT dead, retrying, waiting, gate FROM delivery_summary"),
        "1 1 1 closed"
    );
    assert!(site.reason().contains("HTTP 422"), "{}", site.reason());
    site.import(1, 4..=4);
    site.run(&["drain"]).assert_code(3);
    assert_eq!(
        site.shell("SELECT delivered, dead, gate FROM delivery_summary"),
        "3 1 open"
    );
    assert_eq!(api.times()[&4], 2);
}

#[test]
fn bad_records_in_a_row_do_not_keep_the_good_ones_behind_them_from_the_api() {
    let api = Api::answering(|seen, _| Answer::status(if seen.record <= 5 { 422 } else { 200 }));
    let gate = "[gate]\nfailures = 3\nprobe_interval = \"20ms\"\n";
    let site = Site::with(&api, &format!("{gate}{ONE_WORKER}"));
    site.import(7, 1..=30);
    let daemon = site.daemon();
    site.await_delivered(25);
    let said = site.shell("SELECT retrying, dead FROM delivery_summary");
    assert_eq!(said, "5 0", "the others wait, for the API may be at fault");
    assert_eq!(daemon.terminate().0, 0);
}

#[test]
fn it_is_held_since_it_was_last_open_however_often_it_was_probed_or_paused() {
    let status = Arc::new(AtomicU16::new(401));
    let says = Arc::clone(&status);
    let api = Api::answering(move |_, _| Answer::status(says.load(SeqCst)));
    let site = Site::with(&api, "[gate]\nprobe_interval = \"100ms\"\n");
    site.import(1, 1..=3);
    let _daemon = site.daemon();
    let since = || site.value::<String>("SELECT since FROM gate");
    let state = || site.value::<String>("SELECT state FROM gate");
    eventually("it is closed", || state() == "closed");
    let closed = since();
    eventually("it was probed", || api.seen().len() >= 4);
    site.run(&["pause"]).assert_code(0);
    eventually("it is paused", || state() == "paused");
    assert_eq!(since(), closed);
    status.store(200, SeqCst);
    site.run(&["resume"]).assert_code(0);
    eventually("it is open", || state() == "open");
    assert!(since() > closed);
}
