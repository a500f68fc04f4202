//! The processes of a benchmark: a receiver, and a drain that is watched from outside.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The executable that is measured: that of this build, or another one to compare with, named by `BENCH_FERRYD`.
pub fn ferryd() -> String {
    let built = || env!("CARGO_BIN_EXE_ferryd").to_string();
    std::env::var("BENCH_FERRYD").unwrap_or_else(|_| built())
}

/// A process that is killed when its owner ends.
pub struct Owned(pub Child);

impl Drop for Owned {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `ferryd receiver` in a process of its own.
pub struct Receiver {
    _process: Owned,
    pub url: String,
}

impl Receiver {
    pub fn start(directory: &Path, options: &[&str]) -> Receiver {
        let child = Command::new(ferryd())
            .args(["receiver", "--listen", "127.0.0.1:0"])
            .args(options)
            .current_dir(directory)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the receiver starts");
        let mut process = Owned(child);
        let stdout = process.0.stdout.take().expect("it was piped");
        let mut line = String::new();
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("it says where it listens");
        let url = line.trim().rsplit(' ').next();
        let url = url.expect("the line ends with the URL");
        Receiver {
            _process: process,
            url: format!("{url}records"),
        }
    }
}

/// What to drain, and how.
pub struct Drain<'a> {
    /// The file.
    pub database: &'a Path,
    pub url: &'a str,
    /// Variables of the environment, in place of a configuration file.
    pub settings: &'a [(&'a str, &'a str)],
    /// Ends it before everything is sent.
    pub timeout: Option<&'a str>,
}

/// What it took.
#[derive(Debug, Clone, Copy)]
pub struct Drained {
    /// From the start of the process to its end.
    pub seconds: f64,
    pub cpu_seconds: f64,
    pub peak_mb: f64,
    /// What the kernel counts as written to disks: pages are counted once, however often they change in memory.
    pub written_mb: f64,
}

impl Drain<'_> {
    /// Drains, watching the process from outside.
    pub fn run(&self) -> Drained {
        let cpu = cpu_of_children();
        let start = Instant::now();
        let child = self.command(&[&ferryd()]).spawn().expect("drain starts");
        let mut process = Owned(child);
        let (mut peak_mb, mut written_mb) = (0.0, 0.0);
        let code = loop {
            if let Some(code) = process.0.try_wait().expect("drain can be waited for") {
                break code.code();
            }
            let pid = process.0.id();
            // The last values before the end: at most 5 ms of its work is missed.
            peak_mb = megabytes(pid, "VmHWM:").unwrap_or(peak_mb);
            written_mb = written(pid).unwrap_or(written_mb);
            std::thread::sleep(Duration::from_millis(5));
        };
        let seconds = start.elapsed().as_secs_f64();
        let expected = if self.timeout.is_some() { 3 } else { 0 };
        assert_eq!(code, Some(expected), "the drain's exit code");
        Drained {
            seconds,
            cpu_seconds: cpu_of_children() - cpu,
            peak_mb,
            written_mb,
        }
    }

    /// `ferryd drain` behind these words, which end with ferryd's path.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(words[0]);
        command
            .args(&words[1..])
            .args(["-q", "--database"])
            .arg(self.database)
            .arg("drain")
            .env("FERRYD_API_URL", self.url)
            .envs(self.settings.iter().copied());
        if let Some(time) = self.timeout {
            command.args(["--timeout", time]);
        }
        command
    }
}

/// CPU seconds of all children that were waited for, user and system.
fn cpu_of_children() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // proc_pid_stat(5): cutime and cstime are the 16th and 17th field; the 2nd may hold blanks, but ends with ')'.
    let fields = stat.rsplit(')').next().unwrap_or("").split_whitespace();
    let ticks = fields
        .skip(13)
        .take(2)
        .filter_map(|t| t.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}

/// A value of /proc/PID/status, such as `VmHWM:` (the peak of memory) or `VmRSS:`.
pub fn megabytes(pid: u32, name: &str) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let value = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kilobytes: f64 = value.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kilobytes / 1024.0)
}

fn written(pid: u32) -> Option<f64> {
    let io = std::fs::read_to_string(format!("/proc/{pid}/io")).ok()?;
    let bytes = io
        .lines()
        .find_map(|line| line.strip_prefix("write_bytes: "))?;
    Some(bytes.parse::<f64>().ok()? / 1e6)
}

/// CPU seconds of a running process, all threads, to the nanosecond.
pub fn cpu_seconds(pid: u32) -> f64 {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("the process runs");
    let time = |task: std::fs::DirEntry| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<f64>().ok()
    };
    tasks.flatten().filter_map(time).sum::<f64>() / 1e9
}
