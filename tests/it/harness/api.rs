//! An API that does as it is told, and remembers every request.

use ferryd::server::{Answer, Limits, Request, Server};
use std::collections::HashMap;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::eventually;

/// A request as the API saw it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The record, told by `network_id`, which the tests set to the record's id.
    pub record: i64,
    pub key: String,
    pub body: String,
    pub at: Instant,
    /// How often this record has been seen, this time included.
    pub time: u32,
}

/// An API that answers as the test's function says, and remembers every request.
pub struct Api {
    server: Server,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Api {
    /// Answers 200 to everything.
    pub fn accepting() -> Api {
        Api::answering(|_, _| Answer::status(200))
    }

    /// Answers what the function makes of a request; the request can be slept on.
    pub fn answering(answer: impl Fn(&Seen, &Request) -> Answer + Send + Sync + 'static) -> Api {
        Api::listening_at("127.0.0.1:0", answer)
    }

    /// The same at a given address.
    pub fn listening_at(
        address: &str,
        answer: impl Fn(&Seen, &Request) -> Answer + Send + Sync + 'static,
    ) -> Api {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let times = Mutex::new(HashMap::new());
        let log = Arc::clone(&seen);
        let handler = move |request: &Request| {
            let body = String::from_utf8_lossy(&request.body).into_owned();
            let json: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
            let record = json["networkId"].as_str().and_then(|id| id.parse().ok());
            let record = record.unwrap_or(i64::MIN);
            let mut times = times.lock().unwrap();
            let time = times.entry(record).or_insert(0);
            *time += 1;
            let seen = Seen {
                record,
                key: request.header("idempotency-key").unwrap_or_default().into(),
                body,
                at: Instant::now(),
                time: *time,
            };
            drop(times);
            log.lock().unwrap().push(seen.clone());
            answer(&seen, request)
        };
        let listener = TcpListener::bind(address).unwrap();
        let server = Server::start(listener, handler, Limits::default()).unwrap();
        Api { server, seen }
    }

    pub fn url(&self) -> String {
        format!("http://{}/records", self.server.addr().unwrap())
    }

    /// Everything received so far, in order of arrival.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// How often each record came.
    pub fn times(&self) -> HashMap<i64, usize> {
        let mut times = HashMap::new();
        for seen in self.seen() {
            *times.entry(seen.record).or_insert(0) += 1;
        }
        times
    }

    /// Fails unless exactly these records came, each exactly once.
    #[track_caller]
    pub fn assert_each_once(&self, records: impl IntoIterator<Item = i64>) {
        let mut came: Vec<i64> = self.seen().iter().map(|seen| seen.record).collect();
        let mut wanted: Vec<i64> = records.into_iter().collect();
        came.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(came, wanted);
    }

    /// Accepts everything, but only once the latch is open.
    pub fn held() -> (Api, Latch) {
        let latch = Latch::default();
        let held = latch.clone();
        let api = Api::answering(move |_, request| {
            held.wait(request);
            Answer::status(200)
        });
        (api, latch)
    }

    /// The records in the order of their requests.
    pub fn order(&self) -> Vec<i64> {
        self.seen().iter().map(|seen| seen.record).collect()
    }

    /// Waits until a request is there.
    #[track_caller]
    pub fn await_request(&self) {
        eventually("a request is there", || !self.seen().is_empty());
    }
}

/// Holds an API back until the test lets it go.
#[derive(Clone, Default)]
pub struct Latch(Arc<std::sync::atomic::AtomicBool>);

impl Latch {
    pub fn open(&self) {
        self.0.store(true, std::sync::atomic::Ordering::SeqCst);
    }

    pub fn is_open(&self) -> bool {
        self.0.load(std::sync::atomic::Ordering::SeqCst)
    }

    /// Waits in a request of an [`Api`], until the latch opens or the API is gone.
    pub fn wait(&self, request: &Request) {
        while !self.is_open() {
            if !request.sleep(Duration::from_millis(5)) {
                return;
            }
        }
    }
}
