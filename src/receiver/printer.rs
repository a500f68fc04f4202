//! Lines to stdout, many at a time: handlers put them in one buffer, a thread of its own flushes
//! it ten times a second.
//!
//! Invariant: an output that fails ends the printing for good and disturbs nobody.

use std::io::{self, BufWriter, Write};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Sender};

use super::lock;

const FLUSH_INTERVAL: Duration = Duration::from_millis(100);
const BUFFER_BYTES: usize = 64 * 1024;

type Buffer = Mutex<Option<BufWriter<Box<dyn Write + Send>>>>;

/// Prints lines; what is left is flushed soon after it is dropped.
pub(super) struct Printer {
    /// `None` once the output has failed.
    buffer: Arc<Buffer>,
    /// Dropped, it ends the flusher.
    _alive: Sender<()>,
}

impl Printer {
    pub(super) fn start(out: impl Write + Send + 'static) -> io::Result<Printer> {
        let out: Box<dyn Write + Send> = Box::new(out);
        let buffer = BufWriter::with_capacity(BUFFER_BYTES, out);
        let buffer: Arc<Buffer> = Arc::new(Mutex::new(Some(buffer)));
        let (alive, ended) = crossbeam_channel::bounded(0);
        let flushed = Arc::clone(&buffer);
        thread::Builder::new()
            .name("receiver-flush".to_owned())
            .spawn(move || {
                while ended.recv_timeout(FLUSH_INTERVAL) == Err(RecvTimeoutError::Timeout) {
                    write(&flushed, |out| out.flush());
                }
                write(&flushed, |out| out.flush());
            })?;
        Ok(Printer {
            buffer,
            _alive: alive,
        })
    }

    pub(super) fn line(&self, line: &str) {
        write(&self.buffer, |out| writeln!(out, "{line}"));
    }

    pub(super) fn flush(&self) {
        write(&self.buffer, |out| out.flush());
    }

    #[cfg(test)]
    pub(super) fn is_closed(&self) -> bool {
        lock(&self.buffer).is_none()
    }
}

/// Does something with the output, and gives it up if that fails.
fn write(buffer: &Buffer, action: impl FnOnce(&mut dyn Write) -> io::Result<()>) {
    let mut guard = lock(buffer);
    let Some(out) = guard.as_mut() else {
        return;
    };
    if action(out).is_err()
        && let Some(failed) = guard.take()
    {
        // Not dropped, or it would try to write the rest.
        let _ = failed.into_parts();
    }
}
