//! A place with a configuration and a database, and the ways to look at it: our own SQLite, and the sqlite3 shell.

use rusqlite::Connection;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Api, DEADLINE, Daemon, Ran, eventually};

/// A directory with a `ferryd.toml`, where the executable runs.
pub struct Site {
    directory: tempfile::TempDir,
    database: &'static str,
}

impl Site {
    /// Points at no API yet.
    pub fn new() -> Site {
        Site {
            directory: tempfile::tempdir().unwrap(),
            database: "ferryd.db",
        }
    }

    /// The same with the database in a directory of its own, `disk`, whose faults are not those of the log.
    pub fn with_disk(api: &Api, toml: &str) -> Site {
        let mut site = Site::with(
            api,
            &format!("[database]\npath = \"disk/ferryd.db\"\n{toml}"),
        );
        site.database = "disk/ferryd.db";
        std::fs::create_dir(site.path("disk")).unwrap();
        site
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

    /// Writes a secret's file as it should be, and returns its path.
    pub fn secret(&self, name: &str, content: &str) -> String {
        use std::io::Write;
        use std::os::unix::fs::OpenOptionsExt;
        let path = self.path(name);
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&path).unwrap();
        file.write_all(content.as_bytes()).unwrap();
        path.to_str().unwrap().to_string()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn database(&self) -> PathBuf {
        self.path(self.database)
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

    /// Writes with the system's sqlite3 shell, as an owner would.
    #[track_caller]
    pub fn write(&self, sql: &str) {
        shell(&self.database(), &["-cmd", ".timeout 30000"], sql);
    }

    /// What the sqlite3 shell complains of when it runs a statement that must be refused.
    #[track_caller]
    pub fn refused(&self, sql: &str) -> String {
        let mut command = Command::new("sqlite3");
        let output = command.arg(self.database()).arg(sql).output().unwrap();
        assert!(!output.status.success(), "it was not refused: {sql}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// Imports a file with this content; it must be taken.
    #[track_caller]
    pub fn import_file(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
        self.run(&["import", name]).assert_code(0);
    }

    /// Fails unless every record is accounted for once: those in `user_record`, and the delivered ones that were
    /// deleted since (`gone`); and unless the users' numbers and the batches' numbers agree. Nothing may be in work.
    #[track_caller]
    pub fn assert_adds_up(&self, gone: i64) {
        let line = self.shell(
            "SELECT (SELECT count(*) FROM user_record), waiting, delivered, retrying, unknown, dead FROM delivery_summary",
        );
        let numbers: Vec<i64> = line.split(' ').map(|n| n.parse().unwrap()).collect();
        let accounted: i64 = numbers[1..].iter().sum();
        assert_eq!(numbers[0] + gone, accounted, "records and summary: {line}");
        assert_eq!(
            self.shell("SELECT waiting, delivered, retrying, unknown, dead, success_batches FROM delivery_summary"),
            self.shell("SELECT total(waiting) + 0, total(delivered) + 0, total(retrying) + 0, total(unknown) + 0, total(dead) + 0, total(success_batches) + 0 FROM user_progress")
                .replace(".0", ""),
            "summary and users"
        );
        assert_eq!(
            self.shell("SELECT count(*) FROM processing_batch_status WHERE batch_size <> delivered_count + deleted_count + (SELECT count(*) FROM undelivered_record WHERE batch_id = processing_batch_status.id)"),
            "0",
            "batches that do not add up"
        );
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
