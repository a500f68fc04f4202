//! `ferryd prune`: deletes what was delivered long ago, with the daemon up or down.
//!
//! It writes beside the daemon like any other program, in short transactions with pauses between them, long ones while a daemon
//! works on the file: deliveries go on. What was pruned stays so if it is stopped on the way.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::config::Durability;
use crate::db::prune::{self, Order, Place, Pruned};
use crate::db::{self, schema};
use crate::lock;
use crate::stop::Stop;
use crate::time::Timestamp;

/// Rest after a step, in times of what it took: for the daemon's writer, which wants the lock all the time, and for others.
const REST_BESIDE_DAEMON: u32 = 4;
const REST: u32 = 1;

/// What to prune.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Batches that ended longer ago.
    pub older_than: Duration,
    /// Their records too.
    pub records: bool,
}

/// Prunes until nothing is left that is old enough, or the stop comes.
///
/// # Errors
/// When the file cannot be used or written; a constraint of the owner's may forbid that a record goes.
pub fn run(database: &Path, options: Options, stop: &Stop) -> anyhow::Result<Pruned> {
    let looked = db::open_to_look(database)?;
    schema::expect_this_version(&looked, database)?;
    drop(looked);
    let conn = db::open_writer(database, Durability::Normal, db::BUSY_TIMEOUT)?;
    let order = Order {
        before: Timestamp::now().minus(options.older_than),
        records: options.records,
    };
    let mut total = Pruned::default();
    let mut next = Some(Place::default());
    while let Some(place) = next {
        db::begin_patiently(&conn)?;
        let start = Instant::now();
        // An error leaves the transaction open; it ends with the connection.
        let (pruned, place) = prune::step(&conn, order, &place)?;
        conn.execute_batch("COMMIT")?;
        let took = start.elapsed();
        total += pruned;
        next = place;
        let rest = match lock::holder_of(database) {
            Some(_) => REST_BESIDE_DAEMON,
            None => REST,
        };
        if stop.wait(took * rest) {
            break;
        }
    }
    Ok(total)
}

impl std::fmt::Display for Pruned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Pruned { batches, records } = self;
        write!(f, "pruned {batches} batches and {records} records")
    }
}
