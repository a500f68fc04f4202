//! The daemon: wires the threads together, starts them in order and stops them in order. The only room that spawns.
//!
//! Stop: no more claims; requests in flight may finish within `shutdown.grace`, then they are cut off and recorded as
//! UNKNOWN; outcomes are committed; batches go back to PENDING; the -wal is checkpointed. Nothing that was answered is
//! forgotten.

use anyhow::Context;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use std::io::PipeWriter;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::batch::Claim;
use crate::config::Config;
use crate::db::batches::{self, Cut, Scope};
use crate::db::pool::Readers;
use crate::db::records::Loader;
use crate::db::writer::Writer;
use crate::db::{self, pool, summary};
use crate::endpoint::Endpoint;
use crate::lock::InstanceLock;
use crate::planner::Planner;
use crate::stop::{Stop, StopSource};
use crate::timer;
use crate::wake::{Waker, Watcher};
use crate::worker::{self, Shared};

/// Time for committing and freeing batches, after requests had `shutdown.grace`.
const WIND_UP: Duration = Duration::from_secs(1);

/// Stack of a worker: a request, TLS and a page of records need far less.
const WORKER_STACK: usize = 512 * 1024;

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
    /// Dropped to stop planner, timer, watcher and workers.
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
    /// When the configuration, the file or the machine does not allow it; nothing was sent then.
    pub fn start(config: &Config, scope: Scope) -> anyhow::Result<Daemon> {
        let url = config.require_url()?;
        let endpoint = Endpoint::new(&config.api, url, config.workers.threads)?;
        let path = &config.database.path;
        let lock = InstanceLock::take(path)?;
        db::set_up(path)?;
        let conn = db::open_writer(path, config.database.durability)?;
        let rescued = batches::rescue(&conn)?;
        if rescued > 0 {
            log::info!("Freed batches that an earlier process left running. batches={rescued}");
        }
        let loader = Loader::new(config.api.body.iter().map(|(_, column)| column.as_str()));
        loader
            .check(&conn)
            .context("api.body names a column that user_record does not have")?;
        let instance = summary::instance_id(&conn)?;
        let threads = config.workers.threads;
        let readers = pool::open(path.clone(), threads.clamp(2, 8) + 2)?;

        let (writer_deadline, deadline) = crossbeam_channel::bounded(0);
        let (writer, writer_thread) = Writer::start(conn, config.database.durability, deadline)?;
        let (stop_source, stop) = Stop::new();
        let (rescheduled, reschedules) = crossbeam_channel::bounded(1);
        let (queue, claims) = crossbeam_channel::bounded(config.workers.queue as usize);
        let (failure, failures) = crossbeam_channel::unbounded();
        let (watcher_end, watcher_pipe) = std::io::pipe()?;

        let shared = Arc::new(Shared {
            endpoint,
            readers: readers.clone(),
            loader,
            writer: writer.clone(),
            policy: config.retry.clone(),
            instance,
            rescheduled,
            stop: stop.clone(),
        });
        let (workers, workers_done) = spawn_workers(&shared, threads, &claims, &failure)?;
        let (waker, wake) = Waker::new();
        let planner = Planner {
            readers: readers.clone(),
            writer: writer.clone(),
            queue,
            wake,
            stop: stop.clone(),
            scope,
            cut: Cut {
                batch_size: config.batch.size,
                linger: config.batch.linger,
            },
        };
        let watcher = Watcher::new(path, watcher_end);
        let (timer_readers, timer_stop, timer_waker) =
            (readers.clone(), stop.clone(), waker.clone());
        let helpers = vec![
            spawn("planner", &failure, move || Ok(planner.run()?))?,
            spawn("timer", &failure, move || {
                timer::run(&timer_readers, &reschedules, &timer_stop, &timer_waker);
                Ok(())
            })?,
            spawn("watcher", &failure, move || {
                watcher.run(&stop, &waker);
                Ok(())
            })?,
        ];
        Ok(Daemon {
            readers,
            grace: config.shutdown.grace,
            shared,
            writer,
            writer_thread,
            helpers,
            workers,
            workers_done,
            failures,
            stop_source,
            watcher_pipe,
            writer_deadline,
            _lock: lock,
        })
    }

    /// A thread's reason to end the whole process, as soon as there is one.
    pub fn failures(&self) -> &Receiver<anyhow::Error> {
        &self.failures
    }

    /// Stops everything in order.
    ///
    /// # Errors
    /// The first failure of a thread, or what kept the last outcomes from being written.
    pub fn stop(self) -> anyhow::Result<()> {
        let end = Instant::now() + self.grace;
        drop(self.stop_source);
        drop(self.watcher_pipe);
        // Nobody ever sends on this channel: it is disconnected when the last worker has ended.
        if self.workers_done.recv_deadline(end) == Err(RecvTimeoutError::Timeout) {
            log::warn!("Requests are cut off: they did not finish within shutdown.grace.");
            self.shared.endpoint.shut_down();
        }
        let _ = self.workers_done.recv_timeout(WIND_UP);
        drop(self.writer_deadline);
        for thread in self.helpers.into_iter().chain(self.workers) {
            // A panic there has been reported as a failure.
            let _ = thread.join();
        }
        let freed = self.writer.call(batches::rescue);
        drop(self.writer);
        drop(self.shared);
        let _ = self.writer_thread.join();
        if let Ok(failure) = self.failures.try_recv() {
            return Err(failure);
        }
        freed.context("batches could not be freed; the next start does it")?;
        Ok(())
    }
}

fn spawn_workers(
    shared: &Arc<Shared>,
    threads: u32,
    claims: &Receiver<Claim>,
    failure: &Sender<anyhow::Error>,
) -> anyhow::Result<(Vec<JoinHandle<()>>, Receiver<()>)> {
    let (alive, done) = crossbeam_channel::bounded::<()>(0);
    let mut workers = Vec::new();
    for number in 1..=threads {
        let (shared, claims, alive) = (shared.clone(), claims.clone(), alive.clone());
        let name = format!("BatchProcessor-{number}");
        workers.push(spawn(&name, failure, move || {
            let _alive = alive;
            Ok(worker::run(&shared, &claims)?)
        })?);
    }
    Ok((workers, done))
}

/// Starts a named thread whose error, or panic, reaches the supervisor.
fn spawn(
    name: &str,
    failure: &Sender<anyhow::Error>,
    work: impl FnOnce() -> anyhow::Result<()> + Send + 'static,
) -> anyhow::Result<JoinHandle<()>> {
    let failure = failure.clone();
    let thread_name = name.to_string();
    let body = move || {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work))
            .unwrap_or_else(|_| Err(anyhow::anyhow!("it panicked")));
        if let Err(error) = result {
            let _ = failure.send(error.context(format!("the thread {thread_name} ended")));
        }
    };
    std::thread::Builder::new()
        .name(name.to_string())
        .stack_size(WORKER_STACK)
        .spawn(body)
        .with_context(|| format!("the thread {name} cannot be started"))
}
