//! Which keys two configurations differ in. Their names only: values may be secret.

use super::Config;

/// Keys that are read at the start alone: the file, the threads and the listener are made of them.
const OF_THE_START: [&str; 6] = [
    "database.path",
    "database.durability",
    "workers.threads",
    "workers.queue",
    "status.listen",
    "status.show_records",
];

/// Puts the key of each field that differs into a list; a key is the field's path, unless it is given.
macro_rules! differing {
    ($old:ident, $new:ident; $($($key:literal =)? $section:ident . $($field:ident).+),* $(,)?) => {{
        let mut keys = Vec::new();
        $(
            if $old.$section.$($field).+ != $new.$section.$($field).+ {
                let path = concat!(stringify!($section) $(, ".", stringify!($field))+);
                keys.push([$($key,)? path][0]);
            }
        )*
        keys
    }};
}

impl Config {
    /// The keys that have other values than in `old`.
    pub fn changes_since(&self, old: &Config) -> Vec<&'static str> {
        differing![old, self;
            database.path, database.durability,
            batch.size, batch.linger,
            workers.threads, workers.queue,
            retry.interval, retry.backoff, retry.max_interval, retry.max_attempts,
            api.url, api.method, api.timeout, api.connect_timeout,
            api.headers, api.body, api.format, api.verdicts,
            api.idempotency_key, api.idempotency_header, api.traceparent, api.proxy,
            api.bulk.records, api.bulk.format, api.bulk.max_bytes, api.bulk.items,
            api.bulk.ok, api.bulk.ok_values, api.bulk.error,
            api.allow_http,
            api.auth.bearer_token_file, api.auth.basic_user, api.auth.basic_password_file, api.auth.headers,
            api.oauth2.token_url, api.oauth2.client_id, api.oauth2.client_secret_file, api.oauth2.scope,
            api.oauth2.auth,
            api.webhook.secret_files,
            api.tls.ca_file, api.tls.cert_file, api.tls.key_file, api.tls.min_version,
            "api.rate_limit" = api.pace.interval, "api.burst" = api.pace.burst,
            "api.max_in_flight" = api.pace.max_in_flight, "api.concurrency" = api.pace.adaptive,
            api.compress, api.user_agent,
            gate.failures, gate.probe_interval,
            retention.older_than, retention.records,
            status.listen, status.show_records,
            shutdown.grace,
        ]
    }

    /// Takes back what needs a restart, and names it.
    pub fn keep_what_needs_a_restart(&mut self, old: &Config) -> Vec<&'static str> {
        let changes = self.changes_since(old).into_iter();
        let kept = changes.filter(|key| OF_THE_START.contains(key)).collect();
        self.database = old.database.clone();
        self.workers = old.workers.clone();
        self.status = old.status.clone();
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::super::keys::{KEYS, Key, Set};
    use super::super::values::Given;
    use super::*;

    /// Values of all kinds: some of them is one that the key may have, and not its default.
    const VALUES: [&str; 20] = [
        "7",
        "7s",
        "7.5",
        "true",
        "none",
        "full",
        "quoted",
        "GET",
        "http://x/",
        "127.0.0.1:1",
        "1.3",
        "x",
        "/x",
        "ndjson",
        "body",
        "50/s",
        "adaptive",
        "gzip",
        "X-Key",
        "[7]",
    ];

    /// A configuration that differs from `config` in this key.
    fn differing_in(key: &Key, config: &Config) -> Config {
        let mut other = config.clone();
        match &key.set {
            Set::Table(table) => (table.entries)(&mut other).push(("a".into(), "b".into())),
            Set::Body => drop(other.api.body.pop()),
            Set::One(set) => {
                let given = |value: &&str| Given::Untyped((*value).to_owned());
                VALUES.iter().map(given).find(|given| {
                    let set = set(&mut other, given);
                    set.is_ok() && other != *config
                });
            }
        }
        other
    }

    #[test]
    fn each_key_is_seen_to_change_by_its_own_name() {
        let config = Config::default();
        assert_eq!(config.changes_since(&config), [""; 0]);
        for key in KEYS {
            let other = differing_in(key, &config);
            assert!(other != config, "{}: no value was found", key.name);
            assert_eq!(other.changes_since(&config), [key.name]);
        }
    }

    #[test]
    fn what_needs_a_restart_stays_and_is_named() {
        let config = Config::default();
        for key in KEYS {
            let mut other = differing_in(key, &config);
            let kept = other.keep_what_needs_a_restart(&config);
            let is_of_the_start = OF_THE_START.contains(&key.name);
            assert_eq!(kept.contains(&key.name), is_of_the_start);
            assert_eq!(other == config, is_of_the_start, "{}", key.name);
        }
    }
}
