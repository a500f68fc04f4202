//! A receiver in the benchmark's own process, which notes when each record came.

use ferryd::server::{Answer, Limits, Request, Server};
use std::collections::HashMap;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

type Arrivals = Arc<Mutex<HashMap<String, Instant>>>;

/// Accepts everything.
pub struct Api {
    _server: Server,
    pub url: String,
    /// By the record's network_id; the first time counts.
    arrivals: Arrivals,
}

impl Api {
    pub fn start() -> Api {
        let arrivals = Arrivals::default();
        let noted = Arc::clone(&arrivals);
        let handler = move |request: &Request| {
            let came = Instant::now();
            let body: serde_json::Value = serde_json::from_slice(&request.body).expect("JSON");
            let name = body["networkId"].as_str().unwrap_or_default().to_string();
            noted
                .lock()
                .expect("no handler panics")
                .entry(name)
                .or_insert(came);
            Answer::status(200)
        };
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let server = Server::start(listener, handler, Limits::default()).expect("a server");
        let address = server.addr().expect("it is TCP");
        Api {
            url: format!("http://{address}/records"),
            _server: server,
            arrivals,
        }
    }

    /// When a record came, waiting for it until then.
    pub fn arrival(&self, name: &str, deadline: Instant) -> Option<Instant> {
        loop {
            let came = self
                .arrivals
                .lock()
                .expect("no handler panics")
                .get(name)
                .copied();
            if came.is_some() || Instant::now() >= deadline {
                return came;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}
