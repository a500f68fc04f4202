//! The daemon: wires the threads together, starts them in order and stops them in order. The only room that spawns.
//!
//! Stop: no more claims; requests in flight may finish within `shutdown.grace`, then they are cut off and recorded as
//! UNKNOWN; outcomes are committed; batches go back to PENDING; the -wal is checkpointed. Nothing that was answered is
//! forgotten.

mod crew;
mod file;

use anyhow::Context;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use std::io::PipeWriter;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::activity::{Activity, Seen};
use crate::config::Config;
use crate::db::Damaged;
use crate::db::batches::Scope;
use crate::db::claims;
use crate::db::pool::Readers;
use crate::db::writer::Writer;
use crate::gate::{self, Change, Gate};
use crate::limits;
use crate::lock::InstanceLock;
use crate::metrics::Metrics;
use crate::pace::Pace;
use crate::planner::Planner;
use crate::retention::Pruner;
use crate::settings::{Current, Settings};
use crate::steward::{self, Steward};
use crate::stop::{Stop, StopSource};
use crate::timer::Timer;
use crate::wake::{Waker, Watcher};
use crate::worker::{Helpers, Shared};
use crew::Crew;

pub use crew::Panicked;
pub use file::StoppedWaiting;

/// Time for committing and freeing batches, after requests had `shutdown.grace`.
const WIND_UP: Duration = Duration::from_secs(1);

/// Time for the workers to end once the writer gives up on an unwritable file.
const LAST_WAIT: Duration = Duration::from_millis(300);

/// What can be seen of a running daemon from beside it.
#[derive(Clone)]
pub struct Insight {
    /// Read the file.
    pub readers: Readers,
    /// What each thread does.
    pub activity: Arc<Activity>,
    /// What was sent since the start.
    pub metrics: Arc<Metrics>,
    /// What holds sending.
    pub gate: Arc<Gate>,
    settings: Arc<Current>,
}

impl Insight {
    /// A thread that makes no progress and has no reason to wait, if there is one.
    pub fn stuck(&self) -> Option<Seen> {
        let longest_request = self.settings.get().longest_request;
        self.activity.stuck(longest_request)
    }
}

/// A running pipeline on one file.
pub struct Daemon {
    /// Reads the file beside the pipeline.
    pub readers: Readers,
    shared: Arc<Shared>,
    writer: Writer,
    writer_thread: JoinHandle<()>,
    checkpoints: JoinHandle<()>,
    helpers: Vec<JoinHandle<()>>,
    workers: Vec<JoinHandle<()>>,
    workers_done: Receiver<()>,
    failures: Receiver<anyhow::Error>,
    /// What the gate says after the steward has ended.
    changes: Receiver<Change>,
    /// Dropped to stop all threads but the writer.
    stop_source: StopSource,
    watcher_pipe: PipeWriter,
    /// Dropped to make the writer give up on an unwritable file.
    writer_deadline: Sender<()>,
    _lock: InstanceLock,
}

impl Daemon {
    /// Sets the file up, frees what a dead process left RUNNING, and starts the threads.
    ///
    /// # Errors
    /// When the configuration, the file or the machine does not allow it, or `stop` comes before the file could be had;
    /// nothing was sent then.
    pub fn start(config: &Config, scope: Scope, stop: &Stop) -> anyhow::Result<Daemon> {
        let workers = config.workers.threads;
        let settings = Settings::new(config)?;
        limits::make_room_for_files(file::READERS, workers, guests(config))?;
        let file = file::open(config, &settings, stop)?;
        let readers = file.readers;

        let (writer_deadline, deadline) = bounded(0);
        let activity = Arc::new(Activity::new(workers));
        let metrics = Arc::new(Metrics::default());
        let durability = config.database.durability;
        let (writer, write) = Writer::new(file.conn, durability, deadline, activity.clone())?;
        let checkpointer = writer.checkpointer(&config.database.path)?;
        let (stop_source, stop) = Stop::new();
        let (rescheduled, reschedules) = bounded(1);
        let (queue, claims) = bounded(config.workers.queue as usize);
        let (change, changes) = unbounded();
        let (watcher_end, watcher_pipe) = std::io::pipe()?;
        let (planner_waker, planner_wake) = Waker::new();
        let (steward_waker, steward_wake) = Waker::new();
        let settings = Arc::new(Current::new(settings));
        let gate = Gate::new(gate_rules(config), file.sign.clone(), file.probe_in, change);
        let gate = Arc::new(gate);
        let shared = Arc::new(Shared {
            settings: settings.clone(),
            database: config.database.path.clone(),
            readers: readers.clone(),
            writer: writer.clone(),
            gate: gate.clone(),
            pace: Pace::new(&config.api.pace, workers),
            instance: file.instance,
            helpers: Helpers::default(),
            rescheduled,
            activity: activity.clone(),
            metrics: metrics.clone(),
            stop: stop.clone(),
        });
        let planner = Planner {
            database: config.database.path.clone(),
            readers: readers.clone(),
            writer: writer.clone(),
            queue,
            wake: planner_wake,
            stop: stop.clone(),
            scope,
            settings: settings.clone(),
            activity: activity.clone(),
        };
        let timer = Timer {
            readers: readers.clone(),
            writer: writer.clone(),
            settings: settings.clone(),
            rescheduled: reschedules,
            planner: planner_waker.clone(),
            activity: activity.clone(),
            stop: stop.clone(),
        };
        let watcher = Watcher::new(&config.database.path, watcher_end, gate.clone())?;
        let steward = Steward {
            readers: readers.clone(),
            writer: writer.clone(),
            gate,
            changes: changes.clone(),
            wake: steward_wake,
            planner: planner_waker.clone(),
            logged: file.sign,
            revived: Some(0),
            watched_at: None,
            settings,
            activity,
            metrics,
            stop: stop.clone(),
        };

        let pruner = Pruner {
            database: config.database.path.clone(),
            writer: writer.clone(),
            settings: shared.settings.clone(),
            stop: stop.clone(),
        };

        let (crew, failures) = Crew::new();
        let writer_thread = crew.spawn("writer", || {
            write();
            Ok(())
        })?;
        let checkpoints = crew.spawn("checkpoints", || {
            checkpointer.run();
            Ok(())
        })?;
        let (workers, workers_done) = crew.spawn_workers(workers, &shared, &claims)?;
        let helpers = vec![
            crew.spawn("steward", move || Ok(steward.run()?))?,
            crew.spawn("timer", move || Ok(timer.run()?))?,
            crew.spawn("retention", move || Ok(pruner.run()?))?,
            crew.spawn("watcher", move || {
                watcher.run(&stop, &planner_waker, &steward_waker);
                Ok(())
            })?,
            // The last one, so that nothing is sent when a thread cannot be had.
            crew.spawn("planner", move || Ok(planner.run()?))?,
        ];
        Ok(Daemon {
            readers,
            shared,
            writer,
            writer_thread,
            checkpoints,
            helpers,
            workers,
            workers_done,
            failures,
            changes,
            stop_source,
            watcher_pipe,
            writer_deadline,
            _lock: file.lock,
        })
    }

    /// A thread's reason to end the whole process, as soon as there is one.
    pub fn failures(&self) -> &Receiver<anyhow::Error> {
        &self.failures
    }

    /// What can be seen of it, also while it stops.
    pub fn insight(&self) -> Insight {
        Insight {
            readers: self.readers.clone(),
            activity: self.shared.activity.clone(),
            metrics: self.shared.metrics.clone(),
            gate: self.shared.gate.clone(),
            settings: self.shared.settings.clone(),
        }
    }

    /// Whether nothing is sent for now, not even a probe.
    pub fn is_held(&self) -> bool {
        self.shared.gate.is_shut()
    }

    /// Whether an error of reading the file shows damage, and no fault that may end by itself.
    pub fn is_damage(&self, error: &anyhow::Error) -> bool {
        let found = |error| Damaged::confirmed(&self.shared.database, error);
        error.downcast_ref().and_then(found).is_some()
    }

    /// Takes everything of this configuration that needs no restart; work in flight ends with what it began with. It needs
    /// the same `[workers]` as before. A closed gate is probed at once, for something may have been mended.
    ///
    /// # Errors
    /// What is wrong with it; nothing has changed then.
    pub fn reload(&self, config: &Config) -> anyhow::Result<()> {
        let settings = Settings::new(config)?;
        settings.check_columns(&*self.readers.get()?)?;
        self.shared.settings.replace(settings);
        self.shared.pace.set_rules(&config.api.pace);
        self.shared.gate.set_rules(gate_rules(config));
        self.shared.gate.probe_at_once();
        Ok(())
    }

    /// Stops everything in order.
    ///
    /// # Errors
    /// The first failure of a thread, or what kept the last outcomes from being written.
    pub fn stop(self) -> anyhow::Result<()> {
        let end = Instant::now() + self.shared.settings.get().grace;
        drop(self.stop_source);
        drop(self.watcher_pipe);
        self.shared.gate.stop();
        // Nobody ever sends on this channel: it is disconnected when the last worker has ended.
        if self.workers_done.recv_deadline(end) == Err(RecvTimeoutError::Timeout) {
            log::warn!("Requests are cut off: they did not finish within shutdown.grace.");
            self.shared.settings.shut_down();
        }
        let _ = self.workers_done.recv_timeout(WIND_UP);
        drop(self.writer_deadline);
        // Name lookups and connecting cannot be cut off. A worker that is still at it has nothing in flight, those who left its
        // stretch have handed over what was answered, the endpoint lets it send nothing any more, and the process ends
        // without it.
        let ended =
            self.workers_done.recv_timeout(LAST_WAIT) == Err(RecvTimeoutError::Disconnected);
        let workers = ended.then_some(self.workers).into_iter().flatten();
        for thread in self.helpers.into_iter().chain(workers) {
            // A panic there has been reported as a failure.
            let _ = thread.join();
        }
        let last_changes: Vec<Change> = self.changes.try_iter().collect();
        let freed = self.writer.call(move |conn| {
            for change in &last_changes {
                steward::write_down(conn, change)?;
            }
            claims::rescue(conn)
        });
        let failure = self.failures.try_recv();
        self.writer.end();
        let _ = self.writer_thread.join();
        let _ = self.checkpoints.join();
        if let Ok(failure) = failure {
            return Err(failure);
        }
        freed.context("batches could not be freed; the next start does it")?;
        Ok(())
    }
}

/// Files that the status listener may open.
fn guests(config: &Config) -> u64 {
    match config.status.listen {
        Some(_) => limits::OF_THE_LISTENER,
        None => 0,
    }
}

fn gate_rules(config: &Config) -> gate::Rules {
    gate::Rules {
        failures: config.gate.failures,
        probe_interval: config.gate.probe_interval,
        workers: config.workers.threads,
        longest_hold: config.retry.max_interval,
    }
}
