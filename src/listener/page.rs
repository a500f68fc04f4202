//! The status page: one file of HTML, filled in here.
//!
//! All of it is made on this side, so that it works without JavaScript; the script only fetches the page again and takes
//! over what has changed. Every text that is not ours is escaped ([`html`]), and the policy of the page runs no script but
//! the one in the file, so that nothing that an API said can become markup.

mod chart;
mod html;
mod state;
mod tables;
mod words;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt::Write;
use std::time::Duration;

use crate::daemon::Insight;
use crate::db::glance::{Facts, Glance};
use crate::metrics::{Metrics, RESULTS};
use crate::time::Timestamp;
use html::{Count, Esc, Span};
use state::State;

/// The file, with marks for what is filled in.
const FILE: &str = include_str!("page.html");
const TITLE: &str = "<!--title-->";
const MAIN: &str = "<!--main-->";

/// [`RESULTS`] in plain words.
const RESULT_WORDS: [&str; RESULTS.len()] = [
    "delivered",
    "to be sent again",
    "without an answer",
    "refused",
    "not taken, the gate closed",
    "not sent",
    "short of connections",
];

/// What one moment's page is made of.
pub(super) struct View<'a> {
    pub(super) database: String,
    pub(super) api: String,
    pub(super) start: Timestamp,
    pub(super) now: Timestamp,
    pub(super) stopping: bool,
    /// A thread that makes no progress.
    pub(super) stuck: Option<String>,
    /// Why the file cannot be worked on.
    pub(super) fault: Option<String>,
    /// `None` until the daemon has started.
    pub(super) insight: Option<&'a Insight>,
    /// `None` when the file cannot be read.
    pub(super) glance: Option<&'a Glance>,
    pub(super) show_records: bool,
}

impl View<'_> {
    /// How long the gate has been open without a break, as far as it is known; a closed one has no such time to reckon with.
    fn open_for(&self) -> Duration {
        let facts = self.glance.map(|glance| &glance.facts);
        let facts = facts.filter(|facts| facts.summary.gate == "open");
        let since = facts.and_then(|facts| facts.gate_since);
        since.map_or(Duration::MAX, |since| self.now.after(since))
    }
}

/// The page without what changes.
pub(super) struct Page {
    policy: String,
}

impl Page {
    pub(super) fn new() -> Page {
        let (style, script) = (digest("style"), digest("script"));
        Page {
            policy: format!(
                "default-src 'none'; style-src '{style}'; script-src '{script}'; connect-src 'self'; \
                 base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
            ),
        }
    }

    /// What a browser may do with it: run the script in the file, and fetch from here.
    pub(super) fn policy(&self) -> &str {
        &self.policy
    }

    pub(super) fn render(&self, view: &View) -> String {
        let state = State::of(view);
        let title = format!("{} · ferryd", state.headline);
        let page = FILE.replacen(TITLE, &title, 1);
        page.replacen(MAIN, &render_main(view, &state), 1)
    }
}

/// The hash by which a policy names an element of the file (<https://www.w3.org/TR/CSP3/#grammardef-hash-source>).
fn digest(element: &str) -> String {
    let (begin, end) = (format!("<{element}>"), format!("</{element}>"));
    let rest = FILE.split(&begin).nth(1).unwrap_or_default();
    let text = rest.split(&end).next().unwrap_or_default();
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    format!("sha256-{}", STANDARD.encode(digest))
}

fn render_main(view: &View, state: &State) -> String {
    let mut out = String::with_capacity(12 * 1024);
    header(&mut out, view);
    state.render(&mut out);
    if let Some(glance) = view.glance {
        counts(&mut out, view.now, &glance.facts);
    }
    if let Some(insight) = view.insight {
        chart::render(&mut out, &insight.metrics, view.open_for());
    }
    if let Some(glance) = view.glance {
        tables::failures(&mut out, view, glance);
    }
    out.push_str("<div class=\"pair\">");
    if let Some(glance) = view.glance {
        tables::users(&mut out, glance);
    }
    if let Some(insight) = view.insight {
        tables::workers(&mut out, &insight.activity);
    }
    out.push_str("</div>");
    footer(&mut out, view);
    out
}

// Writing to a String cannot fail, here and below.

fn header(out: &mut String, view: &View) {
    let _ = write!(
        out,
        "<header><b>ferryd</b> <span>{} → {}</span> <span class=\"as-of\">as of <time datetime=\"{now}\">{time} UTC</time></span></header>",
        Esc(&view.database),
        Esc(&view.api),
        now = view.now,
        time = &view.now.to_string()[11..19],
    );
}

fn counts(out: &mut String, now: Timestamp, facts: &Facts) {
    let s = &facts.summary;
    let oldest = s.oldest_waiting_at.as_deref();
    let oldest = oldest.and_then(|text| Timestamp::parse(text).ok());
    let oldest = oldest.map(|oldest| format!("the oldest for {}", Span(now.after(oldest))));
    let due = facts.next_due.map(|due| match due.after(now) {
        Duration::ZERO => "the next now".to_string(),
        time => format!("the next in {}", Span(time)),
    });
    let kinds = [
        ("delivered", "Delivered", s.delivered, None),
        ("waiting", "Waiting", s.waiting, oldest),
        ("retrying", "Retrying", s.retrying, due),
        ("unknown", "Unknown", s.unknown, None),
        ("dead", "Dead", s.dead, None),
    ];
    out.push_str("<section aria-label=\"Records\"><dl class=\"counts\">");
    for (kind, name, count, more) in &kinds {
        let zero = if *count == 0 { " zero" } else { "" };
        let more = more.as_deref().unwrap_or(match *kind {
            "delivered" => "accepted by the API",
            "waiting" => "not sent yet",
            "retrying" => "to be sent again",
            "unknown" => "sent, no answer seen",
            _ => "not sent again",
        });
        let _ = write!(
            out,
            "<div class=\"k-{kind}{zero}\"><dt>{name}</dt><dd>{}<small>{more}</small></dd></div>",
            Count(*count)
        );
    }
    out.push_str("</dl>");
    let shares = kinds.map(|(kind, _, count, _)| (kind, count));
    chart::share(out, "Records by where they stand", &shares);
    out.push_str("</section>");
}

fn footer(out: &mut String, view: &View) {
    let _ = write!(
        out,
        "<footer><span>ferryd {}, running for {}</span>",
        env!("CARGO_PKG_VERSION"),
        Span(view.now.after(view.start))
    );
    if let Some(insight) = view.insight {
        requests(out, &insight.metrics);
    }
    out.push_str(
        "<span><a href=\"metrics\">metrics</a> · <a href=\"status.json\">status.json</a> · <a href=\"healthz\">healthz</a> · <a href=\"readyz\">readyz</a></span></footer>",
    );
}

fn requests(out: &mut String, metrics: &Metrics) {
    let requests = metrics.requests();
    let total: u64 = requests.iter().sum();
    let _ = write!(out, "<span>{} requests since then", Count(total as i64));
    let counted = RESULT_WORDS.into_iter().zip(requests);
    let counted = counted.filter(|(_, count)| *count > 0);
    for (place, (words, count)) in counted.enumerate() {
        let before = if place == 0 { ": " } else { ", " };
        let _ = write!(out, "{before}{} {words}", Count(count as i64));
    }
    out.push_str("</span>");
}
