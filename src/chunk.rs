//! A chunk: the records of one request in bulk mode, and the name by which that request is recognised.
//!
//! The name is the last part of the chunk's idempotency key. Two requests with different records must never have the same
//! name, and a request that is made again must have the one it had.

use std::fmt;
use std::str::FromStr;

use crate::batch::IdRange;

/// Names the records of one request, within their batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkName {
    /// The ids of its first and its last record.
    pub ids: IdRange,
    /// The attempt (`retry_count`) in which it was cut anew, from records that an earlier request had failed to deliver;
    /// `None` when it is a stretch of the batch that no request has touched before, or one half of such a stretch.
    pub recut_in: Option<i64>,
}

impl fmt::Display for ChunkName {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let IdRange { first, last } = self.ids;
        write!(f, "{first}:{last}")?;
        match self.recut_in {
            Some(attempt) => write!(f, ":{attempt}"),
            None => Ok(()),
        }
    }
}

/// The text names no chunk.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("no chunk has this name")]
pub struct NoChunk;

impl FromStr for ChunkName {
    type Err = NoChunk;

    fn from_str(text: &str) -> Result<ChunkName, NoChunk> {
        let mut numbers = text.split(':').map(|part| part.parse::<i64>());
        let mut next = || numbers.next().transpose().map_err(|_| NoChunk);
        let (first, last, recut_in) = (next()?, next()?, next()?);
        let ids = first.zip(last).ok_or(NoChunk)?;
        if next()?.is_some() {
            return Err(NoChunk);
        }
        Ok(ChunkName {
            ids: IdRange {
                first: ids.0,
                last: ids.1,
            },
            recut_in,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_back_as_it_is_written() {
        for text in ["1:500", "-5:-1", "7:7:3", "-9223372036854775808:0:0"] {
            assert_eq!(text.parse::<ChunkName>().unwrap().to_string(), text);
        }
        for wrong in ["", "1", "1:", "1:x", "1:2:3:4", "1-2", ":1:2"] {
            assert_eq!(wrong.parse::<ChunkName>(), Err(NoChunk), "{wrong}");
        }
    }
}
