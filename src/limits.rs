//! What the machine may run short of, file descriptors and threads: how many ferryd needs, and errors that name the remedy.
//!
//! A shortage is neither the record's fault nor the destination's. What is needed to work at all is there from the start,
//! or the start fails; a connection to the API for every worker may be missing for a while, and workers wait for it.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors of a reader: the database and its -wal.
const OF_A_READER: u64 = 2;

/// All others that the process has open (standard streams, the lock, the writer, checkpoints, the watcher, the -shm, pipes,
/// inotify: 16 were counted), and some for a name lookup or the system's certificates.
const OF_THE_REST: u64 = 20;

/// The status listener: its socket, its readers and its connections, one of them on the way.
pub const OF_THE_LISTENER: u64 = 1 + 2 * OF_A_READER + LISTENER_CONNECTIONS as u64 + 1;

/// Connections that the status listener takes at a time.
pub const LISTENER_CONNECTIONS: usize = 16;

/// The process may not open enough files.
#[derive(Debug, thiserror::Error)]
#[error(
    "too few files may be open at a time ({limit}, {need} are needed); raise LimitNOFILE= in the unit, or `ulimit -n`"
)]
pub struct TooFewFiles {
    limit: u64,
    need: u64,
}

/// A thread could not be started.
#[derive(Debug, thiserror::Error)]
#[error(
    "the thread {name} cannot be started ({source}); raise TasksMax= and LimitNPROC= in the unit, or `ulimit -u`, or give it more memory"
)]
pub struct NoThread {
    /// The name of the thread.
    pub name: String,
    /// What failed.
    pub source: std::io::Error,
}

/// Makes sure that the process may open as many files as it needs, as far as it may raise its limit itself. `others`
/// are those of an edge that is there only when it is asked for.
///
/// # Errors
/// When there would be too few even without the workers' connections.
pub fn make_room_for_files(readers: u32, workers: u32, others: u64) -> Result<(), TooFewFiles> {
    let need = OF_THE_REST + OF_A_READER * u64::from(readers) + others;
    let wanted = need + u64::from(workers);
    let limit = raise_to(wanted);
    if limit < need {
        return Err(TooFewFiles { limit, need });
    }
    if limit < wanted {
        log::warn!(
            "Workers may have to wait for a connection: too few files may be open at a time; raise LimitNOFILE= in the unit. limit={limit} wanted={wanted}"
        );
    }
    Ok(())
}

/// The limit on open files, brought as near to `wanted` as the hard limit lets it.
fn raise_to(wanted: u64) -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let limit = current.unwrap_or(u64::MAX);
    let possible = wanted.min(maximum.unwrap_or(u64::MAX));
    if limit >= possible {
        return limit;
    }
    let raised = Rlimit {
        current: Some(possible),
        maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => possible,
        Err(_) => limit,
    }
}

/// The shortage of file descriptors, if there is one now; for errors that do not tell it themselves, as SQLite's and those
/// of a name lookup.
pub fn shortage_of_files() -> Option<&'static str> {
    use rustix::io::Errno;
    match std::fs::File::open("/dev/null").err()?.raw_os_error()? {
        error if error == Errno::MFILE.raw_os_error() => Some(
            "this process has too many files open; raise LimitNOFILE= in the unit, or lower workers.threads",
        ),
        error if error == Errno::NFILE.raw_os_error() => {
            Some("this machine has too many files open; raise the sysctl fs.file-max")
        }
        _ => None,
    }
}

/// Starts a thread and waits for its end, to see whether another can be had, where a library would panic without it.
///
/// # Errors
/// When it cannot.
pub fn try_thread(name: &str) -> Result<(), NoThread> {
    let thread = std::thread::Builder::new().spawn(|| ());
    let no_thread = |source| NoThread {
        name: name.to_string(),
        source,
    };
    let _ = thread.map_err(no_thread)?.join();
    Ok(())
}
