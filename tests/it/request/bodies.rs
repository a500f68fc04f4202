//! Bodies: nested, constant, embedded, as a form, and none at all.

use super::{BREMEN, sent, sent_one};

#[test]
fn a_body_nests_and_keeps_the_types_of_sqlite() {
    let request = sent_one(
        "url = \"{api}/\"\n[api.body]\nkind = { value = \"visit\" }\nv.value = [1, 2.5, { a = true }]\n\
         at = { place = { city = \"city\", none = \"extra\" }, list = [\"n\", \"id\"] }\nuser = \"user_id\"\nprice.object.value = \"n\"\n",
        BREMEN,
    );
    assert_eq!(
        request.body,
        r#"{"kind":"visit","v":[1,2.5,{"a":true}],"at":{"place":{"city":"Bremen/Süd","none":null},"list":[2.0,5]},"user":7,"price":{"value":2.0}}"#
    );
    assert_eq!(request.header("content-type"), ["application/json"]);
}

#[test]
fn json_in_a_column_is_embedded_as_it_is_and_must_be_json() {
    let (wired, undelivered) = sent(
        "url = \"{api}/\"\nbody = { id = \"id\", extra = { json = \"extra\" } }",
        "(1, 'a', 'a', 0, '{\"n\": 0.10000000000000000000000001, \"é\": [1e400] }'), (2, 'a', 'a', 0, NULL),
         (3, 'a', 'a', 0, '{oops'), (4, 'a', 'a', 0, 3)",
    );
    let bodies: Vec<&str> = wired.iter().map(|request| request.body.as_str()).collect();
    assert_eq!(
        bodies,
        [
            "{\"id\":1,\"extra\":{\"n\": 0.10000000000000000000000001, \"é\": [1e400] }}",
            "{\"id\":2,\"extra\":null}",
            "{\"id\":4,\"extra\":3}",
        ]
    );
    assert_eq!(
        undelivered,
        ["3 DEAD extra does not hold JSON: key must be a string at line 1 column 2"]
    );
}

#[test]
fn a_form_is_written_as_forms_are_and_null_is_left_out() {
    let request = sent_one(
        "url = \"{api}/\"\nformat = \"form\"\n[api.body]\n\"the city\" = \"city\"\nn = \"n\"\nnone = \"extra\"\nkind.value = \"a&b\"\nyes.value = true\nnet = \"network_id\"\n",
        BREMEN,
    );
    assert_eq!(
        request.body,
        "the+city=Bremen%2FS%C3%BCd&n=2.0&kind=a%26b&yes=true&net=net+1"
    );
    assert_eq!(
        request.header("content-type"),
        ["application/x-www-form-urlencoded"]
    );
    assert_eq!(
        request.header("content-length"),
        [request.body.len().to_string()]
    );
}

#[test]
fn a_form_of_nothing_but_nulls_is_an_empty_body() {
    let request = sent_one(
        "url = \"{api}/\"\nformat = \"form\"\nbody = { a = \"extra\" }",
        BREMEN,
    );
    assert_eq!(
        (request.body.as_str(), request.header("content-length")),
        ("", vec!["0"])
    );
}

#[test]
fn none_is_no_body_and_says_so_only_where_a_server_may_expect_one() {
    for (method, length) in [
        ("POST", vec!["0"]),
        ("PUT", vec!["0"]),
        ("GET", vec![]),
        ("DELETE", vec![]),
        ("HEAD", vec![]),
        ("PURGE", vec![]),
    ] {
        let request = sent_one(
            &format!("url = \"{{api}}/{{id}}\"\nmethod = \"{method}\"\nformat = \"none\""),
            BREMEN,
        );
        assert_eq!(request.line, format!("{method} /5"));
        assert_eq!(request.body, "");
        assert_eq!(request.header("content-length"), length, "{method}");
        assert!(
            request.header("content-type").is_empty()
                && request.header("transfer-encoding").is_empty()
        );
    }
}

#[test]
fn a_get_may_have_a_body_and_check_says_that_it_is_unusual() {
    let request = sent_one("url = \"{api}/\"\nmethod = \"GET\"", BREMEN);
    assert_eq!(
        (request.line.as_str(), request.body.as_str()),
        ("GET /", r#"{"networkId":"net 1","city":"Bremen/Süd"}"#)
    );

    let api = crate::harness::Api::accepting();
    let site = super::site(&api, "url = \"{api}/\"\nmethod = \"GET\"", BREMEN);
    let shown = site.run(&["check"]).assert_code(0).stdout;
    assert!(
        shown.contains("note  api.method   GET with a body"),
        "{shown}"
    );
    site.configure(&format!(
        "[api]\nurl = \"{}\"\nmethod = \"GET\"\nformat = \"none\"\n",
        api.url()
    ));
    let shown = site.run(&["check"]).assert_code(0).stdout;
    assert!(!shown.contains("note"), "{shown}");
}

#[test]
fn the_content_type_can_be_set() {
    let toml = "url = \"{api}/\"\nheaders = { content-type = \"application/vnd.x+json\" }";
    assert_eq!(
        sent_one(toml, BREMEN).header("content-type"),
        ["application/vnd.x+json"]
    );
}
