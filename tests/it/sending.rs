//! Sending: what a request looks like on the wire, and that a record is known by its key.

use crate::harness::{Api, DEADLINE, Ran, Site, Wired};
use ferryd::server::Answer;
use std::collections::{HashMap, HashSet};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Sends one record under these lines of `[api]` and returns the request.
fn request_under(api_toml: &str) -> Wired {
    let (api, wired) = Wired::recording();
    let site = Site::new();
    site.configure(&format!("[api]\nurl = \"{}\"\n{api_toml}", api.url()));
    site.import(1, [7]);
    site.run(&["drain"]).assert_code(0);
    let wired = wired.lock().unwrap();
    assert_eq!(wired.len(), 1);
    wired[0].clone()
}

#[test]
fn a_record_is_one_post_with_the_headers_and_the_body_of_the_contract() {
    let request = request_under("");
    assert_eq!(request.line, "POST /records");
    assert_eq!(request.body, r#"{"networkId":"7","city":"Lisboa"}"#);
    assert_eq!(request.header("content-type"), ["application/json"]);
    assert_eq!(
        request.header("user-agent"),
        [concat!("ferryd/", env!("CARGO_PKG_VERSION"))]
    );
    assert_eq!(request.header("content-length"), ["33"]);
    assert_eq!(request.header("host").len(), 1);
    let keys = request.header("idempotency-key");
    assert!(keys.len() == 1 && keys[0].ends_with(".7"), "{keys:?}");
    assert!(
        keys[0]
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '.')
    );
    assert_eq!(request.headers.len(), 5, "{:?}", request.headers);
}

#[test]
fn the_method_and_further_headers_are_those_of_the_configuration() {
    let request = request_under(
        "method = \"PUT\"\n[api.headers]\nAuthorization = \"Bearer s3cret\"\nX-Team = \"grün\"\n\
         content-type = \"application/vnd.records+json\"\nUser-Agent = \"ours/1\"\n",
    );
    assert_eq!(request.line, "PUT /records");
    assert_eq!(request.header("authorization"), ["Bearer s3cret"]);
    assert_eq!(request.header("x-team"), ["grün"]);
    assert_eq!(
        request.header("content-type"),
        ["application/vnd.records+json"]
    );
    assert_eq!(request.header("user-agent"), ["ours/1"]);
}

#[test]
fn the_path_and_the_query_of_the_url_are_sent_as_configured() {
    let (api, wired) = Wired::recording();
    let site = Site::new();
    let url = api.url().replace("/records", "/v1/a%20b?source=f&x=%C3%BC");
    site.configure(&format!("[api]\nurl = \"{url}\"\n"));
    site.import(1, [7]);
    site.run(&["drain"]).assert_code(0);
    assert_eq!(
        wired.lock().unwrap()[0].line,
        "POST /v1/a%20b?source=f&x=%C3%BC"
    );
}

#[test]
fn the_idempotency_key_is_bare_quoted_or_off() {
    let key = |style: &str| {
        let request = request_under(&format!("idempotency_key = \"{style}\"\n"));
        let keys = request.header("idempotency-key");
        assert!(keys.len() <= 1);
        keys.first().map(|key| key.to_string())
    };
    assert!(!key("bare").unwrap().contains('"'));
    let quoted = key("quoted").unwrap();
    let inside = quoted
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    assert!(inside.is_some_and(|key| !key.contains('"')), "{quoted}");
    assert_eq!(key("off"), None);
}

#[test]
fn values_reach_the_api_as_they_are_stored() {
    let (api, wired) = Wired::recording();
    let site = Site::new();
    site.configure(&format!(
        "[api]\nurl = \"{}\"\n[api.body]\n\"the \\\"id\\\"\" = \"id\"\ncity = \"city\"\nextra = \"ex tra\"\n",
        api.url()
    ));
    site.import(1, []);
    let conn = site.connect();
    conn.execute_batch(
        "ALTER TABLE user_record ADD COLUMN \"ex tra\";
         INSERT INTO user_record (id, user_id, city, \"ex tra\") VALUES
           (-9223372036854775808, 1, NULL, NULL),
           (0, 1, 'Sankt \"Pölten\" \\ 東京 🚢' || char(10, 9, 0, 127, 8232), 1),
           (1, 1, '', -1.5),
           (2, 1, 42, 9223372036854775807),
           (9223372036854775807, 1, 'null', 1e300);",
    )
    .unwrap();
    site.run(&["drain"]).assert_code(0);
    let wired = wired.lock().unwrap();
    let bodies: HashSet<&str> = wired.iter().map(|request| request.body.as_str()).collect();
    let wanted = [
        r#"{"the \"id\"":-9223372036854775808,"city":null,"extra":null}"#,
        "{\"the \\\"id\\\"\":0,\"city\":\"Sankt \\\"Pölten\\\" \\\\ 東京 🚢\\n\\t\\u0000\u{7f}\u{2028}\",\"extra\":1}",
        r#"{"the \"id\"":1,"city":"","extra":-1.5}"#,
        // The column has the affinity TEXT.
        r#"{"the \"id\"":2,"city":"42","extra":9223372036854775807}"#,
        r#"{"the \"id\"":9223372036854775807,"city":"null","extra":1e+300}"#,
    ];
    assert_eq!(bodies, HashSet::from(wanted));
    for body in bodies {
        serde_json::from_str::<serde_json::Value>(body).unwrap();
    }
}

#[test]
fn a_value_that_json_cannot_carry_makes_its_record_dead_unsent_and_says_why() {
    let api = Api::accepting();
    let site = Site::with(&api, "");
    site.import(1, [1, 4]);
    site.connect()
        .execute_batch(
            "INSERT INTO user_record VALUES (2, 1, '2', x'00ff'), (3, 1, '3', CAST(x'ff41' AS TEXT))",
        )
        .unwrap();
    site.run(&["drain"]).assert_code(3);
    api.assert_each_once([1, 4]);
    let batch = site
        .shell("SELECT status, delivered_count, retry_count, error_message FROM failed_batches");
    let reason = "city is neither a number nor UTF-8 text, so JSON cannot carry it";
    assert_eq!(
        batch,
        format!("DEAD 2 1 id=2: {reason}\nid=3: {reason}"),
        "{batch}"
    );
    let reason_in_words = site.shell("SELECT reason FROM undelivered WHERE record_id = 2");
    assert_eq!(reason_in_words, format!("will not be sent again: {reason}"));
}

#[test]
fn keys_are_unique_per_record_and_the_same_in_each_attempt_and_after_a_restart() {
    let api = Api::answering(|seen, _| Answer::status(if seen.time < 4 { 500 } else { 200 }));
    let site = Site::with(
        &api,
        "[retry]\ninterval = \"1ms\"\nbackoff = 1.0\n[batch]\nsize = 7\n",
    );
    site.import(1, 1..=20);
    site.import(2, 21..=30);
    site.run(&["drain", "--once"]).assert_code(3);
    site.run(&["drain", "--once"]).assert_code(3);
    site.run(&["drain"]).assert_code(0);
    let mut key_of = HashMap::new();
    for seen in api.seen() {
        assert!(!seen.key.is_empty());
        let key = key_of.entry(seen.record).or_insert(seen.key.clone());
        assert_eq!(*key, seen.key);
    }
    let distinct: HashSet<&String> = key_of.values().collect();
    assert_eq!((key_of.len(), distinct.len()), (30, 30));
    assert!(api.times().values().all(|times| *times == 4));
}

#[test]
fn two_files_never_give_the_same_key() {
    let key = || request_under("").header("idempotency-key")[0].to_string();
    assert_ne!(key(), key());
}

#[test]
fn a_record_that_is_deleted_and_inserted_again_gets_a_new_key() {
    let api = Api::accepting();
    let site = Site::with(&api, "");
    site.import(1, 1..=3);
    site.run(&["drain"]).assert_code(0);
    site.connect()
        .execute("DELETE FROM user_record WHERE id = 2", [])
        .unwrap();
    site.insert(1, 2);
    site.run(&["drain"]).assert_code(0);
    let keys: HashSet<String> = api.seen().into_iter().map(|seen| seen.key).collect();
    assert_eq!((api.times()[&2], keys.len()), (2, 4));
}

#[test]
fn no_proxy_is_taken_from_the_environment() {
    let api = Api::accepting();
    let site = Site::with(&api, "");
    site.import(1, 1..=3);
    let mut drain = site.ferryd(&["drain"]);
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        drain.env(name, "http://127.0.0.1:9");
    }
    Ran::wait(drain).assert_code(0);
    api.assert_each_once(1..=3);
}

/// A relay before an API that counts the connections it takes.
struct Relay {
    address: SocketAddr,
    taken: Arc<AtomicUsize>,
}

impl Relay {
    fn to(api: &Api) -> Relay {
        let target = api.url().replace("http://", "").replace("/records", "");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let taken = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&taken);
        // The thread ends with the test process.
        std::thread::spawn(move || {
            for client in listener.incoming() {
                count.fetch_add(1, Ordering::SeqCst);
                let (client, server) = (client.unwrap(), TcpStream::connect(&target).unwrap());
                pour(client.try_clone().unwrap(), server.try_clone().unwrap());
                pour(server, client);
            }
        });
        Relay { address, taken }
    }
}

/// Hands on what comes until one side closes.
fn pour(mut from: TcpStream, mut to: TcpStream) {
    from.set_nodelay(true).unwrap();
    from.set_read_timeout(Some(DEADLINE)).unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(read) = from.read(&mut buffer)
            && read > 0
            && to.write_all(&buffer[..read]).is_ok()
        {}
        let _ = to.shutdown(Shutdown::Both);
    });
}

/// Many servers end a connection after some requests, and some of them do not say so before.
#[test]
fn a_server_that_closes_after_each_answer_without_saying_so_gets_each_record_once() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let taken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&taken);
    // The thread ends with the test process.
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            client.set_read_timeout(Some(DEADLINE)).unwrap();
            // A request of ours is one write.
            if client.read(&mut [0; 4096]).unwrap() > 0 {
                count.fetch_add(1, Ordering::SeqCst);
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
                client.write_all(answer).unwrap();
            }
        }
    });
    let site = Site::new();
    site.configure(&format!(
        "[api]\nurl = \"http://{address}/records\"\nrate_limit = \"100/s\"\n[workers]\nthreads = 1\n"
    ));
    site.import(1, 1..=20);
    site.run(&["drain", "--once"]).assert_code(0);
    assert_eq!(taken.load(Ordering::SeqCst), 20);
}

#[test]
fn connections_are_kept_and_used_again() {
    let api = Api::answering(|seen, request| {
        request.sleep(Duration::from_micros(500));
        match seen.record % 50 {
            0 => Answer::text(500, "later"),
            1 => Answer::text(422, "z".repeat(8 * 1024)),
            _ => Answer::text(200, "{\"ok\":true}"),
        }
    });
    let relay = Relay::to(&api);
    let site = Site::new();
    site.configure(&format!(
        "[api]\nurl = \"http://{}/records\"\n[workers]\nthreads = 4\n[batch]\nsize = 50\n",
        relay.address
    ));
    site.import(1, 1..=1000);
    site.run(&["drain", "--once"]).assert_code(3);
    api.assert_each_once(1..=1000);
    let taken = relay.taken.load(Ordering::SeqCst);
    assert!((1..=4).contains(&taken), "{taken} connections");
}
