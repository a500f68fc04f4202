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
    /// That it was cut anew, from records that an earlier request had failed to deliver, or from late ones; `None` when it
    /// is a stretch of the batch that no request has touched before, or one half of such a stretch.
    pub recut: Option<Recut>,
}

/// Tells the requests apart that were cut anew: the same ids may well be first and last in two of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recut {
    /// The claim of the batch under which it was cut.
    pub claim: i64,
    /// Its number under that claim.
    pub number: i64,
}

impl fmt::Display for ChunkName {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let IdRange { first, last } = self.ids;
        write!(f, "{first}:{last}")?;
        match self.recut {
            Some(Recut { claim, number }) => write!(f, ":{claim}:{number}"),
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
        let numbers = text.split(':').map(str::parse);
        let numbers: Vec<i64> = numbers.collect::<Result<_, _>>().map_err(|_| NoChunk)?;
        let (first, last, recut) = match *numbers.as_slice() {
            [first, last] => (first, last, None),
            [first, last, claim, number] => (first, last, Some(Recut { claim, number })),
            _ => return Err(NoChunk),
        };
        Ok(ChunkName {
            ids: IdRange { first, last },
            recut,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_back_as_it_is_written() {
        for text in ["1:500", "-5:-1", "7:7:3:0", "-9223372036854775808:0:0:12"] {
            assert_eq!(text.parse::<ChunkName>().unwrap().to_string(), text);
        }
        for wrong in ["", "1", "1:", "1:x", "1:2:3", "1:2:3:4:5", "1-2", ":1:2"] {
            assert_eq!(wrong.parse::<ChunkName>(), Err(NoChunk), "{wrong}");
        }
    }
}
