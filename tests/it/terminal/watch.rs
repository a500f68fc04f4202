//! `status --watch`: the live screen, and the ways in which it ends.

use super::ESCAPE;
use super::pty::Pty;
use crate::harness::{Api, Site};
use ferryd::server::Answer;

/// A closed gate with a long reason, a dead record, and records that wait.
fn troubled() -> (Api, Site) {
    let api = Api::answering(|seen, _| match seen.record {
        2 => Answer::text(
            422,
            "東京都にはそのような町はありません、東京都にはそのような町はありません",
        ),
        1..5 => Answer::status(200),
        _ => Answer::text(
            401,
            "who are you? I have never seen you here, and nobody has told me that you would come",
        ),
    });
    let site = Site::with(
        &api,
        "[batch]\nsize = 2\n[gate]\nprobe_interval = \"1h\"\n[workers]\nthreads = 1\n",
    );
    site.import(7, 1..=20);
    site.run(&["drain", "--once"]).assert_code(3);
    (api, site)
}

const HEADS: [&str; 3] = ["gate      closed for ", "rate      ", "backlog   1"];

#[test]
fn the_screen_tells_all_of_it_and_fits_the_terminal_whatever_its_size() {
    let (_api, site) = troubled();
    for size in [(80, 24), (120, 40), (40, 12), (40, 10)] {
        let Some(mut pty) = Pty::start(&site, "status --watch", size, &[]) else {
            return;
        };
        pty.await_screen("the second look is shown", |vt| {
            vt.text().contains("rate      0/s")
        });
        let text = pty.look().text();
        for head in HEADS {
            assert!(text.contains(head), "{head}\n{text}");
        }
        assert!(text.contains("ferryd    not running"), "{text}");
        assert!(text.contains("held at the gate"), "{text}");
        assert!(text.contains("failed  ") && text.contains("DEAD"), "{text}");
        assert!(text.contains("id=2: HTTP 4"), "{text}");
        if size.0 >= 80 {
            assert!(text.contains("who are you? I have"), "{text}");
            assert!(text.contains('▁') && text.contains("user  "), "{text}");
            assert!(text.contains("database  ferryd.db"), "{text}");
        }
        assert!(pty.look().alternate && !pty.look().cursor);
        pty.press("q");
        assert_eq!(pty.end().0, 0);
    }
}

#[test]
fn a_terminal_of_hardly_any_size_is_not_overrun() {
    let (_api, site) = troubled();
    for size in [(1, 1), (5, 3), (12, 2)] {
        let Some(mut pty) = Pty::start(&site, "status --watch", size, &[]) else {
            return;
        };
        pty.await_screen("something is drawn", |vt| {
            vt.alternate && !vt.text().is_empty()
        });
        pty.press("q");
        pty.end();
    }
}

#[test]
fn the_screen_goes_along_with_the_size_of_the_terminal() {
    let (_api, site) = troubled();
    let Some(mut pty) = Pty::start(&site, "status --watch", (80, 24), &[]) else {
        return;
    };
    pty.await_screen("it is drawn", |vt| vt.text().contains("database  "));
    // What is on its way for the old size must fit: the new one is larger.
    pty.resize((120, 30));
    pty.await_screen("it is drawn anew", |vt| vt.text().contains("database  "));
    pty.press("q");
    pty.end();
}

#[test]
fn every_way_of_ending_gives_the_terminal_back() {
    let (_api, site) = troubled();
    for way in ["q", "\u{3}", "TERM", "INT", "HUP"] {
        let Some(mut pty) = Pty::start(&site, "status --watch", (80, 24), &[]) else {
            return;
        };
        pty.await_screen("it is drawn", |vt| vt.text().contains("gate      closed"));
        match way {
            key if key.len() == 1 => pty.press(key),
            name => pty.signal(name),
        }
        let (code, left) = pty.end();
        assert_eq!(code, 0, "{way:?}: {left}");
    }
}

#[test]
fn an_error_gives_the_terminal_back_and_is_told_on_it() {
    let (_api, site) = troubled();
    let Some(pty) = Pty::start(&site, "status --watch", (80, 24), &[]) else {
        return;
    };
    pty.await_screen("it is drawn", |vt| vt.text().contains("gate      closed"));
    std::fs::rename(site.database(), site.path("elsewhere.db")).unwrap();
    let (code, left) = pty.end();
    assert_eq!(code, 65, "{left}");
    assert!(
        left.contains("ferryd: ferryd.db: the database is gone"),
        "{left}"
    );
}

#[test]
fn another_file_in_the_place_of_the_first_is_shown_from_then_on() {
    let (_api, site) = troubled();
    let other = Site::new();
    other.run(&["init"]).assert_code(0);
    other.insert(9, 1);
    other.write("PRAGMA wal_checkpoint(TRUNCATE)");
    let Some(mut pty) = Pty::start(&site, "status --watch", (80, 24), &[]) else {
        return;
    };
    pty.await_screen("it is drawn", |vt| vt.text().contains("gate      closed"));
    std::fs::remove_file(site.path("ferryd.db-wal")).unwrap();
    std::fs::remove_file(site.path("ferryd.db-shm")).unwrap();
    std::fs::rename(other.database(), site.database()).unwrap();
    pty.await_screen("the other one is shown", |vt| {
        vt.text().contains("waiting 1 ")
    });
    pty.press("q");
    assert_eq!(pty.end().0, 0);
}

#[test]
fn the_daemon_and_its_work_are_seen_from_outside() {
    let api = Api::answering(|_, request| {
        request.sleep(std::time::Duration::from_millis(50));
        Answer::status(200)
    });
    let site = Site::with(&api, "[workers]\nthreads = 1\n");
    site.import(7, 1..=2000);
    let Some(mut pty) = Pty::start(&site, "status --watch", (80, 24), &[]) else {
        return;
    };
    pty.await_screen("nobody works", |vt| vt.text().contains("not running"));
    let daemon = site.daemon();
    let pid = format!("ferryd    running (pid {})", daemon.pid());
    pty.await_screen("the daemon is seen", |vt| vt.text().contains(&pid));
    pty.await_screen("its batches are seen", |vt| vt.text().contains("in work  "));
    pty.await_screen("its speed is seen", |vt| {
        vt.text().contains(", done in ") && !vt.text().contains("rate      0/s")
    });
    daemon.kill();
    pty.await_screen("its end is seen", |vt| {
        vt.text()
            .contains("not running; the 2 batches it left are freed when it starts")
    });
    pty.press("q");
    assert_eq!(pty.end().0, 0);
}

#[test]
fn without_escape_sequences_it_prints_on_as_plain_text() {
    let (_api, site) = troubled();
    for variable in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let Some(pty) = Pty::start(&site, "status --watch", (40, 12), &[variable]) else {
            return;
        };
        pty.await_screen("it was printed twice", |_| {
            pty.written().matches("rate      ").count() >= 2
        });
        pty.signal("TERM");
        let written = pty.written();
        assert_eq!(pty.end().0, 0);
        assert!(!written.contains(ESCAPE), "{written:?}");
    }
}

#[test]
fn json_is_an_object_a_line_on_a_terminal_too() {
    let (_api, site) = troubled();
    let Some(pty) = Pty::start(&site, "status --watch --json", (40, 12), &[]) else {
        return;
    };
    pty.await_screen("it was printed twice", |_| {
        pty.written().matches("\r\n{").count() >= 2
    });
    pty.signal("TERM");
    let written = pty.written();
    assert_eq!(pty.end().0, 0);
    let objects = written.lines().filter(|line| line.starts_with('{'));
    for line in objects {
        let json: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(json["gate"], "closed");
    }
}
