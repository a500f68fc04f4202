//! A terminal that a test looks at while a command runs on it: `script` of util-linux makes the pseudo-terminal, and the
//! escape sequences that ferryd uses are obeyed here. Any other, and whatever leaves the screen, fails the test.

use crate::harness::{Site, eventually, signal};
use crate::rights::skip;
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use unicode_width::UnicodeWidthChar;

/// A command on a terminal of its own.
pub struct Pty {
    script: Child,
    keys: Option<ChildStdin>,
    shown: Arc<Mutex<Vec<u8>>>,
    size: (usize, usize),
    /// Where the output began that is for this size.
    since: usize,
}

impl Pty {
    /// Starts `ferryd` with these arguments, between two lines that tell how the keyboard is set; `None` where there is
    /// no `script`.
    pub fn start(
        site: &Site,
        arguments: &str,
        size: (usize, usize),
        variables: &[(&str, &str)],
    ) -> Option<Pty> {
        if Command::new("script").arg("--version").output().is_err() {
            skip("needs `script` of util-linux");
            return None;
        }
        let (columns, rows) = size;
        let ferryd = env!("CARGO_BIN_EXE_ferryd");
        let line = format!(
            "trap : INT; stty cols {columns} rows {rows}; echo tty=$(tty); echo keys=$(stty -g)
             sh -c 'echo pid=$$; exec \"{ferryd}\" {arguments}'; echo code=$?; echo keys=$(stty -g)"
        );
        let mut script = Command::new("script");
        script.args(["-qefc", &line, "/dev/null"]);
        script
            .current_dir(site.path(""))
            .env("TERM", "xterm")
            .env("LC_ALL", "C.UTF-8");
        script
            .env("SHELL", "/bin/sh")
            .env_remove("NO_COLOR")
            .envs(variables.iter().copied());
        script.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut script = script.spawn().unwrap();
        let keys = script.stdin.take();
        let mut output = script.stdout.take().unwrap();
        let shown = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&shown);
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(read @ 1..) = output.read(&mut piece) {
                log.lock().unwrap().extend_from_slice(&piece[..read]);
            }
        });
        Some(Pty {
            script,
            keys,
            shown,
            size,
            since: 0,
        })
    }

    /// All that was written to the terminal.
    pub fn written(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap()).into_owned()
    }

    /// What the last `name=value` says that was printed beside the screen.
    fn told(&self, name: &str) -> Option<String> {
        let written = self.written();
        let value = written.rsplit_once(name)?.1;
        Some(value.split_once('\r')?.0.to_string())
    }

    /// The terminal as it looks now.
    pub fn look(&self) -> Vt {
        let mut vt = Vt::new(self.size);
        vt.alternate = self.since > 0;
        vt.feed(&self.written()[self.since..]);
        vt
    }

    #[track_caller]
    pub fn await_screen(&self, what: &str, condition: impl Fn(&Vt) -> bool) {
        let mut last = String::new();
        let end = std::time::Instant::now() + crate::harness::DEADLINE;
        loop {
            let vt = self.look();
            if condition(&vt) {
                return;
            }
            if std::time::Instant::now() >= end {
                panic!("it never came true that {what}:\n{last}");
            }
            last = vt.text();
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    pub fn press(&mut self, keys: &str) {
        let stdin = self.keys.as_mut().unwrap();
        stdin
            .write_all(keys.as_bytes())
            .and_then(|()| stdin.flush())
            .unwrap();
    }

    /// Sends a signal to ferryd.
    pub fn signal(&self, name: &str) {
        signal(self.told("pid=").unwrap().parse().unwrap(), name);
    }

    /// Gives the terminal another size, while the screen is shown.
    pub fn resize(&mut self, (columns, rows): (usize, usize)) {
        let tty = self.told("tty=").unwrap();
        let (columns, rows) = (columns.to_string(), rows.to_string());
        // From the last picture on, which the new size may only enlarge.
        self.since = self.written().rfind("\u{1b}[H").unwrap_or_default();
        let stty = Command::new("stty")
            .args(["-F", &tty, "cols", &columns, "rows", &rows])
            .status();
        assert!(stty.unwrap().success());
        self.size = (columns.parse().unwrap(), rows.parse().unwrap());
    }

    /// Waits for the end, which must leave the terminal as it was; returns the exit code and what stands there.
    #[track_caller]
    pub fn end(mut self) -> (i32, String) {
        eventually("the command has ended", || {
            self.script.try_wait().unwrap().is_some()
        });
        eventually("all was read", || {
            self.written().matches("keys=").count() == 2
        });
        let vt = self.look();
        let is_back = !vt.alternate && vt.cursor && vt.wraps;
        assert!(is_back, "{}", self.written());
        let written = self.written();
        let keys: Vec<&str> = written.split("keys=").skip(1).collect();
        let setting = |text: &str| text.split('\r').next().unwrap().to_string();
        assert_eq!(setting(keys[0]), setting(keys[1]));
        (self.told("code=").unwrap().parse().unwrap(), vt.text())
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        // The terminal goes with `script`, and ferryd with the terminal.
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}

/// A terminal of a few sequences.
pub struct Vt {
    columns: usize,
    rows: usize,
    lines: Vec<Vec<char>>,
    at: (usize, usize),
    pub alternate: bool,
    pub cursor: bool,
    pub wraps: bool,
}

impl Vt {
    fn new((columns, rows): (usize, usize)) -> Vt {
        Vt {
            columns,
            rows,
            lines: vec![Vec::new(); rows],
            at: (0, 0),
            alternate: false,
            cursor: true,
            wraps: true,
        }
    }

    pub fn text(&self) -> String {
        let lines = self
            .lines
            .iter()
            .map(|line| line.iter().collect::<String>().trim_end().to_string());
        lines.collect::<Vec<_>>().join("\n").trim_end().to_string()
    }

    fn feed(&mut self, text: &str) {
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            rest = &rest[c.len_utf8()..];
            if c == '\u{1b}' {
                // What comes next may not have been read yet.
                let Some(end) = rest.find(|c: char| c.is_ascii_alphabetic()) else {
                    return;
                };
                self.obey(&rest[..=end]);
                rest = &rest[end + 1..];
                continue;
            }
            match c {
                '\r' => self.at.1 = 0,
                '\n' => self.line_feed(),
                c => self.put(c),
            }
        }
    }

    fn obey(&mut self, sequence: &str) {
        match sequence {
            "[H" => self.at = (0, 0),
            "[K" => self.lines[self.at.0].truncate(self.at.1),
            "[J" => {
                self.lines[self.at.0].truncate(self.at.1);
                self.lines[self.at.0 + 1..].fill(Vec::new());
            }
            "[2J" => self.lines.fill(Vec::new()),
            "[?1049h" | "[?1049l" => {
                self.alternate = sequence.ends_with('h');
                self.lines.fill(Vec::new());
                self.at = (0, 0);
            }
            "[?25h" | "[?25l" => self.cursor = sequence.ends_with('h'),
            "[?7h" | "[?7l" => self.wraps = sequence.ends_with('h'),
            "[m" | "[31m" | "[33m" => {}
            other => panic!("an escape sequence that the screen does not need: {other:?}"),
        }
    }

    fn line_feed(&mut self) {
        if self.at.0 + 1 < self.rows {
            self.at.0 += 1;
            return;
        }
        assert!(!self.alternate, "the screen is scrolled:\n{}", self.text());
        self.lines.remove(0);
        self.lines.push(Vec::new());
    }

    fn put(&mut self, c: char) {
        let wide = c.width().unwrap_or(0);
        let (row, column) = self.at;
        assert!(
            !self.alternate || column + wide <= self.columns,
            "wider than the terminal:\n{}",
            self.text()
        );
        let line = &mut self.lines[row];
        line.resize(line.len().max(column), ' ');
        line.truncate(line.len().max(column));
        match line.get_mut(column) {
            Some(place) => *place = c,
            None => line.push(c),
        }
        // The second half of a wide character.
        if wide == 2 {
            match line.get_mut(column + 1) {
                Some(place) => *place = '\u{200b}',
                None => line.push('\u{200b}'),
            }
        }
        self.at.1 += wide;
    }
}
