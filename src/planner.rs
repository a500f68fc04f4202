//! The planner: cuts waiting records into batches, claims batches and hands them to the workers.
//!
//! It plans only when nothing is left to claim, so PENDING batches never pile up, and each round gives every user one
//! turn. The bounded queue holds it back; it waits for room there, and it never drops a batch.

use crossbeam_channel::{Receiver, Sender, select};
use std::time::Duration;

use crate::batch::Claim;
use crate::db::Damaged;
use crate::db::batches::{self, Cut, Round, Scope};
use crate::db::pool::Readers;
use crate::db::writer::{WriteError, Writer};
use crate::stop::Stop;
use crate::time::Timestamp;

/// Without a wake the planner looks this often all the same.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What the planner works with.
pub struct Planner {
    /// Looks whether there is work.
    pub readers: Readers,
    /// Plans and claims.
    pub writer: Writer,
    /// To the workers.
    pub queue: Sender<Claim>,
    /// Says "look again".
    pub wake: Receiver<()>,
    /// Ends the planner.
    pub stop: Stop,
    /// Which part of the file to work on.
    pub scope: Scope,
    /// How to cut.
    pub cut: Cut,
}

impl Planner {
    /// Runs until the stop.
    ///
    /// # Errors
    /// When the writer refuses or has ended.
    pub fn run(&self) -> Result<(), WriteError> {
        let mut last_user = None;
        while !self.stop.requested() {
            if !self.work_to_do()? {
                self.rest();
                continue;
            }
            let claims = self.claim()?;
            if !claims.is_empty() {
                self.hand_over(claims);
                continue;
            }
            let round = self.plan(last_user)?;
            if round == Round::default() && last_user.is_none() {
                // Somebody else was faster, or the work was deleted.
                self.rest();
            }
            last_user = round.last_user;
        }
        Ok(())
    }

    /// A file that cannot be read now is read again at the next look, unless it is damaged.
    fn work_to_do(&self) -> Result<bool, WriteError> {
        let look = || -> anyhow::Result<bool> {
            let conn = self.readers.get()?;
            let now = Timestamp::now();
            Ok(batches::work_to_do(&conn, self.scope, self.cut, now)?)
        };
        look().or_else(|error| {
            if let Some(damaged) = error.downcast_ref().and_then(Damaged::of) {
                return Err(damaged.into());
            }
            log::warn!("The database cannot be read; trying again. error={error:#}");
            Ok(false)
        })
    }

    fn claim(&self) -> Result<Vec<Claim>, WriteError> {
        let room = self.queue.capacity().unwrap_or(1) - self.queue.len();
        let scope = self.scope;
        self.writer
            .call(move |conn| batches::claim(conn, scope, room.max(1), Timestamp::now()))
    }

    fn hand_over(&self, claims: Vec<Claim>) {
        for claim in claims {
            select! {
                send(self.queue, claim) -> _ => {}
                // What was not handed over is freed with all other claims at the end.
                recv(self.stop.channel()) -> _ => return,
            }
        }
    }

    /// A turn for the users behind `last_user`.
    fn plan(&self, last_user: Option<i64>) -> Result<Round, WriteError> {
        let (scope, cut) = (self.scope, self.cut);
        self.writer
            .call(move |conn| batches::plan(conn, scope, cut, last_user, Timestamp::now()))
    }

    /// Waits for a reason to look again.
    fn rest(&self) {
        select! {
            recv(self.wake) -> _ => {}
            recv(self.stop.channel()) -> _ => {}
            default(LOOK_EVERY) => {}
        }
    }
}
