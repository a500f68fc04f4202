//! The status page: what is on it, what never is, and how a browser shows it.

use base64::Engine;
use ferryd::server::{Answer, Limits, Server};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::browser::{dom, screenshot, size_of};
use super::client::{Reply, address, await_reply, get, site};
use crate::harness::{Api, Daemon, Site};
use crate::rights::skip;

/// What an API says that means no good, with what it was sent.
const HOSTILE: &str = "<script>alert(1)</script><img src=x onerror=alert(2)> & \"Lisboa\"";

/// Of ten records 2 is retried, 3 is dead and 4 unknown, each answered with hostile words.
fn mixed(toml: &str) -> (Api, Site, Daemon) {
    let api = Api::answering(|seen, _| match seen.record {
        2 => Answer::text(503, HOSTILE),
        3 => Answer::text(422, HOSTILE),
        4 => Answer::Hangup,
        _ => Answer::status(200),
    });
    let site = site(&api, toml);
    site.import(7, 1..=10);
    let daemon = site.daemon();
    site.await_delivered(7);
    (api, site, daemon)
}

/// The page once it tells of the three.
fn settled(daemon: &Daemon) -> Reply {
    await_reply(&address(daemon), "/", "the failures are shown", |reply| {
        reply.body.contains("Sent again next")
            && reply.body.contains("Dead records")
            && reply.body.contains("the next in ")
    })
}

/// The text of the page without markup, in one line.
fn words(html: &str) -> String {
    let main = &html[html.find("<main>").unwrap()..html.find("</main>").unwrap()];
    let (mut text, mut inside) = (String::new(), false);
    for c in main.chars() {
        match c {
            '<' => inside = true,
            '>' => {
                inside = false;
                text.push(' ');
            }
            c if !inside => text.push(c),
            _ => {}
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn assert_shows(html: &str, parts: &[&str]) {
    let text = words(html);
    for part in parts {
        assert!(text.contains(part), "not shown: {part}\n{text}");
    }
}

#[test]
fn it_says_what_is_where_and_why_without_javascript() {
    let (_api, _site, daemon) = mixed("");
    let page = settled(&daemon);
    assert_eq!(page.field("content-type"), Some("text/html; charset=utf-8"));
    assert_shows(
        &page.body,
        &[
            "ferryd ferryd.db → http://127.0.0.1:",
            "Some records are dead 1 record will not be sent again, unless you say so: ferryd retry dead",
            "Delivered 7",
            "Waiting 0",
            "Retrying 1 the next in ",
            "Unknown 1",
            "Dead 1",
            "Delivered per second:",
            "3 7 1 1 HTTP 422 Unprocessable Entity",
            "2 7 1 1 HTTP 503 Service Unavailable again in ",
            "4 7 1 1 no answer:",
            "no answer was seen, it may have been accepted",
            "User Progress Delivered Left 7 7 2",
            "Workers 0 of 10 at work 10 wait for work.",
            "10 requests since then: 7 delivered, 1 to be sent again, 1 without an answer, 1 refused",
        ],
    );
}

#[test]
fn nothing_that_is_in_a_record_is_on_it_unless_the_configuration_says_so() {
    let (_api, _site, daemon) = mixed("");
    let page = settled(&daemon).body;
    for secret in ["Lisboa", "onerror", "network_id"] {
        assert!(!page.contains(secret), "{secret} is on the page");
    }
    assert!(!words(&page).contains("city"));
    let (_api, _site, daemon) = mixed("show_records = true\n");
    assert_shows(
        &settled(&daemon).body,
        &[
            "&quot;Lisboa&quot;",
            "id: 3, user_id: 7, network_id: 3, city: Lisboa",
        ],
    );
}

#[test]
fn a_closed_gate_is_told_without_what_the_api_repeats() {
    let api = Api::answering(|_, _| Answer::text(422, HOSTILE));
    let site = site(&api, "[gate]\nfailures = 3\n");
    site.import(7, 1..=10);
    let daemon = site.daemon();
    let held = |reply: &Reply| reply.body.contains("Sending is held");
    let page = await_reply(&address(&daemon), "/", "the gate is closed", held).body;
    assert_shows(
        &page,
        &[
            "records in a row were refused with HTTP 422, none accepted",
            "tries again in",
        ],
    );
    assert!(!page.contains("Lisboa"), "{page}");
}

#[test]
fn what_failed_is_shown_also_while_its_batch_is_in_work_or_waits_at_the_gate() {
    let api = Api::answering(|seen, _| match (seen.record, seen.time) {
        (1, _) => Answer::status(422),
        (2, 1) => Answer::status(503),
        (2, _) => Answer::status(401),
        _ => Answer::status(200),
    });
    let site = site(&api, "[retry]\ninterval = \"300ms\"\n");
    site.import(7, 1..=4);
    let daemon = site.daemon();
    let held = |reply: &Reply| {
        reply.body.contains("Sending is held") && reply.body.contains("Dead records")
    };
    let page = await_reply(&address(&daemon), "/", "the gate is closed", held).body;
    assert_shows(
        &page,
        &[
            "HTTP 401 Unauthorized, the API refuses the login, for ",
            "1 7 1 1 HTTP 422 Unprocessable Entity",
            "2 7 1 1 HTTP 503 Service Unavailable again with its batch, which is in work",
            "Workers 0 of 10 at work 9 wait for work. 1 waits at the gate.",
        ],
    );
}

#[test]
fn no_foreign_text_becomes_markup() {
    let (_api, site, daemon) = mixed("show_records = true\n");
    // Somebody who may write to the file writes what ferryd would have escaped.
    site.write(&format!(
        "UPDATE undelivered_record SET error = '`</code>{HOSTILE}' || char(10, 8238);
         UPDATE user_record SET city = '</td>{HOSTILE}', network_id = '\"''><svg onload=alert(3)>';
         UPDATE gate SET state = 'paused', reason = '{HOSTILE}'"
    ));
    let paused = |reply: &Reply| reply.body.contains("Sending is paused");
    let page = await_reply(&address(&daemon), "/", "the gate is told", paused).body;
    let own = page.matches("<script>").count();
    assert_eq!(own, 1, "{page}");
    for markup in ["<img", "<svg onload", "onerror=alert(2)>", "</code><script"] {
        assert!(!page.contains(markup), "{markup}");
    }
    assert!(
        page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"),
        "{page}"
    );
    assert!(
        !page.contains('\u{202e}') || page.contains("\\u{202e}"),
        "it turns text around"
    );
}

#[test]
fn it_is_small_however_much_is_wrong() {
    let long = "<&\"'>".repeat(100);
    let api = Api::answering(move |seen, _| match seen.record % 3 {
        0 => Answer::text(422, long.clone()),
        1 => Answer::text(503, long.clone()),
        _ => Answer::status(200),
    });
    let site = site(
        &api,
        "show_records = true\n[workers]\nthreads = 64\n[batch]\nsize = 10\n",
    );
    for user in 1..=20 {
        site.import(user * 1_000_000_007, user * 100..user * 100 + 30);
    }
    let daemon = site.daemon();
    let page = settled(&daemon).body;
    assert!(page.len() < 30 * 1024, "{} bytes", page.len());
    let empty = include_str!("../../../src/listener/page.html");
    assert!(empty.len() < 15 * 1024, "{} bytes", empty.len());
    for outside in ["src=", "href=\"http", "url(", "@import"] {
        assert!(!empty.contains(outside), "{outside} leads out of the page");
    }
}

#[test]
fn its_policy_runs_its_own_script_and_no_other() {
    let api = Api::accepting();
    let site = site(&api, "");
    let daemon = site.daemon();
    let page = get(&address(&daemon), "/");
    let policy = page.field("content-security-policy").unwrap();
    for (element, directive) in [("style", "style-src"), ("script", "script-src")] {
        let (_, rest) = page.body.split_once(&format!("<{element}>")).unwrap();
        let (text, _) = rest.split_once(&format!("</{element}>")).unwrap();
        let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
        let hash = base64::engine::general_purpose::STANDARD.encode(digest);
        assert!(
            policy.contains(&format!("{directive} 'sha256-{hash}'")),
            "{policy}"
        );
    }
    assert!(!page.body.contains(" style=") && !page.body.contains(" onclick="));
}

#[test]
fn a_browser_shows_it_keeps_it_fresh_and_runs_nothing_foreign() {
    let (_api, site, daemon) = mixed("show_records = true\n");
    settled(&daemon);
    let url = format!("http://{}/", address(&daemon));
    let Some(shown) = dom(&site, &url, 7000) else {
        return skip("chromium is not installed");
    };
    assert_shows(
        &shown,
        &[
            "Some records are dead",
            "Delivered 7",
            "&lt;script&gt;alert(1)",
        ],
    );
    assert!(
        shown.contains("id=\"gone\" class=\"fault\" role=\"alert\" hidden=\"\""),
        "{shown}"
    );
    let fetched = |shown: &str| shown.contains("<title>Some records are dead · ferryd</title>");
    assert!(fetched(&shown), "{shown}");
}

/// Shows a page `times` times, and then is gone.
fn stand_in(page: &Reply, times: usize) -> Server {
    let policy = page.field("content-security-policy").unwrap().to_string();
    let body = page.body.clone().into_bytes();
    let asked = AtomicUsize::new(0);
    let handler = move |request: &ferryd::server::Request| {
        if request.target() != "/" {
            return Answer::status(404);
        }
        match asked.fetch_add(1, Ordering::SeqCst) {
            time if time < times => Answer::Full {
                status: 200,
                headers: vec![
                    ("Content-Type".into(), "text/html; charset=utf-8".into()),
                    ("Content-Security-Policy".into(), policy.clone()),
                ],
                body: body.clone(),
            },
            _ => Answer::Hangup,
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    Server::start(listener, handler, Limits::default()).unwrap()
}

#[test]
fn a_browser_says_when_the_daemon_is_gone_and_since_when() {
    let (_api, site, daemon) = mixed("");
    let page = settled(&daemon);
    let server = stand_in(&page, 1);
    let url = format!("http://{}/", server.addr().unwrap());
    let Some(shown) = dom(&site, &url, 7000) else {
        return skip("chromium is not installed");
    };
    let (_, time) = page.body.split_once("<time ").unwrap();
    let time = &time[time.find('>').unwrap() + 1..time.find(" UTC").unwrap()];
    let said = format!(
        "ferryd does not answer. It has stopped, or cannot be reached. What stands below is from {time} UTC."
    );
    assert!(shown.contains(&said), "{shown}");
    assert!(shown.contains("<body class=\"gone\">"), "{shown}");
    assert_shows(&shown, &["Delivered 7"]);
}

#[test]
fn a_picture_of_it_has_something_on_it_in_every_width() {
    let (_api, site, daemon) = mixed("");
    settled(&daemon);
    let url = format!("http://{}/", address(&daemon));
    for (width, height) in [(1280, 900), (500, 1600)] {
        let Some(picture) = screenshot(&site, &url, width, height) else {
            return skip("chromium is not installed");
        };
        assert_eq!(size_of(&picture), (width, height));
        // A blank picture of this size has about five thousand bytes.
        assert!(picture.len() > 30_000, "{} bytes", picture.len());
    }
}
