//! The request in the user's words: what each setting makes of a record, as it arrives at the API, and which records cannot
//! be sent.

mod bodies;
mod recipes;

use crate::harness::{Api, Site, Wired};
use ferryd::server::Answer;

/// A site whose API is at `{api}` in these lines of `[api]`, with the owner's columns `n REAL, extra`, and these rows of
/// (id, network_id, city, n, extra) as SQL.
fn site(api: &Api, toml: &str, rows: &str) -> Site {
    let site = Site::new();
    let server = api.url().replace("/records", "");
    site.configure(&format!("[api]\n{}\n", toml.replace("{api}", &server)));
    site.run(&["init"]).assert_code(0);
    site.write(
        "ALTER TABLE user_record ADD COLUMN n REAL; ALTER TABLE user_record ADD COLUMN extra",
    );
    site.write(&format!(
        "INSERT INTO user_record (id, user_id, network_id, city, n, extra) \
         SELECT column1, 7, column2, column3, column4, column5 FROM (VALUES {rows})"
    ));
    site
}

/// The requests that arrive for these rows, in the order of their ids, and what became of the records that were not sent.
fn sent(toml: &str, rows: &str) -> (Vec<Wired>, Vec<String>) {
    let (api, wired) = Wired::recording();
    let site = site(&api, toml, rows);
    let code = site.run(&["drain"]).code;
    let undelivered = site.shell("SELECT record_id, state, error FROM undelivered_record");
    let undelivered: Vec<String> = undelivered.lines().map(String::from).collect();
    assert_eq!(code, if undelivered.is_empty() { 0 } else { 3 });
    let wired = wired.lock().unwrap().clone();
    (wired, undelivered)
}

#[track_caller]
fn sent_one(toml: &str, row: &str) -> Wired {
    let (wired, undelivered) = sent(toml, row);
    assert_eq!((wired.len(), undelivered), (1, vec![]));
    wired[0].clone()
}

const BREMEN: &str = "(5, 'net 1', 'Bremen/Süd', 2, NULL)";

#[test]
fn columns_fill_path_and_query_percent_encoded() {
    let url =
        "url = \"{api}/users/{user_id}/{network_id}.json?city={city}&n={n}&id={id}&none={extra}\"";
    let request = sent_one(url, BREMEN);
    assert_eq!(
        request.line,
        "POST /users/7/net%201.json?city=Bremen%2FS%C3%BCd&n=2.0&id=5&none="
    );
    assert_eq!(request.body, r#"{"networkId":"net 1","city":"Bremen/Süd"}"#);
}

#[test]
fn a_record_whose_url_would_lose_its_shape_is_dead_and_says_why() {
    let (wired, undelivered) = sent(
        "url = \"{api}/x/{city}/{extra}\"",
        "(1, 'a', NULL, 0, 'e'), (2, 'a', '', 0, 'e'), (3, 'a', '..', 0, 'e'), (4, 'a', '.', 0, 'e'),
         (5, 'a', 'ok', 0, 'e'), (6, 'a', 'ok', 0, x'ff'), (7, 'a', 'ok', 0, 9e999), (8, 'a', 'ok', 0, printf('%9000d', 1))",
    );
    assert_eq!(
        undelivered,
        [
            "1 DEAD city is NULL, but part of the URL's path",
            "2 DEAD city is empty, but part of the URL's path",
            "3 DEAD its URL's path would hold a segment . or .., which does not arrive",
            "4 DEAD its URL's path would hold a segment . or .., which does not arrive",
            "6 DEAD extra is neither a number nor UTF-8 text, so a URL cannot carry it",
            "7 DEAD extra is infinite, which a URL cannot carry",
            "8 DEAD its URL would be longer than 8000 bytes",
        ]
    );
    assert_eq!(wired.len(), 1);
    assert_eq!(wired[0].line, "POST /x/ok/e");
}

#[test]
fn not_found_is_about_the_record_when_the_url_is_and_about_the_destination_when_it_is_not() {
    for status in [404, 410] {
        let api = Api::answering(move |seen, _| {
            Answer::status(if seen.record == 2 { status } else { 200 })
        });
        let rows = "(1, '1', 'a', 0, 0), (2, '2', 'b', 0, 0), (3, '3', 'c', 0, 0)";
        let site = self::site(&api, "url = \"{api}/x?q={id}\"", rows);
        site.run(&["drain"]).assert_code(3);
        api.assert_each_once(1..=3);
        let row = site.shell("SELECT record_id, state, http_status FROM undelivered_record");
        assert_eq!(row, format!("2 DEAD {status}"));

        let site = self::site(&api, "url = \"{api}/x\"", rows);
        site.run(&["drain", "--once"]).assert_code(3);
        assert_eq!(
            site.shell("SELECT gate, dead FROM delivery_summary"),
            "closed 0"
        );

        let moved = "url = \"{api}/x?q={id}\"\nverdicts = { 404 = \"hold\", 410 = \"hold\" }";
        let site = self::site(&api, moved, rows);
        site.run(&["drain", "--once"]).assert_code(3);
        assert_eq!(
            site.shell("SELECT gate, dead FROM delivery_summary"),
            "closed 0"
        );
    }
}

#[test]
fn columns_fill_header_fields_and_a_null_leaves_its_field_out() {
    let headers = "url = \"{api}/\"\n[api.headers]\nX-Place = \"{city} ({n})\"\nX-Json = '{\"id\": {id}}'\nX-Braces = \"{{id}}\"\nX-None = \"a{extra}\"\n";
    let request = sent_one(headers, BREMEN);
    assert_eq!(request.header("x-place"), ["Bremen/Süd (2.0)"]);
    assert_eq!(request.header("x-json"), ["{\"id\": 5}"]);
    assert_eq!(request.header("x-braces"), ["{id}"]);
    assert_eq!(request.headers.len(), 8, "{:?}", request.headers);
    assert!(request.header("x-none").is_empty());
}

#[test]
fn a_value_cannot_begin_another_header_field() {
    let (wired, undelivered) = sent(
        "url = \"{api}/\"\nheaders = { X-City = \"{city}\" }",
        "(1, 'a', 'x' || char(13, 10) || 'X-Evil: 1', 0, 0), (2, 'a', char(0), 0, 0), (3, 'a', 'ok', 0, 0), (4, 'a', printf('%9000d', 1), 0, 0)",
    );
    let reason = "city holds control characters, which the header field x-city cannot carry";
    assert_eq!(
        undelivered,
        [
            format!("1 DEAD {reason}"),
            format!("2 DEAD {reason}"),
            "4 DEAD its header field x-city would be longer than 8000 bytes".into()
        ]
    );
    assert_eq!(wired.len(), 1);
}

#[test]
fn longest_url_and_header_field_still_arrive() {
    let toml = "url = \"{api}/{city}\"\nheaders = { X-City = \"{city}\" }";
    let request = sent_one(toml, "(1, 'a', printf('%.*c', 7999, 'x'), 0, 0)");
    assert_eq!(request.line.len(), "POST /".len() + 7999);
    assert_eq!(request.header("x-city")[0].len(), 7999);
}

#[test]
fn a_header_with_braces_that_hold_no_name_is_sent_as_it_was() {
    let request = sent_one(
        "url = \"{api}/\"\nheaders = { X-Filter = '{\"a\":1,\"b\":{}}' }",
        BREMEN,
    );
    assert_eq!(request.header("x-filter"), [r#"{"a":1,"b":{}}"#]);
}

#[test]
fn the_key_goes_into_the_header_field_of_its_name() {
    let request = sent_one(
        "url = \"{api}/\"\nidempotency_header = \"X-Request-Id\"",
        BREMEN,
    );
    assert!(request.header("idempotency-key").is_empty());
    let keys = request.header("x-request-id");
    assert!(keys.len() == 1 && keys[0].ends_with(".5"), "{keys:?}");
}

#[test]
fn each_attempt_has_a_traceparent_of_its_own_and_the_same_key() {
    let (api, wired) = Wired::recording_answers(|seen| if seen.time < 3 { 500 } else { 200 });
    let toml = "url = \"{api}/\"\ntraceparent = true\n[retry]\ninterval = \"1ms\"\nbackoff = 1.0\n";
    let site = site(&api, toml, "(1, '1', 'a', 0, 0), (2, '2', 'a', 0, 0)");
    site.run(&["drain"]).assert_code(0);
    let wired = wired.lock().unwrap();
    let all = |name: &str| -> std::collections::HashSet<String> {
        wired
            .iter()
            .map(|request| request.header(name)[0].to_string())
            .collect()
    };
    let traces = all("traceparent");
    assert_eq!(
        (wired.len(), traces.len(), all("idempotency-key").len()),
        (6, 6, 2)
    );
    for trace in traces {
        let parts: Vec<&str> = trace.split('-').collect();
        let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
        assert_eq!(
            (parts[0], parts[3], &lengths[..]),
            ("00", "01", &[2, 32, 16, 2][..]),
            "{trace}"
        );
        let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        assert!(
            parts[1].chars().all(hex) && parts[2].chars().all(hex),
            "{trace}"
        );
    }
}

#[test]
fn without_the_setting_there_is_no_traceparent() {
    assert!(
        sent_one("url = \"{api}/\"", BREMEN)
            .header("traceparent")
            .is_empty()
    );
}

#[test]
fn unknown_columns_are_named_by_check_run_and_preview_with_their_keys() {
    let api = Api::accepting();
    let toml = "url = \"{api}/{usr_id}\"\nheaders = { X-City = \"{town}\" }\n[api.body]\nplace.at = [\"city\", \"ctiy\"]\n";
    let site = site(&api, toml, BREMEN);
    let there = "it has id, user_id, network_id, city, n, extra";
    let said = format!(
        "ferryd: api.body.place.at[1] names the column \"ctiy\", which is not in user_record, did you mean \"city\"?; {there}\n\
         ferryd: api.url names the column \"usr_id\", which is not in user_record, did you mean \"user_id\"?; {there}\n\
         ferryd: api.headers.X-City names the column \"town\", which is not in user_record; {there}\n"
    );
    for command in ["check", "run", "drain", "preview"] {
        let ran = site.run(&[command]).assert_code(78);
        assert_eq!(ran.stderr, said, "{command}");
    }
    let shown = site.run(&["check"]).stdout;
    assert_eq!(shown.matches("\nFAIL  columns ").count(), 3, "{shown}");
    assert_eq!(api.seen().len(), 0);
}

#[test]
fn a_url_with_placeholders_is_probed_at_its_server() {
    let api = Api::accepting();
    let site = site(&api, "url = \"{api}/{city}?n={n}\"", BREMEN);
    let ran = site.run(&["check", "--probe"]).assert_code(0);
    assert!(
        ran.stdout
            .contains("ok    columns      user_record has network_id, city, n"),
        "{ran:?}"
    );
    assert!(ran.stdout.contains("ok    probe"), "{ran:?}");
}

#[test]
fn the_environment_sets_a_url_with_placeholders_too() {
    let (api, wired) = Wired::recording();
    let site = site(&api, "", BREMEN);
    let mut drain = site.ferryd(&["drain"]);
    drain
        .env("FERRYD_API_URL", api.url() + "/{id}")
        .env("FERRYD_API_METHOD", "DELETE")
        .env("FERRYD_API_FORMAT", "none");
    crate::harness::Ran::wait(drain).assert_code(0);
    assert_eq!(wired.lock().unwrap()[0].line, "DELETE /records/5");
}
