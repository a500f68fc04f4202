//! A batch as a worker holds it: which records of which user, and where to go on.

use crate::chunk::ChunkName;

/// What a worker takes from the queue. The batch is RUNNING in the file, and only the holder of this claim may write
/// its outcomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Names the batch and this claim of it.
    pub fence: Fence,
    /// The user whose records these are.
    pub user_id: i64,
    /// The batch's number for that user.
    pub batch_offset: i64,
    /// Attempts that ended before this one (`retry_count`).
    pub attempt: i64,
    /// Ids that no attempt has reached yet; `None` when the whole range was sent, and for a LATE batch.
    pub unsent: Option<IdRange>,
    /// In bulk mode, the request that was begun last for a stretch of them; it may have been answered long ago.
    pub begun: Option<ChunkName>,
}

/// The right to write outcomes of one batch. A write whose fence no longer matches changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fence {
    /// `processing_batch_status.id`.
    pub batch_id: i64,
    /// `processing_batch_status.claim` when it was taken.
    pub claim: i64,
}

/// Ids from `first` to `last`, both included, so that all of i64 can be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdRange {
    /// The lowest id.
    pub first: i64,
    /// The highest id.
    pub last: i64,
}

impl IdRange {
    /// All ids.
    pub const ALL: IdRange = IdRange {
        first: i64::MIN,
        last: i64::MAX,
    };

    /// What is left above `id`, if anything.
    pub fn above(self, id: i64) -> Option<IdRange> {
        let first = id.checked_add(1)?.max(self.first);
        (first <= self.last).then_some(IdRange { first, ..self })
    }
}

/// The idempotency key of a record: the same in every attempt and after every restart, and another for a row that was deleted
/// and inserted again, for that is in another batch.
pub fn idempotency_key(instance: &str, batch: i64, name: impl std::fmt::Display) -> String {
    format!("{instance}.{batch}.{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_above_the_last_id() {
        assert_eq!(IdRange::ALL.above(i64::MAX), None);
        let range = IdRange { first: 3, last: 7 };
        assert_eq!(range.above(7), None);
        assert_eq!(range.above(6), Some(IdRange { first: 7, last: 7 }));
    }

    #[test]
    fn a_range_never_grows_downwards() {
        let range = IdRange { first: 3, last: 7 };
        assert_eq!(range.above(i64::MIN), Some(range));
    }
}
