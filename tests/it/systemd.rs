//! What systemd is told, by a socket that plays systemd; and what the journal gets.

use crate::harness::{Api, Daemon, Door, Site, eventually, signal};
use ferryd::server::Answer;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Receives what a service tells, and keeps it.
struct Manager {
    socket: PathBuf,
    told: Arc<Mutex<Vec<String>>>,
}

impl Manager {
    fn listen(site: &Site) -> Manager {
        let path = site.path("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let told = Arc::new(Mutex::new(Vec::new()));
        let log = told.clone();
        // It ends with the test binary.
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(size) = socket.recv(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..size]).into_owned();
                log.lock().unwrap().push(text);
            }
        });
        Manager { socket: path, told }
    }

    /// A daemon that believes to be its service; the watchdog wants to be fed that often.
    fn service(&self, site: &Site, watchdog: Duration) -> Command {
        let mut command = site.ferryd(&["run"]);
        command.env("NOTIFY_SOCKET", &self.socket);
        command.env("WATCHDOG_USEC", watchdog.as_micros().to_string());
        command
    }

    /// All lines so far.
    fn lines(&self) -> Vec<String> {
        let told = self.told.lock().unwrap();
        let lines = told.iter().flat_map(|message| message.lines());
        lines.map(str::to_string).collect()
    }

    #[track_caller]
    fn await_line(&self, what: &str, is_it: impl Fn(&str) -> bool) {
        eventually(what, || self.lines().iter().any(|line| is_it(line)));
    }

    fn count(&self, line: &str) -> usize {
        self.lines().iter().filter(|told| *told == line).count()
    }
}

const WATCHDOG: Duration = Duration::from_millis(300);

#[test]
fn readiness_is_told_when_batches_of_a_dead_process_are_free_and_the_stop_before_it_ends() {
    let api = Api::accepting();
    let site = Site::with(&api, "");
    site.import(7, 1..=3);
    let manager = Manager::listen(&site);
    let mut daemon = Daemon::spawn(manager.service(&site, WATCHDOG), site.path("log"));
    daemon.await_ready();
    manager.await_line("READY=1 is told", |line| line == "READY=1");
    site.await_delivered(3);
    manager.await_line("the line of status counts", |line| {
        line == "STATUS=3 delivered, 0 waiting"
    });
    let fed = manager.count("WATCHDOG=1");
    eventually("the watchdog is fed again and again", || {
        manager.count("WATCHDOG=1") > fed + 3
    });
    assert_eq!(daemon.terminate().0, 0);
    manager.await_line("STOPPING=1 is told", |line| line == "STOPPING=1");
    manager.await_line("the stop has its time", |line| {
        line == "EXTEND_TIMEOUT_USEC=30000000"
    });
    assert_eq!(manager.count("READY=1"), 1);
}

#[test]
fn the_line_of_status_names_a_closed_gate_and_its_reason() {
    let api = Api::answering(|_, _| Answer::status(401));
    let site = Site::with(&api, "");
    site.import(7, 1..=3);
    let manager = Manager::listen(&site);
    let _daemon = Daemon::spawn(manager.service(&site, WATCHDOG), site.path("log"));
    manager.await_line("the gate is told", |line| {
        line.starts_with("STATUS=Gate closed: ") && line.contains("401")
    });
}

#[test]
fn a_reload_is_told_from_its_beginning_to_its_end() {
    let api = Api::accepting();
    let site = Site::with(&api, "");
    let manager = Manager::listen(&site);
    let mut daemon = Daemon::spawn(manager.service(&site, WATCHDOG), site.path("log"));
    daemon.await_ready();
    signal(daemon.pid(), "HUP");
    eventually("it is ready again", || manager.count("READY=1") == 2);
    let lines = manager.lines();
    let place = |wanted: &str| lines.iter().position(|line| line.starts_with(wanted));
    let last_ready = lines.iter().rposition(|line| line == "READY=1");
    assert!(place("RELOADING=1") < last_ready && place("MONOTONIC_USEC=").is_some());
}

#[test]
fn a_worker_that_waits_for_a_slow_api_is_not_taken_for_stuck() {
    let door = Door::closed();
    let waits = door.clone();
    let api = Api::answering(move |_, _| {
        waits.pass();
        Answer::status(200)
    });
    let site = Site::with(&api, "");
    site.import(7, 1..=1);
    let manager = Manager::listen(&site);
    let _daemon = Daemon::spawn(manager.service(&site, WATCHDOG), site.path("log"));
    eventually("the request is in the API", || door.waiting() == 1);
    let fed = manager.count("WATCHDOG=1");
    eventually("the watchdog is fed", || {
        manager.count("WATCHDOG=1") > fed + 5
    });
    door.open();
    site.await_delivered(1);
}

#[test]
fn a_start_that_waits_for_the_database_asks_for_more_time_and_is_not_ready() {
    let api = Api::accepting();
    let site = Site::with(&api, "");
    site.import(7, 1..=1);
    let locked = rusqlite::Connection::open(site.database()).unwrap();
    locked.execute_batch("BEGIN IMMEDIATE").unwrap();
    let manager = Manager::listen(&site);
    let _daemon = Daemon::spawn(manager.service(&site, WATCHDOG), site.path("log"));
    manager.await_line("more time is asked for", |line| {
        line == "EXTEND_TIMEOUT_USEC=30000000"
    });
    assert_eq!(manager.count("READY=1"), 0);
    locked.execute_batch("COMMIT").unwrap();
    manager.await_line("READY=1 is told", |line| line == "READY=1");
}

#[test]
fn lines_for_the_journal_have_a_priority_and_no_time() {
    let api = Api::answering(|seen, _| Answer::status(if seen.record == 2 { 422 } else { 200 }));
    let site = Site::with(&api, "");
    site.import(7, 1..=3);
    let log = site.path("journal");
    std::fs::write(&log, "").unwrap();
    let stream = {
        use std::os::unix::fs::MetadataExt;
        let file = std::fs::metadata(&log).unwrap();
        format!("{}:{}", file.dev(), file.ino())
    };
    let mut command = site.ferryd(&["run"]);
    command.env("JOURNAL_STREAM", &stream);
    let daemon = Daemon::spawn(command, log);
    daemon.await_log("<6>Ready. ");
    daemon.await_log("<4>Batch has dead records. ");
    daemon.await_log("<6>Nothing is left to send of a user. user=7 delivered=2 dead=1 batches=1");
    // The variable is inherited by what is redirected elsewhere, and names another stream then.
    let elsewhere = site.path("elsewhere");
    drop(daemon);
    let mut command = site.ferryd(&["run"]);
    command.env("JOURNAL_STREAM", stream);
    let daemon = Daemon::start(command, elsewhere);
    assert!(!daemon.log().contains("<6>"), "{}", daemon.log());
}

#[test]
fn a_thousand_batches_do_not_flood_the_log_and_are_summed_up() {
    let api = Api::accepting();
    let site = Site::with(&api, "[batch]\nsize = 1\n");
    site.import(7, 1..=500);
    let daemon = site.daemon();
    site.await_delivered(500);
    daemon.await_log("Lines of one kind were left out. kind=\"Batch delivered\" lines=470");
    assert_eq!(daemon.log().matches("Batch delivered. ").count(), 30);
}

#[test]
fn whoever_asks_for_more_gets_every_line() {
    let api = Api::accepting();
    let site = Site::with(&api, "[batch]\nsize = 1\n");
    site.import(7, 1..=60);
    let daemon = Daemon::start(site.ferryd(&["run", "-v"]), site.path("log"));
    eventually("all lines are there", || {
        daemon.log().matches("Batch delivered. ").count() == 60
    });
}
