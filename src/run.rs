//! `ferryd run`: the daemon in the foreground, until a signal or a failure it cannot repair.

use crossbeam_channel::select;

use crate::config::Config;
use crate::daemon::Daemon;
use crate::db::batches::Scope;
use crate::stop::Stop;

/// Runs until the stop.
///
/// # Errors
/// As for [`Daemon::start`], or what made a thread end.
pub fn run(config: &Config, stop: &Stop) -> anyhow::Result<()> {
    let daemon = Daemon::start(config, Scope::default(), stop)?;
    if config.status.listen.is_some() {
        log::warn!(
            "status.listen is set, but this version has no status listener; look with `ferryd status`."
        );
    }
    log::info!(
        "Ready. database={} api={} workers={} pid={}",
        config.database.path.display(),
        config.shown_url(),
        config.workers.threads,
        std::process::id()
    );
    let failure = select! {
        recv(stop.channel()) -> _ => None,
        recv(daemon.failures()) -> failure => failure.ok(),
    };
    let stopped = daemon.stop();
    if let Some(failure) = failure {
        return Err(failure);
    }
    stopped?;
    log::info!("Stopped.");
    Ok(())
}
