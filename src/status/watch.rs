//! `ferryd status --watch`: a live screen on a terminal; elsewhere the same once a second, as text or as a line of JSON.

use std::time::{Duration, Instant};

use super::history::History;
use super::snapshot::{Look, Snapshot};
use super::{facts, json, page, show, tables};
use crate::line::{Cell, Line};
use crate::output;
use crate::screen::{Screen, Woken};
use crate::stop::Stop;
use crate::terminal::{self, Terminal};
use crate::time;

/// Time between two looks.
const EVERY: Duration = Duration::from_secs(1);

/// Lines from which on all facts are shown, and stand apart from the tables.
const ROOMY: usize = 20;

/// Watches until the stop.
///
/// # Errors
/// When the file cannot be read, or the output cannot be written.
pub fn run(mut look: Look, as_json: bool, stop: &Stop) -> anyhow::Result<()> {
    let terminal = Terminal::of_stdout();
    if as_json || !terminal.escapes {
        return print_on(&mut look, as_json, stop);
    }
    let screen = Screen::enter()?;
    let mut history = History::default();
    loop {
        look.follow()?;
        let seen = Instant::now();
        let snapshot = look.read(terminal::size().1)?;
        history.push(seen, snapshot.summary.delivered);
        loop {
            let size = terminal::size();
            let lines = picture(&snapshot, &look, &history, size, terminal.utf8);
            if screen.draw(lines, size, true).is_err() {
                // The terminal is gone, and nobody is left to tell.
                return Ok(());
            }
            match screen.wait(seen + EVERY, size, stop) {
                Woken::End => return Ok(()),
                Woken::Size => {}
                Woken::Time => break,
            }
        }
    }
}

fn print_on(look: &mut Look, as_json: bool, stop: &Stop) -> anyhow::Result<()> {
    let mut history = History::default();
    loop {
        look.follow()?;
        let text = match as_json {
            true => json(look)?,
            false => {
                let snapshot = look.read(tables::ROWS)?;
                history.push(Instant::now(), snapshot.summary.delivered);
                let columns = Terminal::of_stdout().columns;
                let mut lines = page(&snapshot, look.database(), columns);
                lines.extend(speed(&snapshot, &history, columns, false));
                lines.push(Line::default());
                show(&lines, false)
            }
        };
        if !output::print(text.as_bytes())? || stop.wait(EVERY) {
            return Ok(());
        }
    }
}

/// What fills a terminal of this size, and no more.
fn picture(
    snapshot: &Snapshot,
    look: &Look,
    history: &History,
    (columns, rows): (usize, usize),
    utf8: bool,
) -> Vec<Line> {
    let is_roomy = rows >= ROOMY;
    let mut lines = Vec::new();
    if is_roomy {
        lines.extend(facts::file(look.database(), columns));
    }
    let gate_lines = match rows {
        ROOMY.. => 3,
        12.. => 2,
        _ => 1,
    };
    lines.extend(facts::ferryd(snapshot, columns).into_iter().take(1));
    lines.extend(facts::gate(snapshot, columns, gate_lines));
    lines.extend(speed(snapshot, history, columns, utf8));
    lines.extend(facts::records(snapshot, columns, is_roomy));
    if is_roomy {
        lines.extend(facts::batches(snapshot, columns));
    }
    let left = rows.saturating_sub(lines.len());
    lines.extend(fill(snapshot, left, columns, is_roomy));
    lines
}

/// Rate, backlog and end.
fn speed(snapshot: &Snapshot, history: &History, columns: usize, utf8: bool) -> Vec<Line> {
    let rate = match history.rate() {
        None => "-".to_string(),
        Some(rate) if rate > 0.0 && rate < 10.0 => format!("{rate:.1}/s"),
        Some(rate) => format!("{rate:.0}/s"),
    };
    let mut cell = Cell::from(rate);
    if utf8 {
        let room = columns.saturating_sub(10 + 10);
        cell.text = format!("{:8}  {}", cell.text, history.sparkline(room));
    }
    let mut lines = facts::paragraph("rate", cell, columns, 1);
    lines.extend(facts::paragraph(
        "backlog",
        backlog(snapshot, history).into(),
        columns,
        1,
    ));
    lines
}

/// What is left to deliver, and when that will be done, or why not.
fn backlog(snapshot: &Snapshot, history: &History) -> String {
    let summary = &snapshot.summary;
    let backlog = summary.waiting + summary.retrying + summary.unknown;
    if backlog == 0 {
        return "none".to_string();
    }
    let end = if summary.gate != "open" {
        "held at the gate".to_string()
    } else if snapshot.daemon.is_none() {
        "ferryd is not running".to_string()
    } else if let Some(end) = history.end(backlog) {
        format!("done in {}", time::span(end))
    } else if let (0, Some(due)) = (summary.waiting, &snapshot.next_due) {
        format!("next retry {}", snapshot.now.until(due))
    } else {
        "nothing moves".to_string()
    };
    format!("{backlog}, {end}")
}

/// The tables in so many lines: first each that has something to tell gets its head and a row, then they grow in turn.
fn fill(snapshot: &Snapshot, mut left: usize, columns: usize, is_roomy: bool) -> Vec<Line> {
    let gap = usize::from(is_roomy);
    let tables = [tables::failed, tables::running, tables::users].map(|table| table(snapshot));
    let mut granted = [0; 3];
    for (table, granted) in tables.iter().zip(&mut granted) {
        if table.rows() > 0 && left >= gap + 2 {
            left -= gap + 2;
            *granted = 1;
        }
    }
    while left > 0 {
        let before = left;
        for (table, granted) in tables.iter().zip(&mut granted) {
            if *granted > 0 && *granted < table.rows() && left > 0 {
                left -= 1;
                *granted += 1;
            }
        }
        if left == before {
            break;
        }
    }
    let mut lines = Vec::new();
    for (table, granted) in tables
        .iter()
        .zip(granted)
        .filter(|(_, granted)| *granted > 0)
    {
        lines.extend(std::iter::repeat_n(Line::default(), gap));
        lines.extend(table.lines(granted, columns));
    }
    lines
}
