//! The journal: what a receiver answered, one line of JSON per request, for `ferryd audit` to hold against the file.
//!
//! A line is in the operating system's hands before its answer leaves, so that no kill of either side loses an answer
//! that was given. Nothing may be buffered in the process, and no answer may leave without its line.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::time::Timestamp;

/// A longer line was not written by a receiver: the heads of its requests are shorter.
const LINE_BYTES: u64 = 1024 * 1024;

/// One answered request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line<'a> {
    /// When the answer was decided, in UTC.
    #[serde(borrow)]
    pub time: Cow<'a, str>,
    /// The status that was answered.
    pub status: u16,
    /// The idempotency key as it was received.
    #[serde(borrow)]
    pub key: Option<Cow<'a, str>>,
    /// The record that the key tells of.
    pub record: Option<i64>,
}

/// The parts of `<instance>.<batch>.<record>`, bare or as a structured-field string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key<'a> {
    /// The file that the record comes from (`instance.id`).
    pub instance: &'a str,
    /// `processing_batch_status.id`
    pub batch: i64,
    /// `user_record.id`
    pub record: i64,
}

impl<'a> Key<'a> {
    /// Reads a key; `None` for one that ferryd did not make.
    pub fn parse(text: &'a str) -> Option<Key<'a>> {
        let mut parts = unquoted(text).rsplitn(3, '.');
        let record = parts.next()?.parse().ok()?;
        let batch = parts.next()?.parse().ok()?;
        let instance = parts.next()?;
        Some(Key {
            instance,
            batch,
            record,
        })
    }
}

/// The last part of a key, if it is the id of a record.
fn record_of(key: &str) -> Option<i64> {
    unquoted(key).rsplit('.').next()?.parse().ok()
}

fn unquoted(key: &str) -> &str {
    let inner = key.strip_prefix('"').and_then(|key| key.strip_suffix('"'));
    inner.unwrap_or(key)
}

/// A journal that is being written.
#[derive(Debug)]
pub struct Journal {
    /// `None` once a write has failed: another line behind half a line would make both unreadable.
    file: Mutex<Option<File>>,
}

impl Journal {
    /// Opens a journal to append to it; makes the file if it is not there.
    ///
    /// # Errors
    /// When the file cannot be opened, or ends in half a line.
    pub fn open(path: &Path) -> io::Result<Journal> {
        let explain = |error: io::Error| {
            let why = format!("the journal {} cannot be used: {error}", path.display());
            io::Error::new(error.kind(), why)
        };
        let mut options = File::options();
        let mut file = options
            .read(true)
            .append(true)
            .create(true)
            .open(path)
            .map_err(explain)?;
        if ends_in_half_a_line(&mut file).map_err(explain)? {
            let why = "it ends in half a line; remove that, or give another file";
            return Err(explain(io::Error::new(io::ErrorKind::InvalidData, why)));
        }
        Ok(Journal {
            file: Mutex::new(Some(file)),
        })
    }

    /// Appends a line with one write; when this returns, only the machine's own end can lose it.
    ///
    /// # Errors
    /// When the line, or an earlier one, could not be written.
    pub fn append(&self, status: u16, key: Option<&str>) -> io::Result<()> {
        let mut line = serde_json::to_vec(&Line {
            time: Timestamp::now().to_string().into(),
            status,
            key: key.map(Cow::from),
            record: key.and_then(record_of),
        })?;
        line.push(b'\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let broken = || io::Error::other("an earlier line could not be written");
        let written = file.as_mut().ok_or_else(broken)?.write_all(&line);
        if written.is_err() {
            *file = None;
        }
        written
    }
}

fn ends_in_half_a_line(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

/// The journal cannot be read as one.
#[derive(Debug, thiserror::Error)]
#[error("{}:{line}: this is no line of a journal ({reason}); give the file that `ferryd receiver --journal` wrote", .path.display())]
pub struct BadJournal {
    path: PathBuf,
    line: u64,
    reason: String,
}

/// Reads a journal line by line. Half a line at the end is passed over: what it tells of was never answered.
///
/// # Errors
/// When the file cannot be read, a line is none ([`BadJournal`]), or `each` fails.
pub fn read(path: &Path, mut each: impl FnMut(&Line) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let named = |error| anyhow::Error::new(error).context(format!("{}", path.display()));
    let mut lines = BufReader::with_capacity(128 * 1024, File::open(path).map_err(named)?);
    let mut text = Vec::new();
    for number in 1.. {
        text.clear();
        let mut line = (&mut lines).take(LINE_BYTES);
        line.read_until(b'\n', &mut text).map_err(named)?;
        let bad = |reason: String| BadJournal {
            path: path.to_path_buf(),
            line: number,
            reason,
        };
        match text.last() {
            Some(b'\n') => {}
            _ if text.len() as u64 == LINE_BYTES => return Err(bad("too long".into()).into()),
            _ => break,
        }
        each(&serde_json::from_slice(&text).map_err(|error| bad(error.to_string()))?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Status, key and record of each line.
    fn lines(path: &Path) -> anyhow::Result<Vec<String>> {
        let mut lines = Vec::new();
        read(path, |line| {
            let key = line.key.as_deref().unwrap_or("-");
            lines.push(format!("{} {key} {:?}", line.status, line.record));
            Ok(())
        })?;
        Ok(lines)
    }

    #[test]
    fn a_line_is_in_the_file_when_append_returns_and_reads_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let journal = Journal::open(&path).unwrap();
        journal.append(200, Some("ab12.7.-3")).unwrap();
        journal.append(500, Some("\"ab12.7.8\"")).unwrap();
        journal.append(400, None).unwrap();
        let expected = [
            "200 ab12.7.-3 Some(-3)",
            "500 \"ab12.7.8\" Some(8)",
            "400 - None",
        ];
        assert_eq!(lines(&path).unwrap(), expected);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("{\"time\":\"2"), "{text}");
        drop(journal);
        Journal::open(&path).unwrap().append(201, None).unwrap();
        assert_eq!(lines(&path).unwrap().len(), 4);
    }

    #[test]
    fn a_key_is_read_bare_and_quoted_and_a_foreign_one_is_not() {
        let key = Key {
            instance: "ab.12",
            batch: 7,
            record: i64::MIN,
        };
        for text in [
            "ab.12.7.-9223372036854775808",
            "\"ab.12.7.-9223372036854775808\"",
        ] {
            assert_eq!(Key::parse(text), Some(key));
        }
        for foreign in ["", "7", "7.8", "a.b.8", "a.7.x", "a.7."] {
            assert_eq!(Key::parse(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn half_a_line_at_the_end_is_passed_over_and_one_before_it_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let whole = "{\"time\":\"t\",\"status\":200,\"key\":null,\"record\":null}\n";
        std::fs::write(&path, format!("{whole}{}", &whole[..20])).unwrap();
        assert_eq!(lines(&path).unwrap().len(), 1);
        let error = Journal::open(&path).unwrap_err().to_string();
        assert!(error.contains("half a line"), "{error}");
        std::fs::write(&path, format!("{whole}{}\n{whole}", &whole[..20])).unwrap();
        let error = lines(&path).unwrap_err().to_string();
        assert!(error.contains("journal:2: this is no line"), "{error}");
    }

    #[test]
    fn a_file_without_lines_is_no_journal_and_costs_no_memory() {
        let error = lines(Path::new("/dev/zero")).unwrap_err().to_string();
        assert!(error.contains("too long"), "{error}");
    }

    #[test]
    fn after_a_line_that_could_not_be_written_none_follows() {
        let journal = Journal {
            file: Mutex::new(Some(File::options().write(true).open("/dev/full").unwrap())),
        };
        for _ in 0..2 {
            assert!(journal.append(200, None).is_err());
        }
        assert!(journal.file.lock().unwrap().is_none());
    }
}
