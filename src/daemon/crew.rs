//! The crew: the daemon's threads. None of them ends unnoticed: an error or a panic of any one reaches the supervisor, which
//! ends the process.

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use std::sync::Arc;
use std::thread::JoinHandle;

use crate::batch::Claim;
use crate::limits::NoThread;
use crate::worker::{self, Shared};

/// Stack of a thread: a request, TLS and a page of records need far less.
const STACK: usize = 512 * 1024;

/// A thread met a fault in ferryd itself.
#[derive(Debug, thiserror::Error)]
#[error("it panicked, which is a fault in ferryd; nothing is lost, start it again")]
pub struct Panicked;

/// Starts threads, each of whose errors or panics reaches the supervisor.
pub(super) struct Crew {
    failure: Sender<anyhow::Error>,
}

impl Crew {
    pub(super) fn new() -> (Crew, Receiver<anyhow::Error>) {
        let (failure, failures) = unbounded();
        (Crew { failure }, failures)
    }

    pub(super) fn spawn(
        &self,
        name: &str,
        work: impl FnOnce() -> anyhow::Result<()> + Send + 'static,
    ) -> Result<JoinHandle<()>, NoThread> {
        let failure = self.failure.clone();
        let thread_name = name.to_string();
        let body = move || {
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work))
                .unwrap_or_else(|_| Err(Panicked.into()));
            if let Err(error) = result {
                let _ = failure.send(error.context(format!("the thread {thread_name} ended")));
            }
        };
        let thread = std::thread::Builder::new()
            .name(name.to_string())
            .stack_size(STACK)
            .spawn(body);
        thread.map_err(|source| NoThread {
            name: name.to_string(),
            source,
        })
    }

    /// Starts the workers; the channel is disconnected when the last of them has ended.
    pub(super) fn spawn_workers(
        &self,
        workers: u32,
        shared: &Arc<Shared>,
        claims: &Receiver<Claim>,
    ) -> Result<(Vec<JoinHandle<()>>, Receiver<()>), NoThread> {
        let (alive, done) = bounded::<()>(0);
        let mut threads = Vec::new();
        for number in 1..=workers {
            let (shared, claims, alive) = (shared.clone(), claims.clone(), alive.clone());
            threads.push(self.spawn(&format!("BatchProcessor-{number}"), move || {
                let _alive = alive;
                Ok(worker::run(&shared, number, &claims)?)
            })?);
        }
        Ok((threads, done))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activity::Activity;
    use crate::config::Durability;
    use crate::db::writer::{WriteError, Writer};
    use crate::exit;
    use std::time::Duration;

    const PATIENCE: Duration = Duration::from_secs(30);

    #[test]
    fn a_panic_of_any_thread_reaches_the_supervisor_as_an_internal_error() {
        let (crew, failures) = Crew::new();
        crew.spawn("planner", || panic!("a fault for the test"))
            .unwrap();
        let failure = failures.recv_timeout(PATIENCE).unwrap();
        let line = exit::message(&failure);
        assert!(
            line.starts_with("the thread planner ended: it panicked"),
            "{line}"
        );
        assert_eq!(exit::code(&failure), exit::INTERNAL);
    }

    #[test]
    fn a_thread_that_ends_in_order_is_no_failure() {
        let (crew, failures) = Crew::new();
        crew.spawn("planner", || Ok(())).unwrap().join().unwrap();
        assert!(failures.try_recv().is_err());
    }

    #[test]
    fn a_writer_that_panics_is_a_failure_and_leaves_nobody_waiting() {
        let (crew, failures) = Crew::new();
        let conn = rusqlite::Connection::open_in_memory().unwrap();
        let (_, deadline) = bounded(0);
        let (writer, write) = Writer::new(
            conn,
            Durability::Normal,
            deadline,
            Arc::new(Activity::new(1)),
        )
        .unwrap();
        let work = move || {
            write();
            Ok(())
        };
        let thread = crew.spawn("writer", work).unwrap();
        let (told, answer) = bounded(1);
        let fault =
            |_: &rusqlite::Connection| -> rusqlite::Result<()> { panic!("a fault for the test") };
        writer
            .submit(fault, move |value| told.send(value).unwrap())
            .unwrap();
        let answer = answer.recv_timeout(PATIENCE).unwrap();
        assert!(matches!(answer, Err(WriteError::Ended)), "{answer:?}");
        thread.join().unwrap();
        let later = writer.call(|_| Ok(()));
        assert!(matches!(later, Err(WriteError::Ended)), "{later:?}");
        let failure = failures.recv_timeout(PATIENCE).unwrap();
        assert_eq!(exit::code(&failure), exit::INTERNAL);
        // Or a worker was at the desk, which tells of this.
        let ended = WriteError::Ended.into();
        assert_eq!(exit::code(&ended), exit::INTERNAL);
        assert!(exit::message(&ended).contains("start it again"));
    }
}
