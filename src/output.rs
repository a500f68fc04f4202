//! Standard output: lines for people and scripts. What a command has done is in its exit code and in the file, so a
//! reader that has gone away, or a full disk behind a redirection, never makes a command fail or panic.

use std::io::Write;

/// Writes one line, now.
pub fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
