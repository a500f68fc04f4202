//! The planner: cuts waiting records into batches, claims batches and hands them to the workers.
//!
//! It plans only when nothing is left to claim, so PENDING batches never pile up, and each round gives every user one
//! turn. The bounded queue holds it back; it waits for room there, and it never drops a batch.

use crossbeam_channel::{Receiver, Sender, select};
use std::time::Duration;

use crate::batch::Claim;
use crate::db::batches::{self, Cut, Scope};
use crate::db::writer::{WriteError, Writer};
use crate::stop::Stop;
use crate::time::Timestamp;

/// Without a wake the planner looks this often all the same.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What the planner works with.
pub struct Planner {
    /// Plans and claims through the writer.
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
            let claims = self.claim()?;
            if !claims.is_empty() {
                self.hand_over(claims);
                continue;
            }
            let (batches, next) = self.plan(last_user)?;
            last_user = next;
            if batches == 0 && last_user.is_none() {
                self.rest()?;
            }
        }
        Ok(())
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

    /// A turn for the users behind `last_user`. Returns the batches planned, and the user to go on behind: none when all
    /// had their turn.
    fn plan(&self, last_user: Option<i64>) -> Result<(u32, Option<i64>), WriteError> {
        let (scope, cut) = (self.scope, self.cut);
        let round = self
            .writer
            .call(move |conn| batches::plan(conn, scope, cut, last_user, Timestamp::now()))?;
        Ok((round.batches, round.last_user))
    }

    /// Waits for a reason to look again.
    fn rest(&self) -> Result<(), WriteError> {
        let time = self.until_linger_end()?.min(LOOK_EVERY);
        select! {
            recv(self.wake) -> _ => {}
            recv(self.stop.channel()) -> _ => {}
            default(time) => {}
        }
        Ok(())
    }

    fn until_linger_end(&self) -> Result<Duration, WriteError> {
        if self.cut.linger.is_zero() {
            return Ok(LOOK_EVERY);
        }
        let (scope, linger) = (self.scope, self.cut.linger);
        let end = self
            .writer
            .call(move |conn| batches::linger_end(conn, scope, linger))?;
        let now = Timestamp::now();
        let left = end.map_or(LOOK_EVERY, |end| end.after(now));
        // A clock that is behind by less than a tick must not make this a busy loop.
        Ok(left.max(Duration::from_millis(10)))
    }
}
