//! Errors of system calls, injected into a running daemon by strace, and taken away again.

use std::process::{Child, Command, Stdio};

use super::super::rights::skip;
use crate::harness::{Daemon, eventually, signal};

/// As long as it lives, or until its end, these calls of the daemon fail.
pub struct Injection(Child);

impl Injection {
    /// Lets calls, such as `fsync,fdatasync`, fail with an error, such as `EIO`; nothing where that cannot be done, which
    /// is said.
    #[track_caller]
    pub fn start(daemon: &Daemon, calls: &str, error: &str) -> Option<Injection> {
        let inject = format!("inject={calls}:error={error}");
        Injection::attach(daemon, calls, &["-o", "/dev/null", "-e", &inject])
    }

    /// Only writes down these calls, in a file, with the names of what they are for.
    #[track_caller]
    pub fn watch(daemon: &Daemon, calls: &str, file: &str) -> Option<Injection> {
        Injection::attach(daemon, calls, &["-y", "-o", file])
    }

    #[track_caller]
    fn attach(daemon: &Daemon, calls: &str, arguments: &[&str]) -> Option<Injection> {
        let trial = Command::new("strace").args(["-qq", "true"]).output();
        if !trial.is_ok_and(|ran| ran.status.success()) {
            skip("strace is not installed, or may not trace");
            return None;
        }
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-e", &format!("trace={calls}")]);
        strace.args(arguments);
        strace.args(["-p", &daemon.pid().to_string()]);
        let child = strace.stderr(Stdio::null()).spawn().unwrap();
        let mut injection = Injection(child);
        let mut refused = false;
        eventually("strace has every thread of the daemon", || {
            refused = injection.0.try_wait().unwrap().is_some();
            refused || all_traced(daemon.pid())
        });
        if refused {
            skip("strace may not attach to another process");
            return None;
        }
        Some(injection)
    }

    /// The fault is over.
    pub fn end(mut self) {
        signal(self.0.id(), "INT");
        self.0.wait().unwrap();
    }
}

impl Drop for Injection {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn all_traced(pid: u32) -> bool {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let mut statuses =
        tasks.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("status")).ok());
    statuses.all(|status| !status.contains("TracerPid:\t0\n"))
}
