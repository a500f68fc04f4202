//! The server of `tests/interop`: libraries of others, in a Python environment that `.ci/run` makes.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

const PYTHON: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/interop/bin/python");
const SERVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/server.py");

pub struct Interop {
    child: Child,
    port: String,
    said: Arc<Mutex<Vec<String>>>,
}

impl Interop {
    /// Nothing where there is no such environment.
    pub fn start(settings: &serde_json::Value) -> Option<Interop> {
        if !std::path::Path::new(PYTHON).exists() {
            return None;
        }
        let mut child = Command::new(PYTHON)
            .args([SERVER, &settings.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.next().expect("it says its port").unwrap();
        let said = Arc::new(Mutex::new(Vec::new()));
        let heard = said.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                heard.lock().unwrap().push(line);
            }
        });
        Some(Interop { child, port, said })
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }

    /// How often it said this.
    pub fn count(&self, line: &str) -> usize {
        let said = self.said.lock().unwrap();
        said.iter().filter(|said| *said == line).count()
    }

    pub fn said(&self) -> Vec<String> {
        self.said.lock().unwrap().clone()
    }
}

impl Drop for Interop {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
