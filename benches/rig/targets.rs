//! What ferryd is to reach: the one place of all floors and aims.
//!
//! A benchmark judges what it measured and says so at its end. With the word `check` it fails when a floor is missed, which
//! is what benches/check runs. A miss is printed either way.

use std::cell::RefCell;

/// Whether more or less is better.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bound {
    AtLeast,
    AtMost,
}

use Bound::{AtLeast, AtMost};

/// Name, bound, floor and aim.
const TARGETS: &[(&str, Bound, f64, f64)] = &[
    ("per record / wrk, ferryd receiver", AtLeast, 0.45, 0.60),
    ("per record / wrk, nginx", AtLeast, 0.45, 0.60),
    (
        "per record / blocking, ferryd receiver",
        AtLeast,
        0.65,
        0.85,
    ),
    ("per record / blocking, nginx", AtLeast, 0.65, 0.85),
    (
        "CPU s per 100,000 records, ferryd receiver",
        AtMost,
        3.5,
        2.5,
    ),
    ("CPU s per 100,000 records, nginx", AtMost, 3.5, 2.5),
    ("socket syscalls per record", AtMost, 4.0, 2.0),
    ("bulk records/s", AtLeast, 500_000.0, 900_000.0),
    ("50 ms API, share at 10 workers", AtLeast, 0.96, 0.98),
    ("50 ms API, share at 64 workers", AtLeast, 0.94, 0.97),
    ("50 ms API, share at 256 workers", AtLeast, 0.88, 0.95),
    ("one batch of 1000, 10 workers, s", AtMost, 6.5, 5.3),
    ("peak MB, 10 workers", AtMost, 16.0, 10.0),
    ("peak MB, 256 workers", AtMost, 28.0, 20.0),
    ("idle MB", AtMost, 8.0, 5.0),
    ("idle CPU %", AtMost, 0.1, 0.02),
    ("pickup p50 ms", AtMost, 1.0, 0.3),
    ("pickup p99 ms", AtMost, 5.0, 1.0),
    ("durable updates/s, full", AtLeast, 10_000.0, 15_000.0),
    ("ready ms", AtMost, 20.0, 10.0),
    ("planning, largest / smallest file", AtMost, 1.5, 1.0),
    ("claiming, largest / smallest file", AtMost, 1.5, 1.0),
    ("status, largest / smallest file", AtMost, 1.5, 1.0),
    ("stripped binary MB", AtMost, 7.0, 5.0),
];

/// What was measured, and whether it was enough.
#[derive(Default)]
pub struct Verdicts(RefCell<Vec<(String, bool)>>);

impl Verdicts {
    /// Judges a value by the target of this name.
    pub fn judge(&self, name: &str, value: f64) {
        let target = TARGETS.iter().find(|target| target.0 == name);
        let &(_, bound, floor, aim) = target.expect("the target is in the table");
        let reaches = |limit: f64| match bound {
            AtLeast => value >= limit,
            AtMost => value <= limit,
        };
        let word = match (reaches(floor), reaches(aim)) {
            (_, true) => "aim reached",
            (true, _) => "floor reached",
            _ => "MISSED",
        };
        let line = format!(
            "{name:<44} {:>10} {:>10} {:>10}  {word}",
            short(value),
            short(floor),
            short(aim)
        );
        self.0.borrow_mut().push((line, reaches(floor)));
    }

    /// Prints all verdicts, and ends the process with 1 when `check` was asked and a floor is missed.
    pub fn end(self) {
        let verdicts = self.0.into_inner();
        println!(
            "\n{:<44} {:>10} {:>10} {:>10}",
            "target", "value", "floor", "aim"
        );
        verdicts.iter().for_each(|(line, _)| println!("{line}"));
        if super::is_asked("check") && verdicts.iter().any(|(_, reached)| !reached) {
            std::process::exit(1);
        }
    }
}

fn short(value: f64) -> String {
    match value.abs() {
        large if large >= 1000.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}
