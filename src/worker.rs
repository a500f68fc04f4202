//! A worker: takes a claimed batch, sends its records, one by one or in chunks, and has each outcome written down. Without a
//! batch of its own it helps others.
//!
//! What a kill can repeat is bounded to two requests of each worker: see `worker/stretch.rs` and `worker/bulk.rs`.
//! It holds no reader and no transaction while it sends, and it never sends into the queue it takes from.

mod attempt;
mod bulk;
mod helpers;
mod page;
mod single;
mod stretch;
mod tally;
mod transfer;
mod window;

use crossbeam_channel::{Receiver, Sender, TryRecvError, select};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::activity::{Activity, Doing, Role};
use crate::batch::Claim;
use crate::db::pool::Readers;
use crate::db::settle;
use crate::db::writer::{WriteError, Writer};
use crate::gate::Gate;
use crate::metrics::Metrics;
use crate::outcome::Answer;
use crate::pace::Pace;
use crate::settings::Current;
use crate::stop::Stop;
use crate::verdict::Verdict;
use attempt::Attempt;
pub use helpers::Helpers;
use stretch::Stretch;

/// Pause of a worker whose record could not be sent.
const AFTER_HOLD: Duration = Duration::from_millis(20);

/// A record that waited longer than this for its turn is read again. Reading keeps others waiting meanwhile, so that it is
/// not for every short wait.
const LONG_WAIT: Duration = Duration::from_secs(1);

/// What all workers share.
pub struct Shared {
    /// The API, and how to read records for it; taken once for a stretch of work.
    pub settings: Arc<Current>,
    /// The file, for a second look at what seems damaged.
    pub database: PathBuf,
    /// Reads records.
    pub readers: Readers,
    /// Writes outcomes.
    pub writer: Writer,
    /// Whether anything may be sent.
    pub gate: Arc<Gate>,
    /// How fast, and how many at a time.
    pub pace: Pace,
    /// The first part of every idempotency key.
    pub instance: String,
    /// Workers that have time.
    pub helpers: Helpers,
    /// Told when a batch got a due time.
    pub rescheduled: Sender<()>,
    /// What each worker does.
    pub activity: Arc<Activity>,
    /// What was sent.
    pub metrics: Arc<Metrics>,
    /// Ends the workers.
    pub stop: Stop,
}

/// Takes claims from the queue until it is closed or the stop comes, as the worker of this number.
///
/// # Errors
/// When outcomes cannot be written down.
pub fn run(shared: &Shared, number: u32, queue: &Receiver<Claim>) -> Result<(), WriteError> {
    let role = Role::Worker(number);
    serve(shared, role, queue, |claim| {
        Attempt::new(shared, role, claim).run()
    })
}

/// Makes an `attempt` at each claim, and helps others meanwhile; a panic costs its batch a delay, and nothing else.
fn serve(
    shared: &Shared,
    role: Role,
    queue: &Receiver<Claim>,
    attempt: impl Fn(&Claim) -> Result<(), WriteError>,
) -> Result<(), WriteError> {
    while let Some(job) = next_job(shared, queue) {
        if shared.stop.requested() {
            return Ok(());
        }
        let claim = job.claim().clone();
        let activity = &shared.activity;
        activity.note_batch(role, claim.fence.batch_id, claim.user_id);
        activity.note(role, Doing::Reading);
        let work = || match job {
            Job::Batch(claim) => attempt(&claim),
            Job::Help(stretch) => single::help(shared, role, stretch, || !queue.is_empty()),
        };
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)) {
            Ok(result) => result?,
            Err(_) => break_off(shared, &claim)?,
        }
        activity.note(role, Doing::Resting);
    }
    Ok(())
}

/// What a worker may do.
enum Job {
    Batch(Claim),
    Help(Arc<Stretch>),
}

impl Job {
    fn claim(&self) -> &Claim {
        match self {
            Job::Batch(claim) => claim,
            Job::Help(stretch) => &stretch.claim,
        }
    }
}

/// A batch, if there is one, else whatever comes first; nothing when the queue is closed.
fn next_job(shared: &Shared, queue: &Receiver<Claim>) -> Option<Job> {
    match queue.try_recv() {
        Ok(claim) => return Some(Job::Batch(claim)),
        Err(TryRecvError::Disconnected) => return None,
        Err(TryRecvError::Empty) => {}
    }
    shared.helpers.find_or(
        &shared.gate,
        |stretch| Some(Job::Help(stretch)),
        |calls| {
            select! {
                recv(queue) -> claim => claim.ok().map(Job::Batch),
                recv(calls) -> stretch => stretch.ok().map(Job::Help),
            }
        },
    )
}

/// A panic is a fault of ferryd: the batch keeps its place and waits for a retry, and the worker goes on.
fn break_off(shared: &Shared, claim: &Claim) -> Result<(), WriteError> {
    let fence = claim.fence;
    let policy = &shared.settings.get().policy;
    let delay = policy.delay(claim.attempt + 1, jitter(claim));
    shared
        .writer
        .call(move |conn| settle::break_off(conn, fence, delay))?;
    log::error!(
        "A worker panicked; its batch waits for a retry. batch={} user={}",
        fence.batch_id,
        claim.user_id
    );
    let _ = shared.rescheduled.try_send(());
    Ok(())
}

/// Whether anything was sent.
fn has_begun(answer: &Answer) -> bool {
    match answer.verdict {
        Verdict::NotSent | Verdict::Shortage => false,
        // Without an answer it was ferryd that found no form for the record.
        Verdict::Dead => answer.http_status.is_some(),
        _ => true,
    }
}

/// From 0.0 to 1.0: different for each batch and attempt, the same when it is computed again.
fn jitter(claim: &Claim) -> f64 {
    use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
    let hasher = BuildHasherDefault::<DefaultHasher>::default();
    let hash = hasher.hash_one((claim.fence.batch_id, claim.attempt));
    hash as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests;
