//! The one table of keys: name, meaning, default and check of every setting. The file, the
//! environment, the built-in defaults, the "did you mean" search and the template all read it.
//!
//! Must never happen here: a key that is known elsewhere only, or a default that its own check
//! would refuse.

mod access;
mod api;
mod bulk;
mod retention;

use super::values::{
    Given, boolean, database_path, duration, factor, listen, one_of, positive_duration, whole,
};
use super::{Config, Durability};
use crate::nearest::nearest;

/// A setting.
pub(super) struct Key {
    /// `section.key`
    pub name: &'static str,
    /// What it means, for the template: lines of whole sentences.
    pub help: &'static str,
    pub initial: Initial,
    pub set: Set,
}

/// What a key has before anybody sets it, as a TOML value.
pub(super) enum Initial {
    Default(&'static str),
    /// No default; the template shows this example.
    Unset(&'static str),
}

/// How a value gets into the configuration.
pub(super) enum Set {
    /// A single value. The error says what is allowed.
    One(fn(&mut Config, &Given) -> Result<(), String>),
    /// A table of names and strings, replaced as a whole.
    Table(Table),
    /// The table of the body, replaced as a whole.
    Body,
}

/// A name and its string.
type Entry = (String, String);

/// A key whose value is a table of names and strings in file order.
pub(super) struct Table {
    pub entries: fn(&mut Config) -> &mut Vec<Entry>,
    /// Judges a further name and string, given those before it.
    pub check: fn(&[Entry], &str, &str) -> Result<(), String>,
    pub may_be_empty: bool,
}

impl Key {
    /// All but the last part of the name: `api` of `api.url`, `api.tls` of `api.tls.ca_file`.
    pub(super) fn section(&self) -> &'static str {
        self.name
            .rsplit_once('.')
            .map_or("", |(section, _)| section)
    }

    /// The name inside its section.
    pub(super) fn leaf(&self) -> &'static str {
        self.name
            .rsplit_once('.')
            .map_or(self.name, |(_, leaf)| leaf)
    }

    /// The environment variable that sets it.
    pub(super) fn variable(&self) -> String {
        format!("FERRYD_{}", plain(self.name).to_ascii_uppercase())
    }
}

/// The key of this name.
pub(super) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// The section of this name.
pub(super) fn is_section(name: &str) -> bool {
    KEYS.iter().any(|key| key.section() == name)
}

/// The section that was probably meant.
pub(super) fn nearest_section(name: &str) -> Option<&'static str> {
    nearest(name, KEYS.iter().map(Key::section))
}

/// The key that was probably meant by `section.key`, `key` or `SECTION_KEY`: a few slips of the pen
/// away, or the right word in no section or in the wrong one.
pub(super) fn nearest_key(name: &str) -> Option<&'static Key> {
    let name = plain(name);
    let plain_names: Vec<_> = KEYS.iter().map(|key| plain(key.name)).collect();
    if let Some(close) = nearest(&name, plain_names.iter().map(String::as_str)) {
        return KEYS.iter().find(|key| plain(key.name) == close);
    }
    let ends_with = |leaf: &str| name == leaf || name.ends_with(&format!("_{leaf}"));
    let same_leaf = KEYS.iter().filter(|key| ends_with(key.leaf()));
    same_leaf.max_by_key(|key| key.leaf().len())
}

/// The form in which names from the file and from the environment compare.
fn plain(name: &str) -> String {
    name.to_ascii_lowercase().replace('.', "_")
}

use Initial::Default;
use Set::One;

/// Every setting, section by section.
pub(super) static KEYS: &[Key] = &[
    Key {
        name: "database.path",
        help: "The SQLite file. A relative path starts at the working directory of ferryd,\n\
               not at this file.",
        initial: Default(r#""ferryd.db""#),
        set: One(|config, given| database_path(given).map(|path| config.database.path = path)),
    },
    Key {
        name: "database.durability",
        help: "What a power cut may undo. \"normal\": about the last second. \"full\": each group of\n\
               outcomes is synced, which is slower.",
        initial: Default(r#""normal""#),
        set: One(|config, given| {
            let words = [("normal", Durability::Normal), ("full", Durability::Full)];
            one_of(given, &words).map(|durability| config.database.durability = durability)
        }),
    },
    Key {
        name: "batch.size",
        help: "Records in a batch, at most; 1 to 100000.",
        initial: Default("1000"),
        set: One(|config, given| whole(given, 1..=100_000).map(|size| config.batch.size = size)),
    },
    Key {
        name: "batch.linger",
        help: "How long a short last batch may wait for more rows.",
        initial: Default(r#""0s""#),
        set: One(|config, given| duration(given).map(|linger| config.batch.linger = linger)),
    },
    Key {
        name: "workers.threads",
        help: "Threads that send; 1 to 1024.",
        initial: Default("10"),
        set: One(|config, given| whole(given, 1..=1024).map(|n| config.workers.threads = n)),
    },
    Key {
        name: "workers.queue",
        help: "Batches that may wait for a free thread; 1 to 100000.",
        initial: Default("100"),
        set: One(|config, given| whole(given, 1..=100_000).map(|n| config.workers.queue = n)),
    },
    Key {
        name: "retry.interval",
        help: "The first delay before a FAILED batch is sent again, give or take 10 %.",
        initial: Default(r#""5m""#),
        set: One(|config, given| positive_duration(given).map(|d| config.retry.interval = d)),
    },
    Key {
        name: "retry.backoff",
        help: "What each further delay is multiplied by; 1.0 (a fixed delay) to 100.0.",
        initial: Default("2.0"),
        set: One(|config, given| factor(given, 1.0..=100.0).map(|x| config.retry.backoff = x)),
    },
    Key {
        name: "retry.max_interval",
        help: "The longest delay; not less than interval.",
        initial: Default(r#""6h""#),
        set: One(|config, given| positive_duration(given).map(|d| config.retry.max_interval = d)),
    },
    Key {
        name: "retry.max_attempts",
        help: "Attempts per record before it is dead; 0: no limit.",
        initial: Default("20"),
        set: One(|config, given| whole(given, 0..=u32::MAX).map(|n| config.retry.max_attempts = n)),
    },
    api::URL,
    api::METHOD,
    api::TIMEOUT,
    api::CONNECT_TIMEOUT,
    api::HEADERS,
    api::BODY,
    api::FORMAT,
    api::VERDICTS,
    api::IDEMPOTENCY_KEY,
    api::IDEMPOTENCY_HEADER,
    api::TRACEPARENT,
    api::PROXY,
    access::ALLOW_HTTP,
    api::RATE_LIMIT,
    api::BURST,
    api::MAX_IN_FLIGHT,
    api::CONCURRENCY,
    api::COMPRESS,
    api::USER_AGENT,
    bulk::RECORDS,
    bulk::FORMAT,
    bulk::MAX_BYTES,
    bulk::ITEMS,
    bulk::OK,
    bulk::OK_VALUES,
    bulk::ERROR,
    access::BEARER_TOKEN_FILE,
    access::BASIC_USER,
    access::BASIC_PASSWORD_FILE,
    access::SECRET_HEADERS,
    access::TOKEN_URL,
    access::CLIENT_ID,
    access::CLIENT_SECRET_FILE,
    access::SCOPE,
    access::CLIENT_AUTH,
    access::SECRET_FILES,
    access::CA_FILE,
    access::CERT_FILE,
    access::KEY_FILE,
    access::MIN_VERSION,
    Key {
        name: "gate.failures",
        help: "Failures of the destination in a row that hold all sending; 1 to 1000000.",
        initial: Default("20"),
        set: One(|config, given| whole(given, 1..=1_000_000).map(|n| config.gate.failures = n)),
    },
    Key {
        name: "gate.probe_interval",
        help: "While sending is held: how often one record is sent to see whether it works again.",
        initial: Default(r#""30s""#),
        set: One(|config, given| positive_duration(given).map(|d| config.gate.probe_interval = d)),
    },
    retention::OLDER_THAN,
    retention::RECORDS,
    Key {
        name: "status.listen",
        help: "Where the status is served: \"none\", a loopback address such as \"127.0.0.1:9464\",\n\
               or \"unix:/run/ferryd/status.sock\".",
        initial: Default(r#""none""#),
        set: One(|config, given| listen(given).map(|listen| config.status.listen = listen)),
    },
    Key {
        name: "status.show_records",
        help: "true: the status page also shows what is in records that failed, and what the API said\n\
               about them.",
        initial: Default("false"),
        set: One(|config, given| boolean(given).map(|on| config.status.show_records = on)),
    },
    Key {
        name: "shutdown.grace",
        help: "How long requests in flight may go on when ferryd stops.",
        initial: Default(r#""10s""#),
        set: One(|config, given| duration(given).map(|grace| config.shutdown.grace = grace)),
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_keys_share_a_name_or_a_variable() {
        for (at, key) in KEYS.iter().enumerate() {
            for other in &KEYS[at + 1..] {
                assert_ne!(key.name, other.name);
                assert_ne!(key.variable(), other.variable());
            }
        }
    }

    #[test]
    fn the_keys_of_a_section_stand_together() {
        let mut sections: Vec<_> = KEYS.iter().map(Key::section).collect();
        sections.dedup();
        let count = sections.len();
        sections.sort_unstable();
        sections.dedup();
        assert_eq!(sections.len(), count);
    }

    #[test]
    fn a_slip_of_the_pen_finds_its_key() {
        for (wrong, right) in [
            ("batch.sise", "batch.size"),
            ("api.uri", "api.url"),
            ("size", "batch.size"),
            ("gate.timeout", "api.timeout"),
            ("connect_timeout", "api.connect_timeout"),
            ("API_CONECT_TIMEOUT", "api.connect_timeout"),
            ("URL", "api.url"),
        ] {
            assert_eq!(nearest_key(wrong).map(|key| key.name), Some(right));
        }
    }

    #[test]
    fn a_name_like_no_other_suggests_nothing() {
        for wrong in ["", "x", "retry.colour", &"zebra".repeat(1000)] {
            assert_eq!(nearest_key(wrong).map(|key| key.name), None, "{wrong}");
        }
    }
}
