//! The processes of a benchmark: a receiver, and a drain that is watched from outside.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const FERRYD: &str = env!("CARGO_BIN_EXE_ferryd");

/// `ferryd receiver` in a process of its own; killed when dropped.
pub struct Receiver {
    child: Child,
    pub url: String,
}

impl Receiver {
    pub fn start(directory: &Path, options: &[&str]) -> Receiver {
        let mut child = Command::new(FERRYD)
            .args(["receiver", "--listen", "127.0.0.1:0"])
            .args(options)
            .current_dir(directory)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the receiver starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("it was piped");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("it says where it listens");
        let url = line
            .trim()
            .rsplit(' ')
            .next()
            .expect("the line ends with the URL");
        Receiver {
            child,
            url: format!("{url}records"),
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What to drain, and how.
pub struct Round<'a> {
    /// Where `records.csv` is.
    pub directory: &'a Path,
    pub url: &'a str,
    pub records: u32,
    /// Variables of the environment, in place of a configuration file.
    pub settings: &'a [(&'a str, &'a str)],
    /// The name of a file that is not there yet.
    pub database: &'a str,
}

/// What it took.
pub struct Drained {
    /// Records per second, from the start of the process to its end.
    pub rate: f64,
    pub cpu_seconds: f64,
    pub peak_mb: f64,
}

/// Imports into a new file and drains it, watching the process from outside.
pub fn drain(round: &Round) -> Drained {
    let imported = Command::new(FERRYD)
        .args(["-q", "--database", round.database, "import", "records.csv"])
        .current_dir(round.directory)
        .status();
    assert!(imported.expect("import runs").success());
    let start = Instant::now();
    let mut child = Command::new(FERRYD)
        .args(["-q", "--database", round.database, "drain"])
        .current_dir(round.directory)
        .env("FERRYD_API_URL", round.url)
        .envs(round.settings.iter().copied())
        .spawn()
        .expect("drain starts");
    let mut drained = Drained {
        rate: 0.0,
        cpu_seconds: 0.0,
        peak_mb: 0.0,
    };
    let code = loop {
        if let Some(code) = child.try_wait().expect("drain can be waited for") {
            break code;
        }
        look(child.id(), &mut drained);
        std::thread::sleep(Duration::from_millis(10));
    };
    assert!(code.success());
    drained.rate = f64::from(round.records) / start.elapsed().as_secs_f64();
    drained
}

/// The last values seen before the process ends: at most 10 ms of its work is missed.
fn look(pid: u32, drained: &mut Drained) {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return;
    };
    // proc_pid_stat(5): utime and stime are the 14th and 15th field; the 2nd may hold blanks, but ends with ')'.
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or("")
        .split_whitespace()
        .collect();
    let ticks = |field: usize| {
        fields
            .get(field)
            .and_then(|t| t.parse::<f64>().ok())
            .unwrap_or(0.0)
    };
    if ticks(11) + ticks(12) > 0.0 {
        drained.cpu_seconds = (ticks(11) + ticks(12)) / 100.0;
    }
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.and_then(|kb| kb.trim().trim_end_matches(" kB").parse::<f64>().ok());
    drained.peak_mb = drained.peak_mb.max(peak.unwrap_or(0.0) / 1024.0);
}
