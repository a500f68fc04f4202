//! `status`: what the views say, with the daemon up or down, for people and for programs.

use crate::background::Background;
use crate::harness::{Api, Site};
use ferryd::server::Answer;

/// Record 2 waits for a retry, record 3 is dead, the others are delivered.
fn mixed() -> (Api, Site) {
    let api = Api::answering(|seen, _| {
        Answer::status(match seen.record {
            2 => 503,
            3 => 422,
            _ => 200,
        })
    });
    let site = Site::with(&api, "");
    site.import(7, 1..=5);
    site.run(&["drain", "--once"]).assert_code(3);
    (api, site)
}

#[test]
fn the_table_shows_records_batches_users_and_the_last_failure() {
    let (_api, site) = mixed();
    let said = site.run(&["status"]).assert_code(0).stdout;
    let words = said.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "database ferryd.db ferryd not running gate open",
        "records waiting 0 delivered 3 retrying 1 unknown 0 dead 1",
        "batches pending 0 running 0 success 0 failed 1 dead 0",
        "oldest nothing waits",
        "user % waiting delivered retrying dead batches 7 60 0 3 1 1 0/1",
        "failed user status failures ago retry first error 1 7 FAILED 1 ",
        " id=2: HTTP 503",
    ] {
        assert!(words.contains(part), "{part}\n{said}");
    }
}

#[test]
fn the_keys_of_the_json_are_exactly_the_columns_of_delivery_summary() {
    let (_api, site) = mixed();
    let columns = site.shell("SELECT name FROM pragma_table_info('delivery_summary')");
    let said = site.run(&["status", "--json"]).assert_code(0).stdout;
    let json: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&said).unwrap();
    let keys: Vec<&str> = json.keys().map(String::as_str).collect();
    assert_eq!(keys, columns.lines().collect::<Vec<_>>());
    assert_eq!(said.lines().count(), 1);
}

#[test]
fn the_json_says_what_the_view_says() {
    let (_api, site) = mixed();
    let said = site.run(&["status", "--json"]).assert_code(0).stdout;
    let json: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&said).unwrap();
    for (key, value) in json {
        let shown = site.shell(&format!(
            "SELECT coalesce({key}, 'null') FROM delivery_summary"
        ));
        assert_eq!(value.to_string().trim_matches('"'), shown, "{key}");
    }
}

#[test]
fn status_is_the_same_with_the_daemon_up_and_down() {
    let api = Api::accepting();
    let site = Site::with(&api, "");
    let daemon = site.daemon();
    site.import(7, 1..=5);
    site.await_delivered(5);
    let up = site.run(&["status", "--json"]).assert_code(0).stdout;
    assert_eq!(daemon.terminate().0, 0);
    let down = site.run(&["status", "--json"]).assert_code(0).stdout;
    assert_eq!(up, down);
    assert!(up.contains("\"delivered\":5"), "{up}");
}

#[test]
fn watch_prints_again_until_a_signal_and_ends_with_0() {
    let api = Api::accepting();
    let site = Site::with(&api, "");
    site.run(&["init"]).assert_code(0);
    let watch = Background::start(&site, &["status", "--watch", "--json"]);
    watch.await_output("it has printed", |out| !out.is_empty());
    site.insert(7, 1);
    watch.await_output("it shows the new record", |out| {
        out.lines()
            .last()
            .is_some_and(|line| line.contains("\"waiting\":1"))
    });
    let (code, out) = watch.end("TERM");
    assert_eq!(code, 0);
    assert!(
        out.lines().next().unwrap().contains("\"waiting\":0"),
        "{out}"
    );
}

#[test]
fn watch_ends_with_0_on_ctrl_c_too() {
    let site = Site::new();
    site.run(&["init"]).assert_code(0);
    let watch = Background::start(&site, &["status", "--watch"]);
    watch.await_output("it has printed", |out| out.contains("oldest "));
    assert_eq!(watch.end("INT").0, 0);
}

#[test]
fn more_users_than_the_table_holds_are_mentioned() {
    let site = Site::new();
    site.run(&["init"]).assert_code(0);
    for user in 1..=10 {
        site.insert(user, user);
    }
    let ten = site.run(&["status"]).assert_code(0).stdout;
    assert!(!ten.contains("… and more"), "{ten}");
    site.insert(11, 11);
    let eleven = site.run(&["status"]).assert_code(0).stdout;
    assert!(
        eleven.contains("… and more: SELECT * FROM user_progress"),
        "{eleven}"
    );
}

#[test]
fn a_missing_database_is_not_made_by_looking_at_it() {
    let site = Site::new();
    site.run(&["status"])
        .assert_code(1)
        .assert_says("ferryd.db: there is no such database; make one with `ferryd init`");
    assert!(!site.database().exists());
}

#[test]
fn a_database_that_is_not_set_up_is_left_as_it_is() {
    let site = Site::new();
    let sql = "CREATE TABLE user_record (id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL, network_id TEXT, city TEXT)";
    site.connect().execute_batch(sql).unwrap();
    site.run(&["status"])
        .assert_code(1)
        .assert_says("ferryd has not set this database up yet; `ferryd init` or `ferryd run` does");
    let tables = site.shell("SELECT group_concat(name) FROM sqlite_schema");
    assert_eq!(tables, "user_record");
}

#[test]
fn what_is_no_regular_file_is_said_to_be_so() {
    let site = Site::new();
    std::fs::create_dir(site.path("folder")).unwrap();
    for path in ["folder", "/dev/null"] {
        for command in [&["status"][..], &["init"]] {
            let ran = site
                .run(&[command, &["--database", path]].concat())
                .assert_code(65);
            let said = format!(
                "ferryd: {path}: it is not a regular file; set database.path to another file\n"
            );
            assert_eq!(ran.stderr, said);
        }
    }
}
