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

/// The threads, each of whose errors or panics reaches the supervisor.
pub(super) struct Crew {
    pub(super) threads: Vec<JoinHandle<()>>,
    failure: Sender<anyhow::Error>,
}

impl Crew {
    pub(super) fn new() -> (Crew, Receiver<anyhow::Error>) {
        let (failure, failures) = unbounded();
        let threads = Vec::new();
        (Crew { threads, failure }, failures)
    }

    pub(super) fn spawn(
        &mut self,
        name: &str,
        work: impl FnOnce() -> anyhow::Result<()> + Send + 'static,
    ) -> anyhow::Result<()> {
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
            .spawn(body)
            .map_err(|source| NoThread {
                name: name.to_string(),
                source,
            })?;
        self.threads.push(thread);
        Ok(())
    }

    /// Starts the workers; the channel is disconnected when the last of them has ended.
    pub(super) fn spawn_workers(
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit;

    #[test]
    fn a_panic_of_any_thread_reaches_the_supervisor_as_an_internal_error() {
        let (mut crew, failures) = Crew::new();
        crew.spawn("planner", || panic!("a fault for the test"))
            .unwrap();
        let failure = failures.recv_timeout(std::time::Duration::from_secs(30));
        let failure = failure.unwrap();
        let line = exit::message(&failure);
        assert!(
            line.starts_with("the thread planner ended: it panicked"),
            "{line}"
        );
        assert_eq!(exit::code(&failure), exit::INTERNAL);
    }

    #[test]
    fn a_thread_that_ends_in_order_is_no_failure() {
        let (mut crew, failures) = Crew::new();
        crew.spawn("planner", || Ok(())).unwrap();
        for thread in std::mem::take(&mut crew.threads) {
            thread.join().unwrap();
        }
        assert!(failures.try_recv().is_err());
    }
}
