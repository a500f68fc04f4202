//! What every test needs: a place with a configuration, the executable, the sqlite3 shell, an API that does as it is
//! told, and waiting with a deadline.

mod door;
mod journal;

pub use door::Door;
pub use journal::Change;

use ferryd::server::{Answer, Limits, Request, Server};
use rusqlite::Connection;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Nothing in a test may take longer than this.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Waits until `condition` holds, or fails with `what` after the deadline.
#[track_caller]
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < end, "it never came true that {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A request as the API saw it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The record, told by `network_id`, which the tests set to the record's id.
    pub record: i64,
    pub key: String,
    pub body: String,
    pub at: Instant,
    /// How often this record has been seen, this time included.
    pub time: u32,
}

/// An API that answers as the test's function says, and remembers every request.
pub struct Api {
    server: Server,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Api {
    /// Answers 200 to everything.
    pub fn accepting() -> Api {
        Api::answering(|_, _| Answer::status(200))
    }

    /// Answers what the function makes of a request; the request can be slept on.
    pub fn answering(answer: impl Fn(&Seen, &Request) -> Answer + Send + Sync + 'static) -> Api {
        Api::listening_at("127.0.0.1:0", answer)
    }

    /// The same at a given address.
    pub fn listening_at(
        address: &str,
        answer: impl Fn(&Seen, &Request) -> Answer + Send + Sync + 'static,
    ) -> Api {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let times = Mutex::new(HashMap::new());
        let log = Arc::clone(&seen);
        let handler = move |request: &Request| {
            let body = String::from_utf8_lossy(&request.body).into_owned();
            let json: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
            let record = json["networkId"].as_str().and_then(|id| id.parse().ok());
            let record = record.unwrap_or(i64::MIN);
            let mut times = times.lock().unwrap();
            let time = times.entry(record).or_insert(0);
            *time += 1;
            let seen = Seen {
                record,
                key: request.header("idempotency-key").unwrap_or_default().into(),
                body,
                at: Instant::now(),
                time: *time,
            };
            drop(times);
            log.lock().unwrap().push(seen.clone());
            answer(&seen, request)
        };
        let listener = TcpListener::bind(address).unwrap();
        let server = Server::start(listener, handler, Limits::default()).unwrap();
        Api { server, seen }
    }

    pub fn url(&self) -> String {
        format!("http://{}/records", self.server.addr())
    }

    /// Everything received so far, in order of arrival.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// How often each record came.
    pub fn times(&self) -> HashMap<i64, usize> {
        let mut times = HashMap::new();
        for seen in self.seen() {
            *times.entry(seen.record).or_insert(0) += 1;
        }
        times
    }

    /// Fails unless exactly these records came, each exactly once.
    #[track_caller]
    pub fn assert_each_once(&self, records: impl IntoIterator<Item = i64>) {
        let mut came: Vec<i64> = self.seen().iter().map(|seen| seen.record).collect();
        let mut wanted: Vec<i64> = records.into_iter().collect();
        came.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(came, wanted);
    }
}

/// A directory with a `ferryd.toml`, where the executable runs.
pub struct Site {
    directory: tempfile::TempDir,
}

impl Site {
    /// Points at no API yet.
    pub fn new() -> Site {
        let directory = tempfile::tempdir().unwrap();
        Site { directory }
    }

    /// Points at this API, with further TOML lines: whole sections other than `[api]`. The gate stays out of the way of
    /// tests that say nothing about it.
    pub fn with(api: &Api, toml: &str) -> Site {
        let site = Site::new();
        let gate = match toml.contains("[gate]") {
            true => "",
            false => "[gate]\nfailures = 1000000\n",
        };
        site.configure(&format!("[api]\nurl = \"{}\"\n{gate}{toml}", api.url()));
        site
    }

    /// Writes `ferryd.toml`.
    pub fn configure(&self, toml: &str) {
        std::fs::write(self.path("ferryd.toml"), toml).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn database(&self) -> PathBuf {
        self.path("ferryd.db")
    }

    /// The executable with these arguments, in this directory, with no settings from the environment.
    pub fn ferryd(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ferryd"));
        let inherited = std::env::vars_os().map(|(name, _)| name);
        for name in inherited.filter(|name| name.to_string_lossy().starts_with("FERRYD_")) {
            command.env_remove(name);
        }
        command
            .args(arguments)
            .current_dir(self.directory.path())
            .env_remove("RUST_LOG")
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> Ran {
        Ran::wait(self.ferryd(arguments))
    }

    /// Starts `ferryd run` and waits until it is ready.
    #[track_caller]
    pub fn daemon(&self) -> Daemon {
        Daemon::start(self.ferryd(&["run"]), self.path("daemon.log"))
    }

    /// Imports records with these ids for one user, with `network_id` = the id.
    #[track_caller]
    pub fn import(&self, user: i64, ids: impl IntoIterator<Item = i64>) {
        let mut csv = String::from("id,user_id,network_id,city\n");
        for id in ids {
            writeln!(csv, "{id},{user},{id},Lisboa").unwrap();
        }
        let file = self.path("records.csv");
        std::fs::write(&file, csv).unwrap();
        self.run(&["import", "records.csv"]).assert_code(0);
    }

    /// A connection like any other program's.
    pub fn connect(&self) -> Connection {
        let conn = Connection::open(self.database()).unwrap();
        conn.busy_timeout(DEADLINE).unwrap();
        conn
    }

    /// Inserts a record as another program would, with `network_id` = the id.
    pub fn insert(&self, user: i64, id: i64) {
        let sql = "INSERT INTO user_record VALUES (?1, ?2, ?1, 'Lisboa')";
        self.connect().execute(sql, [id, user]).unwrap();
    }

    /// One value, read with our own SQLite.
    #[track_caller]
    pub fn value<T: rusqlite::types::FromSql>(&self, sql: &str) -> T {
        self.connect().query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// What the system's sqlite3 shell prints, read-only, as a member of the group would run it.
    #[track_caller]
    pub fn shell(&self, sql: &str) -> String {
        shell(&self.database(), &["-readonly", "-separator", " "], sql)
    }

    /// Waits until every record is delivered.
    #[track_caller]
    pub fn await_delivered(&self, records: i64) {
        eventually(&format!("{records} records are delivered"), || {
            self.value::<i64>("SELECT delivered FROM delivery_summary") == records
        });
    }
}

/// Runs the sqlite3 shell; it must succeed.
#[track_caller]
pub fn shell(database: &Path, options: &[&str], sql: &str) -> String {
    let output = Command::new("sqlite3")
        .args(options)
        .arg(database)
        .arg(sql)
        .output()
        .expect("the sqlite3 shell is installed");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && error.is_empty(),
        "{sql}: {error}"
    );
    String::from_utf8(output.stdout)
        .unwrap()
        .trim_end()
        .to_string()
}

/// A command that ended.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    #[track_caller]
    pub fn wait(mut command: Command) -> Ran {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        Ran::of(wait_with_deadline(child))
    }

    fn of(output: Output) -> Ran {
        Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    #[track_caller]
    pub fn assert_code(self, code: i32) -> Ran {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    /// Fails unless standard error says this.
    #[track_caller]
    pub fn assert_says(self, text: &str) -> Ran {
        assert!(self.stderr.contains(text), "not said: {text}\n{self:#?}");
        self
    }
}

/// Collects the output while it waits, so that a full pipe cannot hold the child up.
#[track_caller]
fn wait_with_deadline(child: Child) -> Output {
    let pid = child.id();
    let (done, result) = std::sync::mpsc::channel();
    std::thread::spawn(move || done.send(child.wait_with_output()));
    match result.recv_timeout(DEADLINE) {
        Ok(output) => output.unwrap(),
        Err(_) => {
            signal(pid, "KILL");
            panic!("the command did not end in time");
        }
    }
}

/// Sends a signal to a process that the test started.
pub fn signal(pid: u32, name: &str) {
    let status = Command::new("kill")
        .args(["-s", name, &pid.to_string()])
        .status();
    assert!(status.unwrap().success());
}

/// A running `ferryd run`; killed when the test ends, however it ends.
pub struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    #[track_caller]
    pub fn start(mut command: Command, log: PathBuf) -> Daemon {
        let before = std::fs::read_to_string(&log).unwrap_or_default().len();
        let file = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap();
        command.stdout(Stdio::null()).stderr(file);
        let mut daemon = Daemon {
            child: command.spawn().unwrap(),
            log,
        };
        eventually("the daemon is ready", || {
            let ended = daemon.child.try_wait().unwrap();
            assert!(ended.is_none(), "it ended: {}", daemon.log());
            daemon.log()[before..].contains("Ready.")
        });
        daemon
    }

    /// All that it has logged, earlier daemons of the site included.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// kill -9.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; returns the exit code and the time it took.
    #[track_caller]
    pub fn terminate(mut self) -> (i32, Duration) {
        let start = Instant::now();
        signal(self.pid(), "TERM");
        let mut code = None;
        eventually("the daemon has ended", || {
            code = self.child.try_wait().unwrap();
            code.is_some()
        });
        (
            code.and_then(|status| status.code()).unwrap_or(-1),
            start.elapsed(),
        )
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Daemon {
    /// Waits until it has ended by itself or by a signal, and returns the exit code.
    #[track_caller]
    pub fn await_end(mut self) -> i32 {
        let mut code = None;
        eventually("the daemon has ended", || {
            code = self.child.try_wait().unwrap();
            code.is_some()
        });
        code.and_then(|status| status.code()).unwrap_or(-1)
    }

    /// The names of its threads, as far as Linux keeps them: 15 bytes.
    pub fn threads(&self) -> Vec<String> {
        threads(self.pid())
    }

    /// Sends a signal and waits until the threads have heard of it, while requests may still be in flight.
    #[track_caller]
    pub fn begin_stop(&self, name: &str) {
        signal(self.pid(), name);
        eventually("the timer has ended", || {
            !self.threads().iter().any(|name| name == "timer")
        });
    }

    /// Waits until the log says this.
    #[track_caller]
    pub fn await_log(&self, text: &str) {
        eventually(&format!("the log says {text:?}"), || {
            self.log().contains(text)
        });
    }
}

/// The names of a process's threads.
pub fn threads(pid: u32) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let name = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm"));
    // A thread that ends between the two looks has no name any more.
    let names = tasks.filter_map(|task| name(task.unwrap()).ok());
    names.map(|name| name.trim_end().to_string()).collect()
}
