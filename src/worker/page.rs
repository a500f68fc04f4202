//! The page: records of a stretch that were read and not begun yet. A row is sent as it was a moment ago, however slow the API
//! is; so pages grow only as long as they are soon used up, and one that has become old is read again.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::batch::IdRange;
use crate::record::Record;

/// The first page of a batch is small, for nobody knows how slow the API is.
pub(super) const FIRST_PAGE: usize = 2;

/// No page grows larger.
const LARGEST_PAGE: usize = 64;

/// Pages grow while they take less than this, and shrink when they take longer.
const PAGE_TIME: Duration = Duration::from_millis(200);

/// A record that was read longer ago than this is read again. Reading takes time too, so that it is not for every short wait.
const OLD: Duration = Duration::from_secs(1);

/// See the module's text.
pub(super) struct Page {
    records: VecDeque<Record>,
    /// Ids whose records are not read yet.
    unread: Option<IdRange>,
    size: usize,
    /// `None`: nothing was read yet.
    read_at: Option<Instant>,
    is_being_read: bool,
}

impl Page {
    /// Nothing is read of these ids yet; the first page has this size.
    pub(super) fn new(ids: IdRange, size: usize) -> Page {
        Page {
            records: VecDeque::new(),
            unread: Some(ids),
            size,
            read_at: None,
            is_being_read: false,
        }
    }

    /// Records that are read at a time.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    pub(super) fn is_being_read(&self) -> bool {
        self.is_being_read
    }

    /// Whether nothing is left, neither here nor in the file.
    pub(super) fn is_used_up(&self) -> bool {
        self.records.is_empty() && self.unread.is_none() && !self.is_being_read
    }

    /// The next record.
    pub(super) fn take(&mut self) -> Option<Record> {
        self.records.pop_front()
    }

    /// The id from which on nothing was taken.
    pub(super) fn next_id(&self) -> Option<i64> {
        let next = self.records.front().map(|record| record.id);
        next.or(self.unread.map(|ids| ids.first))
    }

    /// What has to be read before the next record can be taken, and how many; [`Page::fill`] has to follow. `None` when there is
    /// a record, or none is left.
    pub(super) fn wanted(&mut self) -> Option<(IdRange, usize)> {
        self.drop_old();
        if !self.records.is_empty() {
            return None;
        }
        let ids = self.unread?;
        if self.read_at.is_some() {
            let wanted = match self.age() < PAGE_TIME {
                true => self.size * 2,
                false => self.size / 2,
            };
            self.size = wanted.clamp(1, LARGEST_PAGE);
        }
        self.is_being_read = true;
        Some((ids, self.size))
    }

    /// What was read of the wanted ids; `None` when it could not be.
    pub(super) fn fill(&mut self, ids: IdRange, records: Option<Vec<Record>>) {
        self.is_being_read = false;
        let Some(records) = records else {
            return;
        };
        let last = records.last().filter(|_| records.len() == self.size);
        self.unread = last.and_then(|last| ids.above(last.id));
        self.records = records.into();
        self.read_at = Some(Instant::now());
    }

    fn drop_old(&mut self) {
        let (Some(first), Some(last)) = (self.records.front(), self.records.back()) else {
            return;
        };
        if self.age() >= OLD {
            self.unread = Some(IdRange {
                first: first.id,
                last: self.unread.map_or(last.id, |unread| unread.last),
            });
            self.records.clear();
        }
    }

    fn age(&self) -> Duration {
        self.read_at.map_or(Duration::ZERO, |time| time.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(ids: std::ops::RangeInclusive<i64>) -> Option<Vec<Record>> {
        let record = |id| Record {
            id,
            attempts: 0,
            values: Vec::new(),
        };
        Some(ids.map(record).collect())
    }

    const ALL: IdRange = IdRange { first: 1, last: 9 };

    #[test]
    fn pages_that_are_soon_used_up_grow_and_a_short_one_is_the_last() {
        let mut page = Page::new(ALL, FIRST_PAGE);
        assert_eq!(page.wanted(), Some((ALL, 2)));
        page.fill(ALL, records(1..=2));
        assert_eq!((page.wanted(), page.next_id()), (None, Some(1)));
        assert!(page.take().is_some() && page.take().is_some());
        let rest = IdRange { first: 3, last: 9 };
        assert_eq!(page.wanted(), Some((rest, 4)));
        assert!(!page.is_used_up(), "somebody reads");
        page.fill(rest, records(3..=5));
        for _ in 3..=5 {
            assert!(!page.is_used_up() && page.take().is_some());
        }
        assert!(page.is_used_up() && page.wanted().is_none() && page.next_id().is_none());
    }

    #[test]
    fn what_was_read_long_ago_is_read_again() {
        let mut page = Page::new(ALL, FIRST_PAGE);
        page.wanted();
        page.fill(ALL, records(1..=2));
        page.take();
        page.read_at = Instant::now().checked_sub(OLD);
        let rest = IdRange { first: 2, last: 9 };
        assert_eq!(page.wanted(), Some((rest, 1)));
    }

    #[test]
    fn what_could_not_be_read_is_still_there() {
        let mut page = Page::new(ALL, FIRST_PAGE);
        page.wanted();
        page.fill(ALL, None);
        assert!(!page.is_used_up());
        assert_eq!(page.next_id(), Some(1));
    }
}
