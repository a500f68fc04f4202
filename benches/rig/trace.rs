//! System calls, counted by strace (Debian package `strace`). Traced runs are slow and say nothing about time.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use super::process::{Drain, ferryd};

/// One call as strace prints it: name, arguments with what the descriptors are, result.
pub struct Call {
    pub name: String,
    pub arguments: String,
    pub result: i64,
}

impl Call {
    /// Whether its first descriptor is a socket.
    pub fn is_on_socket(&self) -> bool {
        let first = self.arguments.split(',').next().unwrap_or("");
        first.contains("<socket:")
    }

    /// Whether its first descriptor is a file whose name ends like this.
    pub fn is_on_file(&self, end: &str) -> bool {
        let first = self.arguments.split(", ").next().unwrap_or("");
        first.trim_end_matches(')').ends_with(&format!("{end}>"))
    }
}

/// The calls of a drain, of these kinds (strace's `-e trace=`); `None` without strace, which is said.
pub fn calls(drain: &Drain, kinds: &str, directory: &Path) -> Option<Vec<Call>> {
    if let Err(error) = Command::new("strace").arg("-V").output() {
        eprintln!("SKIPPED strace: {error}");
        return None;
    }
    let output = directory.join("trace");
    let kinds = format!("trace={kinds}");
    let program = ferryd();
    let file = output.display().to_string();
    // --seccomp-bpf: all other calls run at full speed.
    let words = [
        "strace",
        "-f",
        "-qq",
        "-y",
        "-s0",
        "--seccomp-bpf",
        "-e",
        &kinds,
        "-e",
        "signal=none",
        "-o",
        &file,
        &program,
    ];
    let status = drain.command(&words).status().expect("strace runs");
    assert!(status.success(), "the traced drain ends well");
    let text = std::fs::read_to_string(&output).expect("strace wrote");
    Some(parse(&text))
}

fn parse(text: &str) -> Vec<Call> {
    // A call that others interrupt is printed in two parts, by thread.
    let mut begun: BTreeMap<&str, String> = BTreeMap::new();
    let mut calls = Vec::new();
    for line in text.lines() {
        let Some((thread, line)) = line.split_once(' ') else {
            continue;
        };
        let line = line.trim_start();
        if let Some(start) = line.strip_suffix(" <unfinished ...>") {
            begun.insert(thread, start.to_string());
            continue;
        }
        let whole = match line.split_once(" resumed>") {
            Some((_, end)) => begun.remove(thread).unwrap_or_default() + end,
            None => line.to_string(),
        };
        calls.extend(parse_call(&whole));
    }
    calls
}

fn parse_call(line: &str) -> Option<Call> {
    let (name, rest) = line.split_once('(')?;
    let (arguments, result) = rest.rsplit_once(" = ")?;
    let result = result.split(' ').next()?.parse().unwrap_or(-1);
    Some(Call {
        name: name.to_string(),
        arguments: arguments.trim_end().to_string(),
        result,
    })
}
