//! A test that mounts: it runs again in a process with mounts of its own, which end with it.

use std::path::Path;
use std::process::Command;

use crate::harness::Ran;
use crate::rights::skip;

/// Set in the process with mounts of its own.
const MARK: &str = "TEST_WITH_OWN_MOUNTS";

/// Runs the calling test again, alone, in a process with mounts of its own, and says whether this is that process. The
/// caller goes on only then. Skips where it cannot be done.
#[track_caller]
pub fn are_own() -> bool {
    if std::env::var_os(MARK).is_some() {
        return true;
    }
    let trial = Command::new("unshare").args(["--mount", "true"]).output();
    if !trial.is_ok_and(|ran| ran.status.success()) {
        skip("needs root, for mounts of its own");
        return false;
    }
    let test = std::thread::current();
    let mut again = Command::new("unshare");
    again
        .arg("--mount")
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test.name().unwrap(), "--nocapture"])
        .env(MARK, "1");
    // No deadline here: it has its own, and ends the daemons that it started.
    let output = again.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let passed = output.status.success() && said.contains("1 passed");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(passed, "{said}\n{error}");
    false
}

/// Runs `mount` or `umount`.
#[track_caller]
pub fn mount(program: &str, options: &[&str], directory: &Path) {
    let mut command = Command::new(program);
    Ran::wait({
        command.args(options).arg(directory);
        command
    })
    .assert_code(0);
}
