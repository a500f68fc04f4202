//! The executable without special rights, also where the tests run as root; and how a test says that it cannot run.

use crate::harness::Site;
use std::process::{Command, Stdio};

/// Says that a test could not run here. The test runner shows it even for a test that passes.
pub fn skip(reason: &str) {
    use std::io::Write;
    let test = std::thread::current();
    let name = test.name().unwrap_or("a test");
    let _ = writeln!(std::io::stderr(), "SKIPPED {name}: {reason}");
}

impl Site {
    /// The executable as a user without special rights, who may enter the site's directory; nothing where that cannot be
    /// done.
    pub fn ferryd_without_rights(&self, arguments: &[&str]) -> Option<Command> {
        if !rustix::process::geteuid().is_root() {
            return Some(self.ferryd(arguments));
        }
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(self.path(""), open).unwrap();
        let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"];
        let executable = env!("CARGO_BIN_EXE_ferryd");
        let trial = Command::new("setpriv")
            .args(nobody)
            .args([executable, "--version"])
            .output();
        if !trial.is_ok_and(|output| output.status.success()) {
            return None;
        }
        let mut command = Command::new("setpriv");
        command
            .args(nobody)
            .arg(executable)
            .args(arguments)
            .current_dir(self.path(""))
            .stdin(Stdio::null());
        Some(command)
    }
}
