//! Standard error without a reader: closed, or stuck because its reader hangs. Neither holds up deliveries or the stop.

use crate::harness::{Api, Site, eventually, peak_memory_mb, signal};
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::process::{Child, Stdio};

/// A pipe that is full to the last byte.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let flags = rustix::fs::fcntl_getfl(&writer).unwrap();
    rustix::fs::fcntl_setfl(&writer, flags | rustix::fs::OFlags::NONBLOCK).unwrap();
    for piece in [4096, 1] {
        while writer.write(&vec![b'.'; piece]).is_ok() {}
    }
    rustix::fs::fcntl_setfl(&writer, flags).unwrap();
    (reader, writer)
}

/// A daemon whose every step is logged; killed when the test ends, however it ends.
struct Talker(Child);

impl Talker {
    fn start(site: &Site, stderr: PipeWriter) -> Talker {
        let mut command = site.ferryd(&["run", "-v"]);
        command.stdout(Stdio::null()).stderr(stderr);
        Talker(command.spawn().unwrap())
    }

    #[track_caller]
    fn end(mut self) {
        assert!(peak_memory_mb(self.0.id()) <= 64);
        signal(self.0.id(), "TERM");
        let mut status = None;
        eventually("the daemon has ended", || {
            status = self.0.try_wait().unwrap();
            status.is_some()
        });
        assert_eq!(status.unwrap().code(), Some(0));
    }
}

impl Drop for Talker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_log_whose_reader_hangs_holds_up_neither_deliveries_nor_the_stop() {
    let api = Api::accepting();
    let site = Site::with(&api, "[batch]\nsize = 1\n");
    let (_reader, writer) = full_pipe();
    site.import(1, 1..=100);
    let daemon = Talker::start(&site, writer);
    site.await_delivered(100);
    daemon.end();
    api.assert_each_once(1..=100);
}

#[test]
fn lines_that_found_no_reader_are_counted_in_the_log() {
    let api = Api::accepting();
    let site = Site::with(&api, "[batch]\nsize = 1\n");
    let (mut reader, writer) = full_pipe();
    site.import(1, 1..=20);
    let daemon = Talker::start(&site, writer);
    site.await_delivered(20);
    let log = std::thread::spawn(move || {
        let mut log = String::new();
        reader.read_to_string(&mut log).map(|_| log)
    });
    // The reader takes what is there, and further lines find room.
    for user in 2..=5 {
        site.insert(user, 100 + user);
        site.await_delivered(20 + user - 1);
    }
    daemon.end();
    let log = log.join().unwrap().unwrap();
    let lost = log
        .lines()
        .filter(|line| line.contains("lines were lost here."));
    assert_eq!(lost.count(), 1, "{log}");
    assert!(log.contains("Stopped."), "{log}");
}

#[test]
fn a_log_whose_reader_has_gone_holds_up_neither_deliveries_nor_the_stop() {
    let api = Api::accepting();
    let site = Site::with(&api, "[batch]\nsize = 1\n");
    site.import(1, 1..=100);
    let (reader, writer) = std::io::pipe().unwrap();
    let daemon = Talker::start(&site, writer);
    drop(reader);
    site.await_delivered(100);
    daemon.end();
    api.assert_each_once(1..=100);
}
