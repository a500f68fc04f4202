//! A file, its owner, two workers, and the oracle that watches them.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use std::collections::BTreeMap;
use std::time::Duration;

use super::oracle::{Oracle, Stand};
use super::recount;
use super::worker::Worker;
use super::{IDS, Op, Reply};
use ferryd::db::batches::{self, Cut, Scope};
use ferryd::db::claims;
use ferryd::db::prune::{self, Order, Place, Pruned};
use ferryd::db::records::Loader;
use ferryd::db::summary::{self, Summary};
use ferryd::db::{self, steer};
use ferryd::time::Timestamp;

const CUT: Cut = Cut {
    batch_size: 3,
    linger: Duration::ZERO,
};

pub const HOUR: Duration = Duration::from_secs(3600);

pub struct World {
    pub conn: Connection,
    pub loader: Loader,
    pub oracle: Oracle,
    pub workers: [Option<Worker>; 2],
    /// Hours that the wall clock is off.
    clock: i64,
    /// How far `waiting` may be off, per batch (`None`: not planned yet) whose rows their owner replaced, or changed while
    /// a worker had them in hand. The count is exact again when the batch ends.
    pub blur: BTreeMap<Option<i64>, i64>,
    /// SUCCESS batches as they were first seen.
    done: BTreeMap<i64, String>,
    _directory: tempfile::TempDir,
}

impl World {
    pub fn new() -> World {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ferryd.db");
        db::set_up(&path, db::BUSY_TIMEOUT).unwrap();
        let conn =
            db::open_writer(&path, ferryd::config::Durability::Normal, db::BUSY_TIMEOUT).unwrap();
        conn.pragma_update(None, "synchronous", "OFF").unwrap();
        World {
            conn,
            loader: Loader::new(["network_id", "city"].into_iter()),
            oracle: Oracle::default(),
            workers: [None, None],
            clock: 0,
            blur: BTreeMap::new(),
            done: BTreeMap::new(),
            _directory: directory,
        }
    }

    pub fn apply(&mut self, op: Op) {
        match op {
            Op::Insert { id, user } if self.oracle.at(id).is_none() => self.insert(id, user),
            Op::Insert { .. } => {}
            Op::Replace { id, user } => {
                self.blur_place(id);
                self.insert(id, user);
            }
            Op::Delete(id) => {
                self.blur_if_in_hand(id);
                self.execute("DELETE FROM user_record WHERE id = ?1", &[id]);
                self.oracle.delete(id);
            }
            Op::SetUser { id, user } => self.set_user(id, user),
            Op::SetId { id, to, replace } => self.set_id(id, to, replace),
            Op::SetCity(id) => {
                let sql = "UPDATE user_record SET city = city || 'x' WHERE id = ?1";
                self.execute(sql, &[id]);
            }
            Op::Plan => self.plan(),
            Op::Step(worker, reply) => self.step(worker, reply),
            Op::Commit(worker) => self.commit(worker),
            Op::Stop => {
                (0..self.workers.len()).for_each(|worker| self.commit(worker));
                self.restart();
            }
            Op::Kill => self.restart(),
            Op::KillAfterSend(worker, reply) => self.die_after_send(worker, reply),
            Op::Retry(target) => {
                let now = self.now();
                self.write(|conn| steer::retry(conn, target, now));
                self.see_revived();
            }
            Op::Revive(id) => {
                let now = self.now();
                self.write(|conn| steer::revive(conn, &[id], now));
                self.see_revived();
            }
            Op::Prune { records } => self.prune(records),
            Op::Clock(hours) => self.clock += hours,
        }
    }

    pub fn now(&self) -> Timestamp {
        let by = HOUR * self.clock.unsigned_abs() as u32;
        match self.clock < 0 {
            true => Timestamp::now().minus(by),
            false => Timestamp::now().plus(by),
        }
    }

    /// What the writer does for everybody.
    pub fn write<T>(&mut self, mut work: impl FnMut(&Connection) -> rusqlite::Result<T>) -> T {
        let tx = self
            .conn
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .unwrap();
        let value = work(&tx).unwrap();
        tx.commit().unwrap();
        value
    }

    /// What the owner does, with any program.
    fn execute(&self, sql: &str, values: &[i64]) {
        let mut statement = self.conn.prepare_cached(sql).unwrap();
        let values = rusqlite::params_from_iter(values);
        statement.execute(values).unwrap();
    }

    fn insert(&mut self, id: i64, user: i64) {
        let version = self.oracle.insert(id) as i64;
        let sql = "INSERT OR REPLACE INTO user_record VALUES (?1, ?2, ?3, 'Lisboa')";
        self.execute(sql, &[id, user, version]);
    }

    fn set_user(&mut self, id: i64, user: i64) {
        let Some(version) = self.oracle.at(id) else {
            return;
        };
        let sql = "SELECT user_id FROM user_record WHERE id = ?1";
        let old: i64 = self.conn.query_row(sql, [id], |row| row.get(0)).unwrap();
        let in_hand = self.blur_if_in_hand(id);
        let sql = "UPDATE user_record SET user_id = ?2 WHERE id = ?1";
        self.execute(sql, &[id, user]);
        if old != user {
            self.oracle.moved(version, id, in_hand);
        }
    }

    fn set_id(&mut self, id: i64, to: i64, replace: bool) {
        let Some(version) = self.oracle.at(id) else {
            return;
        };
        if id == to || (!replace && self.oracle.at(to).is_some()) {
            return;
        }
        self.blur_place(to);
        let in_hand = self.blur_if_in_hand(id);
        let sql = "UPDATE OR REPLACE user_record SET id = ?2 WHERE id = ?1";
        self.execute(sql, &[id, to]);
        self.oracle.moved(version, to, in_hand);
    }

    /// A row is about to be replaced, which no trigger sees: if it waits, its place still counts it until its batch ends.
    fn blur_place(&mut self, id: i64) {
        self.blur_if_in_hand(id);
        let sql = "SELECT (SELECT id FROM processing_batch_status
                            WHERE status <> 'SUCCESS' AND kind = 'RANGE' AND start_id <= ?1 AND end_id >= ?1
                              AND user_id = user_record.user_id)
                     FROM user_record
                    WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM undelivered_record WHERE record_id = ?1)";
        let place = self.conn.query_row(sql, [id], |row| row.get(0)).optional();
        if let Some(batch) = place.unwrap() {
            *self.blur.entry(batch).or_default() += 1;
        }
    }

    /// A row is about to change: says how many workers have it in hand.
    fn blur_if_in_hand(&mut self, id: i64) -> u32 {
        let Some(wanted) = self.oracle.at(id) else {
            return 0;
        };
        let mut hands = 0;
        for worker in self.workers.iter().flatten() {
            if worker.has_in_hand(wanted) {
                hands += 1;
                let batch = Some(worker.claim.fence.batch_id);
                *self.blur.entry(batch).or_default() += 1;
            }
        }
        hands
    }

    fn plan(&mut self) {
        let now = self.now();
        let mut after = None;
        // Nothing is left to plan after a few rounds over three users.
        for _ in 0..32 {
            let round = self.write(|conn| batches::plan(conn, scope(), CUT, after, now));
            if round == batches::Round::default() && after.is_none() {
                self.blur.remove(&None);
                return;
            }
            after = round.last_user;
        }
    }

    /// Only what is delivered may go.
    fn prune(&mut self, records: bool) {
        let order = Order {
            before: self.now().minus(HOUR / 2),
            records,
        };
        let mut next = Some(Place::default());
        let mut total = Pruned::default();
        while let Some(place) = next {
            let (pruned, place) = self.write(|conn| prune::step(conn, order, &place));
            total += pruned;
            next = place;
        }
        let gone: Vec<i64> = IDS.into_iter().filter(|id| self.is_gone(*id)).collect();
        assert_eq!(gone.len() as u64, total.records, "records that went");
        for id in gone {
            assert!(self.oracle.ids(Stand::Delivered).contains(&id), "{id} went");
            self.oracle.delete(id);
        }
        self.done.clear();
    }

    fn is_gone(&self, id: i64) -> bool {
        let sql = "SELECT NOT EXISTS (SELECT 1 FROM user_record WHERE id = ?1)";
        let gone: bool = self.conn.query_row(sql, [id], |row| row.get(0)).unwrap();
        gone && self.oracle.at(id).is_some()
    }

    /// All that was not committed is forgotten.
    pub fn restart(&mut self) {
        for worker in self.workers.iter_mut().filter_map(Option::take) {
            if let Some(version) = worker.forgotten() {
                self.oracle.excuse(version);
            }
        }
        self.write(claims::rescue);
    }

    /// An operator's command may turn DEAD into RETRY, and nothing else.
    fn see_revived(&mut self) {
        for id in self.oracle.ids(Stand::Dead) {
            let sql = "SELECT state FROM undelivered_record WHERE record_id = ?1";
            let state = self.conn.query_row(sql, [id], |row| row.get(0));
            let state: Option<String> = state.optional().unwrap();
            if let (Some("RETRY"), Some(version)) = (state.as_deref(), self.oracle.at(id)) {
                self.oracle.revive(version);
            }
        }
    }

    /// What must be true at every moment.
    pub fn check(&mut self) {
        let seen = summary::summary(&self.conn).unwrap();
        let oracle = &self.oracle;
        assert_eq!(seen.delivered, oracle.delivered, "delivered");
        let states = [seen.retrying, seen.unknown, seen.dead];
        let wanted = [Stand::Retry, Stand::Unknown, Stand::Dead].map(|s| oracle.count(s));
        assert_eq!(states, wanted, "retrying, unknown, dead");
        let waiting = oracle.count(Stand::Waiting);
        let blur: i64 = self.blur.values().sum();
        assert!(
            (seen.waiting - waiting).abs() <= blur,
            "{} are said to wait, but {waiting} do, give or take {blur}",
            seen.waiting
        );
        self.check_users(&seen);
        self.check_batches();
        recount::assert_views_are_true(&self.conn);
    }

    /// The users add up to the whole.
    fn check_users(&self, seen: &Summary) {
        let sql = "SELECT coalesce(sum(delivered), 0), coalesce(sum(retrying), 0), coalesce(sum(unknown), 0),
                          coalesce(sum(dead), 0), coalesce(sum(success_batches), 0) FROM user_progress";
        let mut statement = self.conn.prepare_cached(sql).unwrap();
        let sums = statement.query_row([], |row| (0..5).map(|i| row.get(i)).collect());
        let sums: Vec<i64> = sums.unwrap();
        let wanted = [
            seen.delivered,
            seen.retrying,
            seen.unknown,
            seen.dead,
            seen.success_batches,
        ];
        assert_eq!(sums, wanted, "user_progress against delivery_summary");
    }

    /// SUCCESS is final, and batches are numbered 0, 1, 2, … per user.
    fn check_batches(&mut self) {
        let sql = "SELECT id, user_id || ' ' || batch_offset || ' ' || batch_size || ' ' || start_id || ' ' || end_id
                          || ' ' || delivered_count || ' ' || deleted_count
                     FROM processing_batch_status WHERE status = 'SUCCESS'";
        let mut statement = self.conn.prepare_cached(sql).unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        let now: BTreeMap<i64, String> = rows.unwrap().map(Result::unwrap).collect();
        for (batch, row) in &self.done {
            assert_eq!(now.get(batch), Some(row), "SUCCESS is final");
        }
        self.done = now;
        let sql = "SELECT count(*)
                     FROM (SELECT user_id, count(*) AS n, min(batch_offset) AS low, max(batch_offset) AS high
                             FROM processing_batch_status GROUP BY user_id)
                     JOIN user_cursor USING (user_id)
                    WHERE (pruned_batches = 0 AND low <> 0) OR high >= next_offset OR n + pruned_batches <> next_offset";
        let gaps: i64 = self.conn.query_row(sql, [], |row| row.get(0)).unwrap();
        assert_eq!(gaps, 0, "numbers of batches");
    }

    /// The API accepts everything from now on, and all is driven to its end.
    pub fn deliver_all(&mut self) {
        self.clock = self.clock.max(0);
        for _ in 0..64 {
            for worker in 0..self.workers.len() {
                self.step_to_the_end(worker);
            }
            self.clock += 2;
            self.apply(Op::Retry(steer::Target::Dead));
            self.plan();
            self.check();
            if !summary::work_left(&self.conn, scope()).unwrap() {
                break;
            }
        }
        self.oracle.assert_all_accepted();
        let seen = summary::summary(&self.conn).unwrap();
        let undelivered = seen.waiting + seen.retrying + seen.unknown + seen.dead;
        assert_eq!(undelivered, 0, "{seen:?}");
        let open = seen.pending_batches + seen.running_batches + seen.failed_batches;
        assert_eq!(open + seen.dead_batches, 0, "{seen:?}");
        let sql =
            "SELECT (SELECT count(*) FROM undelivered_record) + (SELECT count(*) FROM backlog)";
        let left: i64 = self.conn.query_row(sql, [], |row| row.get(0)).unwrap();
        assert_eq!(left, 0, "bookkeeping without a record");
    }

    fn step_to_the_end(&mut self, worker: usize) {
        // A claim, a few pages of three records, and the end of each source.
        for _ in 0..32 {
            self.step(worker, Reply::Accepts);
            if self.workers[worker].is_none() {
                break;
            }
        }
    }
}

pub fn scope() -> Scope {
    Scope { ..Scope::default() }
}
