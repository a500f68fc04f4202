//! What operators meet: files, variables and flags go in, a configuration comes out, or all the
//! problems at once (`refusals`).

use super::*;
use crate::config::{Content, Listen, packaged_template, template};

mod body;
mod refusals;

fn read(text: &str, variables: &[(&str, &str)], flags: &Flags) -> Result<Config, ConfigError> {
    let source = Source {
        path: PathBuf::from("ferryd.toml"),
        text: text.to_owned(),
    };
    let environment: Vec<_> = variables
        .iter()
        .map(|(name, value)| (OsString::from(name), OsString::from(value)))
        .collect();
    assemble(Ok(Some(&source)), &environment, flags)
}

fn good(text: &str) -> Config {
    read(text, &[], &Flags::default()).unwrap()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = pairs.iter().map(|(a, b)| (a.to_string(), b.to_string()));
    owned.collect()
}

fn columns(names: &[(&str, &str)]) -> Vec<(String, Content)> {
    let columns = pairs(names).into_iter();
    columns
        .map(|(key, name)| (key, Content::Column(name)))
        .collect()
}

/// The defaults of the contract, written out a second time on purpose.
fn contract() -> Config {
    Config {
        database: Database {
            path: PathBuf::from("ferryd.db"),
            durability: Durability::Normal,
        },
        batch: Batch {
            size: 1000,
            linger: Duration::ZERO,
        },
        workers: Workers {
            threads: 10,
            queue: 100,
        },
        retry: RetryPolicy {
            interval: Duration::from_secs(300),
            backoff: 2.0,
            max_interval: Duration::from_secs(6 * 3600),
            max_attempts: 20,
        },
        api: Api {
            url: None,
            method: "POST".to_owned(),
            timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(5),
            headers: Vec::new(),
            body: columns(&[("networkId", "network_id"), ("city", "city")]),
            format: BodyFormat::Json,
            verdicts: Vec::new(),
            idempotency_key: IdempotencyKey::Bare,
            idempotency_header: "Idempotency-Key".to_owned(),
            traceparent: false,
            proxy: Proxy::None,
            bulk: Bulk {
                max_bytes: 1 << 20,
                ok: "/status".to_owned(),
                error: "/error".to_owned(),
                ..Bulk::default()
            },
            allow_http: false,
            auth: Auth::default(),
            oauth2: OAuth2::default(),
            webhook: Webhook::default(),
            tls: Tls::default(),
            pace: pace::Rules {
                interval: None,
                burst: 1,
                max_in_flight: 0,
                adaptive: false,
            },
            compress: Compress::None,
            user_agent: format!("ferryd/{}", env!("CARGO_PKG_VERSION")),
        },
        retention: Retention {
            older_than: None,
            records: false,
        },
        gate: Gate {
            failures: 20,
            probe_interval: Duration::from_secs(30),
        },
        status: Status {
            listen: None,
            show_records: false,
        },
        shutdown: Shutdown {
            grace: Duration::from_secs(10),
        },
    }
}

#[test]
fn without_any_source_the_defaults_are_those_of_the_contract() {
    assert_eq!(Config::default(), contract());
    assert_eq!(
        assemble(Ok(None), &[], &Flags::default()).unwrap(),
        contract()
    );
}

#[test]
fn the_template_as_it_is_written_changes_nothing() {
    assert_eq!(good(&template()), contract());
}

#[test]
fn the_template_of_the_packages_changes_the_place_of_the_database_alone_and_names_no_version() {
    let mut packaged = contract();
    packaged.database.path = "/var/lib/ferryd/ferryd.db".into();
    assert_eq!(good(&packaged_template()), packaged);
    assert!(!packaged_template().contains(env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_template_with_every_key_uncommented_gives_the_defaults_and_the_example_url() {
    let mut uncommented = 0;
    let mut text = String::new();
    for line in template().lines() {
        let setting = line.strip_prefix("# ").filter(|rest| {
            let name = rest.split(" = ").next().unwrap();
            rest.contains(" = ") && KEYS.iter().any(|key| key.leaf() == name)
        });
        uncommented += usize::from(setting.is_some());
        text += &format!("{}\n", setting.unwrap_or(line));
    }
    assert_eq!(uncommented, KEYS.len());
    let mut expected = contract();
    expected.api.url = Some("http://127.0.0.1:8080/records".to_owned());
    assert_eq!(good(&text), expected);
}

#[test]
fn a_file_sets_what_it_names_and_leaves_the_rest() {
    let config = good(
        "[database]\npath = \"/var/x.db\"\ndurability = \"full\"\n[retry]\nbackoff = 1\n\
         [status]\nlisten = \"127.0.0.1:9464\"\n[api]\nproxy = \"env\"\n",
    );
    let mut expected = contract();
    expected.database.path = PathBuf::from("/var/x.db");
    expected.database.durability = Durability::Full;
    expected.retry.backoff = 1.0;
    expected.status.listen = Some(Listen::Tcp("127.0.0.1:9464".parse().unwrap()));
    expected.api.proxy = Proxy::Env;
    assert_eq!(config, expected);
}

#[test]
fn a_body_replaces_the_default_as_a_whole_and_keeps_the_order_of_the_file() {
    for text in [
        "[api.body]\nz = \"city\"\na = \"id\"\n",
        "[api]\nbody = { z = \"city\", a = \"id\" }\n",
        "api.body.z = \"city\"\napi.body.a = \"id\"\n",
    ] {
        assert_eq!(good(text).api.body, columns(&[("z", "city"), ("a", "id")]));
    }
}

#[test]
fn headers_keep_their_names_and_order() {
    let config = good("[api.headers]\nX-Team = \"red\"\nAuthorization = \"Bearer x\"\n");
    let expected = pairs(&[("X-Team", "red"), ("Authorization", "Bearer x")]);
    assert_eq!(config.api.headers, expected);
}

#[test]
fn the_environment_wins_over_the_file_and_flags_win_over_both() {
    let text = "[database]\npath = \"file.db\"\n[batch]\nsize = 5\n";
    let variables = [
        ("FERRYD_DATABASE_PATH", "variable.db"),
        ("FERRYD_BATCH_SIZE", "6"),
        ("FERRYD_API_CONNECT_TIMEOUT", "7s"),
        ("HOME", ""),
    ];
    let config = read(text, &variables, &Flags::default()).unwrap();
    assert_eq!(config.database.path, PathBuf::from("variable.db"));
    assert_eq!(config.batch.size, 6);
    assert_eq!(config.api.connect_timeout, Duration::from_secs(7));

    let flags = Flags {
        config: None,
        database: Some(PathBuf::from("flag.db")),
    };
    let config = read(text, &variables, &flags).unwrap();
    assert_eq!(config.database.path, PathBuf::from("flag.db"));
}

#[test]
fn the_reserved_variables_are_no_settings() {
    let variables = [("FERRYD_CONFIG", "x.toml"), ("FERRYD_TORTURE", "1")];
    assert_eq!(read("", &variables, &Flags::default()).unwrap(), contract());
}
