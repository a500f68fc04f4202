//! The status listener: tells over HTTP, on this machine, how the daemon is and what stands in the file.
//!
//! Invariants: it reads, and changes nothing; it has threads, connections and readers of its own, few of each, so that no
//! client, however slow or hostile, holds up the deliveries; a fault in it ends no delivery. It never shows what is in a
//! record unless the configuration says so.

mod door;
mod exposition;
mod eye;
mod guest;
mod health;
mod page;

pub use door::{DoorError, look};

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use crate::config::{Config, Listen};
use crate::daemon::Insight;
use crate::db::glance::{self, Facts, Glance};
use crate::db::{OpenError, holders};
use crate::limits::LISTENER_CONNECTIONS;
use crate::server::{Answer, Crowd, Limits, Request, Server};
use crate::stop::Stop;
use crate::time::Timestamp;
use door::{Door, SocketFile};
use exposition::Process;
use eye::{Eye, Sight};
use page::Page;

/// What it grants its clients.
const LIMITS: Limits = Limits {
    connections: LISTENER_CONNECTIONS,
    crowd: Crowd::EndOldest,
    body: 0,
    transfer: Duration::from_secs(2),
    idle: Duration::from_secs(5),
};

/// Prometheus' text format.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A running listener; it stops when dropped.
pub struct Listener {
    /// Before the file, so that nobody comes when that is removed.
    _server: Server,
    room: Arc<Room>,
    _socket: Option<SocketFile>,
    /// For people.
    shown: String,
}

/// What its threads have in common.
struct Room {
    database: PathBuf,
    show_records: bool,
    /// Whether any Host field will do.
    by_name: bool,
    page: Page,
    start: Timestamp,
    stop: Stop,
    /// The API as people may see it; a reload may change it.
    api: Mutex<String>,
    /// Once the daemon has started.
    open: OnceLock<Open>,
}

/// What can be looked at.
struct Open {
    insight: Insight,
    facts: Eye<Facts>,
    glance: Eye<Glance>,
}

impl Listener {
    /// Listens as the configuration says, if it does, and tells that the daemon starts.
    ///
    /// # Errors
    /// [`DoorError`], or when there is no thread for it.
    pub fn open(config: &Config, stop: &Stop) -> anyhow::Result<Option<Listener>> {
        let Some(listen) = &config.status.listen else {
            return Ok(None);
        };
        let Door {
            listener,
            shown,
            socket,
        } = Door::open(listen)?;
        let room = Arc::new(Room {
            database: config.database.path.clone(),
            show_records: config.status.show_records,
            by_name: matches!(listen, Listen::Tcp(_)),
            page: Page::new(),
            start: Timestamp::now(),
            stop: stop.clone(),
            api: Mutex::new(config.shown_url()),
            open: OnceLock::new(),
        });
        let served = room.clone();
        let handler = move |request: &Request| served.answer(request);
        Ok(Some(Listener {
            _server: Server::start(listener, handler, LIMITS)?,
            room,
            _socket: socket,
            shown,
        }))
    }

    /// Where it is reached, for people.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// The daemon has started: from now on it is told how it is.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn show(&self, insight: Insight) -> Result<(), OpenError> {
        let with_content = self.room.show_records;
        let database = &self.room.database;
        let open = Open {
            insight,
            facts: Eye::open(database, glance::facts)?,
            glance: Eye::open(database, move |conn| glance::glance(conn, with_content))?,
        };
        // It is shown once.
        let _ = self.room.open.set(open);
        Ok(())
    }

    /// Follows a reload, as far as it needs no restart.
    pub fn follow(&self, config: &Config) {
        let api = self.room.api.lock();
        *api.unwrap_or_else(PoisonError::into_inner) = config.shown_url();
    }
}

impl Room {
    /// A fault in here costs the client its answer, and nothing else.
    fn answer(&self, request: &Request) -> Answer {
        let serve = AssertUnwindSafe(|| self.serve(request));
        std::panic::catch_unwind(serve).unwrap_or_else(|_| {
            log::error!("The status listener met a fault in ferryd; deliveries go on.");
            guest::plain(500, "This is a fault in ferryd; the log tells more.\n")
        })
    }

    fn serve(&self, request: &Request) -> Answer {
        if let Some(refusal) = guest::refusal(request, self.by_name) {
            return refusal;
        }
        match guest::path(request) {
            "/" => self.page(),
            "/healthz" => verdict(self.illness()),
            "/readyz" => verdict(self.hindrance()),
            "/metrics" => self.metrics(),
            "/status.json" => self.status(),
            _ => guest::plain(
                404,
                "There are /, /healthz, /readyz, /metrics and /status.json.\n",
            ),
        }
    }

    /// Why the process is not alive.
    fn illness(&self) -> Option<String> {
        let open = self.open.get()?;
        health::stuck(&open.insight)
    }

    /// Why it cannot do its work.
    fn hindrance(&self) -> Option<String> {
        if self.stop.requested() {
            return Some("ferryd stops".into());
        }
        match self.open.get() {
            None => Some("ferryd starts".into()),
            Some(open) => open.fault(&open.facts.look()),
        }
    }

    fn status(&self) -> Answer {
        let Some(open) = self.open.get() else {
            return guest::plain(503, "ferryd starts\n");
        };
        let facts = match open.facts.look() {
            Ok(facts) => facts,
            Err(reason) => return guest::plain(503, reason + "\n"),
        };
        match serde_json::to_string(&facts.summary) {
            Ok(json) => guest::data(200, "application/json", json + "\n"),
            Err(error) => guest::plain(500, format!("{error}\n")),
        }
    }

    fn metrics(&self) -> Answer {
        let open = self.open.get();
        let sight = open.map(|open| open.facts.look());
        let fault = open.zip(sight.as_ref());
        let process = Process {
            start: self.start.unix_seconds(),
            file_usable: fault.is_some_and(|(open, sight)| open.fault(sight).is_none()),
            stuck: self.illness().is_some(),
            database: std::fs::metadata(&self.database).map_or(0, |file| file.len()),
            wal: holders::wal_size(&self.database),
        };
        let facts = sight.and_then(Result::ok);
        let insight = open.map(|open| &open.insight);
        let text = exposition::exposition(&process, insight, facts.as_deref());
        guest::data(200, METRICS, text)
    }

    fn page(&self) -> Answer {
        let open = self.open.get();
        let sight = open.map(|open| open.glance.look());
        let fault = open
            .zip(sight.as_ref())
            .and_then(|(open, sight)| open.fault(sight));
        let glance = sight.and_then(Result::ok);
        let view = page::View {
            database: self.database.display().to_string(),
            api: self
                .api
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
            start: self.start,
            now: Timestamp::now(),
            stopping: self.stop.requested(),
            stuck: self.illness(),
            fault,
            insight: open.map(|open| &open.insight),
            glance: glance.as_deref(),
            show_records: self.show_records,
        };
        guest::page(200, self.page.policy(), self.page.render(&view))
    }
}

impl Open {
    /// Why the file cannot be worked on, as far as the daemon knows or a look has shown.
    fn fault<T>(&self, sight: &Sight<T>) -> Option<String> {
        let unreadable = sight.as_ref().err();
        health::fault(&self.insight).or_else(|| unreadable.cloned())
    }
}

fn verdict(reason: Option<String>) -> Answer {
    match reason {
        None => guest::plain(200, "ok\n"),
        Some(reason) => guest::plain(503, reason + "\n"),
    }
}
