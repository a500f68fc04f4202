//! What came in on a connection and was not consumed yet, and the body of an answer taken out of it.

use httparse::Status;
use std::io::Read;

use super::Error;
use super::answer::Framing;

/// The longest head of an answer, and the longest line between two chunks of its body.
const LONGEST: usize = 16 * 1024;

/// Most answers fit in here, head and body.
const AT_FIRST: usize = 4 * 1024;

/// A reader with a buffer that grows up to a limit.
pub struct Input<R> {
    pub from: R,
    data: Vec<u8>,
    start: usize,
    end: usize,
}

impl<R: Read> Input<R> {
    /// Nothing has come in yet.
    pub fn new(from: R) -> Input<R> {
        Input {
            from,
            data: vec![0; AT_FIRST],
            start: 0,
            end: 0,
        }
    }

    /// What came in and was not consumed.
    pub fn bytes(&self) -> &[u8] {
        &self.data[self.start..self.end]
    }

    /// Takes bytes out.
    pub fn consume(&mut self, count: usize) {
        self.start += count;
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Waits for more.
    ///
    /// # Errors
    /// Also when the connection has ended, or the buffer is full.
    pub fn more(&mut self) -> Result<(), Error> {
        if self.end == self.data.len() {
            self.make_room()?;
        }
        match self.from.read(&mut self.data[self.end..])? {
            0 => Err(Error::Closed),
            count => {
                self.end += count;
                Ok(())
            }
        }
    }

    fn make_room(&mut self) -> Result<(), Error> {
        if self.start > 0 {
            self.data.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        } else if self.data.len() < LONGEST {
            self.data.resize(2 * self.data.len(), 0);
        } else {
            let reason = format!("it has a line, or a head, of more than {LONGEST} bytes");
            return Err(Error::Garbled(reason));
        }
        Ok(())
    }

    /// Appends a body to `out`, up to `limit` bytes of it. Returns whether it ended, and not with the connection.
    ///
    /// # Errors
    /// When it broke off, or is not what the head said.
    pub fn read_body(
        &mut self,
        framing: Framing,
        limit: usize,
        out: &mut Vec<u8>,
    ) -> Result<bool, Error> {
        match framing {
            Framing::Empty => Ok(true),
            Framing::Length(length) => self.read_bytes(length, limit, out),
            Framing::Chunked => self.read_chunks(limit, out),
            Framing::UntilClose => match self.read_bytes(u64::MAX, limit, out) {
                Err(Error::Closed) => Ok(false),
                read => read,
            },
        }
    }

    /// So many bytes. Returns whether all of them were below the limit.
    fn read_bytes(
        &mut self,
        mut left: u64,
        limit: usize,
        out: &mut Vec<u8>,
    ) -> Result<bool, Error> {
        while left > 0 {
            let room = limit.saturating_sub(out.len()) as u64;
            if room == 0 {
                return Ok(false);
            }
            if self.bytes().is_empty() {
                self.more()?;
            }
            let there = self.bytes().len() as u64;
            let count = there.min(left).min(room);
            out.extend_from_slice(&self.bytes()[..count as usize]);
            self.consume(count as usize);
            left -= count;
        }
        Ok(true)
    }

    /// Chunks, and the fields after the last of them, which nobody reads (RFC 9112 section 7.1).
    fn read_chunks(&mut self, limit: usize, out: &mut Vec<u8>) -> Result<bool, Error> {
        loop {
            match self.read_chunk_size()? {
                0 => break,
                size => {
                    if !self.read_bytes(size, limit, out)? {
                        return Ok(false);
                    }
                }
            }
            while self.bytes().len() < 2 {
                self.more()?;
            }
            if !self.bytes().starts_with(b"\r\n") {
                return Err(Error::Garbled("a chunk is longer than it says".into()));
            }
            self.consume(2);
        }
        loop {
            let mut fields = [httparse::EMPTY_HEADER; 32];
            match httparse::parse_headers(self.bytes(), &mut fields) {
                Ok(Status::Complete((length, _))) => {
                    self.consume(length);
                    return Ok(true);
                }
                Ok(Status::Partial) => self.more()?,
                Err(error) => return Err(Error::Garbled(error.to_string())),
            }
        }
    }

    fn read_chunk_size(&mut self) -> Result<u64, Error> {
        loop {
            match httparse::parse_chunk_size(self.bytes()) {
                Ok(Status::Complete((length, size))) => {
                    self.consume(length);
                    return Ok(size);
                }
                Ok(Status::Partial) => self.more()?,
                Err(_) => return Err(Error::Garbled("a chunk has no size".into())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read of `text`, which comes in pieces of `step` bytes, and what is left of it.
    fn read(
        text: &[u8],
        step: usize,
        framing: Framing,
        limit: usize,
    ) -> (Vec<u8>, Result<bool, Error>, Vec<u8>) {
        let mut input = Input::new(Steps { text, step });
        let mut body = Vec::new();
        let ended = input.read_body(framing, limit, &mut body);
        let left = [input.bytes(), input.from.text].concat();
        (body, ended, left)
    }

    struct Steps<'a> {
        text: &'a [u8],
        step: usize,
    }

    impl Read for Steps<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let count = self.step.min(self.text.len()).min(buffer.len());
            buffer[..count].copy_from_slice(&self.text[..count]);
            self.text = &self.text[count..];
            Ok(count)
        }
    }

    #[test]
    fn a_body_is_read_to_its_end_and_no_further() {
        for (framing, text, body) in [
            (Framing::Empty, "next", ""),
            (Framing::Length(5), "hellonext", "hello"),
            (Framing::Length(0), "next", ""),
            (
                Framing::Chunked,
                "5;a=b\r\nhello\r\nA\r\n, chunked!\r\n0\r\nX: y\r\n\r\nnext",
                "hello, chunked!",
            ),
            (Framing::Chunked, "0\r\n\r\nnext", ""),
        ] {
            for step in [1, 3, 1000] {
                let (read, ended, left) = read(text.as_bytes(), step, framing, 1000);
                assert!(matches!(ended, Ok(true)), "{text:?} {ended:?}");
                assert_eq!((&read[..], &left[..]), (body.as_bytes(), &b"next"[..]));
            }
        }
        let (body, ended, _) = read(b"all there is", 5, Framing::UntilClose, 1000);
        assert_eq!((&body[..], ended.ok()), (&b"all there is"[..], Some(false)));
    }

    #[test]
    fn a_body_is_cut_at_the_limit() {
        for (framing, text) in [
            (Framing::Length(11), "hello, world"),
            (Framing::Chunked, "3\r\nhel\r\n8\r\nlo, worl\r\n0\r\n\r\n"),
            (Framing::UntilClose, "hello, world"),
        ] {
            let (body, ended, _) = read(text.as_bytes(), 4, framing, 5);
            assert_eq!((&body[..], ended.ok()), (&b"hello"[..], Some(false)));
        }
    }

    #[test]
    fn what_came_of_a_broken_body_is_kept() {
        for (framing, text) in [
            (Framing::Length(6), "hello"),
            (Framing::Chunked, "5\r\nhello"),
            (Framing::Chunked, "5\r\nhello!\r\n"),
            (Framing::Chunked, "5\r\nhello\r\nzz\r\n"),
            (Framing::Chunked, "5\r\nhello\r\n0\r\n"),
            (Framing::Chunked, "5\r\nhello\r\n0\r\nno field\r\n\r\n"),
        ] {
            let (body, ended, _) = read(text.as_bytes(), 4, framing, 1000);
            assert!(ended.is_err(), "{text:?}");
            assert_eq!(body, b"hello");
        }
    }

    #[test]
    fn no_line_is_longer_than_the_buffer() {
        let endless = "0".repeat(1 << 20);
        for start in ["1;", "0\r\nX: "] {
            let text = format!("{start}{endless}");
            let (_, ended, left) = read(text.as_bytes(), 1000, Framing::Chunked, 1000);
            assert!(matches!(ended, Err(Error::Garbled(_))), "{ended:?}");
            assert!(left.len() > endless.len() - LONGEST, "it is not waited for");
        }
    }
}
