//! What standard output is: a terminal of some size, with or without colours, or something that programs read.

use rustix::termios::tcgetwinsize;
use std::io::IsTerminal;

use crate::{line, progress, text};

/// The size where the terminal does not tell it (ECMA-48 knows none; 80 by 24 is that of the VT100).
const USUAL: (usize, usize) = (80, 24);

/// What can be shown on standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terminal {
    /// Cells of a line; `usize::MAX` where there is no terminal, and a line may be of any length.
    pub columns: usize,
    /// Escape sequences may be used, for colours and for a screen that is drawn again.
    pub escapes: bool,
    /// It shows characters beyond ASCII: the locale says so (POSIX: LC_ALL, then LC_CTYPE, then LANG).
    pub utf8: bool,
}

impl Terminal {
    /// That of standard output. `NO_COLOR`, if it is set and not empty (<https://no-color.org>), and `TERM=dumb` take away
    /// all escape sequences.
    pub fn of_stdout() -> Terminal {
        let stdout = std::io::stdout();
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Terminal {
            columns: match stdout.is_terminal() {
                true => size().0,
                false => usize::MAX,
            },
            escapes: progress::can_redraw(&stdout) && !no_color,
            utf8: is_utf8(),
        }
    }
}

/// Columns and lines of the terminal that standard output is.
pub fn size() -> (usize, usize) {
    let size = tcgetwinsize(std::io::stdout());
    let size = size.ok().filter(|size| size.ws_col > 0 && size.ws_row > 0);
    size.map_or(USUAL, |size| (size.ws_col.into(), size.ws_row.into()))
}

/// A line for standard output: as it is for programs, broken at blanks and without escape sequences on a terminal.
pub fn wrap(text: &str) -> String {
    match Terminal::of_stdout().columns {
        usize::MAX => text.to_string(),
        columns => line::wrap(&text::shown(text), columns, usize::MAX).join("\n"),
    }
}

fn is_utf8() -> bool {
    let value = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(value);
    let locale = locale.unwrap_or_default().to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}
