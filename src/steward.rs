//! The steward: answers the `command` table, and writes down what the gate does.
//!
//! A thread of its own, so that an operator is answered within a second however busy planner and workers are.

use crossbeam_channel::{Receiver, select};
use rusqlite::Connection;
use std::sync::Arc;
use std::time::Duration;

use crate::activity::{Activity, Doing, Role};
use crate::db::batches::{self, Cut, Scope};
use crate::db::pool::Readers;
use crate::db::schema;
use crate::db::steer::{self, Command, Verb};
use crate::db::writer::{WriteError, Writer};
use crate::gate::{Change, Gate, Sign, State};
use crate::metrics::Metrics;
use crate::settings::Current;
use crate::stop::Stop;
use crate::text;
use crate::time::Timestamp;
use crate::wake::Waker;

/// Without a wake the steward looks this often all the same. The watcher wakes it within a second of a commit.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// How long all has to be quiet before records that go back to waiting are told of.
const QUIET: Duration = Duration::from_secs(1);

/// What the steward works with.
pub struct Steward {
    /// Looks for commands.
    pub readers: Readers,
    /// Answers them.
    pub writer: Writer,
    /// Pauses, and says what changed.
    pub gate: Arc<Gate>,
    /// From the gate.
    pub changes: Receiver<Change>,
    /// Says "look again".
    pub wake: Receiver<()>,
    /// Told when batches were made due or planned.
    pub planner: Waker,
    /// How `plan` cuts.
    pub settings: Arc<Current>,
    /// What the log said of the gate last.
    pub logged: Sign,
    /// Records that went back to waiting at the closing, until the log has told it; `None` from then on until the gate
    /// opens, for each probe that is refused brings one more.
    pub revived: Option<usize>,
    /// How often the schema had changed when `user_record` was last seen to have ferryd's triggers.
    pub watched_at: Option<i32>,
    /// Counts how often the gate closes.
    pub metrics: Arc<Metrics>,
    /// What it does.
    pub activity: Arc<Activity>,
    /// Ends the steward.
    pub stop: Stop,
}

impl Steward {
    /// Runs until the stop. What the gate has to say after that is for whoever stops the workers to write down.
    ///
    /// # Errors
    /// When the writer refuses or has ended.
    pub fn run(mut self) -> Result<(), WriteError> {
        if self.logged.state != State::Open {
            log_sign(&self.logged);
        }
        loop {
            self.activity.note(Role::Steward, Doing::Reading);
            self.watch_again()?;
            self.answer_commands()?;
            self.activity.note(Role::Steward, Doing::Dozing);
            let has_to_tell = self.revived.is_some_and(|records| records > 0);
            let pause = if has_to_tell { QUIET } else { LOOK_EVERY };
            select! {
                recv(self.changes) -> change => {
                    if let Ok(change) = change {
                        self.write_down(change)?;
                    }
                }
                recv(self.wake) -> _ => {}
                recv(self.stop.channel()) -> _ => return Ok(()),
                default(pause) => self.tell_revived(),
            }
        }
    }

    /// The owner may have made `user_record` anew while the daemon runs.
    fn watch_again(&mut self) -> Result<(), WriteError> {
        if self.is_watched().unwrap_or(true) {
            return Ok(());
        }
        match self.writer.call(schema::watch_again) {
            // There is no such table at the moment: its owner is at work.
            Err(WriteError::Refused(_)) => Ok(()),
            done => done,
        }
    }

    /// Reading the schema is for when it has changed.
    fn is_watched(&mut self) -> anyhow::Result<bool> {
        let conn = self.readers.get()?;
        let number = schema::number_of_changes(&conn)?;
        if self.watched_at == Some(number) {
            return Ok(true);
        }
        let is_watched = schema::is_watched(&conn)?;
        self.watched_at = is_watched.then_some(number);
        Ok(is_watched)
    }

    fn answer_commands(&mut self) -> Result<(), WriteError> {
        let look = || -> anyhow::Result<Vec<Command>> {
            Ok(steer::commands_to_do(&*self.readers.get()?)?)
        };
        // A file that cannot be read now is read again at the next look; the planner says so in the log.
        for command in look().unwrap_or_default() {
            let result = self.carry_out(&command)?;
            // What is answered has to hold after a kill too.
            while let Ok(change) = self.changes.try_recv() {
                self.write_down(change)?;
            }
            log::info!(
                "A command was carried out: {result}. command={}",
                command.id
            );
            let id = command.id;
            self.writer
                .call(move |conn| steer::answer_command(conn, id, &result))?;
        }
        Ok(())
    }

    fn carry_out(&self, command: &Command) -> Result<String, WriteError> {
        Ok(match command.verb {
            None => "not carried out: this version does not know the command".to_string(),
            Some(Verb::Pause) => {
                self.gate.set_paused(true);
                "sending is paused".to_string()
            }
            Some(Verb::Resume) => {
                self.gate.set_paused(false);
                "sending goes on".to_string()
            }
            Some(Verb::Retry(target)) => {
                let result = self
                    .writer
                    .call(move |conn| steer::retry(conn, target, Timestamp::now()))?;
                self.planner.wake();
                result
            }
            Some(Verb::Plan) => self.plan_all()?,
        })
    }

    fn plan_all(&self) -> Result<String, WriteError> {
        let cut = Cut {
            linger: Duration::ZERO,
            ..self.settings.get().cut
        };
        let mut batches = 0;
        let mut last_user = None;
        while !self.stop.requested() {
            let round = self.writer.call(move |conn| {
                batches::plan(conn, Scope::default(), cut, last_user, Timestamp::now())
            })?;
            if round.batches == 0 && last_user.is_none() {
                break;
            }
            batches += round.batches;
            last_user = round.last_user;
        }
        self.planner.wake();
        let were = if batches == 1 { "was" } else { "were" };
        let batches = text::count(batches as i64, "batch", "batches");
        Ok(format!("{batches} {were} planned"))
    }

    fn write_down(&mut self, change: Change) -> Result<(), WriteError> {
        let Change { sign, revive, .. } = &change;
        // A probe every half minute is no news, nor is the gate that it left closed.
        if self.logged.state == State::Open && sign.state != State::Open {
            self.metrics.count_gate_closing();
        }
        if sign.state != State::Probing && !sign.is_like(&self.logged) {
            log_sign(sign);
            self.logged = sign.clone();
        }
        match &mut self.revived {
            _ if revive.is_empty() => {}
            Some(records) => *records += revive.len(),
            None => log::debug!("Records go back to waiting. records={}", revive.len()),
        }
        match sign.state {
            State::Probing => self.tell_revived(),
            State::Open => {
                self.tell_revived();
                self.revived = Some(0);
            }
            State::Closed | State::Paused => {}
        }
        self.writer.call(move |conn| write_down(conn, &change))
    }

    /// They come back one after the other while requests are under way: the log has them in one line, when all is quiet
    /// or the first probe goes.
    fn tell_revived(&mut self) {
        if let Some(records) = self.revived.take_if(|records| *records > 0) {
            log::info!("Records go back to waiting. records={records}");
        }
    }
}

/// Brings a change of the gate into the file.
///
/// # Errors
/// SQLite's.
pub fn write_down(conn: &Connection, change: &Change) -> rusqlite::Result<()> {
    steer::revive(conn, &change.revive, Timestamp::now())?;
    steer::store_gate(conn, &change.sign, change.probe_in)
}

fn log_sign(sign: &Sign) {
    let Sign { state, reason } = sign;
    if *state == State::Open {
        log::info!("The gate is open: records are sent.");
        return;
    }
    let reason = reason.as_deref().unwrap_or("no reason given");
    log::warn!("The gate is {}: {reason}. Sending is held.", state.word());
}
