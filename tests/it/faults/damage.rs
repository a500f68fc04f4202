//! Damage that comes while the daemon is at work.

use std::os::unix::fs::FileExt;

use super::{SETTINGS, WORKERS};
use crate::harness::{Api, Door, Site, eventually};
use ferryd::server::Answer;
use std::sync::Arc;

#[test]
fn damage_under_the_daemon_ends_it_with_cause_and_remedy_and_nothing_is_made_up() {
    let door = Door::closed();
    let held = Arc::clone(&door);
    let api = Api::answering(move |_, _| {
        held.pass();
        Answer::status(200)
    });
    let site = Site::with(&api, SETTINGS);
    site.import(1, 1..=3000);
    site.write("PRAGMA wal_checkpoint(TRUNCATE)");
    let root = "SELECT rootpage FROM sqlite_schema WHERE name = 'user_record'";
    let root = site.value::<i64>(root) as u64;
    let daemon = site.daemon();
    eventually("requests wait for their answers", || door.waiting() > 0);
    let file = std::fs::File::options().write(true).open(site.database());
    file.unwrap()
        .write_all_at(&[0xaa; 4096], (root - 1) * 4096)
        .unwrap();
    door.open();
    assert_eq!(daemon.await_end(), 65);
    let log = std::fs::read_to_string(site.path("daemon.log")).unwrap();
    assert!(log.contains("the database is damaged"), "{log}");
    assert!(log.contains("restore a backup"), "{log}");
    let delivered = site.value::<i64>("SELECT delivered FROM delivery_summary") as usize;
    let sent = api.seen().len();
    assert!(delivered <= sent && sent <= delivered + 2 * WORKERS);
}

/// An index that lacks a row: no page of the file is unreadable, and each for itself is in order.
#[test]
fn an_index_that_is_out_of_step_is_damage_and_no_fault_of_the_disk() {
    let site = Site::with(&Api::accepting(), SETTINGS);
    site.run(&["init"]).assert_code(0);
    site.write(
        "INSERT INTO processing_batch_status
                (user_id, batch_offset, batch_size, kind, start_id, end_id, created_at, last_attempt_at)
         VALUES (1, 0, 1, 'RANGE', 1, 1, '2026-01-01T00:00:00.000Z', '2026-01-01T00:00:00.000Z');
         PRAGMA writable_schema = ON;
         CREATE TABLE hidden AS SELECT * FROM sqlite_schema WHERE name = 'open_batch_by_status';
         DELETE FROM sqlite_schema WHERE name = 'open_batch_by_status'",
    );
    site.write(
        "UPDATE processing_batch_status SET status = 'FAILED', next_attempt_at = '2026-01-01T00:00:01.000Z';
         PRAGMA writable_schema = ON;
         INSERT INTO sqlite_schema SELECT * FROM hidden",
    );
    assert_eq!(site.shell("PRAGMA quick_check"), "ok");
    let daemon = site.daemon();
    assert_eq!(daemon.await_end(), 65);
    let log = std::fs::read_to_string(site.path("daemon.log")).unwrap();
    assert!(log.contains("the database is damaged"), "{log}");
}
