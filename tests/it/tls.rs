//! TLS with nginx: whom ferryd trusts, what it shows, and what it says about certificates that are unfit.

mod nginx;
mod pki;
mod strict;

use nginx::Nginx;
pub(crate) use pki::Pki;
use pki::replace;

use crate::harness::{Api, Site, eventually};
use crate::rights::skip;

/// A site that sends to `url` with these settings, and stays where the gate closes.
fn site(url: &str, toml: &str) -> Site {
    let site = Site::new();
    site.configure(&format!(
        "[api]\nurl = \"{url}\"\n[gate]\nfailures = 2\nprobe_interval = \"1h\"\n[api.tls]\n{toml}"
    ));
    site
}

/// The settings of somebody who trusts our authority.
fn trusting(pki: &Pki) -> String {
    format!("ca_file = {}\n", pki.quoted("ca.pem"))
}

/// The settings of somebody who also shows this certificate.
fn showing(pki: &Pki, name: &str) -> String {
    let (cert, key) = (
        pki.quoted(&format!("{name}.pem")),
        pki.quoted(&format!("{name}.key")),
    );
    format!("{}cert_file = {cert}\nkey_file = {key}\n", trusting(pki))
}

impl Site {
    /// Sends three records until the gate closes; returns its reason. No attempt may be burned.
    #[track_caller]
    fn assert_refused(&self, words: &[&str]) {
        self.import(1, 1..=3);
        let daemon = self.daemon();
        eventually("the gate is closed", || {
            self.value::<String>("SELECT gate FROM delivery_summary") == "closed"
        });
        let reason: String = self.value("SELECT gate_reason FROM delivery_summary");
        for word in words {
            assert!(reason.contains(word), "{word} is not in: {reason}");
        }
        let sql = "SELECT waiting || ' ' || (SELECT count(*) FROM undelivered_record) || ' '
                       || (SELECT total(retry_count) FROM processing_batch_status) FROM delivery_summary";
        assert_eq!(
            self.value::<String>(sql),
            "3 0 0.0",
            "an attempt was burned: {reason}"
        );
        daemon.await_log(words[0]);
        assert_eq!(daemon.terminate().0, 0);
    }
}

macro_rules! needs {
    ($what:expr, $name:literal) => {
        match $what {
            Some(there) => there,
            None => return crate::rights::skip(concat!("needs ", $name)),
        }
    };
}
pub(crate) use needs;

/// What is said about nginx with this certificate; it gets no request.
#[track_caller]
fn assert_distrusted(certificate: &str, words: &[&str]) {
    let pki = needs!(Pki::get(), "openssl");
    let api = Api::accepting();
    let nginx = needs!(Nginx::start(pki, certificate, "", &api), "nginx");
    let site = site(&nginx.url(), &trusting(pki));
    site.assert_refused(words);
    let probe = site.run(&["check", "--probe"]).assert_code(69);
    assert!(probe.stdout.contains(words[0]), "{probe:?}");
    assert_eq!(nginx.requests(), "");
    assert_eq!(api.seen().len(), 0);
}

#[test]
fn an_expired_certificate_gets_nothing_and_is_named() {
    assert_distrusted("expired", &["has expired", "127.0.0.1"]);
}

#[test]
fn a_certificate_of_another_host_gets_nothing_and_is_named() {
    assert_distrusted(
        "elsewhere",
        &["is not valid for the name 127.0.0.1", "other.example"],
    );
}

#[test]
fn a_self_signed_certificate_gets_nothing_and_is_named() {
    assert_distrusted("self-signed", &["is self-signed", "api.tls.ca_file"]);
    assert_distrusted("self-signed-ca", &["is self-signed", "CA:FALSE"]);
}

#[test]
fn a_certificate_of_an_unknown_authority_gets_nothing_and_is_named() {
    assert_distrusted(
        "unknown",
        &["is signed by an unknown authority", "api.tls.ca_file"],
    );
}

#[test]
fn the_systems_authorities_do_not_vouch_for_ours() {
    let pki = needs!(Pki::get(), "openssl");
    let api = Api::accepting();
    let nginx = needs!(Nginx::start(pki, "good", "", &api), "nginx");
    if !std::path::Path::new("/etc/ssl/certs/ca-certificates.crt").exists() {
        return skip("needs the system's certificates");
    }
    site(&nginx.url(), "").assert_refused(&["is signed by an unknown authority"]);
    assert_eq!(nginx.requests(), "");
}

#[test]
fn a_server_with_a_certificate_of_a_trusted_authority_gets_the_records() {
    let pki = needs!(Pki::get(), "openssl");
    let api = Api::accepting();
    let nginx = needs!(Nginx::start(pki, "good", "", &api), "nginx");
    let site = site(&nginx.url(), &trusting(pki));
    site.import(1, 1..=30);
    site.run(&["drain"]).assert_code(0);
    api.assert_each_once(1..=30);
    site.run(&["check", "--probe"]).assert_code(0);
}

#[test]
fn a_self_signed_certificate_is_trusted_by_whoever_names_it() {
    let pki = needs!(Pki::get(), "openssl");
    let api = Api::accepting();
    let nginx = needs!(Nginx::start(pki, "self-signed", "", &api), "nginx");
    let site = site(
        &nginx.url(),
        &format!("ca_file = {}\n", pki.quoted("self-signed.pem")),
    );
    site.import(1, 1..=3);
    site.run(&["drain"]).assert_code(0);
    api.assert_each_once(1..=3);
}

#[test]
fn a_server_of_old_tls_is_refused_when_a_newer_one_is_asked_for() {
    let pki = needs!(Pki::get(), "openssl");
    let api = Api::accepting();
    let nginx = needs!(
        Nginx::start(pki, "good", "ssl_protocols TLSv1.2;", &api),
        "nginx"
    );
    let newer = format!("{}min_version = \"1.3\"\n", trusting(pki));
    site(&nginx.url(), &newer).assert_refused(&["does not speak a version of TLS", "min_version"]);
    assert_eq!(nginx.requests(), "");

    let usual = site(&nginx.url(), &trusting(pki));
    usual.import(1, 1..=3);
    usual.run(&["drain"]).assert_code(0);
    api.assert_each_once(1..=3);
}

#[test]
fn a_server_that_speaks_no_tls_is_named() {
    let pki = needs!(Pki::get(), "openssl");
    let api = Api::accepting();
    let url = api.url().replace("http://", "https://");
    site(&url, &trusting(pki)).assert_refused(&["does not speak TLS", "http://"]);
    assert_eq!(api.seen().len(), 0);
}

const MUTUAL: &str = "ssl_verify_client on; ssl_client_certificate";

#[test]
fn mutual_tls_needs_the_right_certificate() {
    let pki = needs!(Pki::get(), "openssl");
    let api = Api::accepting();
    let lines = format!("{MUTUAL} {};", pki.quoted("ca.pem"));
    let nginx = needs!(Nginx::start(pki, "good", &lines, &api), "nginx");
    // nginx takes these requests in, but hands nothing on.
    let asks = ["wants a certificate of ferryd", "api.tls.cert_file"];
    site(&nginx.url(), &trusting(pki)).assert_refused(&asks);
    assert_eq!(api.seen().len(), 0);

    let known = site(&nginx.url(), &showing(pki, "client"));
    known.import(1, 1..=30);
    known.run(&["drain"]).assert_code(0);
    api.assert_each_once(1..=30);
}

#[test]
fn a_certificate_that_is_replaced_is_shown_without_a_restart() {
    let pki = needs!(Pki::get(), "openssl");
    let api = Api::accepting();
    let lines = format!("{MUTUAL} {};", pki.quoted("ca.pem"));
    let nginx = needs!(Nginx::start(pki, "good", &lines, &api), "nginx");
    let site = Site::new();
    let name = |name: &str| site.path(name).display().to_string();
    site.configure(&format!(
        "[api]\nurl = \"{}\"\n[gate]\nprobe_interval = \"100ms\"\n[api.tls]\nca_file = {}\ncert_file = \"{}\"\nkey_file = \"{}\"\n",
        nginx.url(), pki.quoted("ca.pem"), name("own.pem"), name("own.key"),
    ));
    let show = |certificate: &str| {
        for end in ["pem", "key"] {
            let from = pki.path(&format!("{certificate}.{end}"));
            replace(&from, &site.path(&format!("own.{end}")));
        }
    };
    show("stranger");
    site.import(1, 1..=3);
    let daemon = site.daemon();
    eventually("the stranger is refused", || {
        site.value::<String>("SELECT gate FROM delivery_summary") == "closed"
    });
    show("client");
    site.await_delivered(3);
    api.assert_each_once(1..=3);
    assert_eq!(daemon.terminate().0, 0);
}

#[test]
fn unfit_certificates_are_78_at_the_start_and_named() {
    let pki = needs!(Pki::get(), "openssl");
    let refused = |toml: &str, words: &str| {
        let site = site("https://127.0.0.1:1/", toml);
        site.run(&["drain"]).assert_code(78).assert_says(words);
    };
    let pair = |cert: &str, key: &str| {
        format!(
            "cert_file = {}\nkey_file = {}\n",
            pki.quoted(cert),
            pki.quoted(key)
        )
    };
    refused(
        "ca_file = \"none.pem\"\n",
        "api.tls.ca_file: none.pem cannot be read",
    );
    refused(
        &format!("ca_file = {}\n", pki.quoted("ca.key")),
        "holds no certificate in PEM form",
    );
    refused(
        &pair("client.pem", "client.pem"),
        "holds no private key in PEM form",
    );
    refused(
        &pair("client.pem", "good.key"),
        "is not the key of the certificate",
    );
}
