//! The status listener as its clients see it: what each path tells, and who is let in.

mod browser;
mod client;
mod door;
mod hostile;
mod metrics;
mod monitoring;

mod page;

use client::{address, await_reply, exchange, get, request, site};

use crate::harness::{Api, Daemon, eventually, signal};

#[test]
fn a_daemon_at_work_is_healthy_and_ready() {
    let api = Api::accepting();
    let daemon = site(&api, "");
    let daemon = daemon.daemon();
    let address = address(&daemon);
    for path in ["/healthz", "/readyz", "/healthz?verbose"] {
        let reply = get(&address, path);
        assert_eq!((reply.status, reply.body.as_str()), (200, "ok\n"), "{path}");
    }
}

#[test]
fn a_start_that_waits_for_the_file_is_healthy_and_not_ready() {
    let api = Api::accepting();
    let site = site(&api, "");
    site.run(&["init"]);
    let owner = site.connect();
    owner.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut daemon = Daemon::spawn(site.ferryd(&["run"]), site.path("daemon.log"));
    let address = address(&daemon);
    let reply = get(&address, "/readyz");
    assert_eq!(
        (reply.status, reply.body.as_str()),
        (503, "ferryd starts\n")
    );
    assert_eq!(get(&address, "/healthz").status, 200);
    assert_eq!(get(&address, "/status.json").status, 503);
    assert!(get(&address, "/").body.contains("ferryd starts"));
    let metrics = get(&address, "/metrics").body;
    assert!(metrics.contains("\nferryd_file_usable 0\n"), "{metrics}");
    owner.execute_batch("COMMIT").unwrap();
    daemon.await_ready();
    await_reply(&address, "/readyz", "it is ready", |reply| {
        reply.status == 200
    });
}

#[test]
fn a_paused_gate_is_ready_for_that_is_no_fault() {
    let api = Api::accepting();
    let site = site(&api, "");
    let daemon = site.daemon();
    let address = address(&daemon);
    site.run(&["pause"]).assert_code(0);
    await_reply(&address, "/metrics", "the pause is told", |reply| {
        reply.body.contains("ferryd_gate_state{state=\"paused\"} 1")
    });
    assert_eq!(get(&address, "/readyz").status, 200);
    assert_eq!(get(&address, "/healthz").status, 200);
}

#[test]
fn a_file_that_was_moved_away_is_not_ready_and_the_reason_is_told() {
    let api = Api::accepting();
    let site = site(&api, "");
    let daemon = site.daemon();
    let address = address(&daemon);
    std::fs::rename(site.database(), site.path("away.db")).unwrap();
    let moved = |text: &str| text.contains("ferryd.db was deleted or moved away");
    let reply = await_reply(&address, "/readyz", "it is not ready", |reply| {
        reply.status == 503
    });
    assert!(moved(&reply.body), "{reply:?}");
    assert_eq!(get(&address, "/healthz").status, 200);
    let page = get(&address, "/").body;
    assert!(
        page.contains("The file cannot be used") && moved(&page),
        "{page}"
    );
    let metrics = get(&address, "/metrics").body;
    assert!(metrics.contains("\nferryd_file_usable 0\n"), "{metrics}");
    std::fs::rename(site.path("away.db"), site.database()).unwrap();
    await_reply(&address, "/readyz", "it is ready again", |reply| {
        reply.status == 200
    });
}

#[test]
fn a_file_that_is_locked_for_long_is_not_ready() {
    let api = Api::accepting();
    let site = site(&api, "");
    site.run(&["init"]);
    let daemon = site.daemon();
    let address = address(&daemon);
    let owner = site.connect();
    owner
        .execute_batch(
            "BEGIN IMMEDIATE; INSERT INTO user_record VALUES (1, 1, 1, 1); COMMIT; BEGIN IMMEDIATE",
        )
        .unwrap();
    let reply = await_reply(&address, "/readyz", "it is not ready", |reply| {
        reply.status == 503
    });
    assert!(reply.body.contains("cannot be written"), "{reply:?}");
    assert_eq!(get(&address, "/healthz").status, 200);
    owner.execute_batch("COMMIT").unwrap();
    await_reply(&address, "/readyz", "it is ready again", |reply| {
        reply.status == 200
    });
    site.await_delivered(1);
}

#[test]
fn a_daemon_that_stops_is_not_ready_any_more() {
    let (api, latch) = Api::held();
    let site = site(&api, "");
    let daemon = site.daemon();
    let address = address(&daemon);
    site.insert(1, 1);
    api.await_request();
    daemon.begin_stop("TERM");
    let reply = get(&address, "/readyz");
    assert_eq!((reply.status, reply.body.as_str()), (503, "ferryd stops\n"));
    latch.open();
    assert_eq!(daemon.await_end(), 0);
}

#[test]
fn the_json_is_what_the_command_prints() {
    let api = Api::accepting();
    let site = site(&api, "");
    site.import(7, 1..=20);
    let daemon = site.daemon();
    let address = address(&daemon);
    site.await_delivered(20);
    eventually("both tell the same", || {
        let reply = get(&address, "/status.json");
        assert_eq!(reply.field("content-type"), Some("application/json"));
        reply.body == site.run(&["status", "--json"]).stdout
    });
}

#[test]
fn nothing_but_reading_is_allowed() {
    let api = Api::accepting();
    let site = site(&api, "");
    let daemon = site.daemon();
    let address = address(&daemon);
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "get"] {
        let reply = exchange(&address, &request(method, "/healthz", "localhost"));
        assert_eq!(reply.status, 405, "{method}");
        assert_eq!(reply.field("allow"), Some("GET, HEAD"), "{method}");
    }
    let head = exchange(&address, &request("HEAD", "/healthz", "localhost"));
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(head.field("content-length"), Some("3"));
    for path in ["/nothing", "/metrics/", "//", "/../etc/passwd", "*"] {
        let reply = exchange(&address, &request("GET", path, "localhost"));
        assert_eq!(reply.status, 404, "{path}");
    }
}

#[test]
fn a_name_that_is_not_of_this_machine_is_refused() {
    let api = Api::accepting();
    let site = site(&api, "");
    let daemon = site.daemon();
    let address = address(&daemon);
    for path in ["/", "/metrics", "/status.json", "/healthz"] {
        for host in ["evil.example", "evil.example:9464", ""] {
            let reply = exchange(&address, &request("GET", path, host));
            assert_eq!(reply.status, 421, "{path} {host}");
        }
    }
    let old = exchange(&address, "GET / HTTP/1.0\r\n\r\n");
    assert_eq!(old.status, 421);
    for host in ["localhost", "127.0.0.1:9464", "[::1]:9464"] {
        let reply = exchange(&address, &request("GET", "/metrics", host));
        assert_eq!(reply.status, 200, "{host}");
    }
}

#[test]
fn every_answer_forbids_a_browser_what_it_does_not_need() {
    let api = Api::accepting();
    let site = site(&api, "");
    let daemon = site.daemon();
    let address = address(&daemon);
    for path in ["/", "/metrics", "/status.json", "/healthz", "/nothing"] {
        let reply = get(&address, path);
        assert_eq!(
            reply.field("x-content-type-options"),
            Some("nosniff"),
            "{path}"
        );
        assert_eq!(
            reply.field("referrer-policy"),
            Some("no-referrer"),
            "{path}"
        );
        assert_eq!(reply.field("cache-control"), Some("no-store"), "{path}");
        let policy = reply.field("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{path}: {policy}");
        assert!(
            policy.contains("frame-ancestors 'none'"),
            "{path}: {policy}"
        );
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
    }
}

#[test]
fn the_page_follows_a_reload() {
    let api = Api::accepting();
    let other = Api::accepting();
    let site = site(&api, "");
    let daemon = site.daemon();
    let address = address(&daemon);
    let toml = std::fs::read_to_string(site.path("ferryd.toml")).unwrap();
    site.configure(&toml.replace(&api.url(), &other.url()));
    signal(daemon.pid(), "HUP");
    await_reply(&address, "/", "the new URL is shown", |reply| {
        reply.body.contains(&other.url())
    });
}

#[test]
fn only_the_daemon_listens() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let api = Api::accepting();
    let site = site(&api, "");
    let port = taken.local_addr().unwrap().to_string();
    let toml = std::fs::read_to_string(site.path("ferryd.toml")).unwrap();
    site.configure(&toml.replace("127.0.0.1:0", &port));
    site.import(1, 1..=3);
    site.run(&["drain"]).assert_code(0);
    site.run(&["status"]).assert_code(0);
}
