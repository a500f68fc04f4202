//! Standard error: lines for people and for the journal.
//!
//! Nobody has to read them. A reader that has gone, a full disk behind a redirection, and above all a pipe that is full
//! because its reader hangs never make the program fail, and never hold it up: deliveries and stopping go on, and the
//! lines that found no room are counted and named once there is room again.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};

/// How long a line waits for room, when the line before it found some. Lines after one that found none wait no more.
const PATIENCE: Timespec = Timespec {
    tv_sec: 1,
    tv_nsec: 0,
};

const NO_PATIENCE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 0,
};

/// A pipe that poll(2) calls writable takes this much without blocking (`PIPE_BUF` of Linux, pipe(7)).
const PIECE: usize = 4096;

/// Lines that found no room since the last one that did.
static LOST: AtomicU64 = AtomicU64::new(0);

/// Writes a line that ends with a newline, or loses it.
pub fn write(line: &[u8]) {
    let lost = LOST.swap(0, Ordering::Relaxed);
    let notice = match lost {
        0 => String::new(),
        _ => format!("(nobody read standard error: lines were lost here. lines={lost})\n"),
    };
    let patience = match lost {
        0 => PATIENCE,
        _ => NO_PATIENCE,
    };
    let pieces = notice.as_bytes().chunks(PIECE).chain(line.chunks(PIECE));
    for piece in pieces {
        if !has_room(&patience) {
            LOST.fetch_add(lost + 1, Ordering::Relaxed);
            return;
        }
        let _ = std::io::stderr().write_all(piece);
    }
}

/// Whether a write would not block. A broken stream has room: it takes everything and keeps nothing.
fn has_room(patience: &Timespec) -> bool {
    let stderr = std::io::stderr();
    loop {
        let mut fds = [PollFd::new(&stderr, PollFlags::OUT)];
        match poll(&mut fds, Some(patience)) {
            Err(rustix::io::Errno::INTR) => {}
            ready => return ready != Ok(0),
        }
    }
}
