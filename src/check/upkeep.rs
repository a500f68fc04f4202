//! What `ferryd check` says of the machine and of the file's upkeep: disk, clock, -wal, daemon, retention, restored copies.

use rusqlite::Connection;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use super::Line;
use crate::config::{Retention, format_duration};
use crate::db::restored::Mark;
use crate::db::{holders, place};
use crate::lock;
use crate::time::Timestamp;

/// Below this many bytes of room, a long outage of the API or a program that reads for long may fill the disk.
const LITTLE_ROOM: u64 = 256 << 20;

/// Clocks of two machines differ a little, and nothing comes of it.
const SLACK: Duration = Duration::from_secs(60);

/// No ferryd ran before, and none runs with a right clock after.
const YEARS: std::ops::Range<&str> = "2024".."2100";

/// Room and inodes for more.
pub(super) fn disk(database: &Path) -> Line {
    let size = std::fs::metadata(database).map_or(0, |found| found.len());
    let failed = |reason: String| {
        let error = std::io::Error::new(ErrorKind::StorageFull, reason);
        Line::Fail(error.into())
    };
    if place::has_no_inodes(database) {
        return failed(place::NO_INODES.into());
    }
    let Some(room) = place::room(database) else {
        return Line::Ok("the file system does not tell how much is free".into());
    };
    let free = format!("{} free, the file has {}", bytes(room), bytes(size));
    if place::is_full(database) {
        return failed(format!("the disk is full ({free}); free at least 2 MiB"));
    }
    match room < LITTLE_ROOM {
        true => Line::Warn(format!(
            "{free}; free some space: a long outage or a long read needs more"
        )),
        false => Line::Ok(free),
    }
}

/// Who works on the file.
pub(super) fn daemon(database: &Path) -> Line {
    Line::Ok(match lock::holder_of(database) {
        Some(pid) => format!("running, pid {pid}"),
        None => "not running".into(),
    })
}

/// How long what was delivered stays.
pub(super) fn retention(retention: Retention) -> Line {
    if retention.records && retention.older_than.is_none() {
        return Line::Note(
            "retention.records has no effect without retention.older_than: nothing is deleted"
                .into(),
        );
    }
    Line::Ok(match retention.older_than {
        None => "off: what was delivered stays in the file until `ferryd prune`".into(),
        Some(age) => {
            let what = match retention.records {
                true => "SUCCESS batches and their records",
                false => "SUCCESS batches",
            };
            format!("{what} go after {}", format_duration(age))
        }
    })
}

/// Whether the wall clock can be right. `newest`: the latest time in the file.
pub(super) fn clock(now: Timestamp, newest: Option<String>) -> Line {
    let shown = now.to_string();
    if !YEARS.contains(&&shown[..4]) {
        return Line::Warn(format!("it is {shown}, says the clock; set it"));
    }
    match newest {
        Some(newest) if newest > now.plus(SLACK).to_string() => Line::Warn(format!(
            "it is {shown}, says the clock, but the file was written at {newest}; set the clock"
        )),
        _ => Line::Ok(shown),
    }
}

/// The latest time in the file.
pub(super) fn newest_time(conn: &Connection) -> rusqlite::Result<Option<String>> {
    conn.query_row(include_str!("../../sql/check/newest_time.sql"), [], |row| {
        row.get(0)
    })
}

/// Whether the -wal is emptied as it should be.
pub(super) fn wal(database: &Path) -> Line {
    let size = holders::wal_size(database);
    if size <= place::PINNED_ABOVE {
        return Line::Ok(format!("the -wal has {}", bytes(size)));
    }
    let readers = match holders::readers(database) {
        none if none.is_empty() => {
            "nobody reads now: the daemon's next writes empty it".to_string()
        }
        readers => format!("a transaction of {readers} keeps it; let that end"),
    };
    Line::Warn(format!("the -wal has {}; {readers}", bytes(size)))
}

/// Where the file comes from.
pub(super) fn restored(mark: &Mark) -> Line {
    let Mark {
        backup_at,
        restored_at,
    } = mark;
    Line::Note(match restored_at {
        None => format!(
            "from a backup of {backup_at}; the first `ferryd run` sends again what was sent since"
        ),
        Some(at) => format!(
            "on {at} from a backup of {backup_at}; what was sent between the two may have been sent again"
        ),
    })
}

/// As people read it.
fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{} kB", bytes.div_ceil(1000)),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn a_clock_before_the_newest_time_or_in_an_odd_year_is_doubted() {
        let now = at("2026-11-26T12:00:00.000Z");
        let newest = |text: &str| clock(now, Some(text.into()));
        assert!(matches!(newest("2026-11-26T12:00:30.000Z"), Line::Ok(_)));
        assert!(matches!(newest("2026-11-26T12:01:30.000Z"), Line::Warn(_)));
        for odd in ["1970-01-01T00:00:09.000Z", "2107-01-01T00:00:00.000Z"] {
            assert!(matches!(clock(at(odd), None), Line::Warn(_)), "{odd}");
        }
    }

    #[test]
    fn sizes_are_written_for_people() {
        let shown = [0, 1, 4096, 1_500_000, 12_345_678_901].map(bytes);
        assert_eq!(shown, ["0 kB", "1 kB", "5 kB", "1.5 MB", "12.3 GB"]);
    }
}
