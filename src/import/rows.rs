//! The rows of a CSV input (RFC 4180), each with the number of its first line.
//!
//! The csv crate tells where it began to look for a row, and that is before the blank lines and the second half of a
//! CRLF which it skips first. The first line is reckoned from the row's end instead.

use std::io::{self, Read};

use super::Fault;

/// Reads row by row.
pub(super) struct Rows<R> {
    reader: csv::Reader<Tap<R>>,
}

impl<R: Read> Rows<R> {
    /// The first row is the header's: rows may have any number of fields.
    pub(super) fn new(input: R) -> Rows<R> {
        let input = Tap {
            input,
            block: Vec::new(),
            start: 0,
            quotes: 0,
        };
        let mut reader = csv::ReaderBuilder::new();
        reader.has_headers(false).flexible(true);
        Rows {
            reader: reader.from_reader(input),
        }
    }

    /// Whether a quote is never closed: they come in pairs (RFC 4180 §2), and the csv crate takes the end of the input
    /// for the end of a quoted field, so that the last one may have swallowed many rows.
    pub(super) fn quote_is_open(&self) -> bool {
        self.reader.get_ref().quotes % 2 == 1
    }

    /// Reads the next row and returns the number of its first line; `None` at the end.
    pub(super) fn next(&mut self, row: &mut csv::ByteRecord) -> Result<Option<u64>, Fault> {
        let more = self.reader.read_byte_record(row);
        if !more.map_err(|error| Fault::Other(error.into()))? {
            return Ok(None);
        }
        let end = self.reader.position();
        let newlines = row.as_slice().iter().filter(|&&byte| byte == b'\n').count() as u64;
        let ended_by_newline = self.reader.get_ref().byte_before(end.byte()) == Some(b'\n');
        Ok(Some(end.line() - newlines - u64::from(ended_by_newline)))
    }
}

/// Passes the input on and keeps the last block of it, to be asked what a row ended with.
struct Tap<R> {
    input: R,
    block: Vec<u8>,
    /// Where the block starts in the input.
    start: u64,
    /// Quotes so far.
    quotes: usize,
}

impl<R> Tap<R> {
    fn byte_before(&self, offset: u64) -> Option<u8> {
        let index = offset.checked_sub(self.start + 1)?;
        self.block.get(index as usize).copied()
    }
}

impl<R: Read> Read for Tap<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        if read > 0 {
            self.start += self.block.len() as u64;
            self.block.clear();
            self.block.extend_from_slice(&buffer[..read]);
            self.quotes += self.block.iter().filter(|&&byte| byte == b'"').count();
        }
        Ok(read)
    }
}
