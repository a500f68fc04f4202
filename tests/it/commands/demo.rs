//! `demo`: the main job with nothing installed.

use crate::harness::{Ran, Site, shell};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// Runs it with temporary files in the site, and returns what it printed and the path that it named.
fn demo(site: &Site, options: &[&str]) -> (String, PathBuf) {
    let mut command = site.ferryd(&[&["demo"], options].concat());
    command.env("TMPDIR", site.path(""));
    let ran = Ran::wait(command).assert_code(0);
    assert_eq!(ran.stderr, "");
    let last = ran.stdout.lines().last().unwrap();
    let path = last.split_whitespace().nth(3).unwrap();
    assert!(last.starts_with("look       sqlite3 -readonly /"), "{last}");
    let path = PathBuf::from(path);
    (ran.stdout, path)
}

#[test]
fn demo_delivers_made_up_records_in_spite_of_failures_and_leaves_a_file_to_look_into() {
    let site = Site::new();
    let (out, database) = demo(&site, &["--records", "60", "--fail-rate", "0.2"]);
    assert!(out.contains("ferryd     delivered 60 records in "), "{out}");
    assert!(out.contains(": 60 accepted, "), "{out}");
    assert!(
        out.contains("; 0 records came twice after they were accepted"),
        "{out}"
    );
    let sql = "SELECT delivered, waiting + retrying + unknown + dead, failed_batches FROM delivery_summary";
    assert_eq!(
        shell(&database, &["-readonly", "-separator", " "], sql),
        "60 0 0"
    );
    let retried = "SELECT count(*) > 0 FROM recent_batches WHERE retry_count > 0";
    assert_eq!(shell(&database, &["-readonly"], retried), "1");
}

#[test]
fn the_command_that_demo_ends_with_works_as_it_is_printed() {
    let site = Site::new();
    let (out, _) = demo(&site, &["--records", "20", "--fail-rate", "0"]);
    let command = out
        .lines()
        .last()
        .unwrap()
        .strip_prefix("look       ")
        .unwrap();
    let output = std::process::Command::new("sh")
        .args(["-c", command])
        .output()
        .unwrap();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 7);
}

#[test]
fn each_demo_has_a_new_directory_that_only_its_user_can_enter() {
    let site = Site::new();
    let (_, first) = demo(&site, &["--records", "1", "--fail-rate", "0"]);
    let (_, second) = demo(&site, &["--records", "1", "--fail-rate", "0"]);
    assert_ne!(first, second);
    let mode = first
        .parent()
        .unwrap()
        .metadata()
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn demo_needs_no_configuration_and_obeys_none() {
    let site = Site::new();
    site.configure("[api]\nurl = \"http://127.0.0.1:1/\"\n[batch]\nsize = 1\n");
    let (_, database) = demo(&site, &["--records", "70", "--fail-rate", "0"]);
    let batches = shell(
        &database,
        &["-readonly"],
        "SELECT max(batch_size) FROM processing_batch_status",
    );
    assert_eq!(batches, "10");
}
