//! All in one glance: whether all is well, and if not, what and what to do, in words.

use std::fmt::Write;
use std::time::Duration;

use super::html::{Code, Count, Span};
use super::{View, chart, words};
use crate::db::glance::Glance;

/// How it is, by urgency. Each has a colour and a shape of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Well,
    Busy,
    Look,
    Held,
    Fault,
}

impl Mood {
    fn class(self) -> &'static str {
        match self {
            Mood::Well => "well",
            Mood::Busy => "busy",
            Mood::Look | Mood::Held => "held",
            Mood::Fault => "fault",
        }
    }

    /// Paths on a field of 24 by 24.
    fn shape(self) -> &'static str {
        match self {
            Mood::Well => "M12 3a9 9 0 1 0 0 18a9 9 0 0 0 0-18zM7.8 12.4l2.9 2.9l5.6-6",
            Mood::Busy => "M12 3a9 9 0 1 0 0 18a9 9 0 0 0 0-18zM8 12h7.5M12.5 8.5l3.5 3.5l-3.5 3.5",
            Mood::Look => "M12 3a9 9 0 1 0 0 18a9 9 0 0 0 0-18zM12 7.5v5.5M12 16v.2",
            Mood::Held => "M12 3a9 9 0 1 0 0 18a9 9 0 0 0 0-18zM9.7 8.7v6.6M14.3 8.7v6.6",
            Mood::Fault => "M12 3.5L22 20.5H2zM12 10v5M12 17.6v.2",
        }
    }
}

pub(super) struct State {
    mood: Mood,
    /// Without numbers: it is read out whenever it changes.
    pub(super) headline: &'static str,
    /// Plain text.
    details: Vec<String>,
}

impl State {
    /// The most urgent of all that there is to say.
    pub(super) fn of(view: &View) -> State {
        if view.stopping {
            return State::new(
                Mood::Held,
                "ferryd stops",
                ["Requests in flight may finish."],
            );
        }
        if let Some(stuck) = &view.stuck {
            return State::new(Mood::Fault, "A thread is stuck", [stuck]);
        }
        if let Some(fault) = &view.fault {
            let remark = "Sending is held, and goes on by itself when the fault ends.";
            return State::new(
                Mood::Fault,
                "The file cannot be used",
                [fault.as_str(), remark],
            );
        }
        let Some(glance) = view.glance else {
            let remark = "It waits for the file, if this lasts; the log says why.";
            return State::new(Mood::Busy, "ferryd starts", [remark]);
        };
        match glance.facts.summary.gate.as_str() {
            "open" => open(view, glance),
            gate => held(view, glance, gate),
        }
    }

    fn new(
        mood: Mood,
        headline: &'static str,
        details: impl IntoIterator<Item = impl ToString>,
    ) -> State {
        let details = details.into_iter().map(|detail| detail.to_string());
        State {
            mood,
            headline,
            details: details.collect(),
        }
    }

    pub(super) fn render(&self, out: &mut String) {
        let (class, shape) = (self.mood.class(), self.mood.shape());
        let _ = write!(
            out,
            "<section class=\"state {class}\"><svg viewBox=\"0 0 24 24\" fill=\"none\" stroke=\"currentColor\" stroke-width=\"1.8\" stroke-linecap=\"round\" stroke-linejoin=\"round\" aria-hidden=\"true\"><path d=\"{shape}\"/></svg><div><h1 role=\"status\">{}</h1>",
            self.headline
        );
        for detail in &self.details {
            let _ = write!(out, "<p>{}</p>", Code(detail));
        }
        out.push_str("</div></section>");
    }
}

fn held(view: &View, glance: &Glance, gate: &str) -> State {
    let facts = &glance.facts;
    let reason = facts
        .summary
        .gate_reason
        .as_deref()
        .unwrap_or("no reason given");
    let reason = match view.show_records {
        true => reason.to_string(),
        false => words::without_the_apis(reason),
    };
    let since = facts.gate_since.map(|since| view.now.after(since));
    let since = since.map_or(String::new(), |since| format!(", for {} now", Span(since)));
    let reason = format!(
        "{}{}{since}.",
        reason.trim_end_matches('.'),
        words::meaning(&reason)
    );
    if gate == "paused" {
        let remedy = "`ferryd resume` lets it go on.";
        return State::new(Mood::Held, "Sending is paused", [reason.as_str(), remedy]);
    }
    let next = match facts.probe_at.map(|at| at.after(view.now)) {
        _ if gate == "probing" => "One record is under way to see whether it works again.".into(),
        Some(time) if time > Duration::ZERO => {
            format!(
                "One record tries again in {}; no record loses an attempt meanwhile.",
                Span(time)
            )
        }
        _ => "One record tries again as soon as there is one.".to_string(),
    };
    State::new(Mood::Fault, "Sending is held", [reason, next])
}

fn open(view: &View, glance: &Glance) -> State {
    let s = &glance.facts.summary;
    let on_the_way = waiting(view, s.waiting);
    if s.dead > 0 {
        let records = plural(s.dead, "record");
        let remedy = format!(
            "{records} will not be sent again, unless you say so: `ferryd retry dead`, or one by one."
        );
        let details = [Some(remedy), on_the_way].into_iter().flatten();
        return State::new(Mood::Look, "Some records are dead", details);
    }
    let again = s.retrying + s.unknown;
    if again > 0 {
        let again = format!("{} will be sent again by itself.", plural(again, "record"));
        let details = [Some(again), on_the_way].into_iter().flatten();
        return State::new(Mood::Busy, "Some records wait for a retry", details);
    }
    match on_the_way {
        Some(waiting) => State::new(Mood::Busy, "Delivering", [waiting]),
        None if s.delivered == 0 => {
            State::new(Mood::Well, "All is well", ["There is nothing to send yet."])
        }
        None => State::new(Mood::Well, "All is well", ["Every record is delivered."]),
    }
}

fn waiting(view: &View, waiting: i64) -> Option<String> {
    if waiting == 0 {
        return None;
    }
    let rate = view.insight.map_or(0.0, |insight| {
        chart::rate(&insight.metrics, view.open_for())
    });
    let left = Duration::try_from_secs_f64(waiting as f64 / rate).ok();
    let left = left.filter(|_| rate > 0.0);
    let left = left.map_or(String::new(), |left| {
        format!(", about {} at the rate of now", Span(left))
    });
    let wait = if waiting == 1 { "waits" } else { "wait" };
    Some(format!("{} {wait}{left}.", plural(waiting, "record")))
}

fn plural(count: i64, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{} {what}s", Count(count)),
    }
}
