//! `import` as a command: what it says, and how it ends when the input is at fault.

use crate::harness::{Ran, Site};
use std::process::Stdio;

#[test]
fn import_says_what_it_did() {
    let site = Site::new();
    std::fs::write(site.path("a.csv"), "id,user_id,city\n1,7,Porto\n2,7,Faro\n").unwrap();
    let said = |arguments: &[&str]| site.run(arguments).assert_code(0).stdout;
    assert_eq!(
        said(&["import", "a.csv"]),
        "ferryd.db: imported 2 records\n"
    );
    assert_eq!(
        said(&["import", "a.csv"]),
        "ferryd.db: imported 0 records, skipped 2 that were there\n"
    );
    std::fs::write(site.path("a.csv"), "id,user_id,city\n1,7,Lagos\n2,7,Faro\n").unwrap();
    assert_eq!(
        said(&["import", "--replace", "a.csv"]),
        "ferryd.db: imported 0 records, replaced 1, skipped 1 that were there\n"
    );
    assert_eq!(said(&["-q", "import", "a.csv"]), "");
}

#[test]
fn import_reads_standard_input() {
    let site = Site::new();
    std::fs::write(site.path("a.jsonl"), "{\"user_id\": 7}\n{\"user_id\": 8}\n").unwrap();
    let mut command = site.ferryd(&["import", "-", "--format", "jsonl"]);
    command.stdin(Stdio::from(
        std::fs::File::open(site.path("a.jsonl")).unwrap(),
    ));
    Ran::wait(command).assert_code(0);
    assert_eq!(site.shell("SELECT count(*) FROM user_record"), "2");
}

#[test]
fn a_bad_line_is_named_in_one_line_and_nothing_is_stored() {
    let site = Site::new();
    for (name, text, said) in [
        (
            "a.csv",
            "id,user_id\n1,7\n2,x\n",
            "a.csv:3: column user_id: \"x\" is not a whole number",
        ),
        (
            "a.csv",
            "id,user_id\n1,7\n2\n",
            "a.csv:3: column user_id is missing: the line has 1 fields, the header has 2",
        ),
        (
            "a.csv",
            "id,user\n1,7\n",
            "a.csv:1: column \"user\" is not in user_record",
        ),
        (
            "a.jsonl",
            "{\"user_id\": 1}\nnope\n",
            "a.jsonl:2: not a JSON object",
        ),
        (
            "a.jsonl",
            "{\"user_id\": 1}\n{\"user_id\": \"x\"}\n",
            "a.jsonl:2: column user_id: \"x\" is not",
        ),
    ] {
        std::fs::write(site.path(name), text).unwrap();
        let ran = site
            .run(&["import", name])
            .assert_code(65)
            .assert_says(said);
        assert!(ran.stderr.ends_with("; nothing was imported\n"), "{ran:?}");
        assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
    }
    assert_eq!(site.shell("SELECT count(*) FROM user_record"), "0");
}

#[test]
fn the_place_in_a_line_that_is_not_json_is_told_without_a_second_line_number() {
    let site = Site::new();
    std::fs::write(site.path("a.jsonl"), "{\"user_id\": 1}\n{\"user_id\": ?}\n").unwrap();
    site.run(&["import", "a.jsonl"])
        .assert_code(65)
        .assert_says("a.jsonl:2: not a JSON object: expected value at byte 13; nothing");
}

#[test]
fn an_input_that_cannot_be_read_is_named() {
    let site = Site::new();
    std::fs::create_dir(site.path("folder")).unwrap();
    for format in ["csv", "jsonl"] {
        site.run(&["import", "folder", "--format", format])
            .assert_code(74)
            .assert_says("folder: ");
    }
    site.run(&["import", "missing.csv"])
        .assert_code(74)
        .assert_says("missing.csv: the file cannot be read: No such file");
}
