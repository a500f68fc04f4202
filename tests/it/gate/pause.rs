//! Pausing, stopping and starting at the gate.

use ferryd::server::Answer;
use std::time::Duration;

use super::{Mood, ONE_WORKER, QUICK};
use crate::harness::{Api, Ran, Site, eventually, shell};

impl Site {
    #[track_caller]
    fn await_gate(&self, state: &str) {
        eventually(&format!("the gate is {state}"), || {
            self.value::<String>("SELECT gate FROM delivery_summary") == state
        });
    }

    /// Gives a command with the sqlite3 shell and returns the answer, which must come within a second.
    #[track_caller]
    pub fn command(&self, values: &str) -> String {
        let columns = match values.contains(',') {
            true => "verb, target",
            false => "verb",
        };
        let insert = format!("INSERT INTO command({columns}) VALUES ({values}) RETURNING id");
        let id = shell(&self.database(), &["-cmd", ".timeout 10000"], &insert);
        let of_row = |what: &str| format!("SELECT {what} FROM command WHERE id = {id}");
        eventually("the command is answered", || {
            self.value(&of_row("done_at IS NOT NULL"))
        });
        let late = "(julianday(done_at) - julianday(created_at)) * 86400 > 1";
        assert!(
            !self.value::<bool>(&of_row(late)),
            "the answer took longer than a second"
        );
        self.value(&of_row("result"))
    }

    /// A batch is in a worker's hands, and yet nothing more was sent.
    #[track_caller]
    fn assert_held(&self, api: &Api, sent: usize) {
        eventually("a worker has a batch", || {
            self.value::<i64>("SELECT running_batches FROM delivery_summary") > 0
        });
        assert_eq!(api.seen().len(), sent);
    }
}

/// Within a test no second probe is due.
fn seldom_probed() -> String {
    QUICK.replace("probe_interval = \"200ms\"", "probe_interval = \"1h\"")
}

#[test]
fn pause_and_resume_hold_and_free_a_running_daemon() {
    let api = Api::accepting();
    let site = Site::with(&api, QUICK);
    let daemon = site.daemon();
    let said = site.run(&["pause"]).assert_code(0);
    assert_eq!(said.stdout, "sending is paused\n");
    site.await_gate("paused");
    assert_eq!(site.reason(), "paused by an operator");
    site.insert(1, 1);
    site.assert_held(&api, 0);
    let said = site.run(&["resume"]).assert_code(0);
    assert_eq!(said.stdout, "sending goes on\n");
    site.await_delivered(1);
    site.await_gate("open");
    site.assert_no_attempt_burned(0);
    assert_eq!(daemon.terminate().0, 0);
}

#[test]
fn pause_and_resume_through_the_command_table_are_answered_in_the_row_within_a_second() {
    let api = Api::accepting();
    let site = Site::with(&api, QUICK);
    let daemon = site.daemon();
    assert_eq!(site.command("'pause'"), "sending is paused");
    site.await_gate("paused");
    site.insert(1, 1);
    site.assert_held(&api, 0);
    assert_eq!(site.command("'resume'"), "sending goes on");
    site.await_delivered(1);
    assert_eq!(daemon.terminate().0, 0);
}

#[test]
fn a_pause_without_a_daemon_holds_the_next_one_over_restart_and_kill() {
    let api = Api::accepting();
    let site = Site::with(&api, QUICK);
    site.import(1, 1..=3);
    let said = site.run(&["pause"]).assert_code(0);
    assert!(
        said.stdout.contains("also when the daemon starts"),
        "{said:?}"
    );
    assert_eq!(site.shell("SELECT gate FROM delivery_summary"), "paused");
    let daemon = site.daemon();
    site.assert_held(&api, 0);
    daemon.kill();
    let daemon = site.daemon();
    site.assert_held(&api, 0);
    assert_eq!(daemon.terminate().0, 0);
    assert_eq!(site.shell("SELECT gate FROM delivery_summary"), "paused");
    site.run(&["drain", "--once"]).assert_code(3);
    api.assert_each_once([]);
    site.run(&["resume"]).assert_code(0);
    assert_eq!(site.shell("SELECT gate FROM delivery_summary"), "open");
    site.run(&["drain", "--once"]).assert_code(0);
    api.assert_each_once(1..=3);
}

#[test]
fn a_command_given_without_a_daemon_is_answered_when_one_starts() {
    let site = Site::with(&Api::accepting(), QUICK);
    site.import(1, []);
    let insert = "INSERT INTO command(verb) VALUES ('pause')";
    shell(&site.database(), &[], insert);
    let daemon = site.daemon();
    site.await_gate("paused");
    eventually("it is answered", || {
        site.value::<i64>("SELECT count(*) FROM command WHERE result = 'sending is paused'") == 1
    });
    assert_eq!(daemon.terminate().0, 0);
}

#[test]
fn an_illegal_command_is_refused_by_the_file_with_the_remedy() {
    let site = Site::with(&Api::accepting(), "");
    site.import(1, []);
    for (values, remedy) in [
        (
            "('stop', NULL)",
            "unknown verb: use retry, pause, resume or plan",
        ),
        ("('pause', 'dead')", "this verb takes no target"),
        ("('retry', NULL)", "retry needs a target"),
        ("('retry', 'batch:')", "retry needs a target"),
        ("('retry', 'record:1x')", "retry needs a target"),
        ("('retry', 'batch:1 ')", "retry needs a target"),
    ] {
        let sql = format!("INSERT INTO command(verb, target) VALUES {values}");
        let error = site.connect().execute(&sql, []).unwrap_err().to_string();
        assert!(error.contains(remedy), "{values}: {error}");
    }
}

#[test]
fn a_closed_gate_stays_closed_over_restart_and_kill_and_a_start_probes_no_sooner() {
    let mood = Mood::new(401);
    let api = mood.api();
    let site = Site::with(&api, &seldom_probed());
    site.import(1, 1..=3);
    let daemon = site.daemon();
    site.await_gate("closed");
    daemon.kill();
    assert_eq!(site.shell("SELECT gate FROM delivery_summary"), "closed");
    assert!(site.reason().contains("HTTP 401"), "{}", site.reason());
    let seen = api.seen().len();
    let daemon = site.daemon();
    site.run(&["resume"]).assert_code(0);
    eventually("it is probed when it is told to", || {
        api.seen().len() > seen
    });
    site.await_gate("closed");
    let (code, took) = daemon.terminate();
    assert_eq!(code, 0);
    assert!(took < Duration::from_secs(2), "a stop waits at no gate");
    assert_eq!(api.seen().len(), seen + 1, "one probe, by the resume");
    assert_eq!(
        site.shell("SELECT gate, running_batches FROM delivery_summary"),
        "closed 0"
    );
    site.assert_no_attempt_burned(3);
    mood.set(200);
    let daemon = site.daemon();
    site.run(&["resume"]).assert_code(0);
    site.await_delivered(3);
    assert_eq!(daemon.terminate().0, 0);
}

#[test]
fn a_stop_during_a_probe_leaves_the_gate_closed_and_not_probing() {
    let api = Api::answering(|seen, request| {
        if seen.time > 1 {
            request.sleep(Duration::from_millis(500));
        }
        Answer::status(401)
    });
    let site = Site::with(&api, &format!("{QUICK}{ONE_WORKER}"));
    site.import(1, 1..=3);
    let daemon = site.daemon();
    site.await_gate("probing");
    assert_eq!(daemon.terminate().0, 0);
    assert_eq!(site.shell("SELECT gate FROM delivery_summary"), "closed");
    site.assert_no_attempt_burned(3);
}

#[test]
fn a_resume_probes_a_closed_gate_at_once() {
    let mood = Mood::new(401);
    let api = mood.api();
    let site = Site::with(&api, &seldom_probed());
    site.import(1, 1..=3);
    let daemon = site.daemon();
    site.await_gate("closed");
    mood.set(200);
    site.run(&["resume"]).assert_code(0);
    site.await_delivered(3);
    assert_eq!(daemon.terminate().0, 0);
}

#[test]
fn drain_waits_at_the_gate_and_drain_once_does_not() {
    let mood = Mood::new(403);
    let api = mood.api();
    let site = Site::with(&api, QUICK);
    site.import(1, 1..=20);
    let once = site.run(&["drain", "--once"]).assert_code(3);
    let said = "the gate is closed, and a single pass does not wait";
    assert!(once.stdout.contains(said), "{once:?}");
    let seen = api.seen().len();
    let drain = site.ferryd(&["drain"]);
    let waiting = std::thread::spawn(move || Ran::wait(drain));
    eventually("it has probed twice", || api.seen().len() >= seen + 2);
    assert!(!waiting.is_finished(), "it waits");
    mood.set(200);
    waiting.join().unwrap().assert_code(0);
    site.assert_no_attempt_burned(0);
}

#[test]
fn a_drain_that_runs_out_of_time_at_the_gate_says_so() {
    let api = Mood::new(401).api();
    let site = Site::with(&api, QUICK);
    site.import(1, 1..=2);
    let ran = site.run(&["drain", "--timeout", "300ms"]).assert_code(3);
    assert!(ran.stdout.contains("the time was up"), "{ran:?}");
    site.assert_no_attempt_burned(2);
}

/// A commit can be seen only when it is synced, which may take long after the write that inotify tells of.
#[test]
fn a_command_whose_commit_is_slow_to_sync_is_answered_well_within_a_second() {
    let site = Site::with(&Api::accepting(), QUICK);
    site.import(1, []);
    let daemon = site.daemon();
    let slow_sync = "inject=fsync,fdatasync:delay_enter=60000";
    let shell = std::process::Command::new("strace")
        .args(["-qq", "-o", "/dev/null", "-e", slow_sync, "sqlite3"])
        .arg(site.database())
        .arg("INSERT INTO command(verb) VALUES ('resume')")
        .output();
    if !shell.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: strace cannot be used here");
        return;
    }
    eventually("the command is answered", || {
        site.value("SELECT done_at IS NOT NULL FROM command")
    });
    let took: f64 =
        site.value("SELECT (julianday(done_at) - julianday(created_at)) * 86400 FROM command");
    assert!(took < 0.7, "{took} s");
    assert_eq!(daemon.terminate().0, 0);
}

#[test]
fn the_time_that_a_batch_waits_at_the_gate_is_no_work() {
    let api = Api::accepting();
    let site = Site::with(&api, ONE_WORKER);
    site.import(1, 1..=3);
    site.run(&["pause"]).assert_code(0);
    let _daemon = site.daemon();
    site.assert_held(&api, 0);
    let held = std::time::Instant::now();
    let pause = Duration::from_secs(1);
    eventually("the batch was held", || held.elapsed() > pause);
    site.run(&["resume"]).assert_code(0);
    site.await_delivered(3);
    eventually("the batch has ended", || {
        site.value::<i64>("SELECT success_batches FROM delivery_summary") == 1
    });
    let busy: i64 = site.value("SELECT busy_ms FROM processing_batch_status");
    assert!(busy < 900, "{busy} ms of work");
}

/// An API that wants to be left alone for an hour.
fn hour_long() -> Api {
    Api::answering(|_, _| Answer::Full {
        status: 429,
        headers: vec![("Retry-After".into(), "3600".into())],
        body: Vec::new(),
    })
}

#[test]
fn a_pause_hides_a_closed_gate_and_does_not_open_it() {
    let api = hour_long();
    let site = Site::with(&api, &format!("{}{ONE_WORKER}", seldom_probed()));
    site.import(1, 1..=10);
    let daemon = site.daemon();
    site.await_held();
    site.run(&["pause"]).assert_code(0);
    site.await_gate("paused");
    let reason = site.reason();
    assert!(
        reason.starts_with("paused by an operator; HTTP 429"),
        "{reason}"
    );
    assert_eq!(daemon.terminate().0, 0);
    let sent = api.seen().len();

    let daemon = site.daemon();
    site.run(&["resume"]).assert_code(0);
    eventually("the gate is probed once", || api.seen().len() > sent);
    site.await_gate("closed");
    assert_eq!(daemon.terminate().0, 0);
    assert_eq!(api.seen().len(), sent + 1);
}

#[test]
fn a_resume_without_a_daemon_has_a_closed_gate_probed_once_at_the_start() {
    let api = hour_long();
    let site = Site::with(&api, &format!("{}{ONE_WORKER}", seldom_probed()));
    site.import(1, 1..=10);
    let daemon = site.daemon();
    site.await_held();
    assert_eq!(daemon.terminate().0, 0);
    let sent = api.seen().len();
    site.run(&["pause"]).assert_code(0);
    site.run(&["resume"]).assert_code(0);
    let daemon = site.daemon();
    eventually("the gate is probed once", || api.seen().len() > sent);
    site.await_gate("closed");
    assert_eq!(daemon.terminate().0, 0);
    assert_eq!(api.seen().len(), sent + 1);
}
