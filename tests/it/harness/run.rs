//! The executable at work: commands that end, and daemons that are stopped, killed, and never outlive their test.

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use super::{DEADLINE, eventually, signal};

/// A command that ended.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    #[track_caller]
    pub fn wait(mut command: Command) -> Ran {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Ran::finish(command.spawn().unwrap())
    }

    /// Waits for a child whose output is piped.
    #[track_caller]
    pub fn finish(child: Child) -> Ran {
        Ran::of(wait_with_deadline(child))
    }

    fn of(output: Output) -> Ran {
        Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    #[track_caller]
    pub fn assert_code(self, code: i32) -> Ran {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    /// Fails unless standard error says this.
    #[track_caller]
    pub fn assert_says(self, text: &str) -> Ran {
        assert!(self.stderr.contains(text), "not said: {text}\n{self:#?}");
        self
    }
}

/// Collects the output while it waits, so that a full pipe cannot hold the child up.
#[track_caller]
fn wait_with_deadline(child: Child) -> Output {
    let pid = child.id();
    let (done, result) = std::sync::mpsc::channel();
    std::thread::spawn(move || done.send(child.wait_with_output()));
    match result.recv_timeout(DEADLINE) {
        Ok(output) => output.unwrap(),
        Err(_) => {
            signal(pid, "KILL");
            panic!("the command did not end in time");
        }
    }
}

/// A running `ferryd run`; killed when the test ends, however it ends.
pub struct Daemon {
    child: Child,
    log: PathBuf,
    /// Bytes of the log that earlier daemons wrote.
    logged_before: usize,
}

impl Daemon {
    #[track_caller]
    pub fn start(command: Command, log: PathBuf) -> Daemon {
        let mut daemon = Daemon::spawn(command, log);
        daemon.await_ready();
        daemon
    }

    /// Does not wait until it is ready.
    pub fn spawn(mut command: Command, log: PathBuf) -> Daemon {
        let logged_before = std::fs::read_to_string(&log).unwrap_or_default().len();
        let file = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap();
        command.stdout(Stdio::null()).stderr(file);
        Daemon {
            child: command.spawn().unwrap(),
            log,
            logged_before,
        }
    }

    #[track_caller]
    pub fn await_ready(&mut self) {
        eventually("the daemon is ready", || {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "it ended: {}", self.log());
            self.log()[self.logged_before..].contains("Ready.")
        });
    }

    /// The most memory that it ever had, in bytes.
    pub fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.unwrap().trim().strip_suffix(" kB").unwrap();
        kib.parse::<u64>().unwrap() * 1024
    }

    /// All that it has logged, earlier daemons of the site included.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// kill -9.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; returns the exit code and the time it took.
    #[track_caller]
    pub fn terminate(mut self) -> (i32, Duration) {
        let start = Instant::now();
        signal(self.pid(), "TERM");
        let mut code = None;
        eventually("the daemon has ended", || {
            code = self.child.try_wait().unwrap();
            code.is_some()
        });
        (
            code.and_then(|status| status.code()).unwrap_or(-1),
            start.elapsed(),
        )
    }

    /// Waits until it has ended by itself or by a signal, and returns the exit code.
    #[track_caller]
    pub fn await_end(mut self) -> i32 {
        let mut code = None;
        eventually("the daemon has ended", || {
            code = self.child.try_wait().unwrap();
            code.is_some()
        });
        code.and_then(|status| status.code()).unwrap_or(-1)
    }

    /// The names of its threads, as far as Linux keeps them: 15 bytes.
    pub fn threads(&self) -> Vec<String> {
        threads(self.pid())
    }

    /// The most memory that it has had resident so far, in MiB, rounded up.
    pub fn peak_memory_mb(&self) -> u64 {
        peak_memory_mb(self.pid())
    }

    /// Fails when it ever needed more memory than it may under any fault.
    #[track_caller]
    pub fn assert_small(&self) {
        let peak = self.peak_memory_mb();
        assert!(peak <= 64, "{peak} MiB");
    }

    /// Sends a signal and waits until the threads have heard of it, while requests may still be in flight.
    #[track_caller]
    pub fn begin_stop(&self, name: &str) {
        signal(self.pid(), name);
        eventually("the timer has ended", || {
            !self.threads().iter().any(|name| name == "timer")
        });
    }

    /// Waits until the log says this.
    #[track_caller]
    pub fn await_log(&self, text: &str) {
        eventually(&format!("the log says {text:?}"), || {
            self.log().contains(text)
        });
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The most memory that a process has had resident so far (`VmHWM`, proc(5)), in MiB, rounded up.
pub fn peak_memory_mb(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let mut lines = status.lines();
    let line = lines.find(|line| line.starts_with("VmHWM:")).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib.div_ceil(1024)
}

/// The names of a process's threads.
pub fn threads(pid: u32) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let name = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm"));
    // A thread that ends between the two looks has no name any more.
    let names = tasks.filter_map(|task| name(task.unwrap()).ok());
    names.map(|name| name.trim_end().to_string()).collect()
}
