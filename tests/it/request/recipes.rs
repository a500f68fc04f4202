//! The recipes of the README: each is taken from there, with the request that it promises, and run.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ferryd::server::Answer;
use ring::hmac;
use std::sync::{Arc, Mutex};

use super::site;
use crate::commands::receiver;
use crate::harness::{Api, Site, Wired};
use crate::tls::{Pki, needs};

/// The record that the README speaks of.
const RECORD: &str = "(2, 'net-0044', 'Tromsø', 1.5, '{\"floor\": 3}')";

/// The records of the recipes for many.
const RECORDS: &str = "(1, 'a', 'Lisboa', 0, 0), (2, 'b', 'Tromsø', 0, 0), (3, 'c', 'Osaka', 0, 0)";

/// A recipe with the API at `{api}` and its files beside the database.
fn here(toml: &str) -> String {
    let toml = toml.replace("https://api.example", "{api}");
    toml.replace("/etc/ferryd/", "")
}

/// The fenced blocks of a section of the README, with their language.
fn blocks(heading: &str) -> Vec<(&'static str, &'static str)> {
    let readme = include_str!("../../../README.md");
    let section = readme.split(&format!("\n## {heading}\n")).nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let fenced = section.split("\n```").skip(1).step_by(2);
    fenced
        .map(|block| block.split_once('\n').unwrap())
        .collect()
}

/// The recipe with this section, without its first line.
fn recipe(section: &str) -> &'static str {
    let mut tomls = blocks("Describing the request").into_iter();
    let found = tomls.find(|(language, text)| *language == "toml" && text.contains(section));
    found.unwrap().1.strip_prefix("[api]\n").unwrap()
}

#[test]
fn every_recipe_of_the_readme_sends_the_request_that_stands_below_it() {
    let blocks = blocks("Describing the request");
    let mut recipes = 0;
    for (at, pair) in blocks.windows(2).enumerate() {
        let (("toml", toml), ("http", promised)) = (pair[0], pair[1]) else {
            continue;
        };
        recipes += 1;
        let answer = blocks
            .get(at + 2)
            .filter(|(language, _)| *language == "json");
        let answer = answer.map_or("", |(_, answer)| answer);
        let rows = match toml.contains("[api.bulk]") {
            true => RECORDS,
            false => RECORD,
        };
        let wired = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&wired);
        let api = Api::answering(move |_, request| {
            into.lock().unwrap().push(Wired::of(request));
            Answer::text(200, answer)
        });
        let site = site(&api, &here(toml.strip_prefix("[api]\n").unwrap()), rows);
        let left = match answer {
            "" => "",
            _ => "3 RETRY item \"busy\": try later",
        };
        let code = if left.is_empty() { 0 } else { 3 };
        site.run(&["drain", "--once"]).assert_code(code);
        let sql = "SELECT record_id, state, error FROM undelivered_record";
        assert_eq!(site.shell(sql), left, "{toml}");

        let wired = wired.lock().unwrap();
        assert_eq!(wired.len(), 1, "{toml}");
        let request = &wired[0];
        let (head, body) = promised.split_once("\n\n").unwrap_or((promised, ""));
        let mut head = head.lines();
        assert_eq!(head.next().unwrap(), request.line, "{toml}");
        for field in head {
            let (name, value) = field.split_once(": ").unwrap();
            assert_eq!(request.header(name), [value], "{toml}");
        }
        assert_eq!(request.body.trim_end_matches('\n'), body, "{toml}");
    }
    assert_eq!(recipes, 6);
}

#[test]
fn the_signed_webhook_of_the_readme_has_the_signature_of_the_standard() {
    let (api, wired) = Wired::recording();
    let site = site(&api, &here(recipe("[api.webhook]")), RECORD);
    site.secret(
        "webhook-secret",
        &format!("whsec_{}", BASE64_STANDARD.encode([7; 32])),
    );
    site.run(&["drain"]).assert_code(0);
    let wired = wired.lock().unwrap();
    let request = &wired[0];
    assert_eq!(request.line, "POST /hook");
    let body = r#"{"type":"visit.recorded","data":{"network":"net-0044","city":"Tromsø"}}"#;
    assert_eq!(request.body, body);
    let (id, time) = (
        request.header("webhook-id")[0],
        request.header("webhook-timestamp")[0],
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]);
    let signature = hmac::sign(&key, format!("{id}.{time}.{body}").as_bytes());
    let signature = format!("v1,{}", BASE64_STANDARD.encode(signature));
    assert_eq!(request.header("webhook-signature"), [signature]);
}

#[test]
fn the_mutual_tls_of_the_readme_is_let_in_by_a_receiver_that_asks_for_certificates() {
    let pki = needs!(Pki::get(), "openssl");
    let at = |name: &str| pki.path(name).display().to_string();
    let place = Site::new();
    let (cert, key, ca) = (at("good.pem"), at("good.key"), at("ca.pem"));
    let options = [
        "--tls-cert",
        &cert,
        "--tls-key",
        &key,
        "--tls-client-ca",
        &ca,
    ];
    let (receiver, address) = receiver::start(&place, &options);
    let toml = recipe("[api.tls]")
        .replace("https://api.example", &format!("https://{address}"))
        .replace("/etc/ferryd/their-ca.pem", &ca)
        .replace("/etc/ferryd/own.pem", &at("client.pem"))
        .replace("/etc/ferryd/own.key", &at("client.key"));
    let site = site(&Api::accepting(), &toml, RECORD);
    site.run(&["drain"]).assert_code(0);
    let (_, out) = receiver.end("TERM");
    assert!(out.contains("POST /visits 200 "), "{out}");
}

#[test]
fn the_oauth2_of_the_readme_gets_a_token_and_shows_it() {
    let api = Api::answering(|_, request| {
        let shown = request.header("authorization").unwrap_or_default();
        let form = String::from_utf8_lossy(&request.body).into_owned();
        match request.target() {
            "/token" => {
                let basic = BASE64_STANDARD.encode("ferryd:geheim");
                assert_eq!(shown, format!("Basic {basic}"));
                assert!(form.contains("scope=visits%3Awrite"), "{form}");
                Answer::text(
                    200,
                    r#"{"access_token":"t-1","token_type":"bearer","expires_in":60}"#,
                )
            }
            _ if shown == "Bearer t-1" => Answer::status(200),
            _ => Answer::status(401),
        }
    });
    let toml = here(recipe("[api.oauth2]")).replace("https://login.example", "{api}");
    let site = site(&api, &toml, RECORD);
    site.secret("client-secret", "geheim");
    site.run(&["drain"]).assert_code(0);
    assert_eq!(api.seen().len(), 2);
}

#[test]
fn the_preview_of_the_readme_is_what_ferryd_prints() {
    let blocks = blocks("Describing the request");
    let (_, toml) = blocks
        .iter()
        .find(|(language, _)| *language == "toml")
        .unwrap();
    let (_, console) = blocks
        .iter()
        .find(|(language, _)| *language == "console")
        .unwrap();
    let (command, promised) = console.split_once('\n').unwrap();
    assert_eq!(command, "$ ferryd preview 2");
    let site = site(
        &Api::accepting(),
        toml.strip_prefix("[api]\n").unwrap(),
        RECORD,
    );
    let shown = site.run(&["preview", "2"]).assert_code(0).stdout;
    assert_eq!(shown.trim_end(), promised);
}
