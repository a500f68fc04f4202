//! Files of any size, made in seconds: what ferryd's own triggers would have written is written at once.
//!
//! The triggers and the index of `user_record` are taken away for the time and put back word for word, so that ferryd
//! finds the file as it left it. `ferryd audit` agrees with what is made here.

use rusqlite::{Connection, named_params};
use std::path::Path;
use std::time::Duration;

/// What is in a file: user u (from 1) has the ids u, u + users, u + 2 users, and so on.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub records: u64,
    pub users: u64,
    /// SUCCESS batches, handed out to the users in turn, from the users' first records on.
    pub batches: u64,
    /// Records in each.
    pub batch_size: u64,
}

impl Shape {
    /// All records wait.
    pub fn waiting(records: u64, users: u64) -> Shape {
        Shape {
            records,
            users,
            batches: 0,
            batch_size: 1,
        }
    }

    /// All records are delivered, in batches of this size; it divides what each user has.
    pub fn delivered(records: u64, users: u64, batch_size: u64) -> Shape {
        assert_eq!(records % (users * batch_size), 0, "whole batches for all");
        Shape {
            records,
            users,
            batches: records / batch_size,
            batch_size,
        }
    }

    /// Makes the file, which is not there yet.
    pub fn build(&self, database: &Path) {
        ferryd::db::set_up(database, Duration::from_secs(5)).expect("the file is set up");
        let conn = Connection::open(database).expect("the file opens");
        self.fill(&conn).expect("the file is filled");
    }

    fn fill(&self, conn: &Connection) -> rusqlite::Result<()> {
        // No journal: a file that is half made is thrown away.
        conn.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -200000; BEGIN")?;
        let programs = take_programs_away(conn)?;
        conn.execute(
            "WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < :records)
             INSERT INTO user_record (id, user_id, network_id, city)
             SELECT id, (id - 1) % :users + 1, printf('net-%04d', id % 9973), 'Lisboa' FROM n",
            named_params! {":records": self.records as i64, ":users": self.users as i64},
        )?;
        for program in programs {
            conn.execute_batch(&program)?;
        }
        self.deliver(conn)?;
        conn.execute(
            "WITH RECURSIVE n(user) AS (SELECT 1 UNION ALL SELECT user + 1 FROM n WHERE user < :users)
             INSERT INTO backlog (user_id, records, since)
             SELECT user, waiting, strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
               FROM (SELECT user, (:records - user) / :users + 1
                       - coalesce((SELECT success_batches FROM user_cursor WHERE user_id = user), 0) * :size AS waiting
                       FROM n)
              WHERE waiting > 0",
            named_params! {
                ":records": self.records as i64,
                ":users": self.users as i64,
                ":size": self.batch_size as i64,
            },
        )?;
        // What the triggers would have added up.
        conn.execute_batch(
            "UPDATE delivery_total SET unplanned = (SELECT total(records) FROM backlog)",
        )?;
        conn.execute_batch("COMMIT; PRAGMA journal_mode = WAL")
    }

    fn deliver(&self, conn: &Connection) -> rusqlite::Result<()> {
        if self.batches == 0 {
            return Ok(());
        }
        conn.execute(
            "WITH RECURSIVE
               n(batch) AS (SELECT 0 UNION ALL SELECT batch + 1 FROM n WHERE batch + 1 < :batches),
               place AS (SELECT batch % :users + 1 AS user, batch / :users AS turn FROM n),
               ids AS (SELECT user, turn, user + :users * turn * :size AS first,
                              user + :users * ((turn + 1) * :size - 1) AS last,
                              strftime('%Y-%m-%dT%H:%M:%fZ', 'now') AS now FROM place)
             INSERT INTO processing_batch_status
                    (user_id, batch_offset, batch_size, start_id, end_id, status, sent_through, delivered_count, claim,
                     created_at, started_at, last_attempt_at, busy_ms)
             SELECT user, turn, :size, first, last, 'SUCCESS', last, :size, 1, now, now, now, 1 FROM ids",
            named_params! {
                ":batches": self.batches as i64,
                ":users": self.users as i64,
                ":size": self.batch_size as i64,
            },
        )?;
        conn.execute(
            "UPDATE user_cursor SET next_offset = success_batches,
                    planned_through = user_id + :users * (success_batches * :size - 1)
              WHERE success_batches > 0",
            named_params! {":users": self.users as i64, ":size": self.batch_size as i64},
        )?;
        Ok(())
    }
}

/// The index first: rows arrive in no order of users, and sorting them once is quicker.
fn take_programs_away(conn: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = conn.prepare(
        "SELECT type, name, sql FROM sqlite_schema
          WHERE tbl_name = 'user_record' AND type IN ('index', 'trigger') AND sql IS NOT NULL",
    )?;
    let programs: Vec<(String, String, String)> = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for (kind, name, _) in &programs {
        conn.execute_batch(&format!("DROP {kind} {name}"))?;
    }
    Ok(programs.into_iter().map(|(_, _, sql)| sql).collect())
}

/// A copy of a file that nobody has open.
pub fn copy(from: &Path, to: &Path) {
    remove(to);
    std::fs::copy(from, to).expect("the file is copied");
}

/// Removes a file that nobody has open, and what stands beside it.
pub fn remove(database: &Path) {
    for suffix in ["", "-wal", "-shm", ".lock", "-ballast", ".ballast"] {
        let mut path = database.as_os_str().to_owned();
        path.push(suffix);
        let _ = std::fs::remove_file(path);
    }
}
