//! The whole terminal for one live picture: the alternate screen, without cursor, one write a picture.
//!
//! However the process ends, the terminal is given back as it was: on the way out of the command, after a panic, and when
//! a second signal ends the process at once ([`leave`] is called there too). Must never happen here: a picture that is
//! wider or higher than the terminal, which would scroll it.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Signal, kill_current_process_group};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::io::{ErrorKind, IsTerminal};
use std::sync::{Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

use crate::line::{self, Line};
use crate::stop::Stop;
use crate::terminal;

/// The alternate screen (DECSET 1049), no cursor (25), no line that goes on in the next (7).
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J";

/// All of that undone, and the usual colours.
const LEAVE: &[u8] = b"\x1b[m\x1b[?7h\x1b[?25h\x1b[?1049l";

/// How soon a key, another size or the stop is noticed.
const NOTICE: Duration = Duration::from_millis(100);

const SUSPEND: u8 = 0x1a; // Ctrl-Z

/// What has to be given back; `None` when nothing was taken.
static TAKEN: Mutex<Option<Taken>> = Mutex::new(None);

struct Taken {
    /// How the keyboard was; `None` where standard input is no terminal.
    keys: Option<Termios>,
}

/// The terminal, until this value is dropped.
#[derive(Debug)]
pub struct Screen {
    keys: bool,
}

/// Why the picture is drawn again, or no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Woken {
    /// The time has passed.
    Time,
    /// The terminal has another size.
    Size,
    /// A signal, or the key `q`.
    End,
}

impl Screen {
    /// Takes the terminal that standard output is.
    ///
    /// # Errors
    /// When it cannot be written to.
    pub fn enter() -> std::io::Result<Screen> {
        static HOOK: Once = Once::new();
        // The message of a panic would otherwise go away with the screen that it was written on.
        HOOK.call_once(|| {
            let report = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                leave();
                report(panic);
            }));
        });
        let screen = Screen {
            keys: std::io::stdin().is_terminal(),
        };
        screen.take()?;
        Ok(screen)
    }

    fn take(&self) -> std::io::Result<()> {
        let keys = self.keys.then(take_keys).flatten();
        *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) = Some(Taken { keys });
        write(ENTER)
    }

    /// Draws a picture from the upper left corner, in a single write. What does not fit is left out.
    ///
    /// # Errors
    /// When the terminal cannot be written to.
    pub fn draw(
        &self,
        lines: Vec<Line>,
        size: (usize, usize),
        colour: bool,
    ) -> std::io::Result<()> {
        write(picture(lines, size, colour).as_bytes())
    }

    /// Waits for as long as the picture holds.
    pub fn wait(&self, until: Instant, drawn: (usize, usize), stop: &Stop) -> Woken {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.key(left.min(NOTICE), stop) {
                Some(b'q' | b'Q') => return Woken::End,
                Some(SUSPEND) => {
                    self.suspend();
                    return Woken::Size;
                }
                _ => {}
            }
            if stop.requested() {
                return Woken::End;
            }
            if terminal::size() != drawn {
                return Woken::Size;
            }
            if Instant::now() >= until {
                return Woken::Time;
            }
        }
    }

    /// The next key within `time`.
    fn key(&self, time: Duration, stop: &Stop) -> Option<u8> {
        let stdin = std::io::stdin();
        let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
        let time_spec = Timespec::try_from(time).ok();
        let ready = self.keys && matches!(poll(&mut fds, time_spec.as_ref()), Ok(1..));
        let mut key = [0];
        match ready && matches!(rustix::io::read(&stdin, &mut key), Ok(1..)) {
            true => Some(key[0]),
            false => {
                // A keyboard that is gone is always ready, and one that is no terminal is not asked.
                if ready || !self.keys {
                    stop.wait(time);
                }
                None
            }
        }
    }

    /// As Ctrl-Z does elsewhere: the shell gets a terminal as it was, and `fg` brings the picture back.
    fn suspend(&self) {
        leave();
        let _ = kill_current_process_group(Signal::TSTP);
        // The signal may take another thread first, and this one goes on for a moment.
        std::thread::sleep(NOTICE);
        let _ = self.take();
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        leave();
    }
}

/// Gives the terminal back, if it was taken. Can be called by any thread, and any number of times.
pub fn leave() {
    let taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(taken) = taken else { return };
    if let Some(keys) = taken.keys {
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &keys);
    }
    let _ = write(LEAVE);
}

/// Keys come one by one, unseen, and Ctrl-Z as a key. Returns how it was before.
fn take_keys() -> Option<Termios> {
    let before = tcgetattr(std::io::stdin()).ok()?;
    let mut keys = before.clone();
    keys.local_modes &= !(LocalModes::ICANON | LocalModes::ECHO);
    // Zero is the character that no key sends (termios(3), _POSIX_VDISABLE).
    keys.special_codes[rustix::termios::SpecialCodeIndex::VSUSP] = 0;
    tcsetattr(std::io::stdin(), OptionalActions::Now, &keys).ok()?;
    Some(before)
}

fn picture(lines: Vec<Line>, (columns, rows): (usize, usize), colour: bool) -> String {
    let mut out = String::from("\x1b[H");
    let drawn = lines.len().min(rows);
    for (index, line) in lines.into_iter().take(rows).enumerate() {
        if index > 0 {
            out.push_str("\r\n");
        }
        let line = line.cut(columns);
        out.push_str(&line.show(colour));
        // After a full line the cursor stands on its last cell, which must not be cleared.
        if line::width(&line.show(false)) < columns {
            out.push_str("\x1b[K");
        }
    }
    if drawn < rows {
        out.push_str("\r\n\x1b[J");
    }
    out
}

/// Past the buffer of std, which would make two writes of one.
fn write(mut bytes: &[u8]) -> std::io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(std::io::stdout(), bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(texts: &[&str]) -> Vec<Line> {
        let line = |text: &&str| Line::default().with(*text);
        texts.iter().map(line).collect()
    }

    #[test]
    fn a_picture_is_never_wider_or_higher_than_the_terminal() {
        let shown = picture(lines(&["abcdef", "東京", "x"]), (4, 2), false);
        assert!(shown.starts_with("\x1b[Habc…\r\n東京"), "{shown:?}");
        assert!(!shown.contains('x'), "{shown:?}");
    }

    #[test]
    fn what_stood_there_before_is_cleared_but_not_the_end_of_a_full_line() {
        let shown = picture(lines(&["abcd", "ab"]), (4, 3), false);
        assert_eq!(shown, "\x1b[Habcd\r\nab\x1b[K\r\n\x1b[J");
    }
}
