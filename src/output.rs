//! Standard output: lines for people and scripts. What a command has done is in its exit code and in the file, so a
//! reader that has gone away, or a full disk behind a redirection, never makes a command fail or panic, unless the output
//! is all that was asked for.

use anyhow::Context;
use std::io::{ErrorKind, Write};

/// Writes one line, now.
pub fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Writes what was asked for, and says whether anybody still reads.
///
/// # Errors
/// When it cannot be written and somebody may wait for it.
pub fn print(text: &[u8]) -> anyhow::Result<bool> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error).context("standard output cannot be written"),
    }
}
