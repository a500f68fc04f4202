//! A configuration in the making: takes the sources one after the other, the later over the
//! earlier, and gathers every problem on the way.
//!
//! Must never happen here: a look at the real environment or at a file. All comes in as arguments.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use super::file::Source;
use super::keys::{self, KEYS, Key, Set};
use super::template::defaults_document;
use super::values::{Given, check_database_path};
use super::{
    Api, Auth, Batch, BodyFormat, Bulk, Compress, Config, ConfigError, Database, Durability, Flags,
    Gate, IdempotencyKey, OAuth2, Proxy, Retention, Shutdown, Status, Tls, Webhook, Workers, shown,
};
use crate::pace;
use crate::retry::RetryPolicy;

mod document;
mod rules;

/// Names the file, so that it is no setting in it.
const FILE_VARIABLE: &str = "FERRYD_CONFIG";
/// A switch of the tests, whatever its value.
const TEST_VARIABLE: &str = "FERRYD_TORTURE";

/// Where a value stands, in the order in which problems are reported and values win.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// The file; line 0 means the file as a whole.
    File {
        line: usize,
    },
    Variable(String),
    Flag,
}

/// One line of a [`ConfigError`], printable, and where it belongs.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    pub place: Place,
    pub text: String,
}

/// A value and how messages name it: `ferryd.toml:12: batch.size = 0`.
#[derive(Clone)]
struct Subject {
    place: Place,
    name: String,
}

struct Draft {
    config: Config,
    problems: Vec<Problem>,
    /// Who set the keys that are not at their defaults.
    set_by: BTreeMap<&'static str, Subject>,
    /// The keys that somebody gave a wrong value.
    refused: BTreeSet<&'static str>,
    /// The file is not TOML, so that some of its values are not known.
    misread: bool,
}

/// The configuration from all its sources. `file` is the one that was found, if any, or why it
/// could not be read.
pub(super) fn assemble(
    file: Result<Option<&Source>, &Problem>,
    environment: &[(OsString, OsString)],
    flags: &Flags,
) -> Result<Config, ConfigError> {
    let mut draft = Draft::new(defaults());
    match file {
        Ok(Some(source)) => draft.read_document(&source.path.to_string_lossy(), &source.text),
        Ok(None) => {}
        Err(problem) => draft.problems.push(problem.clone()),
    }
    for (name, value) in environment {
        if name.as_encoded_bytes().starts_with(b"FERRYD_") {
            draft.read_variable(&name.to_string_lossy(), value);
        }
    }
    draft.read_flags(flags);
    draft.check_rules();
    draft.finish()
}

/// The built-in defaults.
pub(super) fn defaults() -> Config {
    let mut draft = Draft::new(blank());
    draft.read_document("defaults", &defaults_document());
    debug_assert!(draft.problems.is_empty(), "{:?}", draft.problems);
    draft.config
}

impl Draft {
    fn new(config: Config) -> Self {
        Self {
            config,
            problems: Vec::new(),
            set_by: BTreeMap::new(),
            refused: BTreeSet::new(),
            misread: false,
        }
    }

    fn report(&mut self, subject: &Subject, reason: &str) {
        self.problems.push(Problem {
            place: subject.place.clone(),
            text: format!("{}: {reason}", subject.name),
        });
    }

    fn settle(&mut self, key: &'static Key, subject: Subject, outcome: Result<(), String>) {
        match outcome {
            Ok(()) => {
                self.set_by.insert(key.name, subject);
            }
            Err(reason) => {
                self.refused.insert(key.name);
                self.report(&subject, &reason);
            }
        }
    }

    fn read_variable(&mut self, name: &str, value: &OsStr) {
        let place = Place::Variable(name.to_owned());
        let bare = Subject {
            place: place.clone(),
            name: shown(name).into(),
        };
        if name == TEST_VARIABLE {
            return;
        }
        let Some(value) = value.to_str() else {
            return self.report(&bare, "is not UTF-8 text");
        };
        if value.is_empty() {
            return self.report(&bare, "is empty: give it a value or unset it");
        }
        if name == FILE_VARIABLE {
            return;
        }
        if let Some(table) = table_of(name) {
            let reason = format!(
                "{0} cannot be set from the environment: set it in the file, section [{0}]",
                table.name
            );
            return self.report(&bare, &reason);
        }
        let Some(key) = KEYS.iter().find(|key| key.variable() == name) else {
            return self.report(&bare, &unknown_variable(name));
        };
        if let Set::One(set) = key.set {
            let outcome = set(&mut self.config, &Given::Untyped(value.to_owned()));
            let name = format!("{name}={}", without_password(value));
            self.settle(key, Subject { place, name }, outcome);
        }
    }

    fn read_flags(&mut self, flags: &Flags) {
        let Some(path) = &flags.database else { return };
        let name = format!("--database \"{}\"", shown(&path.to_string_lossy()));
        let place = Place::Flag;
        match check_database_path(path) {
            Ok(()) => self.config.database.path = path.clone(),
            Err(reason) => self.report(&Subject { place, name }, &reason),
        }
    }

    fn finish(mut self) -> Result<Config, ConfigError> {
        if self.problems.is_empty() {
            return Ok(self.config);
        }
        self.problems.sort_by(|a, b| a.place.cmp(&b.place));
        let problems = self.problems.into_iter().map(|problem| problem.text);
        Err(ConfigError {
            problems: problems.collect(),
        })
    }
}

/// The key with a table that the variable `name` tries to set, as a whole or an entry of it.
fn table_of(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| {
        let rest = name.strip_prefix(&key.variable());
        !matches!(key.set, Set::One(_)) && rest.is_some_and(|r| r.is_empty() || r.starts_with('_'))
    })
}

fn unknown_variable(name: &str) -> String {
    let suffix = name.strip_prefix("FERRYD_").unwrap_or(name);
    match keys::nearest_key(suffix) {
        Some(key) => format!("unknown variable, did you mean {}?", key.variable()),
        None => "unknown variable: unset it".to_owned(),
    }
}

/// A value as a message shows it: printable, and a URL without its user name and password.
pub(super) fn without_password(value: &str) -> String {
    let Some(host) = value.rfind('@') else {
        return shown(value).into();
    };
    let user = value.find("://").map_or(0, |at| at + 3).min(host);
    shown(&format!("{}…{}", &value[..user], &value[host..])).into()
}

/// What the defaults are written over. No value of it is ever seen: each key has a default, but
/// for the URL, which is `None` without one.
fn blank() -> Config {
    Config {
        database: Database {
            path: PathBuf::new(),
            durability: Durability::Normal,
        },
        batch: Batch {
            size: 0,
            linger: Duration::ZERO,
        },
        workers: Workers {
            threads: 0,
            queue: 0,
        },
        retry: RetryPolicy {
            interval: Duration::ZERO,
            backoff: 0.0,
            max_interval: Duration::ZERO,
            max_attempts: 0,
        },
        api: Api {
            url: None,
            method: String::new(),
            timeout: Duration::ZERO,
            connect_timeout: Duration::ZERO,
            headers: Vec::new(),
            body: Vec::new(),
            format: BodyFormat::Json,
            verdicts: Vec::new(),
            idempotency_key: IdempotencyKey::Bare,
            idempotency_header: String::new(),
            traceparent: false,
            proxy: Proxy::None,
            bulk: Bulk::default(),
            allow_http: false,
            auth: Auth::default(),
            oauth2: OAuth2::default(),
            webhook: Webhook::default(),
            tls: Tls::default(),
            pace: pace::Rules::default(),
            compress: Compress::None,
            user_agent: String::new(),
        },
        gate: Gate {
            failures: 0,
            probe_interval: Duration::ZERO,
        },
        retention: Retention {
            older_than: None,
            records: false,
        },
        status: Status {
            listen: None,
            show_records: false,
        },
        shutdown: Shutdown {
            grace: Duration::ZERO,
        },
    }
}

#[cfg(test)]
mod tests;
