//! The owner of user_record: another connection that inserts, deletes, replaces and moves rows all the time, and
//! remembers what it did. A row's `city` names its life: which of the rows of that id it is.

use super::chance::Chance;
use crate::harness::{DEADLINE, Site};
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::{HashMap, VecDeque};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Ids grow in steps of these, so that some are neighbours, and there is room below the cursor.
const STEPS: &[i64] = &[1, 1, 1, 20];

/// Rows that are likely to be on their way just now.
const RECENT: usize = 60;

/// With so many records waiting, nothing is inserted for a while: a slow machine must be able to catch up.
const CROWD: i64 = 500;

/// Acts between two looks at how many wait.
const LOOK_EVERY: usize = 50;

/// What the owner knows about an id.
#[derive(Default, Clone, Copy)]
pub struct Story {
    /// Rows that were inserted under this id; the last of them is the one that may be there.
    pub lives: u32,
    /// Moves to another user.
    pub moves: u32,
    /// The user of the row that is there now.
    pub user: Option<i64>,
}

pub struct Owner {
    conn: Connection,
    chance: Chance,
    pub stories: HashMap<i64, Story>,
    recent: VecDeque<i64>,
    top: i64,
    acts: usize,
    crowded: bool,
}

/// An owner at work on a thread of its own.
pub struct Working {
    stop: Sender<()>,
    thread: JoinHandle<Owner>,
}

impl Working {
    /// Lets it finish what it does, and returns what it knows.
    pub fn stop(self) -> Owner {
        drop(self.stop);
        self.thread.join().unwrap()
    }
}

impl Owner {
    pub fn new(site: &Site, chance: Chance) -> Owner {
        let conn = site.connect();
        conn.busy_timeout(DEADLINE).unwrap();
        conn.pragma_update(None, "synchronous", "OFF").unwrap();
        Owner {
            conn,
            chance,
            stories: HashMap::new(),
            recent: VecDeque::new(),
            top: 0,
            acts: 0,
            crowded: false,
        }
    }

    /// Does something each few milliseconds until it is stopped.
    pub fn work(mut self) -> Working {
        let (stop, stopped) = channel::<()>();
        let thread = std::thread::spawn(move || {
            loop {
                self.act();
                let pause = Duration::from_micros(self.chance.below(6000) as u64);
                if stopped.recv_timeout(pause) == Err(RecvTimeoutError::Disconnected) {
                    return self;
                }
            }
        });
        Working { stop, thread }
    }

    fn act(&mut self) {
        if self.acts.is_multiple_of(LOOK_EVERY) {
            let sql = "SELECT waiting > ?1 FROM delivery_summary";
            let crowded = self.conn.query_row(sql, [CROWD], |row| row.get(0));
            self.crowded = crowded.unwrap();
        }
        self.acts += 1;
        match self.chance.below(100) {
            0..60 if self.crowded => {}
            0..40 => self.insert_above(1),
            40..45 => self.insert_above(25),
            45..60 => self.insert_below(),
            60..72 => self.delete(),
            72..80 => self.insert_again(),
            80..86 => self.renew_the_last_planned(),
            86..92 => self.replace(),
            _ => self.move_to_another_user(),
        }
    }

    /// Rows above all others, in one transaction.
    pub fn insert_above(&mut self, rows: usize) {
        let user = self.user();
        self.conn.execute_batch("BEGIN IMMEDIATE").unwrap();
        for _ in 0..rows {
            self.top += self.chance.one_of(STEPS);
            self.insert("INSERT", self.top, user);
        }
        self.conn.execute_batch("COMMIT").unwrap();
    }

    fn insert_below(&mut self) {
        let id = self.chance.below(self.top.max(1) as usize) as i64 - 20;
        if !self.stories.contains_key(&id) {
            let user = self.user();
            self.insert("INSERT", id, user);
        }
    }

    fn delete(&mut self) {
        if let Some(id) = self.a_row() {
            self.delete_row(id);
        }
    }

    fn insert_again(&mut self) {
        let gone = |id: &i64| self.stories[id].user.is_none();
        let rows: Vec<i64> = self.recent.iter().copied().filter(gone).collect();
        if !rows.is_empty() {
            let (id, user) = (self.chance.one_of(&rows), self.user());
            self.insert("INSERT", id, user);
        }
    }

    /// Deletes and inserts again the row that a user's cursor stands at: the last that was planned.
    fn renew_the_last_planned(&mut self) {
        let sql = "SELECT id FROM user_record JOIN user_cursor USING (user_id)
                    WHERE user_id = ?1 AND id = planned_through";
        let user = self.user();
        let last = self.conn.query_row(sql, [user], |row| row.get(0));
        if let Some(id) = last.optional().unwrap() {
            self.delete_row(id);
            self.insert("INSERT", id, user);
        }
    }

    /// As `REPLACE` does: no delete trigger runs for the old row.
    fn replace(&mut self) {
        if let Some(id) = self.a_row() {
            let user = self.user();
            self.insert("REPLACE", id, user);
        }
    }

    fn move_to_another_user(&mut self) {
        if let Some(id) = self.a_row() {
            let user = self.user();
            let sql = "UPDATE user_record SET user_id = ?2 WHERE id = ?1";
            assert_eq!(self.conn.execute(sql, [id, user]).unwrap(), 1);
            let story = self.stories.get_mut(&id).unwrap();
            story.moves += 1;
            story.user = Some(user);
        }
    }

    fn insert(&mut self, verb: &str, id: i64, user: i64) {
        let story = self.stories.entry(id).or_default();
        story.lives += 1;
        story.user = Some(user);
        let sql = format!("{verb} INTO user_record VALUES (?1, ?2, ?3, ?4)");
        let life = story.lives.to_string();
        let mut statement = self.conn.prepare_cached(&sql).unwrap();
        statement
            .execute(params![id, user, id.to_string(), life])
            .unwrap();
        self.recent.retain(|recent| *recent != id);
        self.recent.push_back(id);
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
    }

    fn delete_row(&mut self, id: i64) {
        let sql = "DELETE FROM user_record WHERE id = ?1";
        assert_eq!(self.conn.execute(sql, [id]).unwrap(), 1);
        self.stories.get_mut(&id).unwrap().user = None;
    }

    fn user(&mut self) -> i64 {
        self.chance.one_of(&[1, 2, 3, -4])
    }

    /// A recent row that is there.
    fn a_row(&mut self) -> Option<i64> {
        let there = |id: &i64| self.stories[id].user.is_some();
        let rows: Vec<i64> = self.recent.iter().copied().filter(there).collect();
        (!rows.is_empty()).then(|| self.chance.one_of(&rows))
    }
}
