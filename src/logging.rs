//! Logging to standard error: one line per state change, `sentence. key=value`.
//!
//! Where standard error is the journal, a line begins with its priority (sd-daemon(3)) and leaves the time to the journal.
//! Lines of one kind that come thick and fast are summed up, see `logging/repeats.rs`.
//!
//! Foreign text is made printable where it enters the program, so what comes here is ours. No line carries the body of a
//! request or a secret: the logs of libraries, which could, are capped.

mod repeats;

use env_logger::{Builder, Target};
use log::{Level, LevelFilter};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Instant;

use crate::progress;
use crate::time::Timestamp;
use repeats::{Repeats, Sum};

/// Libraries that log what they send or receive at their lower levels.
const CAPPED: [&str; 1] = ["rustls"];

/// Lines that were left out, by kind.
static REPEATS: LazyLock<Mutex<Repeats>> = LazyLock::new(Mutex::default);

/// Starts logging at `usual`, made more talkative by `louder` steps or less by `quieter`; `RUST_LOG` overrides. Whoever asks
/// for more gets every line.
pub fn start(usual: LevelFilter, louder: u8, quieter: u8) {
    let level = usual as i16 + i16::from(louder) - i16::from(quieter);
    let level = LevelFilter::iter()
        .nth(level.clamp(0, LevelFilter::Trace as i16) as usize)
        .unwrap_or(usual);
    let mut builder = Builder::new();
    builder.filter_level(level);
    let filters = std::env::var("RUST_LOG");
    if let Ok(filters) = &filters {
        builder.parse_filters(filters);
    }
    let every_line = louder > 0 || filters.is_ok();
    let journal = is_journal();
    builder
        .target(Target::Pipe(Box::new(progress::BesideBar)))
        .format(move |line, record| {
            // Not by a filter: RUST_LOG could name a module inside the library, which would win over it.
            if is_capped(record) {
                return Ok(());
            }
            let mut text = record.args().to_string();
            if !every_line {
                match admit(record.level(), &text) {
                    None => return Ok(()),
                    Some(0) => {}
                    Some(lines) => text += &format!(" (lines like it that were left out: {lines})"),
                }
            }
            match journal {
                true => writeln!(line, "{}{text}", priority(record.level())),
                false => writeln!(line, "{} {:5} {text}", Timestamp::now(), record.level()),
            }
        });
    // A second start, which only a test could cause, leaves the first logger in place.
    let _ = builder.try_init();
}

fn admit(level: Level, text: &str) -> Option<u64> {
    let mut repeats = REPEATS.lock().unwrap_or_else(PoisonError::into_inner);
    repeats.admit(level, text, Instant::now())
}

/// Says how many lines were left out of the log, once that is some time ago and no other of their kind has come.
pub fn sum_up_repeats() {
    let mut repeats = REPEATS.lock().unwrap_or_else(PoisonError::into_inner);
    let sums = repeats.sum_up(Instant::now());
    drop(repeats);
    for Sum { level, kind, lines } in sums {
        log::log!(
            level,
            "Lines of one kind were left out. kind={kind:?} lines={lines}"
        );
    }
}

/// What the last words of the process begin with, where standard error is the journal.
pub fn last_words() -> &'static str {
    match is_journal() {
        true => priority(Level::Error),
        false => "",
    }
}

/// Whether standard error goes to the journal itself: `JOURNAL_STREAM` names its device and inode (systemd.exec(5)). Behind a
/// redirection the variable is there too, but names another stream.
fn is_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else {
        return false;
    };
    let stderr = std::fs::metadata("/proc/self/fd/2");
    stderr.is_ok_and(|stderr| stream == format!("{}:{}", stderr.dev(), stderr.ino()))
}

/// Severities of syslog (RFC 5424 section 6.2.1).
fn priority(level: Level) -> &'static str {
    match level {
        Level::Error => "<3>",
        Level::Warn => "<4>",
        Level::Info => "<6>",
        Level::Debug | Level::Trace => "<7>",
    }
}

fn is_capped(record: &log::Record) -> bool {
    let library = record.target().split("::").next().unwrap_or_default();
    record.level() > Level::Warn && CAPPED.contains(&library)
}
