//! The world around the tortured daemon: an API that fails now and then, writes a journal before it answers and keeps
//! books; and the verdict at the end, from the journal, the books and what the owner knows.

use super::chance::Chance;
use super::owner::Owner;
use crate::harness::{Api, Seen, Site};
use ferryd::audit;
use ferryd::journal::Journal;
use ferryd::server::{Answer, Request};
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How a run of the daemon ended.
#[derive(Clone, Copy, PartialEq)]
pub enum End {
    Killed,
    Stopped,
}

/// A request that was answered 2xx.
struct Accepted {
    run: usize,
    key: String,
    record: i64,
    life: String,
}

pub struct World {
    pub site: Site,
    pub api: Api,
    accepted: Arc<Mutex<Vec<Accepted>>>,
    /// Workers of each run, and how it ended.
    runs: Vec<(usize, End)>,
}

/// What the torture came to.
pub struct Figures {
    pub accepted: usize,
    pub repeats: usize,
    pub most_repeats_of_a_kill: usize,
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (accepted, repeats) = (self.accepted, self.repeats);
        let most = self.most_repeats_of_a_kill;
        write!(
            f,
            "{accepted} accepted, {repeats} of them repeats, {most} at most for one kill"
        )
    }
}

impl World {
    /// With an empty database.
    pub fn new(chance: &mut Chance) -> World {
        let site = Site::new();
        let journal = Journal::open(&site.path("journal")).unwrap();
        let accepted = Arc::new(Mutex::new(Vec::new()));
        let books = Arc::clone(&accepted);
        let chance = Mutex::new(chance.split());
        let api = Api::answering(move |seen, request| {
            let (fails, latency) = fate(&mut chance.lock().unwrap());
            request.sleep(latency);
            let status = if fails { 503 } else { 200 };
            journal.append(status, Some(&seen.key)).unwrap();
            if !fails {
                books.lock().unwrap().push(Accepted::of(seen, request));
            }
            Answer::status(status)
        });
        site.run(&["init", "--config", "ferryd.toml"])
            .assert_code(0);
        World {
            site,
            api,
            accepted,
            runs: Vec::new(),
        }
    }

    /// Writes the configuration of the next run, which tells its number with every request.
    pub fn prepare_run(&mut self, workers: usize, batch_size: usize, durability: &str, end: End) {
        self.site.configure(&format!(
            "[api]\nurl = \"{}\"\n[api.headers]\nX-Run = \"{}\"\n[workers]\nthreads = {workers}\n\
             [batch]\nsize = {batch_size}\n[database]\ndurability = \"{durability}\"\n\
             [retry]\ninterval = \"20ms\"\nbackoff = 1.0\nmax_attempts = 0\n[shutdown]\ngrace = \"2s\"\n",
            self.api.url(),
            self.runs.len(),
        ));
        self.runs.push((workers, end));
    }

    /// The same with everything chosen by chance.
    pub fn prepare_any_run(&mut self, chance: &mut Chance, end: End) {
        let workers = chance.one_of(&[1, 3, 6]);
        let batch_size = chance.one_of(&[1, 4, 30, 1000]);
        let durability = chance.one_of(&["normal", "normal", "full"]);
        self.prepare_run(workers, batch_size, durability, end);
    }

    pub fn accepted(&self) -> usize {
        self.accepted.lock().unwrap().len()
    }

    /// Fails unless the file keeps every promise that can be told without the journal.
    #[track_caller]
    pub fn assert_the_file_holds(&self) {
        let report = audit::audit(&self.site.database(), None).unwrap();
        assert!(report.holds, "after run {}:\n{report}", self.runs.len() - 1);
    }

    /// Delivers what is left, and fails unless every promise was kept.
    #[track_caller]
    pub fn verdict(mut self, owner: &Owner) -> Figures {
        self.prepare_run(4, 1000, "normal", End::Stopped);
        self.site.run(&["drain"]).assert_code(0);
        let integrity: String = self.site.value("PRAGMA integrity_check");
        assert_eq!(integrity, "ok");
        let ran = self.site.run(&["audit", "--journal", "journal", "--json"]);
        let report: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(
            (ran.code, &report["holds"]),
            (0, &true.into()),
            "{report:#}"
        );
        assert_eq!(report["records"], report["delivered"], "{report:#}");
        for none in [
            "lost",
            "falsely_successful",
            "repeated_with_another_key",
            "will_be_repeated",
        ] {
            assert_eq!(report["journal"][none], 0, "{none}: {report:#}");
        }
        let accepted = std::mem::take(&mut *self.accepted.lock().unwrap());
        assert_lives_were_accepted(&accepted, owner);
        let figures = self.count_repeats(&accepted);
        assert_eq!(report["journal"]["repeated"], figures.repeats, "{report:#}");
        figures
    }

    /// A key may be accepted again only after the run that it was accepted in was killed.
    #[track_caller]
    fn count_repeats(&self, accepted: &[Accepted]) -> Figures {
        let mut last: HashMap<&str, usize> = HashMap::new();
        let mut of_kill = vec![0; self.runs.len()];
        for Accepted { run, key, .. } in accepted {
            if let Some(before) = last.insert(key, *run) {
                assert_ne!(before, *run, "{key} was repeated within one run");
                // A request of a killed run may be read after one of the next.
                let killed = before.min(*run);
                let end = self.runs[killed].1;
                assert!(end == End::Killed, "{key} was repeated after a stop");
                of_kill[killed] += 1;
            }
        }
        for ((workers, _), repeats) in self.runs.iter().zip(&of_kill) {
            let bound = 2 * workers;
            assert!(*repeats <= bound, "{repeats} repeats, {bound} allowed");
        }
        Figures {
            accepted: accepted.len(),
            repeats: of_kill.iter().sum(),
            most_repeats_of_a_kill: of_kill.into_iter().max().unwrap_or(0),
        }
    }
}

/// Whether a request fails, and how long its answer takes.
fn fate(chance: &mut Chance) -> (bool, Duration) {
    let fails = chance.percent(10);
    let micros = match chance.percent(1) {
        true => 200_000,
        false => chance.below(4000),
    };
    (fails, Duration::from_micros(micros as u64))
}

impl Accepted {
    fn of(seen: &Seen, request: &Request) -> Accepted {
        let body: serde_json::Value = serde_json::from_str(&seen.body).unwrap();
        Accepted {
            run: request.header("x-run").unwrap().parse().unwrap(),
            key: seen.key.clone(),
            record: seen.record,
            life: body["city"].as_str().unwrap().into(),
        }
    }
}

/// Every row that is there was accepted as it is, and no record went under more keys than its owner gave it reasons for.
#[track_caller]
fn assert_lives_were_accepted(accepted: &[Accepted], owner: &Owner) {
    let mut lives = HashSet::new();
    let mut keys: HashMap<i64, HashSet<&str>> = HashMap::new();
    for one in accepted {
        lives.insert((one.record, one.life.clone()));
        keys.entry(one.record).or_default().insert(&one.key);
    }
    for (id, story) in &owner.stories {
        let life = (*id, story.lives.to_string());
        let came = story.user.is_none() || lives.contains(&life);
        assert!(came, "record {id}, life {}, never came", story.lives);
        let keys = keys.get(id).map_or(0, HashSet::len);
        let reasons = (story.lives + story.moves) as usize;
        assert!(
            keys <= reasons,
            "record {id}: {keys} keys, {reasons} reasons"
        );
    }
}

/// A run of the daemon that may be killed before it is ready.
pub struct Run(Child);

impl Run {
    pub fn start(site: &Site, mut command: Command) -> Run {
        let mut log = File::options();
        let log = log.create(true).append(true);
        command
            .stdout(Stdio::null())
            .stderr(log.open(site.path("daemon.log")).unwrap());
        Run(command.spawn().unwrap())
    }

    pub fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }

    /// kill -9 for what it started, such as the daemon under strace: without its tracer it would live on.
    pub fn kill_children(&self) {
        let pid = self.0.id();
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        for child in children.unwrap_or_default().split_whitespace() {
            // It may have ended just now.
            let _ = Command::new("kill").args(["-s", "KILL", child]).status();
        }
    }

    /// kill -9; it must still run.
    #[track_caller]
    pub fn kill(mut self, site: &Site) {
        let log = std::fs::read_to_string(site.path("daemon.log")).unwrap();
        assert!(!self.has_ended(), "it ended by itself: {log}");
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.kill_children();
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
