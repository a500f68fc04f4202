//! `api.body` and what belongs to it: every form it can have, and every one that it cannot.

use super::*;
use serde_json::json;

fn body(text: &str) -> Vec<(String, Content)> {
    good(&format!("[api.body]\n{text}\n")).api.body
}

fn problems(text: &str) -> Vec<String> {
    read(text, &[], &Flags::default()).unwrap_err().problems
}

fn column(name: &str) -> Content {
    Content::Column(name.to_owned())
}

#[test]
fn a_body_nests_and_keeps_the_order_of_the_file() {
    let inner = Content::Object(vec![
        ("z".to_owned(), column("city")),
        (
            "a".to_owned(),
            Content::List(vec![column("lon"), column("lat")]),
        ),
    ]);
    for text in [
        "place = { z = \"city\", a = [\"lon\", \"lat\"] }\nid = \"id\"",
        "place.z = \"city\"\nplace.a = [\"lon\", \"lat\"]\nid = \"id\"",
        "place = { object = { z = \"city\", a = [\"lon\", \"lat\"] } }\nid = \"id\"",
    ] {
        let wanted = [
            ("place".to_owned(), inner.clone()),
            ("id".to_owned(), column("id")),
        ];
        assert_eq!(body(text), wanted, "{text}");
    }
}

#[test]
fn a_constant_is_any_value_of_toml_that_json_has() {
    for (text, wanted) in [
        ("\"x\"", json!("x")),
        ("-5", json!(-5)),
        ("0xff", json!(255)),
        ("1_000.5", json!(1000.5)),
        ("true", json!(true)),
        ("[1, [\"a\"], {}]", json!([1, ["a"], {}])),
        (
            "{ b = 1, a = { value = 2 } }",
            json!({"b": 1, "a": {"value": 2}}),
        ),
    ] {
        let wanted = [("a".to_owned(), Content::Constant(wanted))];
        assert_eq!(body(&format!("a = {{ value = {text} }}")), wanted, "{text}");
    }
    let Content::Constant(object) = &body("a.value = { z = 1, a = 2 }")[0].1 else {
        panic!("it is a constant");
    };
    assert_eq!(object.to_string(), r#"{"z":1,"a":2}"#);
}

#[test]
fn the_three_words_are_keys_like_others_in_larger_tables_and_in_an_object() {
    let wanted = Content::Object(vec![
        ("value".to_owned(), column("amount")),
        ("currency".to_owned(), column("currency")),
    ]);
    let text = "price = { value = \"amount\", currency = \"currency\" }";
    assert_eq!(body(text)[0].1, wanted);
    for word in ["value", "json", "object"] {
        let text = format!("a = {{ object = {{ {word} = \"amount\" }} }}");
        let wanted = Content::Object(vec![(word.to_owned(), column("amount"))]);
        assert_eq!(body(&text)[0].1, wanted);
    }
    assert_eq!(
        body("a = { json = \"extra\" }")[0].1,
        Content::Json("extra".to_owned())
    );
}

#[test]
fn every_unknown_form_is_refused_with_line_and_key() {
    for (text, said) in [
        (
            "a = 5",
            "api.body.a: must be a string, the name of a column",
        ),
        ("a = true", "api.body.a: must be a string"),
        ("a = 2026-01-01", "api.body.a: must be a string"),
        ("a = \"\"", "api.body.a: must name a column"),
        (
            "a = {}",
            "api.body.a: must not be empty; an empty object is written { value = {} }",
        ),
        (
            "a = []",
            "api.body.a: must not be empty; an empty list is written { value = [] }",
        ),
        ("a = [\"x\", 1]", "api.body.a[1]: must be a string"),
        ("a.b.c = 1", "api.body.a.b.c: must be a string"),
        ("a = { json = 5 }", "api.body.a: must name a column, { json"),
        (
            "a = { json = {} }",
            "api.body.a: must name a column, { json",
        ),
        ("a = { object = \"x\" }", "api.body.a: must be a table"),
        ("a = { object = {} }", "api.body.a: must be a table"),
        ("a = { value = inf }", "api.body.a: must be a finite number"),
        ("a = { value = 2026-01-01 }", "api.body.a: must be text"),
        (
            "a = { value = 99999999999999999999 }",
            "api.body.a: must be a constant of at most 64 bits",
        ),
        ("\"a\\nb\" = 1", "api.body.a\\nb: must be a string"),
    ] {
        let found = problems(&format!("[api.body]\nx = \"x\"\n{text}\n"));
        assert_eq!(found.len(), 1, "{found:?}");
        let start = format!("ferryd.toml:3: {said}");
        assert!(found[0].starts_with(&start), "{found:?}");
    }
    assert_eq!(
        problems("api.body = 5"),
        ["ferryd.toml:1: api.body: must be a table: write [api.body], and key = \"column\" below"]
    );
}

#[test]
fn a_form_is_flat() {
    let text = "[api]\nformat = \"form\"\n[api.body]\na = \"a\"\nb.value = 1\nc.x = \"c\"\nd = [\"d\"]\ne.json = \"e\"\nf.value = []\n";
    let reason = "must be a column or a single constant, because api.format is \"form\"";
    let wanted = ["c", "d", "e", "f"].map(|key| format!("ferryd.toml:3: api.body.{key}: {reason}"));
    assert_eq!(problems(text), wanted);
    good("[api]\nformat = \"form\"\n[api.body]\na = \"a\"\nb.value = true\n");
}

#[test]
fn a_body_that_would_not_be_sent_is_refused() {
    assert_eq!(
        problems("[api]\nformat = \"none\"\nbody = { a = \"a\" }\n"),
        [
            "ferryd.toml:3: api.body: is not sent, because api.format is \"none\": remove one of them"
        ]
    );
    assert_eq!(
        problems("[api]\nmethod = \"HEAD\"\n"),
        ["ferryd.toml:2: api.method = \"HEAD\": cannot have a body: set api.format = \"none\""]
    );
    assert_eq!(
        good("[api]\nformat = \"none\"\n").api.format,
        BodyFormat::None
    );
    // One slip, one message.
    assert_eq!(
        problems("[api]\nmethod = \"HEAD\"\nformat = \"no\"\n").len(),
        1
    );
}

#[test]
fn a_header_that_ferryd_writes_is_not_written_a_second_time() {
    let headers = "[api.headers]\nX-Team = \"red\"\nx-id = \"5\"\nTraceParent = \"x\"\n";
    let api = "[api]\nidempotency_header = \"X-ID\"\ntraceparent = true\n";
    let is_written = "is written by ferryd itself: see";
    assert_eq!(
        problems(&format!("{api}{headers}")),
        [
            format!("ferryd.toml:4: api.headers.x-id: {is_written} api.idempotency_header"),
            format!("ferryd.toml:4: api.headers.TraceParent: {is_written} api.traceparent"),
        ]
    );
    let off = "[api]\nidempotency_header = \"X-ID\"\nidempotency_key = \"off\"\n";
    good(&format!("{off}{headers}"));
}
