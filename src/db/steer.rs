//! Steering: the `command` table, and the gate's row, which outlive the process.

use rusqlite::{Connection, OptionalExtension, named_params};
use std::collections::BTreeSet;
use std::time::Duration;

use crate::gate::{Sign, State};
use crate::text;
use crate::time::Timestamp;

/// What an operator asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verb {
    /// Send again what failed or is dead.
    Retry(Target),
    /// Hold all sending.
    Pause,
    /// Let it go on.
    Resume,
    /// Cut all that waits into batches now.
    Plan,
}

/// What a retry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// `batch:N`
    Batch(i64),
    /// `user:N`
    User(i64),
    /// `record:N`
    Record(i64),
    /// All dead records.
    Dead,
    /// All records that wait for a retry.
    Failed,
}

impl Target {
    fn parts(self) -> (&'static str, Option<i64>) {
        match self {
            Target::Batch(id) => ("batch", Some(id)),
            Target::User(id) => ("user", Some(id)),
            Target::Record(id) => ("record", Some(id)),
            Target::Dead => ("dead", None),
            Target::Failed => ("failed", None),
        }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.parts() {
            (kind, Some(number)) => write!(f, "{kind}:{number}"),
            (kind, None) => f.write_str(kind),
        }
    }
}

impl std::str::FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Target, String> {
        let number = |number: &str| number.parse::<i64>().ok();
        let target = match text.split_once(':') {
            Some(("batch", n)) => number(n).map(Target::Batch),
            Some(("user", n)) => number(n).map(Target::User),
            Some(("record", n)) => number(n).map(Target::Record),
            None if text == "dead" => Some(Target::Dead),
            None if text == "failed" => Some(Target::Failed),
            _ => None,
        };
        target.ok_or_else(|| "use batch:N, user:N, record:N, dead or failed".to_string())
    }
}

/// A row of `command` that waits for its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// `command.id`.
    pub id: i64,
    /// What to do; `None` when the row says nothing that this version knows.
    pub verb: Option<Verb>,
}

/// Up to 100 commands in the order in which they came.
///
/// # Errors
/// SQLite's.
pub fn commands_to_do(conn: &Connection) -> rusqlite::Result<Vec<Command>> {
    let mut statement = conn.prepare_cached(include_str!("../../sql/steer/commands_to_do.sql"))?;
    let rows = statement.query_map([], |row| {
        let verb: String = row.get(1)?;
        let target: Option<String> = row.get(2)?;
        Ok(Command {
            id: row.get(0)?,
            verb: read_verb(&verb, target.as_deref()),
        })
    })?;
    rows.collect()
}

fn read_verb(verb: &str, target: Option<&str>) -> Option<Verb> {
    match (verb, target) {
        ("retry", Some(target)) => target.parse().ok().map(Verb::Retry),
        ("pause", None) => Some(Verb::Pause),
        ("resume", None) => Some(Verb::Resume),
        ("plan", None) => Some(Verb::Plan),
        _ => None,
    }
}

/// Writes a command for the daemon and returns its id.
///
/// # Errors
/// SQLite's.
pub fn insert_command(conn: &Connection, verb: &Verb) -> rusqlite::Result<i64> {
    let (verb, target) = match verb {
        Verb::Retry(target) => ("retry", Some(target.to_string())),
        Verb::Pause => ("pause", None),
        Verb::Resume => ("resume", None),
        Verb::Plan => ("plan", None),
    };
    conn.prepare_cached(include_str!("../../sql/steer/insert_command.sql"))?
        .insert(named_params! {":verb": verb, ":target": target})
}

/// Writes a command's answer into its row, and forgets the oldest.
///
/// # Errors
/// SQLite's.
pub fn answer_command(conn: &Connection, command: i64, result: &str) -> rusqlite::Result<()> {
    conn.prepare_cached(include_str!("../../sql/steer/answer_command.sql"))?
        .execute(named_params! {
            ":command": command,
            ":result": result,
            ":now": Timestamp::now().to_string(),
        })?;
    conn.prepare_cached(include_str!("../../sql/steer/forget_commands.sql"))?
        .execute(named_params! {":command": command})?;
    Ok(())
}

/// A command's answer, once it is there.
///
/// # Errors
/// SQLite's.
pub fn result_of_command(conn: &Connection, command: i64) -> rusqlite::Result<Option<String>> {
    conn.prepare_cached(include_str!("../../sql/steer/result_of_command.sql"))?
        .query_row(named_params! {":command": command}, |row| row.get(0))
        .optional()
}

/// Makes the target's records due now and says how many there are.
///
/// # Errors
/// SQLite's.
pub fn retry(conn: &Connection, target: Target, now: Timestamp) -> rusqlite::Result<String> {
    let (kind, number) = target.parts();
    let mut batches = BTreeSet::new();
    let mut records = 0_i64;
    let mut statement = conn.prepare_cached(include_str!("../../sql/steer/retry_records.sql"))?;
    let mut rows = statement.query(named_params! {":kind": kind, ":number": number})?;
    while let Some(row) = rows.next()? {
        batches.insert(row.get::<_, i64>(0)?);
        records += 1;
    }
    for batch in &batches {
        make_due(conn, *batch, now)?;
    }
    let mut statement =
        conn.prepare_cached(include_str!("../../sql/steer/retry_failed_batches.sql"))?;
    let mut rows = statement
        .query(named_params! {":kind": kind, ":number": number, ":now": now.to_string()})?;
    while let Some(row) = rows.next()? {
        batches.insert(row.get(0)?);
    }
    if batches.is_empty() {
        return Ok(format!("nothing to retry: {}", nothing(conn, target)?));
    }
    let are = if records == 1 { "is" } else { "are" };
    let records = text::count(records, "record", "records");
    let batches = text::count(batches.len() as i64, "batch", "batches");
    Ok(format!("{records} of {batches} {are} sent again"))
}

/// Why a target names no record that can be sent again.
fn nothing(conn: &Connection, target: Target) -> rusqlite::Result<String> {
    let sql = include_str!("../../sql/steer/batch_is_there.sql");
    Ok(match target {
        Target::Batch(id) => {
            match conn.query_row(sql, named_params! {":batch": id}, |row| row.get(0))? {
                true => format!("no record of batch {id} failed or is dead"),
                false => format!("there is no batch {id}"),
            }
        }
        Target::User(id) => format!("no record of user {id} failed or is dead"),
        Target::Record(id) => format!("there is no record {id} that failed or is dead"),
        Target::Dead => "no record is dead".to_string(),
        Target::Failed => "no record waits for a retry".to_string(),
    })
}

fn make_due(conn: &Connection, batch: i64, now: Timestamp) -> rusqlite::Result<()> {
    conn.prepare_cached(include_str!("../../sql/steer/make_due.sql"))?
        .execute(named_params! {":batch": batch, ":now": now.to_string()})?;
    Ok(())
}

/// Brings records back to life that were declared dead although the request was at fault.
///
/// # Errors
/// SQLite's.
pub fn revive(conn: &Connection, records: &[i64], now: Timestamp) -> rusqlite::Result<()> {
    for record in records {
        let batch = conn
            .prepare_cached(include_str!("../../sql/steer/revive.sql"))?
            .query_row(named_params! {":record": record}, |row| row.get(0))
            .optional()?;
        if let Some(batch) = batch {
            make_due(conn, batch, now)?;
        }
    }
    Ok(())
}

/// The gate as the last process left it, and when it may be probed.
///
/// # Errors
/// SQLite's.
pub fn load_gate(conn: &Connection) -> rusqlite::Result<(Sign, Option<Timestamp>)> {
    conn.query_row(include_str!("../../sql/steer/load_gate.sql"), [], |row| {
        let word: String = row.get(0)?;
        let sign = Sign {
            state: State::of_word(&word).unwrap_or(State::Open),
            reason: row.get(1)?,
        };
        let probe_at: Option<String> = row.get(2)?;
        Ok((sign, probe_at.and_then(|text| Timestamp::parse(&text).ok())))
    })
}

/// Shows the gate in `delivery_summary`.
///
/// # Errors
/// SQLite's.
pub fn store_gate(
    conn: &Connection,
    sign: &Sign,
    probe_in: Option<Duration>,
) -> rusqlite::Result<()> {
    let now = Timestamp::now();
    conn.prepare_cached(include_str!("../../sql/steer/store_gate.sql"))?
        .execute(named_params! {
            ":state": sign.state.word(),
            ":reason": sign.reason,
            ":now": now.to_string(),
            ":probe_at": probe_in.map(|time| now.plus(time).to_string()),
        })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_reads_back_as_it_is_written() {
        for text in ["batch:42", "user:-7", "record:0", "dead", "failed"] {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), text);
        }
        for wrong in ["", "batch:", "batch:x", "dead:1", "all", "record:1 "] {
            assert!(wrong.parse::<Target>().is_err(), "{wrong}");
        }
    }
}
