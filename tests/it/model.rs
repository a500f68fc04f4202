//! A model test of the storage core: random lives of a file, without threads, against an oracle of a few lines.
//!
//! The oracle is in `model/oracle.rs`; the file and its owner are in `model/world.rs`, the workers in `model/worker.rs`. A
//! failure that was found and shrunk stands below as a test of its own. `FERRYD_TORTURE=1000` runs that many lives with a
//! seed of their own; without it the same few lives are lived every time.

mod oracle;
pub mod recount;
mod regressions;
mod worker;
mod world;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestError, TestRunner};

use ferryd::db::steer::Target;
use world::World;

/// Few ids, so that they meet; the ends of i64 among them.
const IDS: [i64; 10] = [i64::MIN, -1, 0, 1, 2, 3, 4, 5, 6, i64::MAX];

const USERS: [i64; 3] = [1, 2, -3];

/// What the API does with a record, and what the worker sees of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reply {
    Accepts,
    /// Accepted, but the answer is lost: UNKNOWN.
    AcceptsUnseen,
    /// Not accepted, and the answer is lost: UNKNOWN.
    Vanishes,
    TryAgain,
    Refuses,
    /// The gate holds the record.
    Held,
}

/// One event in the life of a file.
#[derive(Debug, Clone, Copy)]
pub enum Op {
    Insert {
        id: i64,
        user: i64,
    },
    Replace {
        id: i64,
        user: i64,
    },
    Delete(i64),
    SetUser {
        id: i64,
        user: i64,
    },
    SetId {
        id: i64,
        to: i64,
        replace: bool,
    },
    SetCity(i64),
    Plan,
    /// A worker claims a batch, loads a page, sends a record or ends the attempt, whatever comes next.
    Step(usize, Reply),
    /// The writer commits what the worker handed over.
    Commit(usize),
    /// The process stops in order, and starts again.
    Stop,
    /// kill -9, and a new start.
    Kill,
    /// kill -9 between an answer and the commit of the outcome before it.
    KillAfterSend(usize, Reply),
    Retry(Target),
    Revive(i64),
    /// What was delivered goes, but for what ended within this hour or later; with its records too.
    Prune {
        records: bool,
    },
    /// The wall clock moves by so many hours, back too.
    Clock(i64),
}

fn reply() -> impl Strategy<Value = Reply> + Clone {
    prop_oneof![
        6 => Just(Reply::Accepts),
        1 => Just(Reply::AcceptsUnseen),
        1 => Just(Reply::Vanishes),
        2 => Just(Reply::TryAgain),
        2 => Just(Reply::Refuses),
        1 => Just(Reply::Held),
    ]
}

fn op(ids: &'static [i64], users: &'static [i64]) -> impl Strategy<Value = Op> {
    let (id, user) = (prop::sample::select(ids), prop::sample::select(users));
    let row = (id.clone(), user.clone());
    let worker = 0..2usize;
    let target = prop_oneof![
        (1..6i64).prop_map(Target::Batch),
        user.prop_map(Target::User),
        id.clone().prop_map(Target::Record),
        Just(Target::Dead),
        Just(Target::Failed),
    ];
    prop_oneof![
        8 => row.clone().prop_map(|(id, user)| Op::Insert { id, user }),
        3 => row.clone().prop_map(|(id, user)| Op::Replace { id, user }),
        3 => id.clone().prop_map(Op::Delete),
        2 => row.prop_map(|(id, user)| Op::SetUser { id, user }),
        2 => (id.clone(), id.clone(), any::<bool>())
            .prop_map(|(id, to, replace)| Op::SetId { id, to, replace }),
        1 => id.clone().prop_map(Op::SetCity),
        4 => Just(Op::Plan),
        24 => (worker.clone(), reply()).prop_map(|(worker, reply)| Op::Step(worker, reply)),
        3 => worker.clone().prop_map(Op::Commit),
        1 => Just(Op::Stop),
        1 => Just(Op::Kill),
        1 => (worker, reply()).prop_map(|(worker, reply)| Op::KillAfterSend(worker, reply)),
        1 => target.prop_map(Op::Retry),
        1 => id.prop_map(Op::Revive),
        2 => (-3..4i64).prop_map(Op::Clock),
        2 => any::<bool>().prop_map(|records| Op::Prune { records }),
    ]
}

/// Wide lives, and narrow ones in which everything meets all the time.
fn lives() -> impl Strategy<Value = Vec<Op>> {
    let length = 1..120usize;
    prop_oneof![
        prop::collection::vec(op(&IDS, &USERS), length.clone()),
        prop::collection::vec(op(&IDS[3..6], &USERS[..1]), length),
    ]
}

/// Lives through the events, checks after each, and delivers everything in the end.
#[track_caller]
fn live(ops: &[Op]) {
    let mut world = World::new();
    for op in ops {
        world.apply(*op);
        world.check();
    }
    world.deliver_all();
}

#[test]
fn whatever_happens_to_a_file_every_record_is_delivered_once_and_the_counts_add_up() {
    let torture = std::env::var("FERRYD_TORTURE").ok();
    let (cases, rng_seed) = match torture.map(|cases| cases.parse()) {
        Some(cases) => (cases.expect("a number of lives"), RngSeed::Random),
        None => (48, RngSeed::Fixed(2026)),
    };
    let config = Config {
        cases,
        rng_seed,
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..Config::default()
    };
    let result = TestRunner::new(config).run(&lives(), |ops| {
        live(&ops);
        Ok(())
    });
    match result {
        Ok(()) => {}
        Err(TestError::Fail(reason, ops)) => panic!("{reason}\nlive(&{ops:?});"),
        Err(error) => panic!("{error}"),
    }
}
