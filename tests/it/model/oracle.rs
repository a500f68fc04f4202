//! What must be true, known without looking at the file: which versions of rows there are, and what became of each.
//!
//! A version is a row from its insertion to its end, whatever happens to its id, user or city in between.

use std::collections::HashMap;

/// Where the file must say that a version stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Stand {
    Waiting,
    Retry,
    Unknown,
    Dead,
    Delivered,
}

#[derive(Debug)]
struct Version {
    /// `None` when its owner deleted or replaced it.
    id: Option<i64>,
    stand: Stand,
    accepted: u32,
    /// Acceptances that ferryd could not know of: an answer lost, a kill before the commit, a row that its owner moved
    /// while it was being sent.
    excused: u32,
    /// Times that it changed its place, and with it its key.
    moves: usize,
    keys: Vec<String>,
}

/// The versions by number; the number is the row's `network_id`, so that each request tells which version it carries.
#[derive(Debug, Default)]
pub struct Oracle {
    versions: Vec<Version>,
    key_owner: HashMap<String, usize>,
    /// Outcomes "delivered" that were committed.
    pub delivered: i64,
}

impl Oracle {
    /// A row comes into being, in place of the one that had its id.
    pub fn insert(&mut self, id: i64) -> usize {
        self.delete(id);
        self.versions.push(Version {
            id: Some(id),
            stand: Stand::Waiting,
            accepted: 0,
            excused: 0,
            moves: 0,
            keys: Vec::new(),
        });
        self.versions.len() - 1
    }

    pub fn delete(&mut self, id: i64) {
        if let Some(version) = self.at(id) {
            self.versions[version].id = None;
        }
    }

    /// The version that has this id now.
    pub fn at(&self, id: i64) -> Option<usize> {
        self.versions.iter().position(|v| v.id == Some(id))
    }

    /// A row gets another id or user: delivered it stays so, else it waits anew. `in_hand` is how many workers have it.
    pub fn moved(&mut self, version: usize, to: i64, in_hand: u32) {
        if self.at(to).is_some_and(|other| other != version) {
            self.delete(to);
        }
        let version = &mut self.versions[version];
        version.id = Some(to);
        version.moves += 1;
        version.excused += in_hand;
        if version.stand != Stand::Delivered {
            version.stand = Stand::Waiting;
        }
    }

    /// A request arrives; fails when it is a repeat without an excuse, or one that cannot be recognised.
    pub fn sent(&mut self, version: usize, key: String, accepted: bool) {
        let owner = *self.key_owner.entry(key.clone()).or_insert(version);
        assert_eq!(owner, version, "two rows were sent with the key {key}");
        let v = &mut self.versions[version];
        if !v.keys.contains(&key) {
            v.keys.push(key);
        }
        assert!(v.keys.len() <= 1 + v.moves, "another key: {v:?}");
        v.accepted += u32::from(accepted);
        assert!(v.accepted <= 1 + v.excused, "a needless repeat: {v:?}");
    }

    /// ferryd cannot know that this acceptance happened.
    pub fn excuse(&mut self, version: usize) {
        self.versions[version].excused += 1;
    }

    /// The outcome of sending a version from this place was committed.
    pub fn settled(&mut self, version: usize, id: i64, moves: usize, stand: Stand) {
        self.delivered += i64::from(stand == Stand::Delivered);
        let version = &mut self.versions[version];
        if version.id == Some(id) && version.moves == moves {
            version.stand = stand;
        }
    }

    /// An operator brings a dead record back.
    pub fn revive(&mut self, version: usize) {
        if self.versions[version].stand == Stand::Dead {
            self.versions[version].stand = Stand::Retry;
        }
    }

    pub fn moves(&self, version: usize) -> usize {
        self.versions[version].moves
    }

    pub fn count(&self, stand: Stand) -> i64 {
        self.ids(stand).len() as i64
    }

    /// Ids of the rows that are there and stand so.
    pub fn ids(&self, stand: Stand) -> Vec<i64> {
        let standing = self.versions.iter().filter(|v| v.stand == stand);
        standing.filter_map(|v| v.id).collect()
    }

    /// Nothing that is there was left out.
    pub fn assert_all_accepted(&self) {
        for version in self.versions.iter().filter(|v| v.id.is_some()) {
            assert!(version.accepted > 0, "lost: {version:?}");
        }
    }
}
