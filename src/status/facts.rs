//! What is true of the whole file, a line or a few for each fact: a label, and what it says.

use std::path::Path;
use std::time::Duration;

use super::snapshot::Snapshot;
use crate::line::{self, Cell, Line, Tone};
use crate::text;

/// Cells of a label.
const LABEL: usize = 10;

/// How long after a restore it is told.
const TOLD_FOR: Duration = Duration::from_secs(7 * 24 * 3600);

/// Cells between two things of one fact.
const GAP: &str = "  ";

/// All facts, each in as many lines as it takes.
pub fn all(snapshot: &Snapshot, database: &Path, columns: usize) -> Vec<Line> {
    let mut lines = file(database, columns);
    lines.extend(ferryd(snapshot, columns));
    lines.extend(restored(snapshot, columns));
    lines.extend(gate(snapshot, columns, usize::MAX));
    lines.extend(records(snapshot, columns, true));
    lines.extend(batches(snapshot, columns));
    lines.extend(oldest(snapshot, columns));
    lines
}

/// The file, with the end of its name where not all of it has room.
pub fn file(database: &Path, columns: usize) -> Vec<Line> {
    let name = database.display().to_string();
    let name = text::printable(&name, usize::MAX);
    let room = columns.saturating_sub(LABEL);
    let mut end = name.as_ref();
    while line::width(end) > room.saturating_sub(1) && line::width(&name) > room {
        let mut rest = end.chars();
        rest.next();
        end = rest.as_str();
    }
    let name = match end.len() == name.len() {
        true => name.to_string(),
        false => format!("…{end}"),
    };
    paragraph("database", name.into(), columns, 1)
}

/// Whether somebody works on the file.
pub fn ferryd(snapshot: &Snapshot, columns: usize) -> Vec<Line> {
    let left = snapshot.summary.running_batches;
    let cell = match snapshot.daemon {
        Some(pid) => format!("running (pid {pid})").into(),
        None if left > 0 => {
            let batches = match left {
                1 => "the batch it left is",
                _ => &format!("the {left} batches it left are"),
            };
            let said = format!("not running; {batches} freed when it starts");
            Cell::toned(said, Tone::Warn)
        }
        None => Cell::toned("not running", Tone::Warn),
    };
    paragraph("ferryd", cell, columns, 2)
}

/// Whether the file is a copy that was restored, unless that is an old story.
fn restored(snapshot: &Snapshot, columns: usize) -> Vec<Line> {
    let Some(mark) = &snapshot.restored else {
        return Vec::new();
    };
    let backup = &mark.backup_at;
    let said = match &mark.restored_at {
        None => format!("from a backup of {backup}; what was sent since may be sent again"),
        Some(at) if *at > snapshot.now.minus(TOLD_FOR).to_string() => {
            format!("on {at} from a backup of {backup}; what was sent between may be sent again")
        }
        Some(_) => return Vec::new(),
    };
    paragraph("restored", Cell::toned(said, Tone::Warn), columns, 3)
}

/// Whether sending is held, for how long, and why, in at most so many lines.
pub fn gate(snapshot: &Snapshot, columns: usize, lines: usize) -> Vec<Line> {
    let summary = &snapshot.summary;
    let state = summary.gate.as_str();
    let tone = match state {
        "open" => return paragraph("gate", "open".into(), columns, 1),
        "closed" => Tone::Bad,
        _ => Tone::Warn,
    };
    let mut said = format!("{state} for {}", snapshot.now.ago(&snapshot.gate_since));
    if let Some(reason) = &summary.gate_reason {
        said += &format!(": {}", text::shown(reason));
    }
    if let (Some(probe), true) = (&snapshot.probe_at, snapshot.daemon.is_some()) {
        said += &format!("; next probe {}", snapshot.now.until(probe));
    }
    paragraph("gate", Cell::toned(said, tone), columns, lines)
}

/// Where the records stand; `in_full` also where none stands.
pub fn records(snapshot: &Snapshot, columns: usize, in_full: bool) -> Vec<Line> {
    let summary = &snapshot.summary;
    let counts = [
        ("waiting", summary.waiting, Tone::Plain),
        ("delivered", summary.delivered, Tone::Plain),
        ("retrying", summary.retrying, Tone::Warn),
        ("unknown", summary.unknown, Tone::Warn),
        ("dead", summary.dead, Tone::Bad),
    ];
    let is_told = |word, count| in_full || count > 0 || ["waiting", "delivered"].contains(&word);
    let told: Vec<_> = counts
        .into_iter()
        .filter(|(word, count, _)| is_told(*word, *count))
        .collect();
    flow("records", &told, columns)
}

/// Where the batches stand.
pub fn batches(snapshot: &Snapshot, columns: usize) -> Vec<Line> {
    let summary = &snapshot.summary;
    let counts = [
        ("pending", summary.pending_batches, Tone::Plain),
        ("running", summary.running_batches, Tone::Plain),
        ("success", summary.success_batches, Tone::Plain),
        ("failed", summary.failed_batches, Tone::Warn),
        ("dead", summary.dead_batches, Tone::Bad),
    ];
    flow("batches", &counts, columns)
}

fn oldest(snapshot: &Snapshot, columns: usize) -> Vec<Line> {
    let said = match &snapshot.summary.oldest_waiting_at {
        Some(since) => format!("waiting for {}, since {since}", snapshot.now.ago(since)),
        None => "nothing waits".to_string(),
    };
    paragraph("oldest", said.into(), columns, 2)
}

/// A label, and a text in lines that begin below each other.
pub fn paragraph(label: &'static str, cell: Cell, columns: usize, lines: usize) -> Vec<Line> {
    let room = columns.saturating_sub(LABEL).max(1);
    let texts = line::wrap(&cell.text, room, lines);
    let texts = texts.into_iter().map(|text| Cell::toned(text, cell.tone));
    let labels = std::iter::once(label).chain(std::iter::repeat(""));
    let lines = labels.zip(texts);
    let lines =
        lines.map(|(label, text)| Line::default().with(format!("{label:LABEL$}")).with(text));
    lines.map(|line| line.cut(columns)).collect()
}

/// Counts side by side, on as many lines as they take. A count of nothing has no tone.
fn flow(label: &'static str, counts: &[(&str, i64, Tone)], columns: usize) -> Vec<Line> {
    let indent = |label| Line::default().with(format!("{label:LABEL$}"));
    let mut lines = Vec::new();
    let mut line = indent(label);
    let mut is_first = true;
    for (word, count, tone) in counts {
        let said = format!("{word} {count}");
        if !is_first && line.width() + GAP.len() + said.len() > columns {
            lines.push(std::mem::replace(&mut line, indent("")));
            is_first = true;
        }
        if !std::mem::take(&mut is_first) {
            line = line.with(GAP);
        }
        let tone = match count {
            0 => Tone::Plain,
            _ => *tone,
        };
        line = line.with(Cell::toned(said, tone));
    }
    lines.push(line);
    lines.into_iter().map(|line| line.cut(columns)).collect()
}
