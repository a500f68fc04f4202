//! Standard Webhooks: signatures, checked by the library of the standard.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;

use super::Listener;
use super::interop::Interop;
use crate::harness::{Api, Site};
use crate::rights::skip;

fn secret(of: u8) -> String {
    format!("whsec_{}", BASE64_STANDARD.encode([of; 32]))
}

const FILES: &str = "[api.webhook]\nsecret_files = [\"old\", \"new\"]\n";

#[test]
fn the_library_of_the_standard_accepts_the_signatures_of_either_secret() {
    for of in [1, 2] {
        let Some(server) = Interop::start(&json!({ "webhook_secret": secret(of) })) else {
            return skip("needs the Python environment of .ci/run");
        };
        let site = Site::new();
        site.configure(&format!(
            "[api]\nurl = \"{}\"\n{FILES}",
            server.url("signed")
        ));
        site.secret("old", &secret(1));
        site.secret("new", &format!("{}\n", secret(2)));
        site.import(1, 1..=5);
        site.run(&["drain"]).assert_code(0);
        assert_eq!(server.count("signed 200 True"), 5, "{:?}", server.said());
    }
}

#[test]
fn the_library_of_the_standard_refuses_the_signature_of_another_secret() {
    let Some(server) = Interop::start(&json!({ "webhook_secret": secret(3) })) else {
        return skip("needs the Python environment of .ci/run");
    };
    let site = Site::new();
    site.configure(&format!(
        "[api]\nurl = \"{}\"\n{FILES}",
        server.url("signed")
    ));
    site.secret("old", &secret(1));
    site.secret("new", &secret(2));
    site.import(1, [1]);
    site.run(&["drain", "--once"]).assert_code(3);
    assert_eq!(server.count("signed 400 No matching signature found"), 1);
}

#[test]
fn each_secret_signs_and_without_secrets_nothing_is_signed() {
    let heard = |toml: &str| {
        let listener = Listener::to("webhook-signature");
        let api = listener.api();
        let site = Site::with(&api, toml);
        site.secret("old", &secret(1));
        site.secret("new", &secret(2));
        site.import(1, [1]);
        site.run(&["drain"]).assert_code(0);
        listener.heard().pop().unwrap()
    };
    let signatures = heard(FILES);
    let signatures: Vec<&str> = signatures.split(' ').collect();
    assert_eq!(signatures.len(), 2);
    assert!(
        signatures.iter().all(|one| one.starts_with("v1,")),
        "{signatures:?}"
    );
    assert_ne!(signatures[0], signatures[1]);
    assert_eq!(heard(""), "none");
}

#[test]
fn an_unfit_secret_is_78_and_not_shown() {
    let api = Api::accepting();
    let site = Site::with(&api, FILES);
    site.secret("old", "whsec_geheim");
    site.secret("new", &secret(2));
    let ran = site
        .run(&["drain"])
        .assert_code(78)
        .assert_says("api.webhook.secret_files: old holds no base64 after whsec_");
    assert!(!ran.stderr.contains("geheim"), "{ran:?}");
}
