//! The command line: what can be said. Which room does it stands in `cli/dispatch.rs`; no work is done here.

mod dispatch;

use clap::{Args, ColorChoice, CommandFactory, FromArgMatches, Parser, Subcommand};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::batches;
use crate::config;
use crate::db::steer::Target;
use crate::failures;
use crate::import::Format;
use crate::listing::Form;
use crate::progress;

pub use dispatch::Outcome;

/// Ferries the rows of `user_record`, in one SQLite file, to an HTTP API, in batches, with the status of every batch in
/// the same file.
#[derive(Debug, Parser)]
#[command(
    version,
    propagate_version = true,
    after_help = "Start with `ferryd demo`, or:\n  ferryd init                 # a commented ferryd.toml and an empty ferryd.db\n  ferryd import records.csv\n  ferryd run"
)]
pub struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// The heading of the options that every command takes.
const EVERYWHERE: &str = "Options of every command";

#[derive(Debug, Args)]
struct Common {
    /// The configuration file [default: $FERRYD_CONFIG, ./ferryd.toml or /etc/ferryd/ferryd.toml]
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The database, instead of database.path
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "FILE")]
    database: Option<PathBuf>,
    /// Say more (twice: still more)
    #[arg(short, long, global = true, help_heading = EVERYWHERE, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Say less
    #[arg(short, long, global = true, help_heading = EVERYWHERE, action = clap::ArgAction::Count)]
    quiet: u8,
}

/// How rows are written: a table without either.
#[derive(Debug, Args)]
#[group(id = "form", multiple = false)]
struct FormFlags {
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// CSV with a header (RFC 4180)
    #[arg(long)]
    csv: bool,
}

impl FormFlags {
    fn form(&self) -> Form {
        match (self.json, self.csv) {
            (true, _) => Form::Json,
            (_, true) => Form::Csv,
            _ => Form::Table,
        }
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The daemon, in the foreground, until SIGTERM or SIGINT; SIGHUP makes it read its configuration again
    #[command(after_help = "Example:\n  ferryd run --config /etc/ferryd/ferryd.toml")]
    Run,
    /// Deliver all there is, then exit: 0 when all is delivered, 3 when not
    #[command(after_help = "Example:\n  ferryd drain --user 7 --timeout 10m")]
    Drain {
        /// Only this user's records
        #[arg(long, value_name = "ID", allow_negative_numbers = true)]
        user: Option<i64>,
        /// Stop after this time (500ms, 30s, 5m, 6h, 7d)
        #[arg(long, value_name = "D", value_parser = config::parse_duration)]
        timeout: Option<Duration>,
        /// One pass, no waiting for retries
        #[arg(long)]
        once: bool,
    },
    /// Put rows from a file into user_record, all or nothing
    #[command(
        after_help = "The CSV header, or the JSON keys, name columns of user_record; id may be left out. An empty CSV field is NULL. A row whose id is there with the same content is skipped.\n\nExample:\n  ferryd import records.csv\n  zcat records.jsonl.gz | ferryd import - --format jsonl"
    )]
    Import {
        /// The file; - is standard input
        file: PathBuf,
        /// How it is written [default: by the file's name, else csv]
        #[arg(long, value_enum)]
        format: Option<Format>,
        /// Change rows whose id is there with other content
        #[arg(long)]
        replace: bool,
    },
    /// What is waiting, delivered and failed; with the daemon up or down
    #[command(
        after_help = "--watch is a live screen on a terminal; `q` or Ctrl-C ends it. In a pipe, with NO_COLOR and on a dumb terminal it is the same as text every second, and with --json one object a line.\n\nExample:\n  ferryd status --watch\n  ferryd status --json | jq .waiting"
    )]
    Status {
        /// One JSON object, with the columns of delivery_summary as keys
        #[arg(long)]
        json: bool,
        /// Again every second
        #[arg(long)]
        watch: bool,
    },
    /// The records that failed, the newest first, with the reason
    #[command(
        after_help = "A table has the newest 20 unless --limit says otherwise; CSV and JSON have all. CSV has a header; JSON is one object a line. The record's own columns are personal data and are left out unless --all-columns asks for them.\n\nExample:\n  ferryd failures --state dead\n  ferryd failures --json | jq -r .reason | sort | uniq -c"
    )]
    Failures {
        #[command(flatten)]
        form: FormFlags,
        /// Only this user's records
        #[arg(long, value_name = "ID", allow_negative_numbers = true)]
        user: Option<i64>,
        /// Only records in this state
        #[arg(long, value_name = "S", value_enum)]
        state: Option<failures::State>,
        /// At most so many
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
        limit: Option<i64>,
        /// In CSV and JSON: every column of the view `undelivered`, with those of the record
        #[arg(long, requires = "form")]
        all_columns: bool,
    },
    /// The batches, those planned last first
    #[command(
        after_help = "A table has the newest 20 unless --limit says otherwise; CSV and JSON have all. CSV has a header; JSON is one object a line.\n\nExample:\n  ferryd batches --status failed\n  ferryd batches --user 7 --csv > batches.csv"
    )]
    Batches {
        #[command(flatten)]
        form: FormFlags,
        /// Only this user's batches
        #[arg(long, value_name = "ID", allow_negative_numbers = true)]
        user: Option<i64>,
        /// Only batches of this status
        #[arg(long, value_name = "S", value_enum)]
        status: Option<batches::Status>,
        /// At most so many
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
        limit: Option<i64>,
    },
    /// Send failed or dead records again
    #[command(after_help = "Example:\n  ferryd retry batch:42\n  ferryd retry dead")]
    Retry {
        /// batch:N, user:N, record:N, dead or failed
        target: Target,
    },
    /// Hold all sending until `resume`
    #[command(after_help = "Example:\n  ferryd pause")]
    Pause,
    /// Let sending go on after `pause`; a closed gate is probed at once
    #[command(after_help = "Example:\n  ferryd resume")]
    Resume,
    /// Why a record is not delivered, or when it was
    #[command(
        after_help = "Example:\n  ferryd explain 1005\n  ferryd explain 1005 --json | jq -r .state"
    )]
    Explain {
        /// user_record.id
        #[arg(allow_negative_numbers = true)]
        record_id: i64,
        /// One JSON object: record_id, state, batch_id, next_attempt_at, explanation
        #[arg(long)]
        json: bool,
    },
    /// Make a checked copy of the database, with the daemon up or down
    #[command(
        after_help = "The copy is one file, and a file that is there is never replaced. Restoring: stop ferryd, remove ferryd.db, ferryd.db-wal and ferryd.db-shm, copy the backup to ferryd.db, give it to ferryd's user, and start ferryd.\n\nExample:\n  ferryd backup /var/backups/ferryd-$(date +%F).db"
    )]
    Backup {
        /// The copy, which must not be there yet
        file: PathBuf,
    },
    /// Delete what was delivered long ago, with the daemon up or down
    #[command(
        after_help = "SUCCESS batches that ended longer ago are deleted; what they delivered stays counted. With --records the delivered rows of user_record that they covered go too, and what is in doubt stays. There is no way back. The daemon prunes by itself with [retention].\n\nExample:\n  ferryd prune --older-than 30d --records"
    )]
    Prune {
        /// Batches that ended longer ago than this (30s, 5m, 6h, 7d)
        #[arg(long, value_name = "D", value_parser = config::parse_duration)]
        older_than: Duration,
        /// Also their rows of user_record
        #[arg(long)]
        records: bool,
    },
    /// Open the sqlite3 shell on the database, read-only
    #[command(
        after_help = "Options of the shell's that ferryd has too come behind `--`.\n\nExample:\n  ferryd db\n  ferryd db 'SELECT * FROM delivery_summary'\n  ferryd db -- -header -csv 'SELECT * FROM user_progress'"
    )]
    Db {
        /// SQL, or options of the shell's
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Prove from the file, and from a receiver's journal, that nothing is lost, falsely successful or needlessly repeated
    #[command(
        after_help = "Ends with 0 when every promise holds and with 1 when one does not.\n\nExample:\n  ferryd receiver --journal answers.jsonl &\n  ferryd drain\n  ferryd audit --journal answers.jsonl"
    )]
    Audit {
        /// What `ferryd receiver --journal` wrote, from the first request on; not for requests with many records
        #[arg(long, value_name = "FILE")]
        journal: Option<PathBuf>,
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// Check configuration, file, schema, integrity and permissions
    #[command(after_help = "Example:\n  ferryd check --probe")]
    Check {
        /// Also connect to the API
        #[arg(long)]
        probe: bool,
    },
    /// Print the exact request of a record, without sending it
    #[command(
        after_help = "Without RECORD_ID it is a record that waits, else the first of the table. Secrets are masked.\n\n--send is a trial: the answer is printed and nothing is recorded. ferryd sends the record all the same when its turn comes, with the same key. Neither the gate nor a pause keeps the trial back.\n\nExample:\n  ferryd preview\n  ferryd preview 1005 --send"
    )]
    Preview {
        /// user_record.id
        #[arg(allow_negative_numbers = true)]
        record_id: Option<i64>,
        /// Also send it, once, and print the answer; ends with 1 unless it was accepted
        #[arg(long)]
        send: bool,
    },
    /// Write a commented ferryd.toml and an empty database; never overwrites
    #[command(after_help = "Example:\n  ferryd init --config ferryd.toml")]
    Init,
    /// A loopback API to try things against; prints what it received
    #[command(after_help = "Example:\n  ferryd receiver --listen 127.0.0.1:8080 --fail-rate 0.1")]
    Receiver {
        /// Loopback address
        #[arg(long, value_name = "A", value_parser = loopback, default_value = "127.0.0.1:8080")]
        listen: SocketAddr,
        /// Wait this long before each answer
        #[arg(long, value_name = "D", value_parser = config::parse_duration, default_value = "0s")]
        latency: Duration,
        /// Share of requests to refuse, 0 to 1
        #[arg(long, value_name = "P", value_parser = share, default_value = "0")]
        fail_rate: f64,
        /// Status of refused requests
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(100..=999), default_value = "500")]
        fail_status: u16,
        /// Status of all other requests
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(100..=999), default_value = "200")]
        status: u16,
        /// Retry-After of refused requests, in seconds
        #[arg(long, value_name = "S")]
        retry_after: Option<u64>,
        /// Take each request for many records, and answer with a result for each: {"results":[{"status":200},…]}
        #[arg(long)]
        bulk: bool,
        /// Answer 401 unless a request shows the bearer token in this file
        #[arg(long, value_name = "FILE")]
        require_token: Option<String>,
        /// Serve HTTPS with this certificate (PEM)
        #[arg(long, value_name = "FILE", requires = "tls_key")]
        tls_cert: Option<String>,
        /// The key of the certificate (PEM)
        #[arg(long, value_name = "FILE", requires = "tls_cert")]
        tls_key: Option<String>,
        /// Let in only clients with a certificate of these authorities (PEM)
        #[arg(long, value_name = "FILE", requires = "tls_cert")]
        tls_client_ca: Option<String>,
        /// Print only the summary at the end
        #[arg(long)]
        summary: bool,
        /// Append time, status, key and record of each request to this file before it is answered, for `ferryd audit`
        #[arg(long, value_name = "FILE")]
        journal: Option<PathBuf>,
    },
    /// The main job with nothing installed: made-up records, own receiver, live progress
    #[command(after_help = "Example:\n  ferryd demo --records 100000 --fail-rate 0.2")]
    Demo {
        /// Made-up records
        #[arg(long, value_name = "N", default_value = "20000")]
        records: u64,
        /// Share of requests that the receiver refuses, 0 to 0.9
        #[arg(long, value_name = "P", value_parser = share_below_one, default_value = "0.1")]
        fail_rate: f64,
    },
}

fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address = text.parse::<SocketAddr>().ok();
    let loopback = address.filter(|address| address.ip().to_canonical().is_loopback());
    loopback.ok_or_else(|| "must be a loopback address with a port, such as 127.0.0.1:8080".into())
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("must be a number from 0 to 1".into()),
    }
}

fn share_below_one(text: &str) -> Result<f64, String> {
    match share(text) {
        Ok(share) if share <= 0.9 => Ok(share),
        _ => Err("must be a number from 0 to 0.9".into()),
    }
}

/// What can be said, for the manual pages and the completions of the packages.
pub fn command() -> clap::Command {
    Cli::command()
}

impl Cli {
    /// Reads the command line; ends the process with help, version, or exit code 2 and what is wrong.
    pub fn from_arguments() -> Cli {
        // clap colours dumb terminals too where it takes the environment for that of a build service.
        let color = match progress::is_dumb() {
            true => ColorChoice::Never,
            false => ColorChoice::Auto,
        };
        let matches = Cli::command().color(color).get_matches();
        Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }
}
