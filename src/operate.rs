//! `ferryd retry`, `pause` and `resume`, and planning for `preview`: rows of the `command` table. A running daemon answers them; without one they are
//! carried out at once, under the instance lock.

use rusqlite::{Connection, named_params};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::config::Durability;
use crate::db::batches::{self, Cut, Scope};
use crate::db::steer::{self, Verb};
use crate::db::{self, preview};
use crate::gate::Sign;
use crate::lock::{InstanceLock, LockError};
use crate::time::Timestamp;

/// How long a running daemon may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Time between two looks for the answer.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Gives a command and returns its answer.
///
/// # Errors
/// When the file cannot be used, or a running daemon does not answer.
pub fn run(database: &Path, verb: &Verb) -> anyhow::Result<String> {
    drop(db::open_to_look(database)?);
    let conn = db::open_writer(database, Durability::Full, db::BUSY_TIMEOUT)?;
    match InstanceLock::take(database) {
        Ok(_lock) => carry_out(&conn, verb),
        Err(LockError::Held { .. }) => ask_daemon(&conn, verb),
        Err(error) => Err(error.into()),
    }
}

/// Sees to it that a record is cut into a batch. A running daemon cuts all that waits; without one it is only what waits of the
/// record's user, up to the record.
///
/// # Errors
/// When the file cannot be used, or a running daemon does not answer.
pub fn plan(database: &Path, record: i64, cut: Cut) -> anyhow::Result<()> {
    let conn = db::open_writer(database, Durability::Full, db::BUSY_TIMEOUT)?;
    match InstanceLock::take(database) {
        Ok(_lock) => plan_record(&conn, record, cut),
        Err(LockError::Held { .. }) => ask_daemon(&conn, &Verb::Plan).map(drop),
        Err(error) => Err(error.into()),
    }
}

fn plan_record(conn: &Connection, record: i64, cut: Cut) -> anyhow::Result<()> {
    let sql = include_str!("../sql/explain/record.sql");
    let params = named_params! {":record": record};
    // A row without a whole number for its user is in no batch, ever.
    let Ok(user) = conn.query_row(sql, params, |row| row.get(0)) else {
        return Ok(());
    };
    let scope = Scope {
        user: Some(user),
        due_by: None,
    };
    while preview::key_of_record(conn, record)?.is_none() {
        db::begin_patiently(conn)?;
        let round = batches::plan(conn, scope, cut, None, Timestamp::now())?;
        conn.execute_batch("COMMIT")?;
        if round.batches == 0 {
            break;
        }
    }
    Ok(())
}

fn ask_daemon(conn: &Connection, verb: &Verb) -> anyhow::Result<String> {
    db::begin_patiently(conn)?;
    let command = steer::insert_command(conn, verb)?;
    conn.execute_batch("COMMIT")?;
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        if let Some(result) = steer::result_of_command(conn, command)? {
            return Ok(result);
        }
        std::thread::sleep(LOOK_EVERY);
    }
    anyhow::bail!(
        "the daemon has not answered within {} s; the command stays in the table `command` (id {command}), see the daemon's log",
        PATIENCE.as_secs()
    )
}

fn carry_out(conn: &Connection, verb: &Verb) -> anyhow::Result<String> {
    db::begin_patiently(conn)?;
    let command = steer::insert_command(conn, verb)?;
    let result = match verb {
        Verb::Retry(target) => steer::retry(conn, *target, Timestamp::now())?,
        Verb::Pause => {
            let (sign, probe_in) = gate(conn)?;
            steer::store_gate(conn, &Sign::paused(sign.beneath()), probe_in)?;
            "sending is paused, also when the daemon starts".to_string()
        }
        Verb::Resume => {
            let (sign, probe_in) = gate(conn)?;
            let sign = match sign.beneath() {
                None => Sign::open(),
                Some(reason) => Sign::closed(reason),
            };
            // A closed gate is probed at once.
            steer::store_gate(conn, &sign, probe_in.map(|_| Duration::ZERO))?;
            "sending goes on when the daemon starts".to_string()
        }
        Verb::Plan => "the daemon plans when it starts".to_string(),
    };
    steer::answer_command(conn, command, &result)?;
    conn.execute_batch("COMMIT")?;
    Ok(result)
}

/// The gate as it stands in the file, and how long a closed one must not be probed yet.
fn gate(conn: &Connection) -> rusqlite::Result<(Sign, Option<Duration>)> {
    let (sign, probe_at) = steer::load_gate(conn)?;
    let now = Timestamp::now();
    Ok((sign, probe_at.map(|at| at.after(now))))
}
