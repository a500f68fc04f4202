//! Commands that go on until they are told to end, such as `receiver` and `status --watch`.

use crate::harness::{Site, eventually, signal};
use std::path::PathBuf;
use std::process::{Child, Stdio};

/// A command that goes on until it is told to end; killed when the test ends, however it ends.
pub struct Background {
    child: Child,
    out: PathBuf,
}

impl Background {
    /// Starts it; its standard output goes to a file beside the database.
    pub fn start(site: &Site, arguments: &[&str]) -> Background {
        let out = site.path("background.out");
        let mut command = site.ferryd(arguments);
        command.stdout(std::fs::File::create(&out).unwrap());
        let child = command.stderr(Stdio::null()).spawn().unwrap();
        Background { child, out }
    }

    /// What it has printed so far.
    pub fn output(&self) -> String {
        std::fs::read_to_string(&self.out).unwrap()
    }

    #[track_caller]
    pub fn await_output(&self, what: &str, condition: impl Fn(&str) -> bool) {
        eventually(what, || condition(&self.output()));
    }

    /// Sends a signal and returns the exit code and all that it printed.
    #[track_caller]
    pub fn end(mut self, signal_name: &str) -> (i32, String) {
        signal(self.child.id(), signal_name);
        let mut status = None;
        eventually("the command has ended", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        let code = status.and_then(|status| status.code()).unwrap_or(-1);
        (code, self.output())
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
