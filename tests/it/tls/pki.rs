//! Certificates made by openssl, once for all tests of a run.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// An authority that is trusted by whoever names `ca.pem`, and what it signed.
pub struct Pki(tempfile::TempDir);

impl Pki {
    /// Nothing where there is no openssl.
    pub fn get() -> Option<&'static Pki> {
        static PKI: OnceLock<Option<Pki>> = OnceLock::new();
        PKI.get_or_init(Pki::make).as_ref()
    }

    fn make() -> Option<Pki> {
        Command::new("openssl")
            .arg("version")
            .stdout(Stdio::null())
            .status()
            .ok()?;
        let pki = Pki(tempfile::tempdir().unwrap());
        for authority in ["ca", "other-ca"] {
            pki.openssl(&format!(
                "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN={authority} \
                 -keyout {authority}.key -out {authority}.pem"
            ));
        }
        let here = "subjectAltName=IP:127.0.0.1";
        pki.issue("good", "ca", here, 2);
        pki.issue("expired", "ca", here, -1);
        pki.issue("elsewhere", "ca", "subjectAltName=DNS:other.example", 2);
        pki.issue("unknown", "other-ca", here, 2);
        pki.issue("client", "ca", "subjectAltName=DNS:ferryd", 2);
        pki.issue("stranger", "other-ca", "subjectAltName=DNS:ferryd", 2);
        for (name, is_authority) in [("self-signed", "FALSE"), ("self-signed-ca", "TRUE")] {
            pki.openssl(&format!(
                "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN={name} \
                 -addext {here} -addext basicConstraints=critical,CA:{is_authority} \
                 -keyout {name}.key -out {name}.pem"
            ));
        }
        Some(pki)
    }

    /// A certificate and its key: `<name>.pem` and `<name>.key`.
    fn issue(&self, name: &str, authority: &str, names: &str, days: i32) {
        self.openssl(&format!(
            "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={name} \
             -addext {names} -addext basicConstraints=critical,CA:FALSE -keyout {name}.key -out {name}.csr"
        ));
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA {authority}.pem -CAkey {authority}.key -days {days} \
             -copy_extensions copyall -out {name}.pem"
        ));
    }

    fn openssl(&self, arguments: &str) {
        let output = Command::new("openssl")
            .args(arguments.split_whitespace())
            .current_dir(self.0.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {arguments}: {said}");
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// As TOML and nginx write it.
    pub fn quoted(&self, name: &str) -> String {
        format!("\"{}\"", self.path(name).display())
    }
}

/// Copies a file in one step, so that no reader sees half of it.
pub fn replace(from: &Path, to: &Path) {
    let beside = to.with_extension("new");
    std::fs::copy(from, &beside).unwrap();
    std::fs::rename(beside, to).unwrap();
}
