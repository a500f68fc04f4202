//! nginx in front of an API of ours: the TLS of a server that we did not write.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::pki::Pki;
use crate::harness::{Api, eventually};

pub struct Nginx {
    child: Child,
    room: tempfile::TempDir,
    port: u16,
}

impl Nginx {
    /// Shows this certificate and has these further lines; hands what it takes in on to the API. Nothing where nginx is
    /// not installed.
    pub fn start(pki: &Pki, certificate: &str, lines: &str, api: &Api) -> Option<Nginx> {
        let program = ["/usr/sbin/nginx", "/usr/bin/nginx", "/usr/local/sbin/nginx"];
        let program = program
            .map(PathBuf::from)
            .into_iter()
            .find(|path| path.exists())?;
        // Somebody else may take the free port before nginx does.
        (0..5).find_map(|_| Nginx::try_start(&program, pki, certificate, lines, api))
    }

    fn try_start(
        program: &PathBuf,
        pki: &Pki,
        certificate: &str,
        lines: &str,
        api: &Api,
    ) -> Option<Nginx> {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let room = tempfile::tempdir().unwrap();
        let at = |name: &str| room.path().join(name).display().to_string();
        let config = format!(
            "daemon off; master_process off; pid {pid}; error_log {errors};
             events {{ worker_connections 64; }}
             http {{
               access_log {access};
               client_body_temp_path {temp}; proxy_temp_path {temp}; fastcgi_temp_path {temp};
               uwsgi_temp_path {temp}; scgi_temp_path {temp};
               server {{
                 listen 127.0.0.1:{port} ssl;
                 ssl_certificate {cert}; ssl_certificate_key {key};
                 {lines}
                 location / {{ proxy_pass {api}; }}
               }}
             }}",
            pid = at("pid"),
            errors = at("errors"),
            access = at("access"),
            temp = at("temp"),
            cert = pki.quoted(&format!("{certificate}.pem")),
            key = pki.quoted(&format!("{certificate}.key")),
            api = api.url(),
        );
        std::fs::write(room.path().join("nginx.conf"), config).unwrap();
        let child = Command::new(program)
            .args(["-e", "errors", "-p"])
            .arg(room.path())
            .arg("-c")
            .arg(room.path().join("nginx.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut nginx = Nginx { child, room, port };
        let mut ended = false;
        eventually("nginx is ready", || {
            ended = nginx.child.try_wait().unwrap().is_some();
            ended || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        let errors = nginx.read("errors");
        assert!(
            !ended || errors.contains("Address already in use"),
            "{errors}"
        );
        (!ended).then_some(nginx)
    }

    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}/records", self.port)
    }

    /// A line for each request that it took in.
    pub fn requests(&self) -> String {
        self.read("access")
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.room.path().join(name)).unwrap_or_default()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
