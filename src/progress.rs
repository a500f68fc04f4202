//! Progress bars on a terminal; nothing elsewhere, where plain lines take their place.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::fmt::Write;
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};

use crate::stderr;

/// A bar of records out of `total`.
pub fn records(total: u64, what: &'static str) -> ProgressBar {
    let template = "{msg} {wide_bar} {pos}/{len}, {rate}/s, {eta}";
    make(Some(total), what, template)
}

/// A bar of bytes; a counter where the size is not known.
pub fn bytes(total: Option<u64>, what: &'static str) -> ProgressBar {
    let template = match total {
        Some(_) => "{msg} {wide_bar} {bytes}/{total_bytes}, {eta}",
        None => "{msg} {spinner} {bytes}",
    };
    make(total, what, template)
}

/// Whether standard error is a terminal that can redraw a line.
pub fn on_terminal() -> bool {
    can_redraw(&std::io::stderr())
}

/// Whether a stream is a terminal that understands more than lines.
pub fn can_redraw(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && !is_dumb()
}

/// Whether the terminal, if there is one, understands no escape sequences.
pub fn is_dumb() -> bool {
    std::env::var_os("TERM").is_none_or(|term| term == "dumb")
}

fn make(total: Option<u64>, what: &'static str, template: &str) -> ProgressBar {
    let target = if on_terminal() {
        ProgressDrawTarget::stderr_with_hz(10)
    } else {
        ProgressDrawTarget::hidden()
    };
    // The templates are constants of this file; a bar without style would still count.
    let style = ProgressStyle::with_template(template).unwrap_or(ProgressStyle::default_bar());
    let style = style.with_key("rate", |state: &ProgressState, out: &mut dyn Write| {
        let _ = write!(out, "{:.0}", state.per_sec());
    });
    let bar = ProgressBar::with_draw_target(total, target);
    bar.with_style(style).with_message(what)
}

/// The bar that log lines have to step around.
static SHOWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Log lines appear above `bar` from now on, until [`hide`].
pub fn show(bar: &ProgressBar) {
    *SHOWN.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar.clone());
}

/// Removes the shown bar.
pub fn hide() {
    if let Some(bar) = SHOWN.lock().unwrap_or_else(PoisonError::into_inner).take() {
        bar.finish_and_clear();
    }
}

/// Standard error, beside the shown bar. Writing never fails and never blocks, see [`stderr`].
#[derive(Debug)]
pub struct BesideBar;

impl std::io::Write for BesideBar {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        let print = || stderr::write(text);
        match &*SHOWN.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
        Ok(text.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
