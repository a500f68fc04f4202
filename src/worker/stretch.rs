//! A stretch: what one attempt has to send of one kind, record by record, shared by all workers that have time for it.
//!
//! Here is only who begins which record, and when outcomes are handed to the writer: in the order of the ids. At most two
//! records for each worker in it are begun and not yet committed, which bounds what a kill can repeat. Must never happen here:
//! a lock that is held while a request is under way or the file is read.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::attempt::Work;
use super::page::Page;
use super::tally::{self, Tally};
use super::window::Window;
use crate::batch::{Claim, IdRange};
use crate::db::settle::{self, Outcomes, Source};
use crate::db::writer::{WriteError, Writer};
use crate::gate::Gate;
use crate::outcome::Outcome;
use crate::record::Record;
use crate::settings::Settings;

/// Records for each worker that may be begun and not committed.
const AHEAD: usize = 2;

/// While somebody waits, an answer does not wait longer than this for one before it.
const LONG_GAP: Duration = Duration::from_millis(200);

/// Records of one source of a batch.
pub(super) struct Stretch {
    pub(super) claim: Claim,
    pub(super) settings: Arc<Settings>,
    pub(super) source: Source,
    /// Help was called for.
    pub(super) is_listed: AtomicBool,
    writer: Writer,
    /// The attempt, for whoever leaves last.
    work: Mutex<Option<Work>>,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// Ids whose records were not handed over yet: where another stretch would go on.
    left: IdRange,
    page: Page,
    window: Window,
    /// Records that were handed over and are not committed.
    uncommitted: usize,
    workers: usize,
    /// Threads that wait for a change.
    waiting: usize,
    end: Option<End>,
    tally: Tally,
}

/// Why no further record is begun, though there may be some.
#[derive(Debug)]
pub(super) enum End {
    /// The gate held one up.
    Held,
    /// There are newer settings.
    Replaced,
    /// The stop came, or the batch is not this claim's any more.
    Away,
    /// The file cannot be read.
    Unreadable(anyhow::Error),
    /// The outcomes cannot be written down.
    Failed(WriteError),
    /// A worker panicked.
    Panicked,
}

/// What became of a stretch.
pub(super) struct Done {
    pub(super) source: Source,
    pub(super) end: Option<End>,
    /// Ids of which there may be more.
    pub(super) left: Option<IdRange>,
    /// Ids of the range among which some were held, and became exceptions because of answers behind them.
    pub(super) excepted: Option<IdRange>,
    pub(super) page_size: usize,
    pub(super) tally: Tally,
}

impl Stretch {
    pub(super) fn new(work: Work, writer: &Writer, (source, ids): (Source, IdRange)) -> Stretch {
        let page_size = work.page;
        let attempt = work.claim.attempt;
        Stretch {
            claim: work.claim.clone(),
            settings: work.settings.clone(),
            source,
            is_listed: AtomicBool::new(false),
            writer: writer.clone(),
            work: Mutex::new(Some(work)),
            state: Mutex::new(State {
                left: ids,
                page: Page::new(ids, page_size),
                window: Window::new(source, attempt),
                uncommitted: 0,
                workers: 0,
                waiting: 0,
                end: None,
                tally: Tally::default(),
            }),
            changed: Condvar::new(),
        }
    }

    /// A worker comes in, and has to leave with [`Stretch::leave`]; false when nothing is left to begin.
    pub(super) fn enter(&self) -> bool {
        let mut state = self.lock();
        let has_work = state.end.is_none() && !state.page.is_used_up();
        state.workers += usize::from(has_work);
        has_work
    }

    /// Whether there is something to begin for one more worker.
    pub(super) fn wants_help(&self) -> bool {
        let state = self.lock();
        state.end.is_none() && !state.page.is_used_up()
    }

    /// Waits until a further record may be begun; false when none is left, or none may be.
    pub(super) fn await_room(self: &Arc<Self>, gate: &Gate) -> bool {
        let mut state = self.lock();
        loop {
            if state.end.is_some() || state.page.is_used_up() {
                return false;
            }
            // The gate counts a refusal before anything else is sent: it might be the one that closes it.
            if state.tally.has_refusals() && state.is_settled() {
                let refusals = state.tally.take_refusals();
                drop(state);
                tally::count(gate, refusals);
                state = self.lock();
                continue;
            }
            if state.may_begin() {
                return true;
            }
            state = self.wait(state);
        }
    }

    /// Begins the next record, which `read` may have to get, given the ids and how many. Nothing when somebody was faster, or
    /// none is left.
    pub(super) fn begin(
        &self,
        read: impl FnOnce(IdRange, usize) -> anyhow::Result<Vec<Record>>,
    ) -> Option<Record> {
        let mut state = self.lock();
        if state.end.is_some() || !state.may_begin() {
            return None;
        }
        if let Some((ids, records)) = state.page.wanted() {
            drop(state);
            let read = read(ids, records);
            state = self.lock();
            state.fill_page(ids, read);
            self.tell(&state);
            if state.end.is_some() || !state.may_begin() {
                // Others left, or ended it, meanwhile.
                return None;
            }
        }
        let record = state.page.take()?;
        state.window.begin(&record);
        Some(record)
    }

    /// A record's request is over; `judge` tells what to write down, nothing when it was held.
    pub(super) fn end(
        self: &Arc<Self>,
        record: i64,
        judge: impl FnOnce(&mut Tally) -> Option<Outcome>,
    ) {
        let mut state = self.lock();
        let outcome = judge(&mut state.tally);
        match outcome {
            None => drop(state.end.get_or_insert(End::Held)),
            Some(Outcome::CutOff(_)) => drop(state.end.get_or_insert(End::Away)),
            Some(_) => {}
        }
        let one = state.window.end(record, outcome);
        self.hand_over(&mut state, Source::Undelivered, one);
        let ready = match state.end.is_some() && state.window.under_way() == 0 {
            true => state.window.take_all(),
            false => state.window.take_ready(),
        };
        self.hand_over(&mut state, self.source, ready);
        self.tell(&state);
    }

    /// No further record is begun.
    pub(super) fn stop(&self, end: End) {
        let mut state = self.lock();
        state.end.get_or_insert(end);
        self.tell(&state);
    }

    /// A worker leaves, as soon as the others may be ahead as far as they are. The last one waits until all is committed, and
    /// goes on with the attempt.
    pub(super) fn leave(self: &Arc<Self>, gate: &Gate) -> Option<(Work, Done)> {
        let mut state = self.lock();
        while state.begun() > AHEAD * (state.workers - 1) {
            state = self.wait(state);
        }
        state.workers -= 1;
        if state.workers > 0 {
            if matches!(state.end, Some(End::Away)) {
                // The process may end before the others have their answers.
                let all = state.window.take_all();
                self.hand_over(&mut state, self.source, all);
            }
            self.tell(&state);
            return None;
        }
        let refusals = state.tally.take_refusals();
        let done = self.done(&mut state);
        drop(state);
        tally::count(gate, refusals);
        let mut work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        work.take().zip(Some(done))
    }

    fn done(&self, state: &mut State) -> Done {
        // Whoever is called from now on finds nothing to do.
        let end = state.end.replace(End::Away);
        // What was held keeps its place.
        let is_all = end.is_none() && state.page.is_used_up();
        let left = match (is_all, self.source) {
            (true, _) => None,
            (false, Source::Range) => Some(state.left),
            (false, Source::Undelivered) => state.not_ended(),
        };
        Done {
            source: self.source,
            end,
            left: left.filter(|ids| ids.first <= ids.last),
            excepted: state.window.excepted(),
            page_size: state.page.size(),
            tally: std::mem::take(&mut state.tally),
        }
    }

    /// A worker panicked; `record` is what it had begun.
    pub(super) fn abandon(self: &Arc<Self>, record: Option<i64>) {
        let mut state = self.lock();
        state.end = Some(End::Panicked);
        state.workers -= 1;
        drop(state);
        if let Some(record) = record {
            self.end(record, |_| None);
        }
    }

    /// Gives outcomes to the writer.
    fn hand_over(self: &Arc<Self>, state: &mut State, source: Source, outcomes: Option<Outcomes>) {
        let Some(outcomes) = outcomes else {
            return;
        };
        let records = outcomes.delivered.len() + outcomes.failed.len();
        state.uncommitted += records;
        if let Some(last) = outcomes.through {
            // Nothing is above the last id there is: then the range is empty.
            let rest = state.left.above(last);
            state.left = rest.unwrap_or(IdRange { first: 1, last: 0 });
        }
        let (settling, settled) = (self.clone(), self.clone());
        let submitted = self.writer.submit(
            move |conn| settle::settle(conn, &settling.claim, source, &outcomes),
            move |result| settled.note_committed(records, result),
        );
        if let Err(error) = submitted {
            state.uncommitted -= records;
            state.end = Some(End::Failed(error));
        }
    }

    fn note_committed(&self, records: usize, result: Result<bool, WriteError>) {
        let mut state = self.lock();
        state.uncommitted -= records;
        match result {
            Ok(true) => {}
            Ok(false) => state.end = Some(End::Away),
            Err(error) => state.end = Some(End::Failed(error)),
        }
        self.tell(&state);
    }

    /// Waits for room: for the commit of what was handed over, or for others.
    fn wait<'a>(self: &'a Arc<Self>, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        if state.uncommitted == 0 {
            return self.wait_and_close_gap(state);
        }
        drop(state);
        self.writer.commit();
        self.lock()
    }

    /// Waits for a change. When none comes for long, answers no longer wait for the one before them.
    fn wait_and_close_gap<'a>(
        self: &'a Arc<Self>,
        mut state: MutexGuard<'a, State>,
    ) -> MutexGuard<'a, State> {
        state.waiting += 1;
        let waited = self.changed.wait_timeout(state, LONG_GAP);
        let (mut state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        state.waiting -= 1;
        if timeout.timed_out() {
            let all = state.window.take_all();
            self.hand_over(&mut state, self.source, all);
        }
        state
    }

    /// Waking nobody costs a system call too.
    fn tell(&self, state: &State) {
        if state.waiting > 0 {
            self.changed.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Records that a kill could repeat.
    fn begun(&self) -> usize {
        self.window.under_way() + self.window.answered() + self.uncommitted
    }

    /// Whether all that was answered is committed.
    fn is_settled(&self) -> bool {
        self.window.answered() + self.uncommitted == 0
    }

    fn may_begin(&self) -> bool {
        self.begun() < AHEAD * self.workers
            && !self.page.is_being_read()
            && !self.tally.has_refusals()
    }

    /// Ids from the first record on that was held, or not begun.
    fn not_ended(&self) -> Option<IdRange> {
        let first = self.window.first_held().or(self.page.next_id())?;
        Some(IdRange {
            first,
            ..IdRange::ALL
        })
    }

    fn fill_page(&mut self, ids: IdRange, read: anyhow::Result<Vec<Record>>) {
        let read = read.map_err(|error| self.end.get_or_insert(End::Unreadable(error)));
        self.page.fill(ids, read.ok());
    }
}
