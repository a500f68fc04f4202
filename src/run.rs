//! `ferryd run`: the daemon in the foreground, until a signal or a failure it cannot repair.

use crossbeam_channel::select;
use std::time::Duration;

use crate::config::{Config, ConfigError, Loaded};
use crate::daemon::Daemon;
use crate::db::batches::Scope;
use crate::exit;
use crate::logging;
use crate::signals::Told;
use crate::systemd::Systemd;

/// How often lines that were left out of the log are summed up when no others come.
const REPEATS_EVERY: Duration = Duration::from_secs(5);

/// Runs until the stop. The configuration is read at the start, and again at each SIGHUP.
///
/// # Errors
/// As for [`Daemon::start`], or what made a thread end.
pub fn run(told: &Told, read: impl Fn() -> Result<Loaded, ConfigError>) -> anyhow::Result<()> {
    let mut config = read()?.config;
    let systemd = Systemd::starting()?;
    let daemon = Daemon::start(&config, Scope::default(), &told.stop)?;
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
    systemd.ready(daemon.insight());
    let failure = loop {
        select! {
            recv(told.stop.channel()) -> _ => break None,
            recv(daemon.failures()) -> failure => break failure.ok(),
            recv(told.reload) -> _ => {
                systemd.reloading();
                match reload(&daemon, &config, &read) {
                    Ok(new) => config = new,
                    Err(error) => refuse(&error),
                }
                systemd.reloaded();
            }
            default(REPEATS_EVERY) => logging::sum_up_repeats(),
        }
    };
    systemd.stopping(config.shutdown.grace);
    let stopped = daemon.stop();
    logging::sum_up_repeats();
    if let Some(failure) = failure {
        return Err(failure);
    }
    stopped?;
    log::info!("Stopped.");
    Ok(())
}

/// Lets a new configuration take effect and returns it, as far as it needs no restart.
fn reload(
    daemon: &Daemon,
    old: &Config,
    read: impl Fn() -> Result<Loaded, ConfigError>,
) -> anyhow::Result<Config> {
    let mut new = read()?.config;
    let kept = new.keep_what_needs_a_restart(old);
    let changed = match new.changes_since(old).join(",") {
        none if none.is_empty() => "none".to_string(),
        changed => changed,
    };
    daemon.reload(&new)?;
    log::info!("Configuration and secrets were read again. changed={changed}");
    if !kept.is_empty() {
        let kept = kept.join(",");
        log::warn!(
            "What has changed here needs a restart; the old values stay in use. keys={kept}"
        );
    }
    Ok(new)
}

fn refuse(error: &anyhow::Error) {
    for line in exit::message(error).lines() {
        log::error!("{line}");
    }
    log::error!("The configuration is refused. The old configuration stays in use.");
}
