//! `ferryd import`: what is taken, and how it arrives in user_record.

mod refusals;

use crate::harness::{Api, Ran, Site};
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::Stdio;

/// Runs `ferryd import` with a file of this name and content.
#[track_caller]
fn import(site: &Site, name: &str, content: impl AsRef<[u8]>) -> Ran {
    std::fs::write(site.path(name), content).unwrap();
    site.run(&["import", name])
}

/// Runs `ferryd import -` with this standard input.
#[track_caller]
fn import_stdin(site: &Site, arguments: &[&str], content: &str) -> Ran {
    let mut command = site.ferryd(&[&["import", "-"], arguments].concat());
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(content.as_bytes()).unwrap();
    drop(stdin);
    Ran::finish(child)
}

fn records(site: &Site) -> String {
    site.shell("SELECT id, user_id, coalesce(network_id, '-'), coalesce(city, '-') FROM user_record ORDER BY id")
}

#[test]
fn csv_columns_go_by_name_in_any_order() {
    let site = Site::new();
    import(
        &site,
        "a.csv",
        "City,user_id,ID\nPorto,7,-3\n\"Faro, Algarve\",8,0\n",
    )
    .assert_code(0);
    assert_eq!(records(&site), "-3 7 - Porto\n0 8 - Faro, Algarve");
}

#[test]
fn jsonl_keys_go_by_name_and_each_line_may_have_its_own() {
    let site = Site::new();
    let lines = "{\"user_id\":7,\"id\":2,\"city\":\"Porto\"}\n\n{\"id\":1,\"network_id\":null,\"user_id\":8}\n{\"user_id\":9,\"network_id\":12}";
    let said = import(&site, "a.jsonl", lines).assert_code(0).stdout;
    assert!(said == "ferryd.db: imported 3 records\n", "{said}");
    assert_eq!(records(&site), "1 8 - -\n2 7 - Porto\n3 9 12 -");
}

#[test]
fn csv_comes_from_standard_input() {
    let site = Site::new();
    import_stdin(&site, &[], "id,user_id\n1,7\n").assert_code(0);
    assert_eq!(records(&site), "1 7 - -");
}

#[test]
fn jsonl_comes_from_standard_input() {
    let site = Site::new();
    import_stdin(&site, &["--format", "jsonl"], "{\"id\":1,\"user_id\":7}\n").assert_code(0);
    assert_eq!(records(&site), "1 7 - -");
}

#[test]
fn the_owners_columns_are_filled_and_generated_ones_cannot_be() {
    let site = Site::new();
    site.write(
        "CREATE TABLE user_record (id INTEGER PRIMARY KEY, user_id INTEGER, network_id TEXT, city TEXT,
                                   \"e mail\" TEXT, price REAL, loud TEXT AS (upper(city)))",
    );
    let csv = "id,user_id,city,e mail,price\n1,7,Porto,a@x,12.50\n2,7,,,\n";
    import(&site, "a.csv", csv).assert_code(0);
    let owners = "SELECT id, city, \"e mail\", price, loud FROM user_record WHERE price > 0";
    assert_eq!(site.shell(owners), "1 Porto a@x 12.5 PORTO");
    import(&site, "a.csv", csv).assert_code(0);
    import(&site, "b.csv", "user_id,loud\n7,X\n")
        .assert_code(65)
        .assert_says("\"loud\"");
}

#[test]
fn an_id_left_out_is_given_by_sqlite() {
    let site = Site::new();
    import(&site, "a.csv", "user_id,city\n7,Porto\n8,Faro\n").assert_code(0);
    import(&site, "a.csv", "user_id,city\n7,Porto\n").assert_code(0);
    assert_eq!(records(&site), "1 7 - Porto\n2 8 - Faro\n3 7 - Porto");
}

#[test]
fn an_empty_field_is_null_and_a_json_string_is_not() {
    let site = Site::new();
    import(&site, "a.csv", "id,user_id,network_id,city\n1,7,,\"\"\n").assert_code(0);
    import(
        &site,
        "a.jsonl",
        "{\"id\":2,\"user_id\":7,\"network_id\":\"\",\"city\":null}",
    )
    .assert_code(0);
    assert_eq!(
        site.shell("SELECT network_id IS NULL, city IS NULL FROM user_record ORDER BY id"),
        "1 1\n0 1"
    );
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_first_name() {
    let site = Site::new();
    import(&site, "a.csv", "\u{feff}id,user_id\n1,7\n").assert_code(0);
    import(&site, "a.jsonl", "\u{feff}{\"id\":2,\"user_id\":7}\n").assert_code(0);
    assert_eq!(records(&site), "1 7 - -\n2 7 - -");
}

#[test]
fn windows_line_ends_are_no_part_of_a_field() {
    let site = Site::new();
    import(
        &site,
        "a.csv",
        "id,user_id,city\r\n1,7,Porto\r\n2,7,Faro\r\n",
    )
    .assert_code(0);
    import(
        &site,
        "a.jsonl",
        "{\"id\":3,\"user_id\":7,\"city\":\"Beja\"}\r\n",
    )
    .assert_code(0);
    assert_eq!(records(&site), "1 7 - Porto\n2 7 - Faro\n3 7 - Beja");
}

#[test]
fn a_quoted_field_keeps_its_newlines_commas_and_quotes() {
    let site = Site::new();
    import(
        &site,
        "a.csv",
        "id,user_id,city\n1,7,\"a\r\nb,\n\"\"c\"\"\"\n",
    )
    .assert_code(0);
    assert_eq!(
        site.value::<String>("SELECT city FROM user_record"),
        "a\r\nb,\n\"c\""
    );
}

#[test]
fn a_row_that_is_there_with_the_same_content_is_skipped() {
    let api = Api::accepting();
    let site = Site::with(&api, "");
    site.import(7, 1..=5);
    site.run(&["drain"]).assert_code(0);
    let csv = "id,user_id,network_id,city\n5,7,5,Lisboa\n6,7,6,Lisboa\n6,7,6,Lisboa\n";
    let said = import(&site, "a.csv", csv).assert_code(0).stdout;
    assert!(
        said == "ferryd.db: imported 1 record, skipped 2 that were there\n",
        "{said}"
    );
    site.run(&["drain"]).assert_code(0);
    api.assert_each_once(1..=6);
    site.assert_adds_up(0);
}

#[test]
fn replace_changes_rows_and_sends_no_delivered_one_again() {
    let api = Api::accepting();
    let site = Site::with(&api, "");
    site.import(7, 1..=2);
    site.run(&["drain"]).assert_code(0);
    site.import(7, 3..=4);
    let csv = "id,user_id,city\n2,7,Porto\n3,8,Faro\n4,7,Lisboa\n5,7,Beja\n";
    std::fs::write(site.path("a.csv"), csv.replace("5,7", "5,8")).unwrap();
    let said = site
        .run(&["import", "a.csv", "--replace"])
        .assert_code(0)
        .stdout;
    assert!(
        said == "ferryd.db: imported 1 record, replaced 2, skipped 1 that were there\n",
        "{said}"
    );
    assert_eq!(
        records(&site),
        "1 7 1 Lisboa\n2 7 2 Porto\n3 8 3 Faro\n4 7 4 Lisboa\n5 8 - Beja"
    );
    site.write("UPDATE user_record SET network_id = id");
    site.run(&["drain"]).assert_code(0);
    api.assert_each_once(1..=5);
    site.assert_adds_up(0);
}

#[test]
fn what_is_imported_while_the_daemon_runs_is_delivered() {
    let api = Api::accepting();
    let site = Site::with(&api, "[batch]\nsize = 100\n");
    let daemon = site.daemon();
    site.import(1, 1..=250);
    site.import(2, 251..=260);
    site.await_delivered(260);
    assert_eq!(daemon.terminate().0, 0);
    api.assert_each_once(1..=260);
    site.assert_adds_up(0);
}

#[test]
fn a_hundred_thousand_rows_come_in_at_once() {
    let site = Site::new();
    let mut csv = String::from("id,user_id,network_id,city\r\n");
    for id in 1..=100_000 {
        write!(csv, "{id},{},{id},Lisboa\r\n", id % 100).unwrap();
    }
    site.import_file("a.csv", &csv);
    assert_eq!(
        site.shell("SELECT count(*), min(id), max(id), count(DISTINCT user_id) FROM user_record"),
        "100000 1 100000 100"
    );
    assert_eq!(site.shell("SELECT waiting FROM delivery_summary"), "100000");
    assert_eq!(
        site.shell("SELECT count(*), min(waiting), max(waiting) FROM user_progress"),
        "100 1000 1000"
    );
}
