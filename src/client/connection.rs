//! One connection, and one exchange at a time on it.

use http::Method;
use std::io::{self, Write};

use super::answer::{self, Head, Parsed};
use super::input::Input;
use super::request::{Lines, Request};
use super::socket::Deadline;
use super::wire::Wire;
use super::{Error, Reply};

/// A body up to this size leaves in one write with its head; in memory it is copied for that.
const JOINED: usize = 16 * 1024;

/// A connection to an API, or to the proxy before it.
pub struct Connection {
    input: Input<Wire>,
    /// Kept from one request to the next.
    output: Vec<u8>,
}

impl Connection {
    /// A connection that nothing has been sent over.
    pub fn new(wire: Wire) -> Connection {
        Connection {
            input: Input::new(wire),
            output: Vec::new(),
        }
    }

    /// The way for bytes; what came in on it and was not asked for is forgotten.
    pub fn into_wire(self) -> Wire {
        self.input.from
    }

    /// Whether nothing has come in since the last answer, not even the end.
    pub fn is_quiet(&mut self) -> bool {
        self.input.bytes().is_empty() && self.input.from.is_quiet()
    }

    /// Sends a request and reads the answer, up to `limit` bytes of its body. Also returns whether the connection may be
    /// used again.
    ///
    /// # Errors
    /// When no whole head of an answer came.
    pub fn exchange(
        &mut self,
        request: &Request,
        before: &str,
        first: &Lines,
        deadline: Deadline,
        limit: usize,
    ) -> Result<(Reply, bool), Error> {
        self.input.from.socket().set_deadline(deadline);
        self.output.clear();
        request.write_head(before, first, &mut self.output);
        let written = self.write(&request.body);
        let is_whole = written.is_ok();
        let head = self.read_head(request.method == Method::HEAD);
        let head = match (written, head) {
            (Ok(()), head) => head?,
            // A server may refuse what it has not read to its end, and close (RFC 9112 section 9.3). It cannot have accepted it.
            (Err(_), Ok(head)) if !(200..300).contains(&head.status) => head,
            (Err(error), _) => return Err(error.into()),
        };
        let mut body = Vec::new();
        let ended = self.input.read_body(head.framing, limit, &mut body);
        let is_kept =
            is_whole && head.is_kept && matches!(ended, Ok(true)) && self.input.bytes().is_empty();
        let reply = Reply {
            status: head.status,
            retry_after: head.retry_after,
            body,
            broken: ended.err(),
        };
        Ok((reply, is_kept))
    }

    /// Sends the head that stands in `output`, and a body.
    fn write(&mut self, body: &[u8]) -> io::Result<()> {
        let to = &mut self.input.from;
        if body.len() <= JOINED {
            self.output.extend_from_slice(body);
            to.write_all(&self.output)?;
        } else {
            to.write_all(&self.output)?;
            to.write_all(body)?;
        }
        to.flush()
    }

    /// Makes a proxy connect this connection through (RFC 9110 section 9.3.6). `request` is the whole of it.
    ///
    /// # Errors
    /// When it does not.
    pub fn tunnel(&mut self, request: &[u8]) -> Result<(), Error> {
        self.input.from.write_all(request)?;
        self.input.from.flush()?;
        match self.read_head(false)?.status {
            200..300 => Ok(()),
            status => Err(Error::NoTunnel(status)),
        }
    }

    /// The head of the final answer.
    fn read_head(&mut self, to_head: bool) -> Result<Head, Error> {
        loop {
            match answer::parse(self.input.bytes(), to_head)? {
                Parsed::Partial => self.input.more()?,
                Parsed::Interim(length) => self.input.consume(length),
                Parsed::Final(length, head) => {
                    self.input.consume(length);
                    return Ok(head);
                }
            }
        }
    }
}
