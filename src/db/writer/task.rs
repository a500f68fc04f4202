//! A task: a piece of work for the writer, and who is told.

use rusqlite::Connection;

use super::WriteError;

/// Tasks of one transaction.
pub(super) type Group = Vec<Box<dyn Task>>;

/// Work that may be run again when its transaction was rolled back, and is answered once.
pub(super) trait Task: Send {
    fn run(&mut self, conn: &Connection) -> rusqlite::Result<()>;
    fn answer(self: Box<Self>, committed: Result<(), WriteError>);
    /// Ends unanswered.
    fn forget(self: Box<Self>);
}

pub(super) struct Work<F, T, A: FnOnce(Result<T, WriteError>)> {
    work: F,
    value: Option<T>,
    /// `None` once it was called.
    answer: Option<A>,
}

impl<F, T, A: FnOnce(Result<T, WriteError>)> Work<F, T, A> {
    pub(super) fn new(work: F, answer: A) -> Work<F, T, A> {
        Work {
            work,
            value: None,
            answer: Some(answer),
        }
    }
}

impl<F, T, A> Task for Work<F, T, A>
where
    F: FnMut(&Connection) -> rusqlite::Result<T> + Send,
    T: Send,
    A: FnOnce(Result<T, WriteError>) + Send,
{
    fn run(&mut self, conn: &Connection) -> rusqlite::Result<()> {
        self.value = Some((self.work)(conn)?);
        Ok(())
    }

    fn answer(mut self: Box<Self>, committed: Result<(), WriteError>) {
        let value = match (committed, self.value.take()) {
            (Ok(()), Some(value)) => Ok(value),
            (Ok(()), None) => Err(WriteError::Ended),
            (Err(error), _) => Err(error),
        };
        if let Some(answer) = self.answer.take() {
            answer(value);
        }
    }

    fn forget(mut self: Box<Self>) {
        self.answer = None;
    }
}

impl<F, T, A: FnOnce(Result<T, WriteError>)> Drop for Work<F, T, A> {
    /// Whoever asked is told also when the writer died.
    fn drop(&mut self) {
        if let Some(answer) = self.answer.take() {
            answer(Err(WriteError::Ended));
        }
    }
}
