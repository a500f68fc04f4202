//! What a panic in an attempt costs: a delay for its batch, and nothing for anybody else.

use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use super::stretch::End;
use super::*;
use crate::config::Config;
use crate::db::batches::{self, Cut, Scope};
use crate::db::claims::{self, Turn};
use crate::db::settle::{Outcomes, Source};
use crate::db::{self, pool, summary};
use crate::gate::{Rules, Sign, State};
use crate::outcome::Outcome;
use crate::record::Record;
use crate::server::{Answer as Reply, Limits, Request, Server};
use crate::settings::Settings;
use crate::stop::StopSource;
use crate::time::Timestamp;

const ROLE: Role = Role::Worker(1);
const HOUR: Duration = Duration::from_secs(3600);

/// A file with users 1 and 2, each with the records 10·user+1 to 10·user+3, and what workers share, with an API that
/// accepts all.
struct Place {
    shared: Shared,
    bodies: Arc<Mutex<Vec<String>>>,
    reschedules: Receiver<()>,
    _server: Server,
    _stop: StopSource,
    _writer_deadline: Sender<()>,
    _directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ferryd.db");
        db::set_up(&path, db::BUSY_TIMEOUT).unwrap();
        let mut config = Config::default();
        config.retry.interval = HOUR;
        let conn = db::open_writer(&path, config.database.durability, db::BUSY_TIMEOUT).unwrap();
        let insert = "INSERT INTO user_record VALUES (?1, ?2, ?1, NULL)";
        for user in [1, 2] {
            for id in 1..=3 {
                conn.execute(insert, [10 * user + id, user]).unwrap();
            }
        }
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&bodies);
        let handler = move |request: &Request| {
            let body = String::from_utf8_lossy(&request.body).into_owned();
            log.lock().unwrap().push(body);
            Reply::status(200)
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Server::start(listener, handler, Limits::default()).unwrap();
        let url = format!("http://{}/", server.addr().unwrap());
        config.workers.threads = 1;
        let pace = Pace::new(&config.api.pace, 1);
        config.api.url = Some(url);
        let settings = Settings::new(&config).unwrap();
        let instance = summary::instance_id(&conn).unwrap();
        let activity = Arc::new(Activity::new(1));
        let (writer_deadline, deadline) = crossbeam_channel::bounded(0);
        let (writer, write) =
            Writer::new(conn, config.database.durability, deadline, activity.clone()).unwrap();
        std::thread::spawn(write);
        let (stop_source, stop) = Stop::new();
        let (rescheduled, reschedules) = crossbeam_channel::bounded(1);
        let (changes, _) = crossbeam_channel::unbounded();
        let rules = Rules {
            failures: 20,
            probe_interval: HOUR,
            workers: 1,
            longest_hold: HOUR,
        };
        let open = Sign {
            state: State::Open,
            reason: None,
        };
        let shared = Shared {
            settings: Arc::new(Current::new(settings)),
            readers: pool::open(path.clone(), 2).unwrap(),
            writer,
            gate: Arc::new(Gate::new(rules, open, None, changes)),
            database: path,
            pace,
            instance,
            helpers: Helpers::default(),
            rescheduled,
            activity,
            metrics: Arc::default(),
            stop,
        };
        Place {
            shared,
            bodies,
            reschedules,
            _server: server,
            _stop: stop_source,
            _writer_deadline: writer_deadline,
            _directory: directory,
        }
    }

    /// Plans and claims what is due at `now`.
    fn claim(&self, now: Timestamp) -> Vec<Claim> {
        let cut = Cut {
            batch_size: 10,
            linger: Duration::ZERO,
        };
        let writer = &self.shared.writer;
        let claims = writer.call(move |conn| {
            batches::plan(conn, Scope::default(), cut, None, now)?;
            claims::claim(conn, Scope::default(), 10, Turn::Due, now)
        });
        claims.unwrap().claims
    }

    /// Lets a worker take these claims, and ends it.
    fn work(&self, claims: Vec<Claim>, attempt: impl Fn(&Claim) -> Result<(), WriteError>) {
        let (queue, taken) = crossbeam_channel::unbounded();
        for claim in claims {
            queue.send(claim).unwrap();
        }
        drop(queue);
        serve(&self.shared, ROLE, &taken, attempt).unwrap();
    }

    fn sent(&self) -> Vec<String> {
        let mut sent: Vec<String> = self.bodies.lock().unwrap().drain(..).collect();
        for body in &mut sent {
            *body = body.chars().filter(char::is_ascii_digit).collect();
        }
        sent
    }

    /// A line per batch, in order of the users.
    fn batches(&self) -> Vec<String> {
        let conn = self.shared.readers.get().unwrap();
        let sql = "SELECT format('%s sent_through=%s attempts=%d due=%d', status, sent_through, retry_count,
                                 next_attempt_at > last_attempt_at)
                     FROM processing_batch_status ORDER BY user_id";
        let mut statement = conn.prepare(sql).unwrap();
        let lines = statement.query_map([], |row| row.get(0)).unwrap();
        lines.map(Result::unwrap).collect()
    }
}

#[test]
fn a_panic_costs_its_batch_a_delay_and_the_worker_goes_on() {
    let place = Place::new();
    let shared = &place.shared;
    let claims = place.claim(Timestamp::now());
    assert_eq!(claims.len(), 2);
    place.work(claims, |claim| {
        if claim.user_id == 2 {
            return Attempt::new(shared, ROLE, claim).run();
        }
        // The first record is delivered, and written down; then there is a fault in ferryd.
        let settled = claim.clone();
        let delivered = move |conn: &rusqlite::Connection| {
            let outcomes = Outcomes {
                through: Some(11),
                delivered: vec![11],
                ..Outcomes::default()
            };
            settle::settle(conn, &settled, Source::Range, &outcomes)
        };
        shared.writer.call(delivered)?;
        panic!("a fault for the test");
    });
    assert_eq!(place.sent(), ["21", "22", "23"]);
    let failed = "FAILED sent_through=11 attempts=1 due=1";
    assert_eq!(
        place.batches(),
        [failed, "SUCCESS sent_through=23 attempts=0 due=0"]
    );
    assert!(
        place.reschedules.try_recv().is_ok(),
        "the timer knows of it"
    );

    assert_eq!(place.claim(Timestamp::now()), [], "it is not due yet");
    let later = Timestamp::now().plus(2 * HOUR);
    place.work(place.claim(later), |claim| {
        Attempt::new(shared, ROLE, claim).run()
    });
    assert_eq!(place.sent(), ["12", "13"]);
    assert_eq!(
        place.batches()[0],
        "SUCCESS sent_through=13 attempts=1 due=0"
    );
}

#[test]
fn a_panic_while_sending_gives_the_gate_its_permit_back() {
    let place = Place::new();
    let shared = &place.shared;
    shared.gate.close("for the test");
    // A probe may go at once.
    shared.gate.set_paused(false);
    place.work(place.claim(Timestamp::now()), |claim| {
        if claim.user_id == 1 {
            let _probe = shared.gate.try_pass().unwrap();
            panic!("a fault for the test");
        }
        Attempt::new(shared, ROLE, claim).run()
    });
    // Were the probe still out, the second batch would wait for its end for ever.
    assert_eq!(place.sent(), ["21", "22", "23"]);
    assert_eq!(shared.gate.sign().state, State::Open);
}

#[test]
fn a_worker_does_not_wait_for_a_writer_that_is_gone() {
    let place = Place::new();
    let shared = &place.shared;
    let claim = place.claim(Timestamp::now()).remove(0);
    let what = (Source::Range, claim.unsent.unwrap());
    let work = Attempt::new(shared, ROLE, &claim).work;
    let stretch = Arc::new(Stretch::new(work, &shared.writer, what));
    assert!(stretch.enter());
    let (entered, inside) = crossbeam_channel::bounded(1);
    let (go_on, wait) = crossbeam_channel::bounded::<()>(0);
    let fault = move |_: &rusqlite::Connection| -> rusqlite::Result<()> {
        let _ = entered.send(());
        let _ = wait.recv();
        panic!("a fault for the test");
    };
    shared.writer.submit(fault, |_| ()).unwrap();
    inside.recv().unwrap();
    // Behind the fault, in the writer's tray.
    let record = Record {
        id: 11,
        attempts: 0,
        values: Vec::new(),
    };
    stretch.begin(|_, _| Ok(vec![record])).unwrap();
    stretch.end(11, |_| Some(Outcome::Delivered));
    drop(go_on);
    let (_, done) = stretch.leave(&shared.gate).unwrap();
    assert!(matches!(done.end, Some(End::Failed(WriteError::Ended))));
}

#[test]
fn nobody_begins_more_than_the_others_leave_room_for() {
    let place = Place::new();
    let shared = &place.shared;
    let claim = place.claim(Timestamp::now()).remove(0);
    let what = (Source::Range, claim.unsent.unwrap());
    let work = Attempt::new(shared, ROLE, &claim).work;
    let stretch = Arc::new(Stretch::new(work, &shared.writer, what));
    assert!(stretch.enter() && stretch.enter());
    let record = |id| Record {
        id,
        attempts: 0,
        values: Vec::new(),
    };
    assert!(
        stretch
            .begin(|_, _| Ok(vec![record(11), record(12)]))
            .is_some()
    );
    assert!(stretch.begin(|_, _| Ok(Vec::new())).is_some());
    let third = stretch.begin(|_, _| {
        assert!(stretch.leave(&shared.gate).is_none());
        Ok(vec![record(13)])
    });
    assert!(third.is_none(), "three records are begun by one worker");
}

#[test]
fn a_helper_that_leaves_is_not_seen_sending() {
    let place = Place::new();
    let shared = &place.shared;
    let claim = place.claim(Timestamp::now()).remove(0);
    let what = (Source::Range, claim.unsent.unwrap());
    let work = Attempt::new(shared, ROLE, &claim).work;
    let stretch = Arc::new(Stretch::new(work, &shared.writer, what));
    assert!(stretch.enter(), "somebody whom it helps");
    let asked = std::cell::Cell::new(false);
    single::help(shared, ROLE, stretch, || asked.replace(true)).unwrap();
    assert_eq!(place.sent(), ["11"]);
    let seen = shared.activity.seen().find(|seen| seen.role == ROLE);
    // Were the file held up for longer than a request may take, the watchdog would take it for stuck.
    assert_eq!(seen.unwrap().doing, Doing::AwaitingOthers);
}

#[test]
fn a_panic_at_the_desk_ends_the_worker_that_sits_there() {
    let place = Place::new();
    let shared = &place.shared;
    let (queue, taken) = crossbeam_channel::unbounded();
    for claim in place.claim(Timestamp::now()) {
        queue.send(claim).unwrap();
    }
    let ended = serve(shared, ROLE, &taken, |_| {
        let fault =
            |_: &rusqlite::Connection| -> rusqlite::Result<()> { panic!("a fault for the test") };
        shared.writer.call(fault)
    });
    assert!(matches!(ended, Err(WriteError::Ended)), "{ended:?}");
    assert_eq!(taken.len(), 1, "it takes no further batch");
}
