//! Tables: records that failed, users, and workers. Each is short however much there is.

use std::fmt::Write;

use super::html::{Code, Count, Esc, Span};
use super::{View, chart, words};
use crate::activity::{Activity, Doing, Role, Seen};
use crate::db::glance::{Failed, Glance};
use crate::text;

/// Workers shown one by one.
const WORKERS: usize = 10;

/// Bytes of a reason.
const REASON_BYTES: usize = 120;

/// The dead, which wait for an operator, and those that are sent again next.
pub(super) fn failures(out: &mut String, view: &View, glance: &Glance) {
    if !glance.dead.is_empty() || glance.userless > 0 {
        table(
            out,
            "Dead records",
            "the newest; `ferryd explain ID` tells all",
        );
        glance.dead.iter().for_each(|failed| row(out, view, failed));
        if glance.userless > 0 {
            let _ = write!(
                out,
                "<tr><td class=\"n\">{}</td><td class=\"why\" colspan=\"4\">records whose user_id is not a whole number</td></tr>",
                Count(glance.userless)
            );
        }
        out.push_str("</tbody></table></div></section>");
    }
    if !glance.retrying.is_empty() {
        table(
            out,
            "Sent again next",
            "some of those that wait for a retry",
        );
        glance
            .retrying
            .iter()
            .for_each(|failed| row(out, view, failed));
        out.push_str("</tbody></table></div></section>");
    }
}

fn table(out: &mut String, title: &str, remark: &str) {
    let id = title.replace(' ', "-").to_lowercase();
    let _ = write!(
        out,
        "<section aria-labelledby=\"{id}\"><h2 id=\"{id}\">{title} <span class=\"soft\">{}</span></h2><div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-labelledby=\"{id}\"><table><thead><tr><th class=\"n\" scope=\"col\">Record</th><th class=\"n wide\" scope=\"col\">User</th><th class=\"n wide\" scope=\"col\">Batch</th><th class=\"n\" scope=\"col\">Attempts</th><th scope=\"col\">Reason</th></tr></thead><tbody>",
        Code(remark)
    );
}

fn row(out: &mut String, view: &View, failed: &Failed) {
    let _ = write!(
        out,
        "<tr><td class=\"n\">{}</td><td class=\"n wide\">{}</td><td class=\"n wide\">{}</td><td class=\"n\">{}</td><td class=\"why\">{}",
        failed.record,
        failed.user,
        failed.batch,
        failed.attempts,
        Esc(&reason(view, failed))
    );
    small(out, &fate(view, failed));
    let columns = failed.content.iter();
    let columns: Vec<String> = columns
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    small(out, &columns.join(", "));
    out.push_str("</td></tr>");
}

fn small(out: &mut String, words: &str) {
    if !words.is_empty() {
        let _ = write!(out, "<small>{}</small>", Esc(words));
    }
}

fn reason(view: &View, failed: &Failed) -> String {
    let error = match failed.error.as_str() {
        "" => "no reason given",
        error => error,
    };
    let reason = match view.show_records {
        true => error.to_string(),
        false => words::without_the_apis(error),
    };
    // It was made printable when it came into the file, where others may write too.
    let is_printable = !reason.chars().any(char::is_control) && reason.len() <= REASON_BYTES;
    match is_printable {
        true => reason,
        false => text::printable(&reason, REASON_BYTES).into_owned(),
    }
}

/// What becomes of a record that is not dead.
fn fate(view: &View, failed: &Failed) -> String {
    let due = match failed.due.map(|due| due.after(view.now)) {
        Some(time) if !time.is_zero() => format!("again in {}", Span(time)),
        Some(_) => "again as soon as a worker is free".to_string(),
        None => "again with its batch, which is in work".to_string(),
    };
    match failed.state.as_str() {
        "DEAD" => String::new(),
        "UNKNOWN" => format!("no answer was seen, it may have been accepted; {due}"),
        _ => due,
    }
}

/// The users with the most left to do.
pub(super) fn users(out: &mut String, glance: &Glance) {
    if glance.users.is_empty() {
        return;
    }
    let remark = match glance.more_users {
        true => "those with the most left to do",
        false => "",
    };
    let _ = write!(
        out,
        "<section aria-labelledby=\"users\"><h2 id=\"users\">Users <span class=\"soft\">{remark}</span></h2><table><thead><tr><th class=\"n\" scope=\"col\">User</th><th scope=\"col\">Progress</th><th class=\"n\" scope=\"col\">Delivered</th><th class=\"n\" scope=\"col\">Left</th></tr></thead><tbody>"
    );
    for user in &glance.users {
        let _ = write!(out, "<tr><td class=\"n\">{}</td><td>", user.user);
        let parts = [
            ("delivered", user.delivered),
            ("waiting", user.waiting),
            ("retrying", user.retrying),
            ("dead", user.dead),
        ];
        chart::share(out, "Records", &parts);
        let _ = write!(
            out,
            "</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
            Count(user.delivered),
            // The dead are left for an operator, and have a table of their own.
            Count(user.waiting + user.retrying)
        );
    }
    out.push_str("</tbody></table></section>");
}

/// What the workers do; those that wait for others are counted.
pub(super) fn workers(out: &mut String, activity: &Activity) {
    let workers = activity.seen().filter_map(|seen| match seen.role {
        Role::Worker(number) => Some((number, seen)),
        _ => None,
    });
    let waits = |seen: &Seen| matches!(seen.doing, Doing::Resting | Doing::AtGate);
    let (waiting, busy): (Vec<_>, Vec<_>) = workers.partition(|(_, seen)| waits(seen));
    let _ = write!(
        out,
        "<section aria-labelledby=\"workers\"><h2 id=\"workers\">Workers <span class=\"soft\">{} of {} at work</span></h2>",
        busy.len(),
        busy.len() + waiting.len()
    );
    if !busy.is_empty() {
        at_work(out, &busy);
    }
    for (doing, words) in [(Doing::Resting, "for work"), (Doing::AtGate, "at the gate")] {
        let count = waiting
            .iter()
            .filter(|(_, seen)| seen.doing == doing)
            .count();
        let wait = if count == 1 { "waits" } else { "wait" };
        if count > 0 {
            let _ = write!(out, "<p class=\"soft\">{count} {wait} {words}.</p>");
        }
    }
    others(out, activity);
    out.push_str("</section>");
}

fn at_work(out: &mut String, busy: &[(u32, Seen)]) {
    out.push_str("<table><thead><tr><th class=\"n\" scope=\"col\">Worker</th><th scope=\"col\">Does</th><th class=\"n\" scope=\"col\">Batch</th><th class=\"n\" scope=\"col\">User</th></tr></thead><tbody>");
    for (number, seen) in busy.iter().take(WORKERS) {
        let (batch, user) = seen.batch.unwrap_or_default();
        let _ = write!(
            out,
            "<tr><td class=\"n\">{number}</td><td>{}</td><td class=\"n\">{batch}</td><td class=\"n\">{user}</td></tr>",
            doing(*seen)
        );
    }
    if busy.len() > WORKERS {
        let more = busy.len() - WORKERS;
        let _ = write!(
            out,
            "<tr><td colspan=\"4\">and {more} more at work</td></tr>"
        );
    }
    out.push_str("</tbody></table>");
}

fn others(out: &mut String, activity: &Activity) {
    let others = activity
        .seen()
        .filter(|seen| !matches!(seen.role, Role::Worker(_)));
    let others: Vec<String> = others
        .filter(|seen| !matches!(seen.doing, Doing::Resting | Doing::Dozing))
        .map(|seen| format!("the {} {}", seen.role, doing(seen)))
        .collect();
    if !others.is_empty() {
        let _ = write!(out, "<p class=\"soft\">Besides, {}.</p>", others.join(", "));
    }
}

/// With the time, when that is more than a moment.
fn doing(seen: Seen) -> String {
    let words = seen.doing.words();
    match seen.since.as_secs() {
        0..2 => words.to_string(),
        _ => format!("{words}, for {}", Span(seen.since)),
    }
}
