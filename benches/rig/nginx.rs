//! nginx as a receiver: what others would have on the far side. It answers 200 at once and keeps connections open.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::process::Owned;

/// nginx in a process of its own.
pub struct Nginx {
    _process: Owned,
    pub url: String,
}

impl Nginx {
    /// `None` without nginx (Debian package `nginx-light`), which is said.
    pub fn start(directory: &Path) -> Option<Nginx> {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("it has an address");
        drop(listener);
        let home = directory.join("nginx");
        std::fs::create_dir_all(&home).expect("a directory");
        let settings = home.join("nginx.conf");
        std::fs::write(&settings, text(&home, &address.to_string())).expect("it is written");
        // Not every PATH has /usr/sbin.
        let program = ["/usr/sbin/nginx", "nginx"]
            .into_iter()
            .find(|program| Command::new(program).arg("-v").output().is_ok());
        let Some(program) = program else {
            eprintln!("SKIPPED nginx: it is not installed");
            return None;
        };
        let child = Command::new(program)
            .arg("-p")
            .arg(&home)
            .arg("-c")
            .arg(&settings)
            .args(["-e", "stderr"])
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx starts");
        let process = Owned(child);
        let deadline = Instant::now() + Duration::from_secs(5);
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < deadline, "nginx does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(Nginx {
            _process: process,
            url: format!("http://{address}/records"),
        })
    }
}

fn text(home: &Path, address: &str) -> String {
    let home = home.display();
    format!(
        "daemon off;\nmaster_process off;\npid {home}/nginx.pid;\n\
         events {{ worker_connections 4096; }}\n\
         http {{\n  access_log off;\n  error_log /dev/null;\n  keepalive_requests 1000000000;\n\
         \x20 client_body_temp_path {home}/body;\n  proxy_temp_path {home}/proxy;\n  fastcgi_temp_path {home}/fastcgi;\n\
         \x20 uwsgi_temp_path {home}/uwsgi;\n  scgi_temp_path {home}/scgi;\n\
         \x20 server {{ listen {address} backlog=4096; location / {{ return 200; }} }}\n}}\n"
    )
}
