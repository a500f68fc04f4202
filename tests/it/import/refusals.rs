//! What `ferryd import` refuses: the line and the column are named, and nothing is stored.

use super::{import, import_stdin, records};
use crate::harness::Site;
use std::fmt::Write as _;

/// The input is refused with exit code 65; the one line says which line and why; nothing is stored.
#[track_caller]
fn assert_refused(name: &str, content: impl AsRef<[u8]>, line: u64, problem: &str) {
    let site = Site::new();
    site.import(9, [900]);
    let ran = import(&site, name, content).assert_code(65);
    assert_eq!(
        ran.stderr,
        format!("ferryd: {name}:{line}: {problem}; nothing was imported\n")
    );
    assert_eq!(records(&site), "900 9 900 Lisboa");
    assert_eq!(site.shell("SELECT waiting FROM delivery_summary"), "1");
}

#[test]
fn a_fault_of_standard_input_is_named_by_line() {
    let site = Site::new();
    import_stdin(&site, &[], "id,user_id\n1,7\nx,7\n")
        .assert_code(65)
        .assert_says("standard input:3: column id");
}

#[test]
fn a_wrong_number_is_named_by_line_and_column() {
    let head = "id,user_id\n1,7\n";
    for (row, problem) in [
        (
            "2,x",
            "column user_id: \"x\" is not a whole number of 64 bits",
        ),
        (
            "2,",
            "column user_id: \"\" is not a whole number of 64 bits",
        ),
        (
            "2,1.5",
            "column user_id: \"1.5\" is not a whole number of 64 bits",
        ),
        (
            "9223372036854775808,7",
            "column id: \"9223372036854775808\" is not a whole number of 64 bits",
        ),
        (
            "\u{1b}[1m,7",
            "column id: \"\\u{1b}[1m\" is not a whole number of 64 bits",
        ),
    ] {
        assert_refused("a.csv", format!("{head}{row}\n"), 3, problem);
    }
    let line = "{\"id\":1,\"user_id\":7}\n{\"id\":\"2\",\"user_id\":7}\n";
    assert_refused(
        "a.jsonl",
        line,
        2,
        "column id: \"2\" is not a whole number of 64 bits",
    );
}

#[test]
fn the_line_is_that_of_the_row_whatever_the_line_ends_and_blank_lines() {
    let problem = "column user_id: \"x\" is not a whole number of 64 bits";
    for (content, line) in [
        ("id,user_id\r\n1,7\r\n2,x\r\n3,7\r\n", 3),
        ("\nid,user_id\n\n\n1,7\n\n2,x", 7),
        ("\r\nid,user_id\r\n\r\n\r\n1,7\r\n\r\n2,x", 7),
        ("id,city,user_id\n1,\"a\nb\n\",7\n2,\"c\nd\",x\n", 5),
        (
            "id,city,user_id\r\n1,\"a\r\nb\r\n\",7\r\n2,\"c\r\nd\",x\r\n",
            5,
        ),
        ("\u{feff}id,user_id\r\n1,7\n2,x\n", 3),
    ] {
        assert_refused("a.csv", content, line, problem);
    }
    let mut long = String::from("id,user_id,city\r\n");
    for id in 0..3000 {
        write!(long, "{id},7,\"a\n{}\"\r\n", "b".repeat(id % 97)).unwrap();
    }
    long.push_str("1,x,\n");
    assert_refused("a.csv", long, 6002, problem);
}

#[test]
fn a_line_with_too_few_or_too_many_fields_is_refused() {
    let short = "column city is missing: the line has 2 fields, the header has 3";
    assert_refused("a.csv", "id,user_id,city\r\n1,7,a\r\n2,7\r\n", 3, short);
    let long = "the line has 4 fields, the header has 3";
    assert_refused("a.csv", "id,user_id,city\n1,7,a,b\n", 2, long);
}

#[test]
fn a_column_that_user_record_does_not_have_is_refused() {
    let problem = "column \"town\" is not in user_record, which has id, user_id, network_id, city";
    assert_refused("a.csv", "id,user_id,town\n1,7,a\n", 1, problem);
    assert_refused(
        "a.jsonl",
        "{\"id\":1,\"user_id\":7}\n{\"user_id\":7,\"town\":1}\n",
        2,
        problem,
    );
}

#[test]
fn a_column_that_is_there_twice_is_refused() {
    assert_refused(
        "a.csv",
        "id,user_id,city,City\n1,7,a,b\n",
        1,
        "column city is there twice",
    );
    let line = "{\"user_id\":7,\"id\":1,\"user_id\":8}\n";
    assert_refused("a.jsonl", line, 1, "column user_id is there twice");
}

#[test]
fn an_input_without_user_id_is_refused() {
    assert_refused("a.csv", "id,city\n1,a\n", 1, "column user_id is missing");
    assert_refused("a.csv", "", 1, "column user_id is missing");
    assert_refused("a.jsonl", "{\"id\":1}\n", 1, "column user_id is missing");
}

#[test]
fn text_that_is_not_utf_8_is_refused() {
    let csv = b"id,user_id,city\n1,7,a\n2,7,S\xe3o\n";
    assert_refused("a.csv", csv, 3, "column city: not UTF-8 text");
    let json = b"{\"user_id\":7,\"city\":\"S\xe3o\"}\n";
    let problem = "not a JSON object: invalid unicode code point at byte 23";
    assert_refused("a.jsonl", json, 1, problem);
}

#[test]
fn a_line_that_is_no_json_object_is_refused() {
    let good = "{\"user_id\":7}\n";
    for (line, problem) in [
        ("{\"user_id\":7", "EOF while parsing an object at byte 12"),
        (
            "[7]",
            "invalid type: sequence, expected an object at byte 0",
        ),
        (
            "7",
            "invalid type: integer `7`, expected an object at byte 1",
        ),
        ("{\"user_id\":7} {}", "trailing characters at byte 15"),
    ] {
        let problem = format!("not a JSON object: {problem}");
        assert_refused("a.jsonl", format!("{good}\n{line}\n{good}"), 3, &problem);
    }
}

#[test]
fn a_row_that_the_owners_constraint_refuses_is_named_and_nothing_is_stored() {
    let site = Site::new();
    site.write(
        "CREATE TABLE user_record (id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL, network_id TEXT UNIQUE,
                                   city TEXT CONSTRAINT a_city_is_short CHECK (length(city) < 6))",
    );
    import(&site, "a.csv", "id,user_id,city\n1,7,Porto\n2,7,Lisboa\n")
        .assert_code(65)
        .assert_says("a.csv:3: CHECK constraint failed: a_city_is_short; nothing was imported");
    import(&site, "b.csv", "user_id,network_id\n7,a\n7,b\n7,a\n")
        .assert_code(65)
        .assert_says(
            "b.csv:4: UNIQUE constraint failed: user_record.network_id; nothing was imported",
        );
    assert_eq!(records(&site), "");
    assert_eq!(site.shell("SELECT waiting FROM delivery_summary"), "0");
}

#[test]
fn a_row_that_is_there_with_other_content_is_refused_and_nothing_is_stored() {
    let site = Site::new();
    site.import(7, 1..=2);
    import(&site, "a.csv", "id,user_id,city\n3,7,Faro\n2,7,Porto\n")
        .assert_code(65)
        .assert_says("a.csv:3: column id: 2 is there with other content (--replace changes it); nothing was imported");
    import(&site, "b.csv", "id,user_id\n3,7\n3,8\n")
        .assert_code(65)
        .assert_says("b.csv:3: column id: 3 is there with other content");
    assert_eq!(records(&site), "1 7 1 Lisboa\n2 7 2 Lisboa");
}

#[test]
fn a_missing_file_is_named_and_makes_no_database() {
    let site = Site::new();
    site.run(&["import", "nowhere.csv"])
        .assert_code(74)
        .assert_says("nowhere.csv");
    assert!(!site.database().exists());
}
