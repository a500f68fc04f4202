//! What the benchmarks share: processes watched from outside, files of any size, receivers and senders to compare with,
//! and the targets.
//!
//! Nothing here waits without an end, and every process that it starts ends with its owner. Each benchmark takes a part.

#![allow(dead_code)]

pub mod api;
pub mod blocking;
pub mod daemon;
pub mod figures;
pub mod file;
pub mod nginx;
pub mod process;
pub mod targets;
pub mod trace;
pub mod wrk;

/// Whether this word stands on the command line, as in `cargo bench --bench bulk -- quick`.
pub fn is_asked(word: &str) -> bool {
    std::env::args().skip(1).any(|argument| argument == word)
}

/// The number in `name=number` on the command line, else the default.
pub fn number(name: &str, default: u64) -> u64 {
    let given = |argument: String| argument.strip_prefix(name)?.strip_prefix('=')?.parse().ok();
    std::env::args().skip(1).find_map(given).unwrap_or(default)
}

/// The machine and how busy it is, as the first line of each benchmark: figures of a loaded machine say so.
pub fn print_machine(title: &str) {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let processor = read("/proc/cpuinfo");
    let processor = processor
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown", |name| name.trim_start_matches([' ', '\t', ':']));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!("{title}");
    if let Ok(other) = std::env::var("BENCH_FERRYD") {
        println!("measured: {other}");
    }
    println!(
        "{cores} cores ({processor}), Linux {}, load {}\n",
        read("/proc/sys/kernel/osrelease").trim(),
        load()
    );
}

/// Load of the last minute.
pub fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().unwrap_or("").to_string()
}
