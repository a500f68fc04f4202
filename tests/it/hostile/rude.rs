//! A server without manners, for answers that no proper server can give.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A function writes whatever it likes to the connection, once per request; the connection stays open as long as it
/// returns true.
pub struct Rude {
    address: String,
    records: Arc<Mutex<Vec<i64>>>,
}

impl Rude {
    pub fn new(answer: impl Fn(&mut TcpStream, i64) -> bool + Send + Sync + 'static) -> Rude {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (answer, records) = (Arc::new(answer), Arc::new(Mutex::default()));
        let seen: Arc<Mutex<Vec<i64>>> = Arc::clone(&records);
        // The threads end with the process; they hold nothing but their sockets.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, seen) = (Arc::clone(&answer), Arc::clone(&seen));
                std::thread::spawn(move || serve(stream, &seen, &*answer));
            }
        });
        Rude { address, records }
    }

    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// The records in order of arrival.
    pub fn seen(&self) -> Vec<i64> {
        self.records.lock().unwrap().clone()
    }
}

fn serve(
    mut stream: TcpStream,
    seen: &Mutex<Vec<i64>>,
    answer: &(dyn Fn(&mut TcpStream, i64) -> bool + Send + Sync),
) {
    let patience = Some(Duration::from_secs(20));
    stream.set_write_timeout(patience).unwrap();
    stream.set_read_timeout(patience).unwrap();
    while let Some(record) = read_request(&mut stream) {
        seen.lock().unwrap().push(record);
        if !answer(&mut stream, record) {
            return;
        }
    }
}

/// Reads a request of ours, whose body ends with its only closing brace, and says which record it carries.
fn read_request(stream: &mut TcpStream) -> Option<i64> {
    let (mut text, mut chunk) = (Vec::new(), [0; 4096]);
    while text.last() != Some(&b'}') {
        let read = stream.read(&mut chunk).ok().filter(|read| *read > 0)?;
        text.extend_from_slice(&chunk[..read]);
    }
    let text = String::from_utf8(text).ok()?;
    let id = text.split_once("\"networkId\":\"")?.1;
    id.split_once('"')?.0.parse().ok()
}
