//! Logging to standard error: one line per state change, `sentence. key=value`.
//!
//! Foreign text is made printable where it enters the program, so what comes here is ours. No line carries the body of a
//! request or a secret: the HTTP library's own logs, which could, are capped.

use env_logger::{Builder, Target};
use log::LevelFilter;
use std::io::Write;

use crate::progress;
use crate::time::Timestamp;

/// Libraries that log what they send, down to header values, at their lower levels.
const CAPPED: [&str; 3] = ["ureq", "ureq_proto", "rustls"];

/// Starts logging at `usual`, made more talkative by `louder` steps or less by `quieter`; `RUST_LOG` overrides.
pub fn start(usual: LevelFilter, louder: u8, quieter: u8) {
    let level = usual as i16 + i16::from(louder) - i16::from(quieter);
    let level = LevelFilter::iter()
        .nth(level.clamp(0, LevelFilter::Trace as i16) as usize)
        .unwrap_or(usual);
    let mut builder = Builder::new();
    builder.filter_level(level);
    if let Ok(filters) = std::env::var("RUST_LOG") {
        builder.parse_filters(&filters);
    }
    builder
        .target(Target::Pipe(Box::new(progress::BesideBar)))
        .format(|line, record| {
            // Not by a filter: RUST_LOG could name a module inside the library, which would win over it.
            if is_capped(record) {
                return Ok(());
            }
            let time = Timestamp::now();
            writeln!(line, "{time} {:5} {}", record.level(), record.args())
        });
    // A second start, which only a test could cause, leaves the first logger in place.
    let _ = builder.try_init();
}

fn is_capped(record: &log::Record) -> bool {
    let library = record.target().split("::").next().unwrap_or_default();
    record.level() > log::Level::Warn && CAPPED.contains(&library)
}
