//! Which room does what the command line says, and how it ended.

use log::LevelFilter;
use std::path::PathBuf;

use super::{Cli, Command};
use crate::config::{self, Flags, Loaded};
use crate::daemon::StoppedWaiting;
use crate::db::steer::Verb;
use crate::{
    audit, backup, batches, check, demo, drain, explain, failures, import, init, logging, operate,
    output, preview, prune, receiver, run, shell, signals, status, terminal,
};

/// How a command ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It did what it was asked to.
    Done,
    /// `drain` ended with records not delivered.
    NotDelivered,
    /// `audit` found a promise that does not hold.
    Broken,
    /// The API did not accept what `preview --send` sent.
    NotAccepted,
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// What keeps it from doing its work; the exit code follows from the error's type.
    pub fn run(self) -> anyhow::Result<Outcome> {
        let usual = match self.command {
            Command::Run => LevelFilter::Info,
            Command::Demo { .. } => LevelFilter::Error,
            _ => LevelFilter::Warn,
        };
        logging::start(usual, self.common.verbose, self.common.quiet);
        let flags = Flags {
            config: self.common.config,
            database: self.common.database,
        };
        let quiet = self.common.quiet > 0;
        match self.command {
            Command::Run => run(&flags)?,
            Command::Drain {
                user,
                timeout,
                once,
            } => {
                let options = drain::Options {
                    user,
                    timeout,
                    once,
                };
                return drain(&flags, quiet, &options);
            }
            Command::Import {
                file,
                format,
                replace,
            } => {
                let options = import::Options {
                    source: file,
                    format,
                    replace,
                };
                let database = database(&flags)?;
                let imported = import::run(&database, &options)?;
                say(quiet, &format!("{}: {imported}", database.display()));
            }
            Command::Status { json, watch } => {
                let options = status::Options { json, watch };
                status::run(&database(&flags)?, options, &signals::stop()?)?;
            }
            Command::Failures {
                form,
                user,
                state,
                limit,
                all_columns,
            } => {
                let options = failures::Options {
                    form: form.form(),
                    user,
                    state,
                    limit,
                    all_columns,
                };
                failures::run(&database(&flags)?, &options)?;
            }
            Command::Batches {
                form,
                user,
                status,
                limit,
            } => {
                let options = batches::Options {
                    form: form.form(),
                    user,
                    status,
                    limit,
                };
                batches::run(&database(&flags)?, &options)?;
            }
            Command::Retry { target } => steer(&flags, quiet, &Verb::Retry(target))?,
            Command::Pause => steer(&flags, quiet, &Verb::Pause)?,
            Command::Resume => steer(&flags, quiet, &Verb::Resume)?,
            Command::Explain { record_id, json } => {
                let explained = explain::run(&database(&flags)?, record_id)?;
                output::say(&match json {
                    true => serde_json::to_string(&explained)?,
                    false => terminal::wrap(&explained.explanation),
                });
            }
            Command::Backup { file } => {
                let made = backup::run(&database(&flags)?, &file, &signals::stop()?)?;
                let megabytes = made.bytes as f64 / 1e6;
                say(
                    quiet,
                    &format!("{}: made and checked, {megabytes:.1} MB", file.display()),
                );
            }
            Command::Prune {
                older_than,
                records,
            } => {
                let options = prune::Options {
                    older_than,
                    records,
                };
                let database = database(&flags)?;
                let pruned = prune::run(&database, options, &signals::stop()?)?;
                say(quiet, &format!("{}: {pruned}", database.display()));
            }
            Command::Db { arguments } => shell::run(&database(&flags)?, &arguments)?,
            Command::Audit { journal, json } => {
                let options = audit::Options { journal, json };
                if !audit::run(&database(&flags)?, &options)? {
                    return Ok(Outcome::Broken);
                }
            }
            Command::Check { probe } => check::run(&load(&flags)?, probe)?,
            Command::Preview { record_id, send } => {
                let options = preview::Options {
                    record: record_id,
                    send,
                };
                if !preview::run(&load(&flags)?.config, options)? {
                    return Ok(Outcome::NotAccepted);
                }
            }
            Command::Init => init::run(&flags)?,
            Command::Receiver {
                listen,
                latency,
                fail_rate,
                fail_status,
                status,
                retry_after,
                bulk,
                require_token,
                tls_cert,
                tls_key,
                tls_client_ca,
                summary,
                journal,
            } => {
                let options = receiver::Options {
                    listen,
                    latency,
                    fail_rate,
                    fail_status,
                    status,
                    retry_after,
                    bulk,
                    token: require_token,
                    tls: tls_cert.zip(tls_key).map(|(cert, key)| receiver::TlsFiles {
                        cert,
                        key,
                        client_ca: tls_client_ca,
                    }),
                    print: !summary && !quiet,
                    journal,
                };
                receiver::run(options, &signals::stop()?)?;
            }
            Command::Demo { records, fail_rate } => {
                let options = demo::Options { records, fail_rate };
                if demo::run(options, &signals::stop()?)? != drain::Ended::Done {
                    return Ok(Outcome::NotDelivered);
                }
            }
        }
        Ok(Outcome::Done)
    }
}

fn load(flags: &Flags) -> Result<Loaded, config::ConfigError> {
    let mut loaded = config::load(flags)?;
    let path = &mut loaded.config.database.path;
    // The lock and the -wal stand beside the file itself, whatever name leads to it.
    if path.is_symlink() {
        *path = path.canonicalize().unwrap_or_else(|_| path.clone());
    }
    Ok(loaded)
}

/// The database, for the commands that need nothing else of the configuration.
fn database(flags: &Flags) -> Result<PathBuf, config::ConfigError> {
    Ok(load(flags)?.config.database.path)
}

/// A stop that comes while the start waits is obeyed like any other.
fn run(flags: &Flags) -> anyhow::Result<()> {
    match run::run(&signals::stop_and_reload()?, || load(flags)) {
        Err(error) if error.is::<StoppedWaiting>() => {
            log::info!("Stopped.");
            Ok(())
        }
        done => done,
    }
}

fn drain(flags: &Flags, quiet: bool, options: &drain::Options) -> anyhow::Result<Outcome> {
    let report = drain::run(&load(flags)?.config, options, &signals::stop()?)?;
    say(quiet, &report.to_string());
    Ok(match report.counts.undelivered() {
        0 => Outcome::Done,
        _ => Outcome::NotDelivered,
    })
}

fn steer(flags: &Flags, quiet: bool, verb: &Verb) -> anyhow::Result<()> {
    say(quiet, &operate::run(&database(flags)?, verb)?);
    Ok(())
}

fn say(quiet: bool, line: &str) {
    if !quiet {
        output::say(line);
    }
}
