//! `ferryd run`, and how long it takes until it says that it is ready.

use rustix::process::{Pid, Signal, kill_process};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::process::{Owned, ferryd};

/// A running daemon. It gets SIGTERM when dropped, and is killed if it does not end by that.
pub struct Daemon {
    process: Owned,
    /// From the start of the process to READY=1, which a supervisor would wait for.
    pub ready_after: Duration,
}

impl Daemon {
    /// In the directory of the file, which must be nobody else's.
    pub fn start(database: &Path, url: &str, settings: &[(&str, &str)]) -> Daemon {
        let told = database.with_extension("notify");
        let _ = std::fs::remove_file(&told);
        let socket = UnixDatagram::bind(&told).expect("a socket for sd_notify");
        let patience = Some(Duration::from_secs(60));
        socket.set_read_timeout(patience).expect("a limit");
        let start = Instant::now();
        let child = Command::new(ferryd())
            .args(["-q", "--database"])
            .arg(database)
            .arg("run")
            .env("FERRYD_API_URL", url)
            .env("NOTIFY_SOCKET", &told)
            .envs(settings.iter().copied())
            .stderr(Stdio::null())
            .spawn()
            .expect("run starts");
        let process = Owned(child);
        let mut message = [0; 1024];
        loop {
            let length = socket.recv(&mut message).expect("ferryd gets ready");
            if message[..length].windows(7).any(|word| word == b"READY=1") {
                break;
            }
        }
        Daemon {
            process,
            ready_after: start.elapsed(),
        }
    }

    pub fn pid(&self) -> u32 {
        self.process.0.id()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(pid) = Pid::from_raw(self.pid() as i32) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let deadline = Instant::now() + Duration::from_secs(12);
        while Instant::now() < deadline && matches!(self.process.0.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}
