//! What a terminal shows, and what a pipe gets instead. A pseudo-terminal is made by `script` of util-linux.

mod narrow;
mod pty;
mod watch;

use crate::harness::{Api, Ran, Site};
use crate::rights::skip;
use ferryd::server::Answer;
use std::process::Command;
use std::time::Duration;

const ESCAPE: char = '\u{1b}';

/// A site whose API takes a moment, so that a bar has time to be drawn.
fn slow() -> (Api, Site) {
    let api = Api::answering(|_, request| {
        request.sleep(Duration::from_millis(400));
        Answer::status(200)
    });
    let site = Site::with(&api, "");
    site.import(1, 1..=1);
    (api, site)
}

/// All that the command shows on a terminal of this many columns; nothing where there is no `script`.
fn shown(site: &Site, arguments: &str, columns: u32, variables: &[(&str, &str)]) -> Option<String> {
    let command = format!("'{}' {arguments}", env!("CARGO_BIN_EXE_ferryd"));
    shown_by(site, &command, columns, variables)
}

/// The same for any command of the shell.
fn shown_by(
    site: &Site,
    command: &str,
    columns: u32,
    variables: &[(&str, &str)],
) -> Option<String> {
    if Command::new("script").arg("--version").output().is_err() {
        skip("needs `script` of util-linux");
        return None;
    }
    let line = format!("stty cols {columns} rows 30; exec {command}");
    // Takes directory and environment of a command of this site.
    let model = site.ferryd(&[]);
    let mut script = Command::new("script");
    script
        .args(["-qec", &line, "/dev/null"])
        .current_dir(model.get_current_dir().unwrap())
        .stdin(std::process::Stdio::null())
        .env("TERM", "xterm")
        .env_remove("NO_COLOR");
    for (name, value) in model.get_envs() {
        match value {
            Some(value) => script.env(name, value),
            None => script.env_remove(name),
        };
    }
    script.envs(variables.iter().copied());
    Some(Ran::wait(script).stdout)
}

/// The lines as they stood on the screen, one after the other: without escape sequences.
fn lines(shown: &str) -> Vec<String> {
    let mut plain = String::new();
    let mut rest = shown.chars();
    while let Some(c) = rest.next() {
        if c == ESCAPE {
            // A control sequence ends with a letter (ECMA-48 §5.4).
            let _ = rest.find(char::is_ascii_alphabetic);
        } else {
            plain.push(c);
        }
    }
    plain
        .split(['\r', '\n'])
        .map(String::from)
        .filter(|line| !line.is_empty())
        .collect()
}

fn bars(shown: &str) -> Vec<String> {
    let is_bar = |line: &String| line.contains("delivering");
    lines(shown).into_iter().filter(is_bar).collect()
}

#[test]
fn a_terminal_shows_a_bar_that_makes_way_for_the_result() {
    let (_api, site) = slow();
    let Some(shown) = shown(&site, "drain", 100, &[]) else {
        return;
    };
    let bars = bars(&shown);
    assert!(bars.iter().any(|bar| bar.contains(" 0/1, ")), "{shown:?}");
    let last = lines(&shown).pop().unwrap();
    assert!(last.starts_with("delivered 1 records in "), "{shown:?}");
}

#[test]
fn a_bar_fits_a_terminal_of_forty_columns() {
    let (_api, site) = slow();
    let Some(shown) = shown(&site, "drain", 40, &[]) else {
        return;
    };
    for bar in bars(&shown) {
        assert!(bar.chars().count() <= 40, "{bar}");
    }
    assert!(!bars(&shown).is_empty(), "{shown:?}");
}

#[test]
fn log_lines_stand_above_the_bar_on_lines_of_their_own() {
    let (_api, site) = slow();
    let Some(shown) = shown(&site, "drain -v", 200, &[]) else {
        return;
    };
    let log: Vec<String> = lines(&shown)
        .into_iter()
        .filter(|line| line.contains(" INFO "))
        .collect();
    assert!(!log.is_empty(), "{shown:?}");
    for line in log {
        assert!(
            line.starts_with('2') && !line.contains("delivering"),
            "{line}"
        );
    }
}

#[test]
fn quiet_shows_no_result() {
    let (_api, site) = slow();
    let Some(shown) = shown(&site, "drain -q", 100, &[]) else {
        return;
    };
    assert!(!shown.contains("delivered 1 records"), "{shown:?}");
}

#[test]
fn a_pipe_gets_plain_lines_from_every_command() {
    let (_api, site) = slow();
    std::fs::write(site.path("more.csv"), "user_id\n7\n").unwrap();
    for arguments in [
        &["init"][..],
        &["import", "more.csv"],
        &["drain", "-v"],
        &["status"],
        &["failures"],
        &["batches"],
        &["explain", "1"],
        &["check", "--probe"],
        &["demo", "--records", "5", "--fail-rate", "0"],
        &["--help"],
        &["wat"],
        &["import", "missing.csv"],
    ] {
        let mut command = site.ferryd(arguments);
        command.env("TERM", "xterm").env("TMPDIR", site.path(""));
        let ran = Ran::wait(command);
        for text in [&ran.stdout, &ran.stderr] {
            assert!(!text.contains([ESCAPE, '\r']), "{arguments:?}: {ran:?}");
            assert!(
                text.is_empty() || text.ends_with('\n'),
                "{arguments:?}: {ran:?}"
            );
        }
    }
}

#[test]
fn no_color_takes_the_colour_and_leaves_the_bar() {
    let (_api, site) = slow();
    let Some(plain) = shown(&site, "wat", 100, &[("NO_COLOR", "1")]) else {
        return;
    };
    assert!(
        plain.contains("unrecognized subcommand") && !plain.contains(ESCAPE),
        "{plain:?}"
    );
    let Some(coloured) = shown(&site, "wat", 100, &[]) else {
        return;
    };
    assert!(coloured.contains(ESCAPE), "{coloured:?}");

    let Some(drain) = shown(&site, "drain", 100, &[("NO_COLOR", "1")]) else {
        return;
    };
    assert!(!bars(&drain).is_empty(), "{drain:?}");
    let colours = drain.split(ESCAPE).skip(1).filter(|sequence| {
        let end = sequence.find(|c: char| c.is_ascii_alphabetic());
        end.is_some_and(|end| sequence[end..].starts_with('m') && !sequence.starts_with("[0m"))
    });
    assert_eq!(colours.count(), 0, "{drain:?}");
}

#[test]
fn a_dumb_terminal_gets_plain_lines() {
    let (_api, site) = slow();
    let dumb = [("TERM", "dumb")];
    for arguments in [
        "drain",
        "import records.csv",
        "wat",
        "status",
        "failures",
        "batches",
        "explain 1",
        "demo --records 50 --fail-rate 0.2",
    ] {
        let Some(shown) = shown(&site, arguments, 100, &dumb) else {
            return;
        };
        assert!(
            !shown.contains(ESCAPE) && !shown.is_empty(),
            "{arguments}: {shown:?}"
        );
    }
}
