//! The configuration as an operator meets it: which source wins, what each key is for, and what is said about mistakes.

mod effects;

use crate::harness::{Api, Ran, Site};
use std::process::Command;

/// Every key of a single value: its name, a value that is allowed, and nonsense; as TOML writes them.
const KEYS: [(&str, &str, &str); 55] = [
    ("database.path", "\"ferryd.db\"", "\"\""),
    ("database.durability", "\"full\"", "\"most\""),
    ("batch.size", "100000", "100001"),
    ("batch.linger", "\"2s\"", "\"2\""),
    ("workers.threads", "1024", "0"),
    ("workers.queue", "1", "0"),
    ("retry.interval", "\"500ms\"", "\"-5m\""),
    ("retry.backoff", "1.0", "0.5"),
    ("retry.max_interval", "\"7d\"", "\"soon\""),
    ("retry.max_attempts", "0", "-1"),
    (
        "api.url",
        "\"https://api.example/records\"",
        "\"api.example\"",
    ),
    ("api.method", "\"PUT\"", "\"put it\""),
    ("api.timeout", "\"1m\"", "\"0s\""),
    ("api.connect_timeout", "\"1s\"", "\"0s\""),
    ("api.idempotency_key", "\"quoted\"", "\"maybe\""),
    ("api.idempotency_header", "\"X-Key\"", "\"Host\""),
    ("api.format", "\"form\"", "\"xml\""),
    ("api.traceparent", "true", "\"maybe\""),
    ("api.proxy", "\"http://127.0.0.1:3128\"", "\"yes\""),
    ("api.bulk.records", "0", "10001"),
    ("api.bulk.format", "\"ndjson\"", "\"csv\""),
    ("api.bulk.max_bytes", "1000", "0"),
    ("api.bulk.items", "\"/results\"", "\"results\""),
    ("api.bulk.ok", "\"/ok\"", "\"ok\""),
    ("api.bulk.ok_values", "[200, true, \"x\"]", "[[1]]"),
    ("api.bulk.error", "\"/why\"", "\"x\""),
    ("api.allow_http", "true", "\"maybe\""),
    ("api.auth.bearer_token_file", "\"token\"", "\"${HOME}/x\""),
    ("api.auth.basic_user", "\"me\"", "\"me:you\""),
    ("api.auth.basic_password_file", "\"word\"", "\"${HOME}/x\""),
    (
        "api.oauth2.token_url",
        "\"https://login.example/token\"",
        "\"login.example\"",
    ),
    ("api.oauth2.client_id", "\"me\"", "\"\t\""),
    ("api.oauth2.client_secret_file", "\"s\"", "\"${HOME}/x\""),
    ("api.oauth2.scope", "\"write\"", "\"\t\""),
    ("api.oauth2.auth", "\"body\"", "\"maybe\""),
    ("api.webhook.secret_files", "[\"a\"]", "[\"${HOME}/x\"]"),
    ("api.tls.ca_file", "\"ca.pem\"", "\"${HOME}/x\""),
    ("api.tls.cert_file", "\"c.pem\"", "\"${HOME}/x\""),
    ("api.tls.key_file", "\"k.pem\"", "\"${HOME}/x\""),
    ("api.tls.min_version", "\"1.3\"", "\"1.1\""),
    ("api.rate_limit", "\"50/s\"", "\"50\""),
    ("api.burst", "10", "0"),
    ("api.max_in_flight", "5", "-1"),
    ("api.concurrency", "\"adaptive\"", "\"best\""),
    ("api.compress", "\"gzip\"", "\"zip\""),
    ("api.user_agent", "\"me/1\"", "\" \""),
    ("gate.failures", "1", "0"),
    ("gate.probe_interval", "\"1s\"", "\"0s\""),
    ("retention.older_than", "\"30d\"", "\"never\""),
    ("retention.records", "true", "\"yes\""),
    (
        "status.listen",
        "\"unix:/run/ferryd/status.sock\"",
        "\"0.0.0.0:9464\"",
    ),
    ("status.show_records", "true", "\"maybe\""),
    ("shutdown.grace", "\"0s\"", "\"long\""),
    // The two tables have no variable; here as one entry each.
    ("api.headers.X-Team", "\"red\"", "\"a\\nb\""),
    ("api.auth.headers.X-Key", "\"key\"", "\"${HOME}/x\""),
];

/// The variable of a key, and its value without TOML's quotes.
fn variable(key: &str, value: &str) -> (String, String) {
    let name = format!("FERRYD_{}", key.to_uppercase().replace('.', "_"));
    (name, value.trim_matches('"').to_string())
}

/// A site with a database, where `status` only loads the configuration and looks.
fn ready() -> Site {
    let site = Site::new();
    site.run(&["init"]).assert_code(0);
    site
}

fn with_variables(site: &Site, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = site.ferryd(arguments);
    command.envs(variables.iter().copied());
    command
}

#[test]
fn the_environment_wins_over_the_file_and_a_flag_over_both() {
    let site = Site::new();
    site.configure("[database]\npath = \"file.db\"\n");
    let made = |arguments: &[&str], variables: &[(&str, &str)]| {
        Ran::wait(with_variables(&site, arguments, variables))
            .assert_code(0)
            .stdout
    };
    let variable = [("FERRYD_DATABASE_PATH", "variable.db")];
    assert!(made(&["init"], &[]).contains("\nfile.db: made"));
    assert!(made(&["init"], &variable).contains("\nvariable.db: made"));
    assert!(made(&["init", "--database", "flag.db"], &variable).contains("\nflag.db: made"));
    assert!(!site.database().exists(), "the built-in default was used");
}

#[test]
fn the_file_of_the_flag_wins_over_the_variable_and_that_over_the_one_in_the_directory() {
    let site = ready();
    for name in ["flag.toml", "variable.toml"] {
        std::fs::write(site.path(name), "[api]\nurl = \"http://127.0.0.1:1/\"\n").unwrap();
    }
    site.configure("[api]\nurl = \"http://127.0.0.1:1/\"\n");
    let used = |arguments: &[&str], variables: &[(&str, &str)]| {
        let ran = Ran::wait(with_variables(&site, arguments, variables)).assert_code(0);
        ran.stdout.lines().next().unwrap().to_string()
    };
    let variable = [("FERRYD_CONFIG", "variable.toml")];
    assert!(used(&["check"], &[]).ends_with(" ferryd.toml"));
    assert!(used(&["check"], &variable).ends_with(" variable.toml"));
    assert!(used(&["check", "--config", "flag.toml"], &variable).ends_with(" flag.toml"));
}

#[test]
fn a_named_file_that_is_missing_is_an_error_and_a_missing_ferryd_toml_is_not() {
    let site = ready();
    std::fs::remove_file(site.path("ferryd.toml")).unwrap();
    site.run(&["status"]).assert_code(0);
    site.run(&["status", "--config", "none.toml"])
        .assert_code(78)
        .assert_says("none.toml: cannot be read: No such file or directory");
    let command = with_variables(&site, &["status"], &[("FERRYD_CONFIG", "none.toml")]);
    Ran::wait(command)
        .assert_code(78)
        .assert_says("correct FERRYD_CONFIG, or write the file with \"ferryd init\"");
}

#[test]
fn all_that_is_wrong_is_said_in_one_go_with_place_key_what_is_allowed_and_the_nearest_key() {
    let api = Api::accepting();
    let site = Site::with(&api, "");
    site.configure(
        "[api]\nurl = \"ftp://x/\"\ntimeot = \"5s\"\n\n[batch]\nsize = 0\nlinger = 5\n\n[worker]\nthreads = 1\n",
    );
    let variables = [
        ("FERRYD_WORKERS_THREADS", "many"),
        ("FERRYD_RETRY_INTERVALL", "1s"),
    ];
    let command = with_variables(&site, &["run", "--database", ":memory:"], &variables);
    let ran = Ran::wait(command).assert_code(78);
    assert_eq!(
        ran.stderr,
        "ferryd: ferryd.toml:2: api.url = \"ftp://x/\": must begin with http:// or https://\n\
         ferryd: ferryd.toml:3: unknown key \"api.timeot\", did you mean \"api.timeout\"?\n\
         ferryd: ferryd.toml:6: batch.size = 0: must be a whole number from 1 to 100000\n\
         ferryd: ferryd.toml:7: batch.linger = 5: must be a duration such as 500ms, 30s, 5m, 6h or 7d\n\
         ferryd: ferryd.toml:9: unknown section \"worker\", did you mean \"workers\"?\n\
         ferryd: FERRYD_RETRY_INTERVALL: unknown variable, did you mean FERRYD_RETRY_INTERVAL?\n\
         ferryd: FERRYD_WORKERS_THREADS=many: must be a whole number from 1 to 1024\n\
         ferryd: --database \":memory:\": must be the path of a file, not a special name of SQLite: put ./ before it\n"
    );
    assert_eq!(ran.stdout, "");
}

#[test]
fn every_command_that_uses_the_configuration_refuses_a_wrong_one() {
    let site = ready();
    site.configure("[batch]\nsise = 5\n");
    std::fs::write(site.path("a.csv"), "user_id\n1\n").unwrap();
    for arguments in [
        &["run"][..],
        &["drain"],
        &["import", "a.csv"],
        &["status"],
        &["check"],
        &["init"],
    ] {
        site.run(arguments)
            .assert_code(78)
            .assert_says("did you mean \"batch.size\"?");
    }
    assert_eq!(site.shell("SELECT count(*) FROM user_record"), "0");
}

#[test]
fn every_key_is_taken_from_the_file_and_nonsense_in_it_is_named_by_line() {
    let site = ready();
    let write = |value: fn(&(&str, &str, &'static str)) -> String| {
        let text: String = KEYS.iter().map(value).collect();
        site.configure(&text);
    };
    write(|(key, good, _)| format!("{key} = {good}\n"));
    site.run(&["status"]).assert_code(0);

    write(|(key, _, nonsense)| format!("{key} = {nonsense}\n"));
    let said = site.run(&["status"]).assert_code(78).stderr;
    assert_eq!(said.lines().count(), KEYS.len(), "{said}");
    for (number, ((key, ..), line)) in (1..).zip(KEYS.iter().zip(said.lines())) {
        let start = format!("ferryd: ferryd.toml:{number}: {key}");
        assert!(line.starts_with(&start), "{start}\n{line}");
    }
}

#[test]
fn every_single_value_is_taken_from_the_environment_and_nonsense_in_it_is_named() {
    let site = ready();
    let single: Vec<_> = KEYS
        .iter()
        .filter(|(key, ..)| !key.contains("headers"))
        .collect();
    let mut good = site.ferryd(&["status"]);
    good.envs(single.iter().map(|(key, good, _)| variable(key, good)));
    Ran::wait(good).assert_code(0);

    let mut wrong = site.ferryd(&["status"]);
    wrong.envs(
        single
            .iter()
            .map(|(key, _, nonsense)| variable(key, nonsense)),
    );
    let said = Ran::wait(wrong).assert_code(78).stderr;
    assert_eq!(said.lines().count(), single.len(), "{said}");
    for (key, ..) in single {
        let (name, _) = variable(key, "");
        assert!(said.contains(&format!("ferryd: {name}")), "{name}\n{said}");
    }
}

#[test]
fn the_template_of_init_loads_and_names_every_key() {
    let site = ready();
    let template = std::fs::read_to_string(site.path("ferryd.toml")).unwrap();
    let command = with_variables(
        &site,
        &["check"],
        &[("FERRYD_API_URL", "http://127.0.0.1:1/")],
    );
    Ran::wait(command).assert_code(0);
    for (key, ..) in KEYS.iter().filter(|(key, ..)| !key.contains("headers")) {
        let (section, leaf) = key.rsplit_once('.').unwrap();
        let section = template
            .split(&format!("\n[{section}]\n"))
            .nth(1)
            .unwrap_or_default();
        assert!(section.contains(&format!("\n# {leaf} = ")), "{key}");
    }
    assert!(template.contains("\n# headers = ") && template.contains("\n# body = "));
}

#[test]
fn the_template_with_all_comment_marks_of_settings_removed_still_loads() {
    let site = ready();
    let template = std::fs::read_to_string(site.path("ferryd.toml")).unwrap();
    let is_setting = |rest: &&str| {
        let name = rest.split(" = ").next().unwrap_or_default();
        rest.contains(" = ") && name.chars().all(|c| c.is_ascii_lowercase() || c == '_')
    };
    let line = |line| {
        str::strip_prefix(line, "# ")
            .filter(is_setting)
            .unwrap_or(line)
    };
    let lines: Vec<&str> = template.lines().map(line).collect();
    site.configure(&lines.join("\n"));
    let ran = site.run(&["check"]).assert_code(0);
    assert!(ran.stdout.contains("ok    api.url"), "{ran:?}");
}

#[test]
fn the_readme_explains_every_key() {
    let readme = include_str!("../../README.md");
    for (key, ..) in KEYS.iter().filter(|(key, ..)| !key.contains("headers")) {
        assert!(readme.contains(&format!("`{key}`")), "{key}");
    }
    assert!(readme.contains("| `api.headers` |") && readme.contains("| `api.body` |"));
}
