//! Where a request's body ends (RFC 9112, 6 and 7), and reading it up to there.
//!
//! What two readers could understand in two ways is refused: that is how requests are smuggled.

use super::request::values;
use super::wire::{Deadline, Fault, Wire};

const TRAILERS_MAX: usize = 64;

/// How the body follows its head.
#[derive(Debug, PartialEq)]
pub(super) enum Framing {
    Length(u64),
    Chunked,
}

impl Framing {
    /// `modern` is HTTP/1.1; HTTP/1.0 knows no transfer codings.
    pub(super) fn of(headers: &[httparse::Header], modern: bool) -> Result<Framing, Fault> {
        let mut codings = values(headers, "transfer-encoding");
        let mut lengths = values(headers, "content-length");
        let Some(coding) = codings.next() else {
            return one_length(lengths);
        };
        if lengths.next().is_some() || codings.next().is_some() || !modern {
            return Err(Fault::Refused(400));
        }
        if !coding.eq_ignore_ascii_case(b"chunked") {
            return Err(Fault::Refused(501));
        }
        Ok(Framing::Chunked)
    }

    pub(super) fn has_body(&self) -> bool {
        *self != Framing::Length(0)
    }

    /// Refuses early what is too long by its own account.
    pub(super) fn check(&self, max: usize) -> Result<(), Fault> {
        match self {
            Framing::Length(length) if *length > max as u64 => Err(Fault::Refused(413)),
            _ => Ok(()),
        }
    }

    pub(super) fn read(
        self,
        wire: &mut Wire,
        deadline: &Deadline,
        body: &mut Vec<u8>,
        max: usize,
    ) -> Result<(), Fault> {
        match self {
            Framing::Length(length) => take(wire, deadline, body, length),
            Framing::Chunked => read_chunks(wire, deadline, body, max),
        }
    }
}

/// No length is no body; the same length twice is harmless, two lengths are not.
fn one_length<'a>(values: impl Iterator<Item = &'a [u8]>) -> Result<Framing, Fault> {
    let mut length = None;
    for value in values {
        let value = parse_length(value)?;
        if length.is_some_and(|other| other != value) {
            return Err(Fault::Refused(400));
        }
        length = Some(value);
    }
    Ok(Framing::Length(length.unwrap_or(0)))
}

/// Digits only: no sign, no list (RFC 9110, 8.6). More than 64 bits are too long anyway.
fn parse_length(value: &[u8]) -> Result<u64, Fault> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(Fault::Refused(400));
    }
    let digits = str::from_utf8(value).map_err(|_| Fault::Refused(400))?;
    digits.parse().map_err(|_| Fault::Refused(413))
}

/// Moves `count` bytes from the wire to the body.
fn take(wire: &mut Wire, deadline: &Deadline, body: &mut Vec<u8>, count: u64) -> Result<(), Fault> {
    let mut missing = usize::try_from(count).map_err(|_| Fault::Refused(413))?;
    loop {
        let bytes = wire.bytes();
        let part = bytes.len().min(missing);
        body.extend_from_slice(&bytes[..part]);
        wire.consume(part);
        missing -= part;
        if missing == 0 {
            return Ok(());
        }
        wire.fill(deadline)?;
    }
}

fn read_chunks(
    wire: &mut Wire,
    deadline: &Deadline,
    body: &mut Vec<u8>,
    max: usize,
) -> Result<(), Fault> {
    loop {
        let size = read_chunk_size(wire, deadline)?;
        if size == 0 {
            return skip_trailers(wire, deadline);
        }
        if size > (max - body.len()) as u64 {
            return Err(Fault::Refused(413));
        }
        take(wire, deadline, body, size)?;
        end_chunk(wire, deadline)?;
    }
}

fn read_chunk_size(wire: &mut Wire, deadline: &Deadline) -> Result<u64, Fault> {
    loop {
        match httparse::parse_chunk_size(wire.bytes()) {
            Ok(httparse::Status::Complete((used, size))) => {
                check_chunk_line(&wire.bytes()[..used])?;
                wire.consume(used);
                return Ok(size);
            }
            Ok(httparse::Status::Partial) => wire.fill(deadline)?,
            Err(_) => return Err(Fault::Refused(400)),
        }
    }
}

/// httparse takes a missing size for 0 and lets an extension contain line feeds; other readers see
/// other chunks there.
fn check_chunk_line(line: &[u8]) -> Result<(), Fault> {
    let sized = line.first().is_some_and(u8::is_ascii_hexdigit);
    let line_feeds = line.iter().filter(|byte| **byte == b'\n').count();
    if !sized || line_feeds > 1 {
        return Err(Fault::Refused(400));
    }
    Ok(())
}

/// The line end after a chunk's data.
fn end_chunk(wire: &mut Wire, deadline: &Deadline) -> Result<(), Fault> {
    while wire.bytes().len() < 2 {
        wire.fill(deadline)?;
    }
    if !wire.bytes().starts_with(b"\r\n") {
        return Err(Fault::Refused(400));
    }
    wire.consume(2);
    Ok(())
}

fn skip_trailers(wire: &mut Wire, deadline: &Deadline) -> Result<(), Fault> {
    loop {
        let mut trailers = [httparse::EMPTY_HEADER; TRAILERS_MAX];
        match httparse::parse_headers(wire.bytes(), &mut trailers) {
            Ok(httparse::Status::Complete((used, _))) => {
                wire.consume(used);
                return Ok(());
            }
            Ok(httparse::Status::Partial) => wire.fill(deadline)?,
            Err(httparse::Error::TooManyHeaders) => return Err(Fault::Refused(431)),
            Err(_) => return Err(Fault::Refused(400)),
        }
    }
}
