//! What a reload replaces: everything that is made of the configuration and needs no restart. It is replaced as a whole, so
//! that a record is never loaded with the columns of one configuration and sent with the request of another.
//!
//! Must never happen here: a change of settings that somebody works with. Whoever took them keeps them until it asks again,
//! and sees by [`Settings::are_replaced`] that it should.

use rusqlite::Connection;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use crate::config::{Config, Retention};
use crate::db::batches::Cut;
use crate::db::records::{self, Loader};
use crate::endpoint::Endpoint;
use crate::retry::RetryPolicy;

/// The most that a name lookup of the system may take (resolv.conf(5): three servers, two attempts of 5 s each), and more.
const LOOKUP: Duration = Duration::from_secs(60);

/// What is made of one configuration.
pub struct Settings {
    /// The API.
    pub endpoint: Endpoint,
    /// Reads the records as the endpoint needs them.
    pub loader: Loader,
    /// When to try again.
    pub policy: RetryPolicy,
    /// How records are cut into batches.
    pub cut: Cut,
    /// A request that takes longer is stuck: with OAuth2 it may take four times `api.timeout`, and nothing cuts off the
    /// system's name lookup.
    pub longest_request: Duration,
    /// How long what was delivered stays.
    pub retention: Retention,
    /// For requests in flight at a stop.
    pub grace: Duration,
    replaced: AtomicBool,
}

impl Settings {
    /// Reads secrets and certificates, and warns of what is unwise.
    ///
    /// # Errors
    /// What is wrong with the configuration, or with a file that it names.
    pub fn new(config: &Config) -> anyhow::Result<Settings> {
        let url = config.require_url()?;
        let endpoint = Endpoint::new(&config.api, url, config.workers.threads)?;
        for warning in endpoint.warnings() {
            log::warn!("{warning}.");
        }
        Ok(Settings {
            loader: Loader::new(endpoint.columns()),
            endpoint,
            policy: config.retry.clone(),
            cut: Cut {
                batch_size: config.batch.size,
                linger: config.batch.linger,
            },
            longest_request: config.api.timeout.saturating_mul(5).saturating_add(LOOKUP),
            retention: config.retention,
            grace: config.shutdown.grace,
            replaced: AtomicBool::new(false),
        })
    }

    /// Whether `user_record` has the columns that the request needs.
    ///
    /// # Errors
    /// [`records::NoColumn`] when it has not; otherwise SQLite's.
    pub fn check_columns(&self, conn: &Connection) -> anyhow::Result<()> {
        let uses = self.endpoint.uses().iter();
        records::check_columns(
            conn,
            uses.map(|used| (used.key.as_str(), used.column.as_str())),
        )
    }

    /// Whether there are newer ones.
    pub fn are_replaced(&self) -> bool {
        self.replaced.load(Ordering::Acquire)
    }
}

/// The settings that hold now.
pub struct Current(Mutex<State>);

struct State {
    now: Arc<Settings>,
    /// Replaced ones that somebody may still work with.
    before: Vec<Weak<Settings>>,
}

impl Current {
    /// These hold until they are replaced.
    pub fn new(settings: Settings) -> Current {
        Current(Mutex::new(State {
            now: Arc::new(settings),
            before: Vec::new(),
        }))
    }

    /// What holds now.
    pub fn get(&self) -> Arc<Settings> {
        self.lock().now.clone()
    }

    /// From now on these hold.
    pub fn replace(&self, settings: Settings) {
        let mut state = self.lock();
        let old = std::mem::replace(&mut state.now, Arc::new(settings));
        old.replaced.store(true, Ordering::Release);
        state.before.retain(|settings| settings.strong_count() > 0);
        state.before.push(Arc::downgrade(&old));
    }

    /// Cuts off the requests in flight, by whatever settings they began, and refuses new ones.
    pub fn shut_down(&self) {
        let state = self.lock();
        state.now.endpoint.shut_down();
        for settings in state.before.iter().filter_map(Weak::upgrade) {
            settings.endpoint.shut_down();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
