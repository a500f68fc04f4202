//! New secrets by a reload: another content, and another file.

use super::{configure, reload};
use crate::harness::{Site, Wired};

#[test]
fn a_secret_is_taken_from_the_new_content_and_from_a_new_file() {
    let (api, wired) = Wired::recording();
    let auth = |file| format!("[api.auth]\nbearer_token_file = \"{file}\"\n");
    let site = Site::with(&api, &auth("one"));
    site.secret("one", "first-secret");
    site.secret("two", "third-secret");
    let daemon = site.daemon();
    site.insert(1, 1);
    site.await_delivered(1);
    site.secret("one", "second-secret");
    reload(&daemon);
    site.insert(1, 2);
    site.await_delivered(2);
    configure(&site, &api, &auth("two"));
    reload(&daemon);
    site.insert(1, 3);
    site.await_delivered(3);
    let wired = wired.lock().unwrap();
    let heard: Vec<_> = wired
        .iter()
        .flat_map(|wired| wired.header("authorization"))
        .collect();
    assert_eq!(
        heard,
        [
            "Bearer first-secret",
            "Bearer second-secret",
            "Bearer third-secret"
        ]
    );
    let log = daemon.log();
    assert!(log.contains("changed=api.auth.bearer_token_file"), "{log}");
    assert!(!log.contains("-secret"), "{log}");
}

#[test]
fn a_secret_that_became_unfit_is_refused_and_the_last_good_one_stays() {
    let (api, wired) = Wired::recording();
    let site = Site::with(&api, "[api.auth]\nbearer_token_file = \"one\"\n");
    site.secret("one", "good");
    let daemon = site.daemon();
    site.secret("one", "two\nlines");
    reload(&daemon);
    daemon.await_log("api.auth.bearer_token_file: one holds something else than printable ASCII");
    site.insert(1, 1);
    site.await_delivered(1);
    assert_eq!(
        wired.lock().unwrap()[0].header("authorization"),
        ["Bearer good"]
    );
}
