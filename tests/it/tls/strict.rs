//! A server that ends the connection itself when the client's certificate is not to its taste: in TLS 1.3 only after the
//! request has left.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use super::pki::Pki;
use super::{needs, showing, site, trusting};

struct Strict {
    child: Child,
    port: String,
}

impl Strict {
    /// `openssl s_server` at a port that the kernel picks.
    fn start(pki: &Pki, version: &str) -> Strict {
        let mut child = Command::new("openssl")
            .args([
                "s_server",
                "-accept",
                "127.0.0.1:0",
                "-naccept",
                "50",
                "-www",
            ])
            .args(["-Verify", "1", "-verify_return_error", version, "-CAfile"])
            .arg(pki.path("ca.pem"))
            .arg("-cert")
            .arg(pki.path("good.pem"))
            .arg("-key")
            .arg(pki.path("good.key"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut words =
            || lines.find_map(|line| Some(line.unwrap().strip_prefix("ACCEPT ")?.to_string()));
        let address = words().expect("openssl says where it listens");
        let port = address.rsplit(':').next().unwrap().to_string();
        // Goes on to be read, so that the server never waits.
        std::thread::spawn(move || lines.for_each(drop));
        Strict { child, port }
    }

    fn url(&self) -> String {
        format!("https://127.0.0.1:{}/", self.port)
    }
}

impl Drop for Strict {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_missing_certificate_is_not_sent_whatever_the_version() {
    let pki = needs!(Pki::get(), "openssl");
    for version in ["-tls1_2", "-tls1_3"] {
        let server = Strict::start(pki, version);
        let asks = ["wants a certificate of ferryd", "api.tls.cert_file"];
        site(&server.url(), &trusting(pki)).assert_refused(&asks);
    }
}

#[test]
fn a_certificate_that_the_server_does_not_know_is_not_sent_whatever_the_version() {
    let pki = needs!(Pki::get(), "openssl");
    for version in ["-tls1_2", "-tls1_3"] {
        let server = Strict::start(pki, version);
        let refuses = ["refuses the certificate of ferryd", "api.tls.cert_file"];
        site(&server.url(), &showing(pki, "stranger")).assert_refused(&refuses);
    }
}
