//! Requests as they stood on the wire.

use ferryd::server::{Answer, Request};
use std::sync::{Arc, Mutex};

use super::{Api, Seen};

/// A request as it stood on the wire.
#[derive(Debug, Clone)]
pub struct Wired {
    /// Method and target.
    pub line: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Wired {
    pub fn of(request: &Request) -> Wired {
        let own = |(name, value): (&str, &str)| (name.to_ascii_lowercase(), value.to_string());
        Wired {
            line: format!("{} {}", request.method(), request.target()),
            headers: request.headers().map(own).collect(),
            body: String::from_utf8(request.body.clone()).unwrap(),
        }
    }

    /// All values of a header field.
    pub fn header(&self, name: &str) -> Vec<&str> {
        let fields = self.headers.iter().filter(|(had, _)| had == name);
        fields.map(|(_, value)| value.as_str()).collect()
    }

    /// An API that accepts everything and keeps the requests as they were.
    pub fn recording() -> (Api, Arc<Mutex<Vec<Wired>>>) {
        Wired::recording_answers(|_| 200)
    }

    /// An API that answers with the status that `status` says and keeps the requests as they were.
    pub fn recording_answers(
        status: impl Fn(&Seen) -> u16 + Send + Sync + 'static,
    ) -> (Api, Arc<Mutex<Vec<Wired>>>) {
        let wired = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&wired);
        let api = Api::answering(move |seen, request| {
            into.lock().unwrap().push(Wired::of(request));
            Answer::status(status(seen))
        });
        (api, wired)
    }
}
