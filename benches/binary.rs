//! The executable: its size with and without symbols, and how many crates are in it.
//!
//! `cargo bench --bench binary`, at once; `-- build` also builds everything anew into a directory of its own and says how
//! long that took.

#![allow(clippy::expect_used)]

#[path = "rig/mod.rs"]
mod rig;

use rig::process::ferryd;
use rig::targets::Verdicts;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

fn main() {
    rig::print_machine("the executable");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let verdicts = Verdicts::default();
    println!(
        "as built         {:>6.2} MB",
        megabytes(Path::new(&ferryd()))
    );
    let stripped = directory.path().join("stripped");
    let strip = Command::new("strip")
        .args(["-s", "-o"])
        .arg(&stripped)
        .arg(ferryd())
        .status();
    match strip {
        Ok(status) if status.success() => {
            println!("stripped         {:>6.2} MB", megabytes(&stripped));
            verdicts.judge("stripped binary MB", megabytes(&stripped));
        }
        // Debian package binutils.
        _ => eprintln!("SKIPPED stripping: strip does not run"),
    }
    println!("crates           {:>6}", crates());
    if rig::is_asked("build") {
        let start = Instant::now();
        let built = cargo(&["build", "--release", "--locked", "--quiet", "--target-dir"])
            .arg(directory.path().join("target"))
            .status();
        assert!(built.expect("cargo runs").success());
        println!("build from none  {:>6.0} s", start.elapsed().as_secs_f64());
    }
    verdicts.end();
}

fn megabytes(path: &Path) -> f64 {
    std::fs::metadata(path).expect("the file is there").len() as f64 / 1e6
}

/// Crates that are linked in, ferryd's own left out; those that only help to build are not counted.
fn crates() -> usize {
    let output = cargo(&[
        "tree",
        "--locked",
        "--edges",
        "normal,no-proc-macro",
        "--prefix",
        "none",
    ])
    .stderr(Stdio::inherit())
    .output()
    .expect("cargo runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let names = text.lines().map(|line| line.trim_end_matches(" (*)"));
    names.collect::<BTreeSet<_>>().len() - 1
}

fn cargo(words: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    command.args(words).current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}
