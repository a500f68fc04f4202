//! The numbers in Prometheus' text format 0.0.4
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>), named as
//! <https://prometheus.io/docs/practices/naming/> asks: base units in the name, `_total` for counters.
//!
//! Counters count since the start of the process; gauges tell what is in the file. A time that there is none of is left
//! out, not zero. Must never happen here: a label with more values than this file lists.

use std::fmt::{Display, Write};

use crate::activity::{Activity, Doing, Role};
use crate::daemon::Insight;
use crate::db::glance::Facts;
use crate::gate::State;
use crate::metrics::{BOUNDS_MS, Metrics, RESULTS};

/// What the listener says beside what the daemon and the file say.
pub(super) struct Process {
    /// Seconds since 1970.
    pub(super) start: i64,
    /// Whether the file can be worked on.
    pub(super) file_usable: bool,
    /// Whether a thread makes no progress.
    pub(super) stuck: bool,
    /// In bytes.
    pub(super) database: u64,
    pub(super) wal: u64,
}

/// All that is known; the file's numbers only where it can be read.
pub(super) fn exposition(
    process: &Process,
    insight: Option<&Insight>,
    file: Option<&Facts>,
) -> String {
    let mut out = Exposition(String::with_capacity(8 * 1024));
    if let Some(insight) = insight {
        counters(&mut out, &insight.metrics);
        workers(&mut out, &insight.activity);
    }
    if let Some(facts) = file {
        gauges(&mut out, facts);
    }
    own(&mut out, process);
    out.0
}

fn counters(out: &mut Exposition, metrics: &Metrics) {
    out.family(
        "ferryd_requests_total",
        "counter",
        "Requests to the API since the start, by what the answer says of what was sent; refused counts answers and not dead records.",
    );
    for (result, count) in RESULTS.into_iter().zip(metrics.requests()) {
        out.labelled("ferryd_requests_total", "result", result, count);
    }
    out.single(
        "ferryd_records_delivered_total",
        "counter",
        "Records that the API accepted since the start.",
        metrics.delivered(),
    );
    out.single(
        "ferryd_gate_closings_total",
        "counter",
        "Times since the start that sending came to be held.",
        metrics.gate_closings(),
    );
    histogram(out, metrics);
}

fn histogram(out: &mut Exposition, metrics: &Metrics) {
    let name = "ferryd_request_duration_seconds";
    out.family(
        name,
        "histogram",
        "Time of a request to the API, from its begin to the end of its answer.",
    );
    let took = metrics.took();
    let bucket = format!("{name}_bucket");
    let mut count = 0;
    for (place, here) in took.buckets.iter().enumerate() {
        count += here;
        let bound = BOUNDS_MS.get(place).map(|ms| *ms as f64 / 1000.0);
        let bound = bound.map_or("+Inf".to_string(), |seconds| seconds.to_string());
        out.labelled(&bucket, "le", &bound, count);
    }
    out.sample(&format!("{name}_sum"), took.total.as_secs_f64());
    out.sample(&format!("{name}_count"), count);
}

fn workers(out: &mut Exposition, activity: &Activity) {
    let kinds = [
        ("resting", Doing::Resting),
        ("at_gate", Doing::AtGate),
        ("awaiting_turn", Doing::AwaitingTurn),
        ("awaiting_others", Doing::AwaitingOthers),
        ("reading", Doing::Reading),
        ("sending", Doing::Sending),
        ("recording", Doing::Recording),
    ];
    let seen = activity.seen();
    let doing: Vec<Doing> = seen
        .filter(|seen| matches!(seen.role, Role::Worker(_)))
        .map(|seen| seen.doing)
        .collect();
    out.family("ferryd_workers", "gauge", "Workers by what they do.");
    for (word, kind) in kinds {
        let count = doing.iter().filter(|doing| **doing == kind).count();
        out.labelled("ferryd_workers", "doing", word, count);
    }
}

fn gauges(out: &mut Exposition, facts: &Facts) {
    let s = &facts.summary;
    out.family(
        "ferryd_records",
        "gauge",
        "Records in the file by where they stand.",
    );
    for (state, count) in [
        ("waiting", s.waiting),
        ("delivered", s.delivered),
        ("retrying", s.retrying),
        ("unknown", s.unknown),
        ("dead", s.dead),
    ] {
        out.labelled("ferryd_records", "state", state, count);
    }
    out.family(
        "ferryd_batches",
        "gauge",
        "Batches in the file by their status.",
    );
    for (status, count) in [
        ("pending", s.pending_batches),
        ("running", s.running_batches),
        ("success", s.success_batches),
        ("failed", s.failed_batches),
        ("dead", s.dead_batches),
    ] {
        out.labelled("ferryd_batches", "status", status, count);
    }
    out.family(
        "ferryd_gate_state",
        "gauge",
        "Whether sending is held: 1 for the state of the gate, 0 for the others.",
    );
    for state in [State::Open, State::Closed, State::Probing, State::Paused] {
        let is = u8::from(state.word() == s.gate);
        out.labelled("ferryd_gate_state", "state", state.word(), is);
    }
    let oldest = s.oldest_waiting_at.as_deref();
    let oldest = oldest.and_then(|text| crate::time::Timestamp::parse(text).ok());
    if let Some(oldest) = oldest {
        out.single(
            "ferryd_oldest_waiting_timestamp_seconds",
            "gauge",
            "Since when the oldest waiting record waits; absent when none waits.",
            oldest.unix_seconds(),
        );
    }
    if let Some(due) = facts.next_due {
        out.single(
            "ferryd_next_retry_timestamp_seconds",
            "gauge",
            "When the next batch that waits for a retry is due; absent when none waits.",
            due.unix_seconds(),
        );
    }
}

fn own(out: &mut Exposition, process: &Process) {
    out.single(
        "ferryd_file_usable",
        "gauge",
        "Whether the file can be read and written.",
        u8::from(process.file_usable),
    );
    out.single(
        "ferryd_stuck",
        "gauge",
        "Whether a thread of ferryd makes no progress.",
        u8::from(process.stuck),
    );
    out.single(
        "ferryd_database_size_bytes",
        "gauge",
        "Size of the database without its -wal.",
        process.database,
    );
    out.single(
        "ferryd_wal_size_bytes",
        "gauge",
        "Size of the -wal; below 4 MB unless some reader pins it.",
        process.wal,
    );
    out.family(
        "ferryd_build_info",
        "gauge",
        "Always 1; the version of ferryd is its label.",
    );
    out.labelled("ferryd_build_info", "version", env!("CARGO_PKG_VERSION"), 1);
    out.single(
        "process_start_time_seconds",
        "gauge",
        "When the process started, in seconds since 1970.",
        process.start,
    );
    if let Some(bytes) = resident_bytes() {
        out.single(
            "process_resident_memory_bytes",
            "gauge",
            "Memory of the process that is in use.",
            bytes,
        );
    }
}

/// `VmRSS` of proc(5).
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

/// The text as it grows. Writing to a String cannot fail.
struct Exposition(String);

impl Exposition {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, value: impl Display) {
        let _ = writeln!(self.0, "{name} {value}");
    }

    fn labelled(&mut self, name: &str, label: &str, of: &str, value: impl Display) {
        let _ = writeln!(self.0, "{name}{{{label}=\"{of}\"}} {value}");
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(name, value);
    }
}
