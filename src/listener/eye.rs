//! A look at the file that costs no more the more often it is asked for: what was seen is shown again for a second, and of
//! those who ask at the same time one looks and the others wait for it.
//!
//! It has a connection of its own, opened at the start, so that nobody who asks takes a reader away from the workers.
//! Nobody waits here for longer than a second, even if the disk does not answer.

use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::db::{self, OpenError, fault};

/// How long what was seen is shown again.
const FRESH: Duration = Duration::from_secs(1);

/// How long a look waits for another program's lock, and how long others wait for the look.
const PATIENCE: Duration = Duration::from_secs(1);

/// What was seen; or why nothing can be seen, with the remedy.
pub(super) type Sight<T> = Result<Arc<T>, String>;

type Look<T> = dyn Fn(&Connection) -> rusqlite::Result<T> + Send + Sync;

pub(super) struct Eye<T> {
    database: PathBuf,
    look: Box<Look<T>>,
    state: Mutex<State<T>>,
    back: Condvar,
}

struct State<T> {
    /// `None`: somebody looks.
    conn: Option<Connection>,
    seen: Option<(Instant, Sight<T>)>,
}

impl<T> Eye<T> {
    /// Opens the connection.
    pub(super) fn open(
        database: &Path,
        look: impl Fn(&Connection) -> rusqlite::Result<T> + Send + Sync + 'static,
    ) -> Result<Eye<T>, OpenError> {
        let conn = db::open_reader(database, PATIENCE)?;
        Ok(Eye {
            database: database.to_path_buf(),
            look: Box::new(look),
            state: Mutex::new(State {
                conn: Some(conn),
                seen: None,
            }),
            back: Condvar::new(),
        })
    }

    /// What is to be seen now, or was at most a second ago.
    pub(super) fn look(&self) -> Sight<T> {
        let busy = |state: &mut State<T>| state.conn.is_none();
        let waited = self
            .back
            .wait_timeout_while(self.lock(), PATIENCE, busy)
            .unwrap_or_else(PoisonError::into_inner);
        let mut state = waited.0;
        let fresh = |(at, _): &&(Instant, Sight<T>)| at.elapsed() < FRESH;
        if let Some((_, sight)) = state.seen.as_ref().filter(fresh) {
            return sight.clone();
        }
        let Some(conn) = state.conn.take() else {
            return Err("the file does not answer; look at the disk".to_string());
        };
        drop(state);
        let borrowed = Borrowed {
            eye: self,
            conn: Some(conn),
        };
        borrowed.look()
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The connection while somebody looks; it goes back, also in a panic.
struct Borrowed<'a, T> {
    eye: &'a Eye<T>,
    conn: Option<Connection>,
}

impl<T> Borrowed<'_, T> {
    fn look(self) -> Sight<T> {
        let sight = match self.conn.as_ref().map(&self.eye.look) {
            Some(Ok(seen)) => Ok(Arc::new(seen)),
            Some(Err(error)) => Err(fault::reason(&self.eye.database, &error.into())),
            None => Err("the file is not open".to_string()),
        };
        self.eye.lock().seen = Some((Instant::now(), sight.clone()));
        sight
    }
}

impl<T> Drop for Borrowed<'_, T> {
    fn drop(&mut self) {
        self.eye.lock().conn = self.conn.take();
        self.eye.back.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn eye<T: 'static>(
        look: impl Fn() -> T + Send + Sync + 'static,
    ) -> (tempfile::TempDir, Arc<Eye<T>>) {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("a.db");
        db::set_up(&database, PATIENCE).unwrap();
        let eye = Eye::open(&database, move |_| Ok(look())).unwrap();
        (directory, Arc::new(eye))
    }

    #[test]
    fn however_many_ask_at_once_one_looks() {
        let looks = Arc::new(AtomicUsize::new(0));
        let counter = looks.clone();
        let (_directory, eye) = eye(move || {
            std::thread::sleep(Duration::from_millis(50));
            counter.fetch_add(1, Ordering::SeqCst)
        });
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let eye = eye.clone();
                std::thread::spawn(move || *eye.look().unwrap())
            })
            .collect();
        let seen: Vec<usize> = threads.into_iter().map(|t| t.join().unwrap()).collect();
        assert_eq!(seen, [0; 8]);
        assert_eq!(looks.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn nobody_waits_for_long_for_one_who_looks_in_vain() {
        let (go, wait) = crossbeam_channel::bounded::<()>(0);
        let (_directory, eye) = eye(move || wait.recv().is_ok());
        let stuck = eye.clone();
        let thread = std::thread::spawn(move || stuck.look().is_ok());
        while eye.lock().conn.is_some() {
            std::thread::yield_now();
        }
        let start = Instant::now();
        let refused = eye.look().unwrap_err();
        assert!(refused.contains("does not answer"), "{refused}");
        assert!(start.elapsed() < 3 * PATIENCE);
        drop(go);
        assert!(thread.join().unwrap());
    }

    #[test]
    fn a_look_that_panics_gives_the_connection_back() {
        let times = AtomicUsize::new(0);
        let (_directory, eye) = eye(move || match times.fetch_add(1, Ordering::SeqCst) {
            0 => panic!("a fault for the test"),
            time => time,
        });
        let first = eye.clone();
        assert!(std::thread::spawn(move || first.look()).join().is_err());
        assert_eq!(*eye.look().unwrap(), 1);
    }
}
