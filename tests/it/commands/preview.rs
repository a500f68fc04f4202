//! `preview`: the request as it would stand on the wire, and a trial that records nothing.

use crate::harness::{Api, DEADLINE, Ran, Site, Wired, eventually};
use ferryd::server::Answer;
use std::io::{Read, Write};
use std::net::TcpListener;

/// Takes one request at `listener`, answers 200, and returns its bytes.
fn take_one(listener: TcpListener) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut bytes = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = stream.read(&mut buffer) {
            bytes.extend_from_slice(&buffer[..read]);
            if bytes.ends_with(b"}}") {
                break;
            }
        }
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            .unwrap();
        String::from_utf8(bytes).unwrap()
    })
}

#[test]
fn what_is_printed_is_what_goes_over_the_wire() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let site = Site::new();
    site.configure(&format!(
        "[api]\nurl = \"http://{address}/v1/{{id}}?city={{city}}\"\nmethod = \"PUT\"\n\
         [api.headers]\nX-Team = \"{{city}}\"\nUser-Agent = \"ours/1\"\n[api.body]\nat.city = \"city\"\nat.id = \"network_id\"\n"
    ));
    site.import(1, [7]);
    let taken = take_one(listener);
    let shown = site.run(&["preview"]).assert_code(0);
    assert!(
        shown.stdout.contains("idempotency-key: <key>\n"),
        "{shown:?}"
    );
    site.run(&["drain"]).assert_code(0);
    let wire = taken.join().unwrap();

    let shown = site.run(&["preview", "7"]).assert_code(0).stdout;
    let as_sent = shown
        .replacen(&format!("PUT http://{address}/"), "PUT /", 1)
        .trim_end_matches('\n')
        .to_string();
    let (head, body) = as_sent.split_once("\n\n").unwrap();
    assert_eq!(
        wire,
        format!("{}\r\n\r\n{body}", head.replace('\n', "\r\n"))
    );
    assert!(
        head.starts_with("PUT /v1/7?city=Lisboa HTTP/1.1\n"),
        "{head}"
    );
    assert_eq!(body, r#"{"at":{"city":"Lisboa","id":"7"}}"#);
}

#[test]
fn without_an_id_it_is_a_record_that_waits_and_else_the_first() {
    let api = Api::accepting();
    let site = Site::with(&api, "[batch]\nsize = 2\n");
    let body = |site: &Site| {
        let shown = site.run(&["preview"]).assert_code(0).stdout;
        shown.lines().last().unwrap().to_string()
    };
    site.import(1, 1..=2);
    site.run(&["drain"]).assert_code(0);
    assert!(body(&site).contains("\"1\""), "{}", body(&site));
    site.import(3, [9, 8]);
    assert!(body(&site).contains("\"8\""), "not planned yet");
    site.run(&["pause"]).assert_code(0);
    let daemon = site.daemon();
    eventually("the batch is planned", || {
        site.shell("SELECT pending_batches + running_batches FROM delivery_summary") == "1"
    });
    assert!(body(&site).contains("\"8\""), "planned, with the daemon up");
    drop(daemon);
    // Below what was planned: a late row.
    site.run(&["resume"]).assert_code(0);
    site.run(&["drain"]).assert_code(0);
    site.insert(1, 0);
    assert!(body(&site).contains("\"0\""), "late");
}

#[test]
fn without_a_record_it_says_so() {
    let api = Api::accepting();
    let site = Site::with(&api, "");
    site.run(&["preview"])
        .assert_code(1)
        .assert_says("there is no such database");
    site.run(&["init"]).assert_code(0);
    site.run(&["preview"])
        .assert_code(1)
        .assert_says("user_record is empty: there is no record to look at");
    site.import(1, [1]);
    let ran = site
        .run(&["preview", "-5"])
        .assert_code(1)
        .assert_says("record -5 is not in user_record");
    assert_eq!(ran.stdout, "");
    let ran = site.run(&["preview", "--send", "-5"]).assert_code(1);
    assert_eq!((ran.stdout.as_str(), api.seen().len()), ("", 0));
}

#[test]
fn a_record_that_cannot_be_sent_is_said_to_be_so() {
    let api = Api::accepting();
    let site = Site::new();
    site.configure(&format!("[api]\nurl = \"{}/{{city}}\"\n", api.url()));
    site.import_file("a.csv", "id,user_id,city\n1,1,\n");
    for arguments in [&["preview"][..], &["preview", "--send"]] {
        let ran = site.run(arguments).assert_code(1).assert_says(
            "record 1 cannot be sent and will be dead: city is NULL, but part of the URL's path",
        );
        assert_eq!(ran.stdout, "");
    }
    assert_eq!(api.seen().len(), 0);
}

#[test]
fn secrets_are_not_shown() {
    let api = Api::accepting();
    let site = Site::new();
    let url = api.url().replace("http://", "http://me:geheim@");
    let headers = "{ X-Api-Key = \"geheim\", Cookie = \"a=geheim\", X-Team = \"red\" }";
    site.configure(&format!("[api]\nurl = \"{url}\"\nheaders = {headers}\n"));
    site.import(1, [1]);
    for arguments in [&["preview"][..], &["preview", "--send"]] {
        let shown = site.run(arguments).assert_code(0).stdout;
        assert!(
            !shown.contains("geheim") && !shown.contains("me:"),
            "{shown}"
        );
        for line in [
            "authorization: ***",
            "x-api-key: ***",
            "cookie: ***",
            "x-team: red",
        ] {
            assert!(shown.contains(&format!("\n{line}\n")), "{line}: {shown}");
        }
    }
    assert_eq!(api.seen().len(), 1);
}

#[test]
fn nothing_is_sent_and_nothing_is_changed_without_send() {
    let api = Api::accepting();
    let site = Site::with(&api, "");
    site.import(1, 1..=3);
    let before = site.shell(".dump");
    site.run(&["preview", "2"]).assert_code(0);
    assert_eq!(site.shell(".dump"), before);
    assert_eq!(api.seen().len(), 0);
}

#[test]
fn a_trial_has_the_key_that_the_record_keeps_and_is_no_delivery() {
    let api = Api::answering(|_, _| Answer::text(200, "thank\nyou"));
    let site = Site::with(&api, "[batch]\nsize = 2\n");
    site.import(1, 1..=5);
    let ran = site.run(&["preview", "4", "--send"]).assert_code(0);
    let last = ran.stdout.lines().last().unwrap();
    assert!(
        last.starts_with("record 4: accepted; ") && last.ends_with("; HTTP 200 OK: thank\\nyou"),
        "{last}"
    );
    assert_eq!(api.order(), [4]);
    assert_eq!(
        site.shell("SELECT waiting, delivered FROM delivery_summary"),
        "5 0"
    );

    site.run(&["drain"]).assert_code(0);
    let seen = api.seen();
    let keys: Vec<&str> = seen
        .iter()
        .filter(|seen| seen.record == 4)
        .map(|seen| seen.key.as_str())
        .collect();
    assert_eq!(keys.len(), 2);
    assert_eq!(keys[0], keys[1]);
    assert!(
        ran.stdout
            .contains(&format!("\nidempotency-key: {}\n", keys[0])),
        "{ran:?}"
    );
    assert_eq!(seen.len(), 6);
    site.assert_adds_up(0);
}

#[test]
fn a_trial_works_beside_the_daemon_whatever_holds_it_back() {
    let api = Api::accepting();
    let site = Site::with(&api, "[batch]\nlinger = \"7d\"\n");
    site.run(&["init"]).assert_code(0);
    site.run(&["pause"]).assert_code(0);
    let daemon = site.daemon();
    site.insert(1, 1);
    site.run(&["preview", "1", "--send"]).assert_code(0);
    assert_eq!(api.order(), [1]);
    site.run(&["resume"]).assert_code(0);
    site.await_delivered(1);
    let keys: Vec<String> = api.seen().into_iter().map(|seen| seen.key).collect();
    assert_eq!((keys.len(), &keys[0]), (2, &keys[1]));
    assert_eq!(daemon.terminate().0, 0);
}

#[test]
fn a_trial_that_is_not_accepted_ends_with_1_and_says_what_it_would_mean() {
    for (status, said) in [
        (500, "to be sent again later; HTTP 500"),
        (422, "refused for good; it would be dead; HTTP 422"),
        (401, "all sending would be held; HTTP 401"),
    ] {
        let api = Api::answering(move |_, _| Answer::status(status));
        let site = Site::with(&api, "");
        site.import(1, [1]);
        let ran = site.run(&["preview", "--send"]).assert_code(1);
        assert!(ran.stdout.lines().last().unwrap().contains(said), "{ran:?}");
        let state = "SELECT waiting, retrying, dead, gate FROM delivery_summary";
        assert_eq!(site.shell(state), "1 0 0 open");
    }
    let site = Site::new();
    let mut command = site.ferryd(&["preview", "--send"]);
    command.env("FERRYD_API_URL", "http://127.0.0.1:1/");
    site.import(1, [1]);
    let ran = Ran::wait(command).assert_code(1);
    assert!(
        ran.stdout
            .contains("record 1: nothing was sent; not sent: "),
        "{ran:?}"
    );
}

#[test]
fn a_trial_without_a_key_needs_no_batch() {
    let (api, wired) = Wired::recording();
    let site = Site::new();
    site.configure(&format!(
        "[api]\nurl = \"{}\"\nidempotency_key = \"off\"\n",
        api.url()
    ));
    site.import(1, [1]);
    site.run(&["preview", "--send"]).assert_code(0);
    assert!(
        wired.lock().unwrap()[0]
            .header("idempotency-key")
            .is_empty()
    );
    assert_eq!(
        site.shell("SELECT count(*) FROM processing_batch_status"),
        "0"
    );
}

#[test]
fn the_key_of_a_record_in_trouble_is_the_one_it_was_sent_with() {
    let api = Api::answering(|seen, _| Answer::status(if seen.record == 2 { 500 } else { 200 }));
    let site = Site::with(&api, "");
    site.import(1, [2, 3]);
    site.run(&["drain", "--once"]).assert_code(3);
    site.insert(1, 1);
    site.run(&["drain", "--once"]).assert_code(3);
    for seen in api.seen() {
        let shown = site
            .run(&["preview", &seen.record.to_string()])
            .assert_code(0)
            .stdout;
        // Record 1 came in late, which leaves no trace once it is delivered; its id is in no range of ids.
        let key = if seen.record == 1 { "<key>" } else { &seen.key };
        assert!(
            shown.contains(&format!("idempotency-key: {key}\n")),
            "{} {shown}",
            seen.record
        );
    }
}

#[test]
fn in_bulk_mode_the_record_is_alone_in_a_request_of_that_form() {
    let (api, wired) = Wired::recording();
    let bulk = "[api.bulk]\nrecords = 10\n";
    let site = Site::with(&api, bulk);
    site.import(1, 1..=3);
    let last = |ran: Ran| ran.stdout.trim_end().lines().last().unwrap().to_string();
    let body = r#"[{"networkId":"2","city":"Lisboa"}]"#;
    assert_eq!(last(site.run(&["preview", "2"]).assert_code(0)), body);
    let said = last(site.run(&["preview", "2", "--send"]).assert_code(0));
    assert!(
        said.starts_with("record 2: accepted; ") && said.ends_with("; HTTP 200"),
        "{said}"
    );
    let sent = wired.lock().unwrap()[0].clone();
    assert_eq!(sent.body, body);
    assert!(
        sent.header("idempotency-key")[0].ends_with(".2:2"),
        "{sent:?}"
    );

    let refusing = Api::answering(|_, _| {
        Answer::text(200, "{\"results\":[{\"status\":422,\"error\":\"no\"}]}")
    });
    let site = Site::with(
        &refusing,
        &format!("{bulk}items = \"/results\"\nformat = \"ndjson\"\n"),
    );
    site.import(1, 1..=3);
    let said = last(site.run(&["preview", "2", "--send"]).assert_code(1));
    assert_eq!(
        said,
        "record 2: refused for good; it would be dead; item 422: no"
    );
    assert_eq!(
        refusing.seen()[0].body,
        "{\"networkId\":\"2\",\"city\":\"Lisboa\"}\n"
    );
}
