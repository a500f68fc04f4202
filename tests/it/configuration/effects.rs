//! What each key changes in what the API sees, in the file, or in how ferryd stops. The bounds of all keys are held by
//! the tests of the room above.

use crate::harness::{Api, Ran, Site, eventually};
use ferryd::server::Answer;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Longer than any test.
const FOREVER: Duration = Duration::from_secs(3600);

/// An API that accepts all and remembers what `look` makes of each request.
fn looking<T: Send + 'static>(
    look: impl Fn(&ferryd::server::Request) -> T + Send + Sync + 'static,
) -> (Api, Arc<Mutex<Vec<T>>>) {
    let looks = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&looks);
    let api = Api::answering(move |_, request| {
        kept.lock().unwrap().push(look(request));
        Answer::status(200)
    });
    (api, looks)
}

fn deliver_one(site: &Site) {
    site.import(1, 1..=1);
    site.run(&["drain"]).assert_code(0);
}

#[test]
fn batch_size_cuts_the_batches() {
    let api = Api::accepting();
    let site = Site::with(&api, "[batch]\nsize = 2\n");
    site.import(1, 1..=5);
    site.run(&["drain"]).assert_code(0);
    let sizes = site.shell("SELECT group_concat(batch_size, ' ') FROM processing_batch_status");
    assert_eq!(sizes, "2 2 1");
}

#[test]
fn batch_linger_holds_a_short_last_batch_back() {
    let api = Api::accepting();
    let site = Site::with(&api, "[batch]\nsize = 2\nlinger = \"7d\"\n");
    site.import(1, 1..=3);
    let daemon = site.daemon();
    site.await_delivered(2);
    site.insert(1, 4);
    site.await_delivered(4);
    site.insert(1, 5);
    assert_eq!(daemon.terminate().0, 0);
    let sizes = site.shell("SELECT group_concat(batch_size, ' ') FROM processing_batch_status");
    assert_eq!(sizes, "2 2");
}

#[test]
fn a_full_batch_leaves_nothing_behind_that_waits_or_lingers() {
    let api = Api::accepting();
    let site = Site::with(&api, "[batch]\nsize = 2\nlinger = \"7d\"\n");
    site.import(1, 1..=4);
    let daemon = site.daemon();
    site.await_delivered(4);
    assert_eq!(daemon.terminate().0, 0);
    let left = site.shell("SELECT waiting, oldest_waiting_at IS NULL FROM delivery_summary");
    assert_eq!(left, "0 1");
    assert_eq!(site.shell("SELECT count(*) FROM backlog"), "0");
}

#[test]
fn workers_threads_is_the_number_of_batch_processors() {
    let api = Api::accepting();
    let site = Site::with(&api, "[workers]\nthreads = 3\n");
    let daemon = site.daemon();
    // A thread names itself, a moment after it was made.
    let processors = || {
        let names = daemon.threads().into_iter();
        names
            .filter(|name| name.starts_with("BatchProcessor-"))
            .count()
    };
    eventually("there are three", || processors() == 3);
}

#[test]
fn retry_interval_is_the_first_delay() {
    let api = Api::answering(|seen, _| Answer::status(if seen.time == 1 { 500 } else { 200 }));
    let site = Site::with(&api, "[retry]\ninterval = \"400ms\"\n");
    deliver_one(&site);
    let seen = api.seen();
    // 400 ms less 10 % jitter, from the end of the attempt.
    assert!(seen[1].at - seen[0].at >= Duration::from_millis(360));
}

#[test]
fn retry_backoff_multiplies_the_delay_up_to_max_interval() {
    for (longest, least, most) in [("6h", 4.4, 5.6), ("1s", 0.9, 1.1)] {
        let api = Api::answering(|_, _| Answer::status(500));
        let retry = format!(
            "[retry]\ninterval = \"100ms\"\nbackoff = 50.0\nmax_interval = \"{longest}\"\n"
        );
        let site = Site::with(&api, &retry);
        site.import(1, 1..=1);
        let daemon = site.daemon();
        eventually("it failed twice", || {
            site.value::<i64>("SELECT coalesce(max(retry_count), 0) FROM processing_batch_status")
                == 2
        });
        drop(daemon);
        let sql = "SELECT (julianday(next_attempt_at) - julianday(last_attempt_at)) * 86400 FROM processing_batch_status";
        let delay: f64 = site.value(sql);
        assert!((least..most).contains(&delay), "{longest}: {delay}");
    }
}

#[test]
fn retry_max_attempts_makes_a_record_dead() {
    let api = Api::answering(|_, _| Answer::status(500));
    let site = Site::with(
        &api,
        "[retry]\ninterval = \"50ms\"\nbackoff = 1.0\nmax_attempts = 3\n",
    );
    site.import(1, 1..=1);
    site.run(&["drain"]).assert_code(3);
    assert_eq!(api.times()[&1], 3);
    assert_eq!(
        site.shell("SELECT state, attempts FROM undelivered_record"),
        "DEAD 3"
    );
}

#[test]
fn without_settings_the_request_is_a_post_with_a_json_body_and_a_bare_key() {
    let (api, requests) = looking(|request| {
        let header = |name: &str| request.header(name).unwrap_or("-").to_string();
        let line = format!("{} {}", request.method(), request.target());
        (
            line,
            header("content-type"),
            header("user-agent"),
            header("idempotency-key"),
        )
    });
    let site = Site::with(&api, "");
    deliver_one(&site);
    let (line, kind, agent, key) = requests.lock().unwrap()[0].clone();
    assert_eq!(
        (line.as_str(), kind.as_str()),
        ("POST /records", "application/json")
    );
    assert_eq!(agent, concat!("ferryd/", env!("CARGO_PKG_VERSION")));
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '.';
    assert!(!key.is_empty() && key.chars().all(plain), "{key}");
    assert_eq!(api.seen()[0].body, r#"{"networkId":"1","city":"Lisboa"}"#);
}

#[test]
fn api_method_and_headers_shape_the_request() {
    let (api, requests) = looking(|request| {
        let team = request.header("x-team").unwrap_or("-").to_string();
        (request.method().to_string(), team)
    });
    let site = Site::new();
    site.configure(&format!(
        "[api]\nurl = \"{}\"\nmethod = \"PUT\"\nheaders = {{ X-Team = \"red\" }}\n",
        api.url()
    ));
    deliver_one(&site);
    let seen = requests.lock().unwrap().clone();
    assert_eq!(seen, [("PUT".to_string(), "red".to_string())]);
}

#[test]
fn api_body_names_columns_of_the_owner_too_in_its_order() {
    let api = Api::accepting();
    let site = Site::with(
        &api,
        "[api.body]\nwhere = \"city\"\nnote = \"note\"\nuser = \"user_id\"\n",
    );
    site.run(&["init"]).assert_code(0);
    site.connect()
        .execute_batch("ALTER TABLE user_record ADD COLUMN note")
        .unwrap();
    let sql = "INSERT INTO user_record (user_id, city, note) VALUES (7, 'Faro', NULL)";
    site.connect().execute_batch(sql).unwrap();
    site.run(&["drain"]).assert_code(0);
    assert_eq!(
        api.seen()[0].body,
        r#"{"where":"Faro","note":null,"user":7}"#
    );
}

#[test]
fn api_idempotency_key_is_written_bare_quoted_or_not_at_all() {
    for (style, quoted) in [("bare", Some(false)), ("quoted", Some(true)), ("off", None)] {
        let (api, keys) = looking(|request| request.header("idempotency-key").map(String::from));
        let site = Site::new();
        site.configure(&format!(
            "[api]\nurl = \"{}\"\nidempotency_key = \"{style}\"\n",
            api.url()
        ));
        deliver_one(&site);
        let key = keys.lock().unwrap()[0].clone();
        let is_quoted = key.map(|key| key.starts_with('"') && key.ends_with('"'));
        assert_eq!(is_quoted, quoted, "{style}");
    }
}

#[test]
fn api_timeout_ends_a_request_without_an_answer_as_unknown() {
    let api = Api::answering(|_, request| {
        request.sleep(FOREVER);
        Answer::status(200)
    });
    let site = Site::new();
    site.configure(&format!(
        "[api]\nurl = \"{}\"\ntimeout = \"200ms\"\n",
        api.url()
    ));
    site.import(1, 1..=1);
    site.run(&["drain", "--once"]).assert_code(3);
    let row = site
        .shell("SELECT state, http_status IS NULL, error LIKE '%timeout%' FROM undelivered_record");
    assert_eq!(row, "UNKNOWN 1 1");
}

#[test]
fn api_proxy_decides_who_is_asked_whatever_the_environment_says() {
    for (proxy, asks_proxy) in [("none", false), ("env", true), ("URL", true)] {
        let (by_proxy, asked) = looking(|request| request.target().to_string());
        let api = Api::accepting();
        let site = Site::new();
        let place = by_proxy.url().replace("/records", "");
        let setting = proxy.replace("URL", &place);
        site.configure(&format!(
            "[api]\nurl = \"{}\"\nproxy = \"{setting}\"\ntimeout = \"5s\"\n[retry]\nmax_attempts = 1\n",
            api.url()
        ));
        site.import(1, 1..=1);
        let mut command = site.ferryd(&["drain", "--once"]);
        if proxy != "URL" {
            command
                .env("HTTP_PROXY", &place)
                .env("http_proxy", &place)
                .env("ALL_PROXY", &place);
        }
        command.env_remove("NO_PROXY").env_remove("no_proxy");
        Ran::wait(command);
        let asked = asked.lock().unwrap().clone();
        assert_eq!(!asked.is_empty(), asks_proxy, "{proxy}: {asked:?}");
        if !asks_proxy {
            api.assert_each_once([1]);
        }
    }
}

#[test]
fn shutdown_grace_bounds_the_wait_for_requests_in_flight() {
    let api = Api::answering(|_, request| {
        request.sleep(FOREVER);
        Answer::status(200)
    });
    let site = Site::with(&api, "[shutdown]\ngrace = \"100ms\"\n");
    let daemon = site.daemon();
    site.insert(1, 1);
    eventually("the request is in flight", || !api.seen().is_empty());
    let (code, took) = daemon.terminate();
    assert_eq!(code, 0);
    assert!(took >= Duration::from_millis(100), "{took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(
        site.shell("SELECT state FROM undelivered_record"),
        "UNKNOWN"
    );
}

#[test]
fn within_shutdown_grace_a_request_in_flight_is_answered_and_counts() {
    let api = Api::answering(|_, request| {
        request.sleep(Duration::from_millis(400));
        Answer::status(200)
    });
    let site = Site::with(&api, "");
    let daemon = site.daemon();
    site.insert(1, 1);
    eventually("the request is in flight", || !api.seen().is_empty());
    assert_eq!(daemon.terminate().0, 0);
    assert_eq!(site.shell("SELECT delivered FROM delivery_summary"), "1");
}

#[test]
fn every_record_of_a_file_has_its_own_key_and_another_file_has_others() {
    let api = Api::accepting();
    let (site, other) = (Site::with(&api, ""), Site::with(&api, ""));
    for site in [&site, &other] {
        site.import(1, 1..=5);
        site.run(&["drain"]).assert_code(0);
    }
    let keys: std::collections::HashSet<String> =
        api.seen().into_iter().map(|seen| seen.key).collect();
    assert_eq!(keys.len(), 10);
}
