//! Proving who sends: header fields from secret files, and what is said when a file is unfit.

mod interop;
mod oauth2;
mod planted;
mod webhook;

use ferryd::server::{Answer, Request};
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};

use crate::harness::{Api, Ran, Site, eventually};

/// Writes a header of every request down.
#[derive(Clone)]
struct Listener {
    field: &'static str,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Listener {
    fn to(field: &'static str) -> Listener {
        let heard = Arc::default();
        Listener { field, heard }
    }

    fn hear(&self, request: &Request) {
        let value = request.header(self.field).unwrap_or("none").to_string();
        self.heard.lock().unwrap().push(value);
    }

    fn api(&self) -> Api {
        let listener = self.clone();
        Api::answering(move |_, request| {
            listener.hear(request);
            Answer::status(200)
        })
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

/// What the API hears in `field` with this configuration, whose `FILE` holds the content.
#[track_caller]
fn heard(field: &'static str, toml: &str, content: &str) -> String {
    let listener = Listener::to(field);
    let api = listener.api();
    let site = Site::with(&api, toml);
    site.secret("FILE", content);
    site.import(1, [1]);
    site.run(&["drain"]).assert_code(0);
    listener.heard().pop().unwrap()
}

#[test]
fn a_bearer_token_a_password_and_a_secret_header_come_from_files() {
    let bearer = "[api.auth]\nbearer_token_file = \"FILE\"\n";
    assert_eq!(heard("authorization", bearer, "to-ken\n"), "Bearer to-ken");
    let basic = "[api.auth]\nbasic_user = \"Aladdin\"\nbasic_password_file = \"FILE\"\n";
    // The example of RFC 7617 section 2.
    assert_eq!(
        heard("authorization", basic, "open sesame"),
        "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    );
    let header = "[api.auth.headers]\nX-Api-Key = \"FILE\"\n";
    assert_eq!(heard("x-api-key", header, "key word\r\n"), "key word");
}

#[test]
fn a_path_may_begin_at_the_credentials_directory_of_systemd() {
    let listener = Listener::to("authorization");
    let api = listener.api();
    let site = Site::with(
        &api,
        "[api.auth]\nbearer_token_file = \"${CREDENTIALS_DIRECTORY}/token\"\n",
    );
    std::fs::create_dir(site.path("credentials")).unwrap();
    let path = site.secret("credentials/token", "t");
    // systemd's access list shows as rights of the group.
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o440)).unwrap();
    site.import(1, [1]);
    let mut drain = site.ferryd(&["drain"]);
    drain.env("CREDENTIALS_DIRECTORY", site.path("credentials"));
    let ran = Ran::wait(drain).assert_code(0);
    assert!(!ran.stderr.contains("can be read by others"), "{ran:?}");
    assert_eq!(listener.heard(), ["Bearer t"]);

    let mut drain = site.ferryd(&["drain"]);
    drain.env_remove("CREDENTIALS_DIRECTORY");
    Ran::wait(drain)
        .assert_code(78)
        .assert_says("api.auth.bearer_token_file: CREDENTIALS_DIRECTORY is not set");
}

#[test]
fn an_unfit_file_is_78_at_the_start_and_named_without_its_content() {
    let api = Api::accepting();
    let site = Site::with(&api, "[api.auth]\nbearer_token_file = \"token\"\n");
    site.run(&["init"]).assert_code(0);
    let refused = |why: &str| {
        for command in ["run", "drain", "check"] {
            let ran = site
                .run(&[command])
                .assert_code(78)
                .assert_says("api.auth.bearer_token_file: token ")
                .assert_says(why);
            assert!(!format!("{ran:?}").contains("geheim"), "{ran:?}");
        }
    };
    refused("cannot be read: No such file");
    site.secret("token", "\n");
    refused("is empty");
    site.secret("token", "geheim\nzwei");
    refused("holds something else than printable ASCII");
    site.secret("token", &"geheim".repeat(10_000));
    refused("is longer than 8192 bytes");
    assert_eq!(api.seen().len(), 0);
}

#[test]
fn a_changed_secret_is_used_without_a_restart_and_an_unfit_one_is_not() {
    let listener = Listener::to("authorization");
    let api = listener.api();
    let site = Site::with(&api, "[api.auth]\nbearer_token_file = \"token\"\n");
    site.secret("token", "one");
    site.run(&["init"]).assert_code(0);
    let daemon = site.daemon();
    let mut id = 0;
    let mut send_until = |wanted: &str| {
        eventually(wanted, || {
            id += 1;
            site.insert(1, id);
            site.await_delivered(id);
            listener.heard().last().unwrap() == wanted
        });
    };
    send_until("Bearer one");
    std::fs::rename(site.secret("new", "two"), site.path("token")).unwrap();
    send_until("Bearer two");
    std::fs::remove_file(site.path("token")).unwrap();
    eventually("it is said that the file is gone", || {
        send_until("Bearer two");
        daemon.log().contains("A secret's file is unfit")
    });
    site.secret("token", "three");
    send_until("Bearer three");
    let log = daemon.log();
    assert_eq!(log.matches("A secret's file is unfit").count(), 1, "{log}");
    for secret in ["two", "three"] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[test]
fn a_secret_that_others_can_read_is_a_warning_of_check_and_at_the_start() {
    let api = Api::accepting();
    let site = Site::with(&api, "[api.auth]\nbearer_token_file = \"token\"\n");
    let path = site.secret("token", "t");
    site.run(&["init"]).assert_code(0);
    let check = |word: &str| {
        let ran = site.run(&["check"]).assert_code(0);
        let line = ran.stdout.lines().find(|line| line.contains(" secrets "));
        let line = line.unwrap_or_default().to_string();
        assert!(line.starts_with(word), "{ran:?}");
        line
    };
    check("ok ");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
    let line = check("warn ");
    assert!(line.contains("api.auth.bearer_token_file: token can be read by others"));
    assert!(line.contains("chmod 600"), "{line}");
    let daemon = site.daemon();
    assert!(
        daemon.log().contains("can be read by others"),
        "{}",
        daemon.log()
    );
}

#[test]
fn a_secret_in_the_configuration_still_works_and_is_a_warning() {
    let listener = Listener::to("authorization");
    let api = listener.api();
    let site = Site::with(&api, "[api.headers]\nAuthorization = \"Bearer geheim\"\n");
    site.import(1, [1]);
    let ran = site.run(&["drain"]).assert_code(0);
    let said = "api.headers.Authorization is a secret in the configuration: put it into a file";
    assert!(ran.stderr.contains(said), "{ran:?}");
    let check = site.run(&["check"]).assert_code(0);
    assert!(check.stdout.contains(said), "{check:?}");
    assert!(!format!("{ran:?}{check:?}").contains("geheim"));
    assert_eq!(listener.heard(), ["Bearer geheim"]);
}

#[test]
fn another_machine_is_reached_over_https_only_unless_it_is_allowed() {
    let site = Site::new();
    let configure = |more: &str| {
        site.configure(&format!(
            "[api]\nurl = \"http://api.example/records\"\n{more}"
        ));
    };
    configure("");
    for command in ["run", "drain", "check"] {
        site.run(&[command])
            .assert_code(78)
            .assert_says("api.url: must begin with https://")
            .assert_says("unencrypted to api.example")
            .assert_says("api.allow_http = true");
    }
    assert!(!site.database().exists());
    configure("allow_http = true\n");
    site.run(&["check"]).assert_code(0);
}

#[test]
fn settings_that_contradict_each_other_are_78() {
    let api = Api::accepting();
    let site = Site::with(
        &api,
        "[api.auth]\nbearer_token_file = \"t\"\nbasic_user = \"me\"\n[api.tls]\ncert_file = \"c\"\n",
    );
    site.run(&["drain"])
        .assert_code(78)
        .assert_says("api.auth.basic_password_file is not set, but belongs to api.auth.basic_user")
        .assert_says("api.tls.key_file is not set, but belongs to api.tls.cert_file")
        .assert_says("both write the header authorization");
}
