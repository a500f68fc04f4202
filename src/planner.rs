//! The planner: cuts waiting records into batches, claims batches and hands them to the workers.
//!
//! It plans only when no batch is PENDING, so that they never pile up, and each round gives every user one turn. Retries
//! and new records take turns: however many there are of one kind, the other never starves. The bounded
//! queue holds it back; it waits for room there, and it never drops a batch.

use crossbeam_channel::{Receiver, Sender, select};
use rusqlite::Connection;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::activity::{Activity, Doing, Role};
use crate::batch::Claim;
use crate::db::batches::{self, Cut, Round, Scope};
use crate::db::claims::{self, Claimed, Turn};
use crate::db::fault::{self, Damaged};
use crate::db::pool::Readers;
use crate::db::writer::{WriteError, Writer};
use crate::settings::Current;
use crate::stop::Stop;
use crate::time::Timestamp;

/// Without a wake the planner looks this often all the same, where time alone may bring something: a batch that has lingered,
/// a file that can be read again.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// And this often where it cannot: the watcher wakes it within a second of a commit, and the timer when a batch is due.
const LOOK_SELDOM: Duration = Duration::from_secs(10);

/// The rest after a look for full batches, in times of what it took: with many short ones that linger it takes long.
const REST: u32 = 20;

/// What the planner works with.
pub struct Planner {
    /// The file, for a second look at what seems damaged.
    pub database: PathBuf,
    /// Looks whether there is work.
    pub readers: Readers,
    /// Plans and claims.
    pub writer: Writer,
    /// To the workers.
    pub queue: Sender<Claim>,
    /// Says "look again".
    pub wake: Receiver<()>,
    /// What it does.
    pub activity: Arc<Activity>,
    /// Ends the planner.
    pub stop: Stop,
    /// Which part of the file to work on.
    pub scope: Scope,
    /// How to cut.
    pub settings: Arc<Current>,
}

impl Planner {
    /// Runs until the stop.
    ///
    /// # Errors
    /// When the writer refuses or has ended.
    pub fn run(&self) -> Result<(), WriteError> {
        let mut last_user = None;
        let mut first = Turn::Due;
        let mut looks = Looks::default();
        while !self.stop.requested() {
            if !self.work_to_do(&mut looks)? {
                self.rest(looks.until_next(self.cut()));
                continue;
            }
            let (claims, round) = self.turn(first, last_user)?;
            // The queue has room for one batch at most times: then the kinds take turns from claim to claim.
            first = first.other();
            let idle = claims.is_empty();
            self.hand_over(claims);
            let Some(round) = round else { continue };
            if idle && round == Round::default() {
                // Somebody else was faster, or the work was deleted.
                self.rest(LOOK_EVERY);
            }
            last_user = round.last_user;
        }
        Ok(())
    }

    /// A file that cannot be read now is read again at the next look, unless it is damaged; that is logged once.
    fn work_to_do(&self, looks: &mut Looks) -> Result<bool, WriteError> {
        let cut = self.cut();
        let full = looks.begin(cut);
        let look = || -> anyhow::Result<bool> {
            let conn = self.readers.get()?;
            let now = Timestamp::now();
            Ok(batches::work_to_do(&conn, self.scope, cut, full, now)?)
        };
        let begun = Instant::now();
        let found = look();
        looks.end(full, begun.elapsed());
        let was_readable = std::mem::replace(&mut looks.readable, found.is_ok());
        match &found {
            Err(error) => {
                let damaged = |error| Damaged::confirmed(&self.database, error);
                if let Some(damaged) = error.downcast_ref().and_then(damaged) {
                    return Err(damaged.into());
                }
                if was_readable {
                    let reason = fault::reason(&self.database, error);
                    log::warn!(
                        "The database cannot be read: {reason}. It is read again by itself."
                    );
                }
            }
            Ok(_) if !was_readable => log::info!("The database can be read again."),
            Ok(_) => {}
        }
        Ok(found.unwrap_or(false))
    }

    fn cut(&self) -> Cut {
        self.settings.get().cut
    }

    /// Claims what is there for the room in the queue. When no batch is PENDING, the next users are planned, and what comes
    /// of it is claimed too: all in one transaction, for a record that comes alone waits for each.
    fn turn(
        &self,
        first: Turn,
        last_user: Option<i64>,
    ) -> Result<(Vec<Claim>, Option<Round>), WriteError> {
        let room = self.queue.capacity().unwrap_or(1) - self.queue.len();
        let (room, scope, cut) = (room.max(1), self.scope, self.cut());
        self.writer.call(move |conn| {
            let now = Timestamp::now();
            let Claimed {
                mut claims,
                none_pending,
            } = claims::claim(conn, scope, room, first, now)?;
            if !none_pending {
                return Ok((claims, None));
            }
            let round = plan(conn, scope, cut, last_user, now)?;
            let left = room - claims.len();
            if round.batches > 0 && left > 0 {
                claims.extend(claims::claim(conn, scope, left, Turn::Pending, now)?.claims);
            }
            Ok((claims, Some(round)))
        })
    }

    fn hand_over(&self, claims: Vec<Claim>) {
        for claim in claims {
            // The queue is full until a worker is free.
            self.note(Doing::Resting);
            select! {
                send(self.queue, claim) -> _ => {}
                // What was not handed over is freed with all other claims at the end.
                recv(self.stop.channel()) -> _ => return,
            }
        }
        self.note(Doing::Reading);
    }

    /// Waits for a reason to look again, at most so long.
    fn rest(&self, time: Duration) {
        self.note(Doing::Dozing);
        select! {
            recv(self.wake) -> _ => {}
            recv(self.stop.channel()) -> _ => {}
            default(time) => {}
        }
        self.note(Doing::Reading);
    }

    fn note(&self, doing: Doing) {
        self.activity.note(Role::Planner, doing);
    }
}

/// The planner's looks at the file.
struct Looks {
    /// The last one succeeded.
    readable: bool,
    /// When full batches may be looked for again.
    full_from: Instant,
    /// The last look left them out.
    left_out: bool,
}

impl Default for Looks {
    fn default() -> Looks {
        Looks {
            readable: true,
            full_from: Instant::now(),
            left_out: false,
        }
    }
}

impl Looks {
    /// Whether this look is for full batches too. Where nothing lingers, that costs nothing.
    fn begin(&mut self, cut: Cut) -> bool {
        self.left_out = !cut.linger.is_zero() && Instant::now() < self.full_from;
        !self.left_out
    }

    fn end(&mut self, full: bool, took: Duration) {
        if full {
            self.full_from = Instant::now() + took * REST;
        }
    }

    /// The longest time to the next look, when this one has found nothing.
    fn until_next(&self, cut: Cut) -> Duration {
        if cut.linger.is_zero() && self.readable {
            return LOOK_SELDOM;
        }
        match self.left_out {
            true => LOOK_EVERY.min(self.full_from.saturating_duration_since(Instant::now())),
            false => LOOK_EVERY,
        }
    }
}

/// A turn for the users behind `last_user`, or for the first ones when nobody is there.
fn plan(
    conn: &Connection,
    scope: Scope,
    cut: Cut,
    last_user: Option<i64>,
    now: Timestamp,
) -> rusqlite::Result<Round> {
    let round = batches::plan(conn, scope, cut, last_user, now)?;
    match (round.last_user, last_user) {
        (None, Some(_)) => batches::plan(conn, scope, cut, None, now),
        _ => Ok(round),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(linger: Duration) -> Cut {
        Cut {
            batch_size: 10,
            linger,
        }
    }

    #[test]
    fn a_look_for_full_batches_that_took_long_is_not_repeated_soon_and_not_forgotten() {
        let lingering = cut(Duration::from_secs(3600));
        let mut looks = Looks::default();
        assert!(looks.begin(lingering));
        looks.end(true, Duration::from_millis(20));
        assert_eq!(looks.until_next(lingering), LOOK_EVERY);
        assert!(!looks.begin(lingering), "a moment later");
        looks.end(false, Duration::ZERO);
        assert!(looks.until_next(lingering) <= Duration::from_millis(400));
        assert!(looks.begin(cut(Duration::ZERO)), "nothing lingers");
    }

    #[test]
    fn a_look_for_full_batches_that_was_quick_is_soon_repeated() {
        let mut looks = Looks::default();
        looks.end(true, Duration::ZERO);
        assert!(looks.begin(cut(Duration::from_secs(3600))));
    }
}
