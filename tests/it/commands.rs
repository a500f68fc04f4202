//! The commands as people and scripts meet them: what they do, what they say, and the code they end with.

mod check;
mod deliver;
mod demo;
mod import;
mod init;
mod output;
mod preview;
pub mod receiver;
mod status;

use crate::harness::Site;

const COMMANDS: [&str; 14] = [
    "run", "drain", "import", "status", "failures", "batches", "check", "preview", "init",
    "receiver", "demo", "backup", "prune", "db",
];

#[test]
fn the_help_of_every_command_has_an_example_of_itself() {
    let site = Site::new();
    for command in COMMANDS {
        let help = site.run(&[command, "--help"]).assert_code(0).stdout;
        let example = help.split("Example:").nth(1).unwrap_or_default();
        let call = format!("ferryd {command}");
        assert!(example.contains(&call), "{command}: {help}");
    }
}

#[test]
fn the_help_names_every_command_and_where_to_start() {
    let help = Site::new().run(&["--help"]).assert_code(0).stdout;
    for command in COMMANDS {
        assert!(help.contains(&format!("\n  {command} ")), "{command}");
    }
    assert!(help.contains("ferryd demo") && help.contains("ferryd import"));
}

#[test]
fn every_command_takes_the_common_options() {
    let site = Site::new();
    for command in COMMANDS {
        let help = site.run(&[command, "--help"]).assert_code(0).stdout;
        for option in [
            "--config",
            "--database",
            "-v,",
            "-q,",
            "--help",
            "--version",
        ] {
            assert!(help.contains(option), "{command} {option}: {help}");
        }
        let version = site.run(&[command, "--version"]).assert_code(0).stdout;
        assert!(version.contains(env!("CARGO_PKG_VERSION")), "{version}");
    }
    let version = site.run(&["--version"]).assert_code(0).stdout;
    assert_eq!(version, format!("ferryd {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn wrong_usage_is_2_and_says_what_is_allowed() {
    let site = Site::new();
    for (arguments, said) in [
        (&["wat"][..], "unrecognized subcommand"),
        (&[], "Usage: ferryd"),
        (&["import"], "<FILE>"),
        (&["run", "--nope"], "unexpected argument '--nope'"),
        (&["drain", "--user", "seven"], "--user"),
        (&["drain", "--timeout", "5"], "a duration such as 500ms"),
        (&["drain", "--timeout", "99999d"], "at most 10 years"),
        (&["import", "a", "--format", "xml"], "csv, jsonl"),
        (&["receiver", "--fail-rate", "2"], "a number from 0 to 1"),
        (&["receiver", "--status", "99"], "100..=999"),
        (
            &["receiver", "--listen", "8080"],
            "a loopback address with a port",
        ),
        (&["demo", "--fail-rate", "1"], "a number from 0 to 0.9"),
    ] {
        let ran = site.run(arguments).assert_code(2).assert_says(said);
        assert_eq!(ran.stdout, "", "{arguments:?}");
    }
}
