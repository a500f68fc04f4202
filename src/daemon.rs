//! The daemon: wires the threads together, starts them in order and stops them in order. The only room that spawns.
//!
//! Stop: no more claims; requests in flight may finish within `shutdown.grace`, then they are cut off and recorded as
//! UNKNOWN; outcomes are committed; batches go back to PENDING; the -wal is checkpointed. Nothing that was answered is
//! forgotten.

use anyhow::Context;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use rusqlite::Connection;
use std::io::PipeWriter;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::batch::Claim;
use crate::config::Config;
use crate::db::batches::{self, Cut, Scope};
use crate::db::holders;
use crate::db::pool::Readers;
use crate::db::records::Loader;
use crate::db::writer::Writer;
use crate::db::{self, pool, steer, summary};
use crate::endpoint::Endpoint;
use crate::gate::{self, Change, Gate, Sign};
use crate::lock::InstanceLock;
use crate::pace::Pace;
use crate::planner::Planner;
use crate::steward::{self, Steward};
use crate::stop::{Stop, StopSource};
use crate::time::Timestamp;
use crate::timer::Timer;
use crate::wake::{Waker, Watcher};
use crate::worker::{self, Shared};

/// Time for committing and freeing batches, after requests had `shutdown.grace`.
const WIND_UP: Duration = Duration::from_secs(1);

/// Time for the workers to end once the writer gives up on an unwritable file.
const LAST_WAIT: Duration = Duration::from_millis(300);

/// Stack of a thread: a request, TLS and a page of records need far less.
const STACK: usize = 512 * 1024;

/// A running pipeline on one file.
pub struct Daemon {
    /// Reads the file beside the pipeline.
    pub readers: Readers,
    grace: Duration,
    shared: Arc<Shared>,
    writer: Writer,
    writer_thread: JoinHandle<()>,
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
        let endpoint = Endpoint::new(&config.api, config.require_url()?, workers)?;
        let file = open_file(config, stop)?;
        let readers = file.readers;

        let (writer_deadline, deadline) = bounded(0);
        let (writer, writer_thread) =
            Writer::start(file.conn, config.database.durability, deadline)?;
        let (stop_source, stop) = Stop::new();
        let (rescheduled, reschedules) = bounded(1);
        let (queue, claims) = bounded(config.workers.queue as usize);
        let (change, changes) = unbounded();
        let (watcher_end, watcher_pipe) = std::io::pipe()?;
        let (planner_waker, planner_wake) = Waker::new();
        let (steward_waker, steward_wake) = Waker::new();
        let cut = Cut {
            batch_size: config.batch.size,
            linger: config.batch.linger,
        };
        let gate = Gate::new(gate_rules(config), file.sign.clone(), file.probe_in, change);
        let gate = Arc::new(gate);
        let shared = Arc::new(Shared {
            endpoint,
            readers: readers.clone(),
            loader: file.loader,
            writer: writer.clone(),
            gate: gate.clone(),
            pace: Pace::new(&config.api.pace, workers),
            policy: config.retry.clone(),
            instance: file.instance,
            rescheduled,
            stop: stop.clone(),
        });
        let planner = Planner {
            readers: readers.clone(),
            writer: writer.clone(),
            queue,
            wake: planner_wake,
            stop: stop.clone(),
            scope,
            cut,
        };
        let timer = Timer {
            readers: readers.clone(),
            writer: writer.clone(),
            longest_delay: config.retry.max_interval,
            rescheduled: reschedules,
            planner: planner_waker.clone(),
            stop: stop.clone(),
        };
        let watcher = Watcher::new(&config.database.path, watcher_end, gate.clone());
        let steward = Steward {
            readers: readers.clone(),
            writer: writer.clone(),
            gate,
            changes: changes.clone(),
            wake: steward_wake,
            planner: planner_waker.clone(),
            logged: file.sign,
            cut,
            stop: stop.clone(),
        };

        let (mut crew, failures) = Crew::new();
        let workers_done = crew.spawn_workers(workers, &shared, &claims)?;
        let worker_threads = std::mem::take(&mut crew.threads);
        crew.spawn("planner", move || Ok(planner.run()?))?;
        crew.spawn("steward", move || Ok(steward.run()?))?;
        crew.spawn("timer", move || Ok(timer.run()?))?;
        crew.spawn("watcher", move || {
            watcher.run(&stop, &[planner_waker, steward_waker]);
            Ok(())
        })?;
        Ok(Daemon {
            readers,
            grace: config.shutdown.grace,
            shared,
            writer,
            writer_thread,
            helpers: crew.threads,
            workers: worker_threads,
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

    /// Whether nothing is sent for now, not even a probe.
    pub fn is_held(&self) -> bool {
        self.shared.gate.is_shut()
    }

    /// Stops everything in order.
    ///
    /// # Errors
    /// The first failure of a thread, or what kept the last outcomes from being written.
    pub fn stop(self) -> anyhow::Result<()> {
        let end = Instant::now() + self.grace;
        drop(self.stop_source);
        drop(self.watcher_pipe);
        self.shared.gate.stop();
        // Nobody ever sends on this channel: it is disconnected when the last worker has ended.
        if self.workers_done.recv_deadline(end) == Err(RecvTimeoutError::Timeout) {
            log::warn!("Requests are cut off: they did not finish within shutdown.grace.");
            self.shared.endpoint.shut_down();
        }
        let _ = self.workers_done.recv_timeout(WIND_UP);
        drop(self.writer_deadline);
        // Name lookups and connecting cannot be cut off. A worker that is still at it has nothing in flight, the endpoint
        // lets it send nothing any more, and the process ends without it.
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
            batches::rescue(conn)
        });
        let failure = self.failures.try_recv();
        self.writer.end();
        let _ = self.writer_thread.join();
        if let Ok(failure) = failure {
            return Err(failure);
        }
        freed.context("batches could not be freed; the next start does it")?;
        Ok(())
    }
}

/// A database that is this process's to work on.
struct File {
    lock: InstanceLock,
    conn: Connection,
    readers: Readers,
    loader: Loader,
    instance: String,
    sign: Sign,
    /// How long a closed gate must not be probed yet.
    probe_in: Duration,
}

/// Locks the file, sets it up, and frees what a dead process left RUNNING.
fn open_file(config: &Config, stop: &Stop) -> anyhow::Result<File> {
    let path = &config.database.path;
    let lock = InstanceLock::take(path)?;
    db::set_up(path)?;
    let conn = db::open_writer(path, config.database.durability)?;
    let rescued = rescue(&conn, path, stop)?;
    if rescued > 0 {
        log::info!("Freed batches that an earlier process left running. batches={rescued}");
    }
    let loader = Loader::new(config.api.body.iter().map(|(_, column)| column.as_str()));
    loader.check(&conn)?;
    let (sign, probe_at) = steer::load_gate(&conn)?;
    let probe_in = probe_at.map_or(Duration::ZERO, |at| at.after(Timestamp::now()));
    // Page loads are short, so that a few readers serve many workers.
    let readers = config.workers.threads.clamp(2, 8) + 2;
    Ok(File {
        lock,
        readers: pool::open(path.clone(), readers)?,
        loader,
        instance: summary::instance_id(&conn)?,
        sign,
        probe_in,
        conn,
    })
}

/// Waits as long as another program holds the write lock.
fn rescue(conn: &Connection, path: &Path, stop: &Stop) -> anyhow::Result<usize> {
    let mut warned = false;
    loop {
        let error = match batches::rescue(conn) {
            Err(error) if db::is_locked(&error) => error,
            rescued => return Ok(rescued?),
        };
        if !warned {
            warned = true;
            let holders = holders::writers(path);
            log::warn!("The database is locked; the start waits for it. holders=\"{holders}\"");
        }
        if stop.wait(Duration::from_millis(10)) {
            return Err(error).context("stopped while another program held the write lock");
        }
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

/// The threads, each of whose errors or panics reaches the supervisor.
struct Crew {
    threads: Vec<JoinHandle<()>>,
    failure: Sender<anyhow::Error>,
}

impl Crew {
    fn new() -> (Crew, Receiver<anyhow::Error>) {
        let (failure, failures) = unbounded();
        let threads = Vec::new();
        (Crew { threads, failure }, failures)
    }

    fn spawn(
        &mut self,
        name: &str,
        work: impl FnOnce() -> anyhow::Result<()> + Send + 'static,
    ) -> anyhow::Result<()> {
        let failure = self.failure.clone();
        let thread_name = name.to_string();
        let body = move || {
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work))
                .unwrap_or_else(|_| Err(anyhow::anyhow!("it panicked")));
            if let Err(error) = result {
                let _ = failure.send(error.context(format!("the thread {thread_name} ended")));
            }
        };
        let thread = std::thread::Builder::new()
            .name(name.to_string())
            .stack_size(STACK)
            .spawn(body)
            .with_context(|| format!("the thread {name} cannot be started"))?;
        self.threads.push(thread);
        Ok(())
    }

    /// Starts the workers; the channel is disconnected when the last of them has ended.
    fn spawn_workers(
        &mut self,
        workers: u32,
        shared: &Arc<Shared>,
        claims: &Receiver<Claim>,
    ) -> anyhow::Result<Receiver<()>> {
        let (alive, done) = bounded::<()>(0);
        for number in 1..=workers {
            let (shared, claims, alive) = (shared.clone(), claims.clone(), alive.clone());
            self.spawn(&format!("BatchProcessor-{number}"), move || {
                let _alive = alive;
                Ok(worker::run(&shared, &claims)?)
            })?;
        }
        Ok(done)
    }
}
