//! `ferryd run`: the daemon in the foreground, until a signal or a failure it cannot repair.

use crossbeam_channel::select;
use std::path::Path;
use std::time::Duration;

use crate::config::{Config, ConfigError, Loaded};
use crate::daemon::Daemon;
use crate::db::batches::Scope;
use crate::exit;
use crate::listener::Listener;
use crate::lock::{InstanceLock, LockError};
use crate::logging;
use crate::signals::Told;
use crate::stop::Stop;
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
    let listener = open_listener(&config, &told.stop)?;
    let daemon = Daemon::start(&config, Scope::default(), &told.stop)?;
    if let Some(listener) = &listener {
        show(listener, &daemon);
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
                    Ok(new) => {
                        if let Some(listener) = &listener {
                            listener.follow(&new);
                        }
                        config = new;
                    }
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

/// Before anything is sent, so that an address that cannot be had is found out at once.
fn open_listener(config: &Config, stop: &Stop) -> anyhow::Result<Option<Listener>> {
    let listener = match Listener::open(config, stop) {
        Ok(listener) => listener,
        // Most likely another ferryd has it, which works on the same file; then that is the error that tells more.
        Err(error) => return Err(held(&config.database.path).map_or(error, Into::into)),
    };
    if let Some(listener) = &listener {
        log::info!("Status listener. address={}", listener.shown());
    }
    Ok(listener)
}

fn held(database: &Path) -> Option<LockError> {
    // A lock without a database would look like a database that is lost.
    if !database.exists() {
        return None;
    }
    let taken = InstanceLock::take(database).err();
    taken.filter(|error| matches!(error, LockError::Held { .. }))
}

/// What the listener lacks is no reason to deliver nothing.
fn show(listener: &Listener, daemon: &Daemon) {
    if let Err(error) = listener.show(daemon.insight()) {
        log::error!(
            "The status listener cannot read the file, and says that ferryd starts until it is restarted: {error}."
        );
    }
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
