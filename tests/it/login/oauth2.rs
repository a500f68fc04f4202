//! OAuth2 client credentials: with a server library of others, and with token endpoints of ours that behave badly.

use ferryd::server::{Answer, Limits, Request, Server};
use serde_json::json;
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::Listener;
use super::interop::Interop;
use crate::harness::{Api, Daemon, Site, eventually};
use crate::rights::skip;

const SECRET: &str = "ge/he+im:%&ü";

fn toml(token_url: &str, more: &str) -> String {
    format!(
        "[api.oauth2]\ntoken_url = \"{token_url}\"\nclient_id = \"me & you\"\nclient_secret_file = \"secret\"\n{more}"
    )
}

/// Delivers thirty records to a server with these settings; returns what it said.
fn deliver(more: serde_json::Value, toml_more: &str) -> Option<Interop> {
    let mut settings = json!({ "client_id": "me & you", "client_secret": SECRET, "method": "client_secret_basic" });
    for (key, value) in more.as_object().unwrap() {
        settings[key] = value.clone();
    }
    let server = Interop::start(&settings)?;
    let site = Site::new();
    site.configure(&format!(
        "[api]\nurl = \"{}\"\n{}",
        server.url("guarded"),
        toml(
            &server.url("token"),
            &format!("scope = \"write\"\n{toml_more}")
        )
    ));
    site.secret("secret", SECRET);
    for user in 1..=10 {
        site.import(user, user * 3..user * 3 + 3);
    }
    site.run(&["drain"]).assert_code(0);
    Some(server)
}

#[test]
fn one_token_serves_all_workers() {
    for (method, auth) in [
        ("client_secret_basic", "basic"),
        ("client_secret_post", "body"),
    ] {
        let Some(server) = deliver(json!({ "method": method }), &format!("auth = \"{auth}\"\n"))
        else {
            return skip("needs the Python environment of .ci/run");
        };
        let said = server.said();
        assert_eq!(server.count("guarded 200"), 30, "{said:?}");
        assert_eq!(server.count("token 200"), 1, "{said:?}");
        assert_eq!(said.len(), 31, "{said:?}");
    }
}

#[test]
fn a_revoked_token_is_renewed_and_no_record_suffers() {
    let Some(server) = deliver(json!({ "revoke_at": 12 }), "") else {
        return skip("needs the Python environment of .ci/run");
    };
    let said = server.said();
    assert_eq!(server.count("guarded 200"), 30, "{said:?}");
    assert_eq!(server.count("token 200"), 2, "{said:?}");
    assert!((1..=10).contains(&server.count("guarded 401")), "{said:?}");
}

/// A token endpoint of ours, and how often it was asked.
struct Endpoint {
    server: Server,
    asked: Arc<AtomicUsize>,
}

impl Endpoint {
    fn answering(answer: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static) -> Endpoint {
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = asked.clone();
        let handler = move |request: &Request| answer(request, counter.fetch_add(1, SeqCst) + 1);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Server::start(listener, handler, Limits::default()).unwrap();
        Endpoint { server, asked }
    }

    /// Gives out `token-1`, `token-2`, … of this life.
    fn granting(expires_in: serde_json::Value) -> Endpoint {
        Endpoint::answering(move |_, time| {
            let token = format!("token-{time}");
            let grant =
                json!({ "access_token": token, "token_type": "bearer", "expires_in": expires_in });
            Answer::text(200, grant.to_string())
        })
    }

    fn url(&self) -> String {
        format!("http://{}/token", self.server.addr().unwrap())
    }

    fn asked(&self) -> usize {
        self.asked.load(SeqCst)
    }

    /// A site that sends to `api` with its tokens.
    fn site(&self, api: &Api, more: &str) -> Site {
        let site = Site::with(api, &format!("{more}{}", toml(&self.url(), "")));
        site.secret("secret", SECRET);
        site
    }
}

#[test]
fn a_token_is_renewed_before_it_expires() {
    let listener = Listener::to("authorization");
    let api = listener.api();
    let tokens = Endpoint::granting(json!(2));
    let site = tokens.site(&api, "");
    site.run(&["init"]).assert_code(0);
    let _daemon = site.daemon();
    let mut id = 0;
    eventually("the second token is in use", || {
        id += 1;
        site.insert(1, id);
        site.await_delivered(id);
        listener.heard().last().unwrap() == "Bearer token-2"
    });
    let heard = listener.heard();
    assert!(heard.iter().all(|one| one != "none"), "{heard:?}");
    assert!(
        api.times().values().all(|times| *times == 1),
        "a token was refused"
    );
}

#[test]
fn nonsense_about_its_life_leaves_a_token_in_use() {
    for life in [
        json!(0),
        json!(-1),
        json!(1e300),
        json!("soon"),
        json!(null),
    ] {
        let listener = Listener::to("authorization");
        let api = listener.api();
        let tokens = Endpoint::granting(life);
        let site = tokens.site(&api, "");
        site.import(1, 1..=5);
        site.run(&["drain"]).assert_code(0);
        assert_eq!(listener.heard(), ["Bearer token-1"; 5]);
        assert_eq!(tokens.asked(), 1);
    }
}

#[test]
fn a_second_401_is_the_destinations_fault() {
    let api = Api::answering(|_, _| Answer::status(401));
    let tokens = Endpoint::granting(json!(3600));
    let site = tokens.site(
        &api,
        "[gate]\nprobe_interval = \"1h\"\n[workers]\nthreads = 1\n",
    );
    site.import(1, [1, 2]);
    let daemon = site.daemon();
    site.await_reason("HTTP 401");
    assert_eq!((api.seen().len(), tokens.asked()), (2, 2));
    assert_eq!(daemon.terminate().0, 0);
}

impl Site {
    /// Waits until the gate is closed for this reason, with no attempt burned.
    #[track_caller]
    fn await_reason(&self, words: &str) {
        eventually("the gate is closed", || {
            self.value::<String>("SELECT gate FROM delivery_summary") == "closed"
        });
        let reason: String = self.value("SELECT gate_reason FROM delivery_summary");
        assert!(reason.contains(words), "{words} is not in: {reason}");
        assert!(!reason.contains("geheim"), "{reason}");
        let burned = "SELECT count(*) FROM undelivered_record";
        assert_eq!(self.value::<i64>(burned), 0, "{reason}");
    }
}

/// Nothing is sent, and the gate says this.
#[track_caller]
fn assert_unsent(answer: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static, words: &str) {
    let api = Api::accepting();
    let tokens = Endpoint::answering(answer);
    let site = tokens.site(&api, "[gate]\nfailures = 2\nprobe_interval = \"1h\"\n");
    site.import(1, 1..=3);
    let daemon = site.daemon();
    site.await_reason(&format!("no access token from {}: {words}", tokens.url()));
    assert_eq!(api.seen().len(), 0);
    assert_eq!(
        tokens.asked(),
        1,
        "the endpoint is not asked for every record"
    );
    assert_eq!(daemon.terminate().0, 0);
}

#[test]
fn a_token_endpoint_that_refuses_is_named_with_its_reason() {
    let refusal = json!({ "error": "invalid_client", "error_description": "who is me?" });
    assert_unsent(
        move |_, _| Answer::text(401, refusal.to_string()),
        "HTTP 401: invalid_client, who is me?",
    );
}

#[test]
fn a_token_endpoint_that_talks_nonsense_is_named_and_bounded() {
    assert_unsent(|_, _| Answer::text(200, "geheim"), "its answer is not JSON");
    assert_unsent(
        |_, _| Answer::text(200, "[".repeat(1_000_000)),
        "its answer is not JSON, or too long",
    );
    assert_unsent(
        |_, _| Answer::text(200, "{\"access_token\": \"geheim\\n\"}"),
        "its answer has an access_token that fits",
    );
    assert_unsent(|_, _| Answer::text(302, ""), "HTTP 302");
    assert_unsent(|_, _| Answer::text(500, "geh weg"), "HTTP 500: geh weg");
}

#[test]
fn a_token_endpoint_that_is_out_of_reach_is_named() {
    let api = Api::accepting();
    let tokens = Endpoint::granting(json!(1));
    let site = tokens.site(&api, "[gate]\nfailures = 2\nprobe_interval = \"1h\"\n");
    let url = tokens.url();
    drop(tokens);
    site.import(1, 1..=3);
    let _daemon = site.daemon();
    site.await_reason(&format!(
        "not sent: no access token from {url}: io: Connection refused"
    ));
    assert_eq!(api.seen().len(), 0);
}

#[test]
fn a_slow_token_endpoint_holds_no_worker_longer_than_a_request() {
    let api = Api::accepting();
    let tokens = Endpoint::answering(|request, _| {
        request.sleep(Duration::from_secs(20));
        Answer::status(200)
    });
    let site = Site::new();
    site.configure(&format!(
        "[api]\nurl = \"{}\"\ntimeout = \"300ms\"\n[gate]\nfailures = 2\nprobe_interval = \"1h\"\n{}",
        api.url(),
        toml(&tokens.url(), "")
    ));
    site.secret("secret", SECRET);
    site.import(1, 1..=3);
    let _daemon = site.daemon();
    site.await_reason("timeout");
    assert_eq!(api.seen().len(), 0);
}

#[test]
fn neither_the_clients_secret_nor_the_token_appears_anywhere() {
    // The endpoint and the API repeat all that they are shown.
    let shown = Arc::new(Mutex::new(String::new()));
    let api = Api::answering(|_, request| {
        let said = request.header("authorization").unwrap_or_default();
        Answer::text(422, said.to_string())
    });
    let tokens = Endpoint::answering({
        let shown = shown.clone();
        move |request, time| {
            let said = format!(
                "{} {}",
                request.header("authorization").unwrap_or_default(),
                String::from_utf8_lossy(&request.body)
            );
            shown.lock().unwrap().clone_from(&said);
            match time {
                1 | 3 => Answer::text(500, said),
                _ => Answer::text(200, "{\"access_token\": \"geheimes-wort\"}"),
            }
        }
    });
    for auth in ["basic", "body"] {
        let more = toml(&tokens.url(), &format!("auth = \"{auth}\"\n"));
        let site = Site::with(&api, &more);
        site.secret("secret", SECRET);
        site.import(1, [1]);
        let mut run = site.ferryd(&["run", "-vv"]);
        run.env("RUST_LOG", "trace");
        let daemon = Daemon::start(run, site.path("daemon.log"));
        eventually("the record is dead", || {
            site.value::<i64>("SELECT dead FROM delivery_summary") == 1
        });
        let status = format!(
            "{:?}{:?}",
            site.run(&["status"]),
            site.run(&["explain", "1"])
        );
        let log = daemon.log();
        assert_eq!(daemon.terminate().0, 0);
        let file = std::fs::read(site.database()).unwrap();
        let all = format!("{log}{status}{}", String::from_utf8_lossy(&file));
        let sent = shown.lock().unwrap().clone();
        let sent = sent.split([' ', '=', '&']).filter(|word| word.len() > 8);
        let hidden = sent.filter(|word| {
            !matches!(
                *word,
                "grant_type"
                    | "client_credentials"
                    | "client_id"
                    | "client_secret"
                    | "me%20%26%20you"
            )
        });
        let hidden: Vec<_> = hidden.chain([SECRET, "geheimes-wort"]).collect();
        assert!(hidden.len() > 2);
        for word in hidden {
            assert!(!all.contains(word), "{auth}: {word} is told");
        }
        let told = "HTTP 422 Unprocessable Entity: Bearer ***";
        assert!(
            status.contains(told) && log.contains("HTTP 500: "),
            "{log}{status}"
        );
    }
}
