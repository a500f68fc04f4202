//! Signals: blocked in every thread but one of their own, which waits for them. SIGTERM and SIGINT ask for the stop, and a
//! second one ends the process at once: the next start repairs what that leaves behind. SIGHUP asks the daemon to read its
//! configuration again, and other commands to stop, for there it means that their terminal is gone.
//!
//! Must never happen here: a signal that is handled in a thread at work. It would break off a read with a timeout even where
//! it lets other calls go on (signal(7)), and a request in flight would end without its answer.

use crossbeam_channel::{Receiver, Sender, bounded};
use nix::sys::signal::{SigSet, Signal};

use crate::limits::NoThread;
use crate::screen;
use crate::stop::Stop;

/// What signals tell the daemon.
#[derive(Debug)]
pub struct Told {
    /// SIGTERM and SIGINT.
    pub stop: Stop,
    /// SIGHUP: a message. Those that come before it was taken are one with it.
    pub reload: Receiver<()>,
}

/// Lets SIGTERM, SIGINT and SIGHUP request a stop; a second one ends the process with exit code 1. Must be called before
/// other threads are started.
///
/// # Errors
/// When there is no thread for it.
pub fn stop() -> anyhow::Result<Stop> {
    listen(None)
}

/// As [`stop`], but SIGHUP asks for a reload, and never stops anything.
///
/// # Errors
/// As for [`stop`].
pub fn stop_and_reload() -> anyhow::Result<Told> {
    let (ask, reload) = bounded(1);
    let stop = listen(Some(ask))?;
    Ok(Told { stop, reload })
}

fn listen(reload: Option<Sender<()>>) -> anyhow::Result<Stop> {
    let signals = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP]);
    // Threads that are started from here on inherit it, and a signal that comes early waits.
    signals.thread_block()?;
    let (source, stop) = Stop::new();
    let mut source = Some(source);
    let work = move || {
        while let Ok(signal) = signals.wait() {
            if let Some(reload) = reload.as_ref().filter(|_| signal == Signal::SIGHUP) {
                let _ = reload.try_send(());
            } else if let Some(source) = source.take() {
                log::info!(
                    "Stopping: requests in flight may finish. A second signal ends at once."
                );
                drop(source);
            } else {
                screen::leave();
                std::process::exit(1);
            }
        }
    };
    let thread = std::thread::Builder::new()
        .name("signals".into())
        .spawn(work);
    thread.map_err(|source| NoThread {
        name: "for signals".into(),
        source,
    })?;
    Ok(stop)
}
