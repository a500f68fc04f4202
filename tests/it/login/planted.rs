//! Secrets are planted, an API repeats whatever it is shown, everything is logged: and still they appear nowhere.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ferryd::server::{Answer, Request};
use std::path::Path;

use crate::harness::{Api, Daemon, Site, eventually};

/// With what JSON, HTML and forms have to escape.
const SECRET: &str = "gehe/im+G3h<eim>&7\"";

/// Everything that the API was shown, as the careless would answer it.
fn repeat(request: &Request) -> String {
    let headers = request
        .headers()
        .map(|(name, value)| (name.to_string(), value.into()));
    let json = serde_json::Value::Object(headers.collect()).to_string();
    let plain: String = request
        .headers()
        .map(|(name, value)| format!("{value} {name}\n"))
        .collect();
    let body = String::from_utf8_lossy(&request.body);
    format!("{plain}{json}{}{body}", json.replace('/', "\\/"))
}

/// The refusals that end at different places: dead records, retries, and a gate that closes.
fn api() -> Api {
    Api::answering(|seen, request| match seen.record {
        1 => Answer::text(422, repeat(request)),
        2 => Answer::text(500, repeat(request)),
        // Breaks off in the midst of a secret, at whatever place.
        3..=40 => {
            let said = request
                .header("authorization")
                .or(request.header("x-api-key"));
            let said = said.unwrap_or_default();
            Answer::text(422, &said[..said.len().min(seen.record as usize)])
        }
        _ => Answer::text(403, repeat(request)),
    })
}

/// All forms in which the secret could be told.
fn needles(secret: &str) -> Vec<String> {
    let encoded = |text: &str| {
        BASE64_STANDARD
            .encode(text)
            .trim_end_matches('=')
            .to_string()
    };
    vec![
        secret.to_string(),
        secret.replace('"', "\\\""),
        secret[..8].to_string(),
        encoded(secret),
        encoded(&format!("me:{secret}")),
    ]
}

#[track_caller]
fn assert_nowhere(place: &str, bytes: &[u8], needles: &[String]) {
    for needle in needles {
        let found = bytes
            .windows(needle.len())
            .any(|part| part == needle.as_bytes());
        assert!(!found, "{place} tells {needle}");
    }
}

/// Runs a daemon with the secret in `FILE` at the most talkative, and looks everywhere.
#[track_caller]
fn assert_kept(toml: &str, secret: &str, content: &str) {
    let api = api();
    let site = Site::with(&api, toml);
    site.secret("FILE", content);
    site.import(1, 1..=41);
    let mut run = site.ferryd(&["run", "-vv"]);
    run.env("RUST_LOG", "trace,rustls=trace");
    let daemon = Daemon::start(run, site.path("daemon.log"));
    eventually("the gate is closed", || {
        site.value::<String>("SELECT gate FROM delivery_summary") == "closed"
    });
    let needles = needles(secret);
    for (place, arguments) in [
        ("status", &["status"][..]),
        ("status --json", &["status", "--json"]),
        ("explain", &["explain", "1"]),
        ("explain", &["explain", "2"]),
        ("explain", &["explain", "41"]),
        ("check", &["check", "--probe", "-vv"]),
    ] {
        let ran = site.run(arguments);
        assert_nowhere(place, format!("{ran:?}").as_bytes(), &needles);
        assert_nowhere(place, ran.stdout.as_bytes(), &needles);
    }
    for name in ["cmdline", "environ", "comm", "status"] {
        let path = format!("/proc/{}/{name}", daemon.pid());
        assert_nowhere(&path, &std::fs::read(&path).unwrap(), &needles);
    }
    // Seen before the daemon stops, for that may fold the -wal into the database.
    let look = |path: &Path| {
        assert_nowhere(
            &path.display().to_string(),
            &std::fs::read(path).unwrap(),
            &needles,
        )
    };
    let files = [
        "daemon.log",
        "ferryd.db-wal",
        "ferryd.db-shm",
        "ferryd.db.lock",
        "ferryd.toml",
    ];
    files.iter().for_each(|name| look(&site.path(name)));
    assert_eq!(daemon.terminate().0, 0);
    look(&site.path("daemon.log"));
    look(&site.database());
    let told: String = site.value("SELECT group_concat(error) FROM undelivered_record");
    assert!(told.contains("***"), "the API has repeated nothing: {told}");
}

#[test]
fn a_bearer_token_appears_nowhere() {
    let toml = "[api.auth]\nbearer_token_file = \"FILE\"\n";
    assert_kept(toml, SECRET, SECRET);
}

#[test]
fn a_password_appears_nowhere() {
    let toml = "[api.auth]\nbasic_user = \"me\"\nbasic_password_file = \"FILE\"\n";
    assert_kept(toml, SECRET, SECRET);
}

#[test]
fn a_secret_header_appears_nowhere() {
    let toml = "[api.auth.headers]\nX-Api-Key = \"FILE\"\n";
    assert_kept(toml, SECRET, SECRET);
}
