//! The workers of a world: what `src/worker.rs` does, without threads, one step at a time.

use std::collections::VecDeque;
use std::time::Duration;

use super::Reply;
use super::oracle::Stand;
use super::world::{HOUR, World, scope};
use ferryd::batch::{Claim, IdRange};
use ferryd::db::claims::{self, Turn};
use ferryd::db::settle::{self, FailedRecord, Outcomes, Source, Tried};
use ferryd::outcome::{Answer, FailedState, Outcome};
use ferryd::record::{Record, Value};
use ferryd::retry::RetryPolicy;
use ferryd::time::Timestamp;
use ferryd::verdict::Verdict;

/// Records in a page: fewer than in a batch, so that pages end inside of batches.
const PAGE: usize = 2;

const POLICY: RetryPolicy = RetryPolicy {
    interval: HOUR,
    backoff: 1.0,
    max_interval: HOUR,
    max_attempts: 3,
};

/// A claim, and how far the worker is with it.
pub struct Worker {
    pub claim: Claim,
    source: Source,
    /// What is left to load of this source.
    left: Option<IdRange>,
    /// Records, and how often each had moved when it was loaded.
    page: VecDeque<(Record, usize)>,
    full: bool,
    last: Option<i64>,
    unsettled: Option<Handed>,
}

/// An outcome on its way to the writer.
struct Handed {
    source: Source,
    id: i64,
    version: usize,
    moves: usize,
    reply: Reply,
    outcome: Outcome,
}

impl Worker {
    /// It has loaded this version, or sent it without a committed outcome.
    pub fn has_in_hand(&self, wanted: usize) -> bool {
        let handed = self.unsettled.as_ref().map(|handed| handed.version);
        let mut page = self.page.iter();
        handed == Some(wanted) || page.any(|(record, _)| version(record) == wanted)
    }

    /// The version whose acceptance is forgotten when this worker dies.
    pub fn forgotten(&self) -> Option<usize> {
        let handed = self.unsettled.as_ref()?;
        (handed.reply == Reply::Accepts).then_some(handed.version)
    }
}

impl World {
    /// What a worker does next.
    pub fn step(&mut self, index: usize, reply: Reply) {
        let Some(worker) = &mut self.workers[index] else {
            return self.claim(index);
        };
        if reply == Reply::Held {
            // At the gate nothing is left half done, and the page is read again.
            worker.page.clear();
            worker.full = true;
            return self.commit(index);
        }
        match worker.page.is_empty() {
            true => self.turn_page(index),
            false => self.send(index, reply),
        }
    }

    fn claim(&mut self, index: usize) {
        let now = self.now();
        let first = [Turn::Due, Turn::Pending][index];
        let claimed = self.write(|conn| claims::claim(conn, scope(), 1, first, now));
        let claims = claimed.claims;
        assert!(claims.len() <= 1);
        self.workers[index] = claims.into_iter().next().map(|claim| Worker {
            claim,
            source: Source::Undelivered,
            left: Some(IdRange::ALL),
            page: VecDeque::new(),
            full: true,
            last: None,
            unsettled: None,
        });
    }

    /// Loads the next page, goes on to the next source, or ends the attempt.
    fn turn_page(&mut self, index: usize) {
        let Some(worker) = &mut self.workers[index] else {
            return;
        };
        if let Some(id) = worker.last.take() {
            worker.left = worker.left.and_then(|left| left.above(id));
        }
        if !worker.full {
            worker.left = None;
        }
        let claim = &worker.claim;
        let page = match (worker.source, worker.left) {
            (Source::Undelivered, Some(ids)) => {
                self.loader.load_undelivered(&self.conn, claim, ids, PAGE)
            }
            (Source::Range, Some(ids)) => {
                self.loader.load_range(&self.conn, claim.user_id, ids, PAGE)
            }
            (Source::Undelivered, None) => {
                worker.source = Source::Range;
                worker.left = claim.unsent;
                worker.full = true;
                return;
            }
            (Source::Range, None) => return self.finish(index),
        };
        let oracle = &self.oracle;
        let with_moves = |record| {
            let moves = oracle.moves(version(&record));
            (record, moves)
        };
        worker.page = page.unwrap().into_iter().map(with_moves).collect();
        worker.full = worker.page.len() == PAGE;
    }

    /// Sends a record, waits for the commit of the outcome before it, and hands its own outcome over.
    fn send(&mut self, index: usize, reply: Reply) {
        let handed = self.request(index, reply);
        self.commit(index);
        if let Some(worker) = &mut self.workers[index] {
            worker.unsettled = handed;
        }
    }

    /// The process dies when a record was answered, and the outcome before it is not committed.
    pub fn die_after_send(&mut self, index: usize, reply: Reply) {
        let handed = self.request(index, reply);
        if let Some(handed) = handed.filter(|handed| handed.reply == Reply::Accepts) {
            self.oracle.excuse(handed.version);
        }
        self.restart();
    }

    fn request(&mut self, index: usize, reply: Reply) -> Option<Handed> {
        let worker = self.workers[index].as_mut()?;
        if reply == Reply::Held {
            return None;
        }
        let (record, moves) = worker.page.pop_front()?;
        let version = version(&record);
        let key = format!("{}.{}", worker.claim.fence.batch_id, record.id);
        let accepted = matches!(reply, Reply::Accepts | Reply::AcceptsUnseen);
        if reply == Reply::AcceptsUnseen {
            self.oracle.excuse(version);
        }
        self.oracle.sent(version, key, accepted);
        worker.last = Some(record.id);
        Some(Handed {
            source: worker.source,
            id: record.id,
            version,
            moves,
            reply,
            outcome: Outcome::of(answer(reply), record.attempts + 1, &POLICY),
        })
    }

    /// Commits what a worker handed over.
    pub fn commit(&mut self, index: usize) {
        let Some(worker) = &mut self.workers[index] else {
            return;
        };
        let Some(handed) = worker.unsettled.take() else {
            return;
        };
        let claim = worker.claim.clone();
        let Handed { source, id, .. } = handed;
        let outcomes = outcomes(source, id, &handed.outcome, claim.attempt);
        let ours = self.write(|conn| settle::settle(conn, &claim, source, &outcomes));
        assert!(ours, "nobody else may have this batch");
        let stand = stand(&handed.outcome);
        self.oracle.settled(handed.version, id, handed.moves, stand);
    }

    fn finish(&mut self, index: usize) {
        self.commit(index);
        let Some(worker) = self.workers[index].take() else {
            return;
        };
        let fence = worker.claim.fence;
        let due = self.now().after(Timestamp::now()) + HOUR;
        let finished = self.write(|conn| settle::finish(conn, fence, due, Duration::ZERO));
        assert!(finished.is_some(), "nobody else may have this batch");
        self.blur.remove(&Some(fence.batch_id));
    }
}

fn outcomes(source: Source, id: i64, outcome: &Outcome, attempt: i64) -> Outcomes {
    let mut outcomes = Outcomes {
        through: (source == Source::Range).then_some(id),
        ..Outcomes::default()
    };
    match outcome {
        Outcome::Delivered => outcomes.delivered.push(id),
        Outcome::Failed(failure) | Outcome::CutOff(failure) => outcomes.failed.push(FailedRecord {
            id,
            failure: failure.clone(),
            tried: Tried {
                tried_in: attempt,
                chunk: None,
            },
        }),
    }
    outcomes
}

fn version(record: &Record) -> usize {
    match &record.values[0] {
        Value::Text(number) => number.parse().unwrap(),
        other => panic!("no version: {other:?}"),
    }
}

fn answer(reply: Reply) -> Answer {
    let (verdict, http_status) = match reply {
        Reply::Accepts => (Verdict::Delivered, Some(200)),
        Reply::TryAgain => (Verdict::Retry(None), Some(500)),
        Reply::Refuses => (Verdict::Dead, Some(422)),
        Reply::AcceptsUnseen | Reply::Vanishes | Reply::Held => (Verdict::Unknown, None),
    };
    Answer {
        verdict,
        http_status,
        message: "as it was told".into(),
    }
}

fn stand(outcome: &Outcome) -> Stand {
    match outcome {
        Outcome::Delivered => Stand::Delivered,
        Outcome::Failed(failure) | Outcome::CutOff(failure) => match failure.state {
            FailedState::Retry => Stand::Retry,
            FailedState::Unknown => Stand::Unknown,
            FailedState::Dead => Stand::Dead,
        },
    }
}
