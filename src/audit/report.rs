//! What an audit found, as a small table for people and as JSON for machines. Nothing is judged here.

use serde::Serialize;
use std::fmt;

/// Records of a user, or of all, each counted where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Records {
    /// Rows of user_record: the sum of the next five.
    pub records: i64,
    /// Accepted by the API.
    pub delivered: i64,
    /// Not sent yet.
    pub waiting: i64,
    /// Answered "try again".
    pub retrying: i64,
    /// Sent without an answer.
    pub unknown: i64,
    /// Not sent again.
    pub dead: i64,
    /// Accepted by the API, and then deleted, replaced or moved to another user by the owner. For one user it is
    /// negative when delivered rows of other users were moved to it.
    pub gone: i64,
}

/// What the journal tells. Counts of requests and records with keys of this file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct JournalCounts {
    /// Requests.
    pub requests: i64,
    /// Requests answered 2xx.
    pub accepted: i64,
    /// Lines without a key of this file; they are left aside.
    pub foreign: i64,
    /// Records that the file calls delivered, without a 2xx.
    pub lost: i64,
    /// Batches that count more delivered records than were accepted under their keys.
    pub falsely_successful: i64,
    /// Records accepted under keys that no deletion, replacement or move explains.
    pub repeated_with_another_key: i64,
    /// Requests accepted although the same key had been accepted before.
    pub repeated: i64,
    /// Records accepted under a further key because their owner put them in anew.
    pub sent_anew: i64,
    /// Records accepted without the file knowing it, after a kill or a lost answer.
    pub will_be_repeated: i64,
}

/// A promise that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Broken {
    /// What should hold.
    pub promise: &'static str,
    /// How many things break it.
    pub times: i64,
    /// The first of them.
    pub examples: Vec<String>,
}

/// The result of an audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Every promise holds.
    pub holds: bool,
    /// Users with records.
    pub users: i64,
    /// All records.
    #[serde(flatten)]
    pub records: Records,
    /// The journal, if there was one.
    pub journal: Option<JournalCounts>,
    /// The promises that do not hold.
    pub broken: Vec<Broken>,
    /// The users with the most left to do.
    #[serde(skip)]
    pub most_left: Vec<(String, Records)>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        head(f)?;
        row(f, &format!("all {}", self.users), &self.records)?;
        for (name, records) in &self.most_left {
            row(f, name, records)?;
        }
        if let Some(journal) = &self.journal {
            write!(f, "\n{journal}")?;
        }
        for broken in &self.broken {
            write!(f, "\n{broken}")?;
        }
        match self.broken.len() {
            0 => writeln!(f, "\nevery promise holds"),
            1 => writeln!(f, "\n1 promise does not hold"),
            more => writeln!(f, "\n{more} promises do not hold"),
        }
    }
}

fn head(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let words = [
        "records",
        "delivered",
        "waiting",
        "retrying",
        "unknown",
        "dead",
        "gone",
    ];
    write!(f, "{:24}", "user")?;
    words.iter().try_for_each(|word| write!(f, " {word:>10}"))?;
    writeln!(f)
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, r: &Records) -> fmt::Result {
    let numbers = [
        r.records,
        r.delivered,
        r.waiting,
        r.retrying,
        r.unknown,
        r.dead,
        r.gone,
    ];
    write!(f, "{name:24}")?;
    numbers
        .iter()
        .try_for_each(|number| write!(f, " {number:>10}"))?;
    writeln!(f)
}

impl fmt::Display for JournalCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "journal   {} requests, {} accepted, {} lines of other files or without a key",
            self.requests, self.accepted, self.foreign
        )?;
        writeln!(
            f,
            "          lost {}  falsely successful {}  repeated with another key {}",
            self.lost, self.falsely_successful, self.repeated_with_another_key
        )?;
        writeln!(
            f,
            "          repeated {}  will be repeated {}  sent anew {}",
            self.repeated, self.will_be_repeated, self.sent_anew
        )
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "BROKEN: {} ({})", self.promise, self.times)?;
        self.examples
            .iter()
            .try_for_each(|example| writeln!(f, "    {example}"))
    }
}
