//! The folder sql/: everything in it is used, prepares, reads in the sqlite3 shell, and finds its rows by index.

use crate::harness::{Api, Site};
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Statements that run for every record, batch or turn.
const HOT: [&str; 4] = ["plan", "claim", "load", "settle"];

/// Hot statements that may read a whole table, and which.
const MAY_SCAN: [(&str, &str); 1] = [
    // One row per user with records to plan; the first that is ripe ends it.
    ("claim/work_to_do.sql", "backlog"),
];

/// Tables of one row.
const ONE_ROW: [&str; 4] = ["delivery_total", "gate", "instance", "replaced"];

/// Whole tables that a view may read: they have one row, or one per user.
const VIEWS_MAY_SCAN: [&str; 4] = ["gate", "delivery_total", "backlog", "user_cursor"];

struct File {
    /// As `folder/name.sql`.
    name: String,
    text: String,
}

impl File {
    fn folder(&self) -> &str {
        self.name.split('/').next().unwrap()
    }

    fn object(&self) -> &str {
        Path::new(&self.name).file_stem().unwrap().to_str().unwrap()
    }

    /// The statement as the program runs it.
    fn statement(&self) -> String {
        self.text
            .replace("{columns}", ", user_record.\"network_id\"")
    }

    /// The statements in a trigger, with parameters for its NEW and OLD.
    fn body(&self) -> Vec<String> {
        let begin = self.text.find("BEGIN\n").unwrap() + "BEGIN\n".len();
        let end = self.text.rfind("END").unwrap();
        let body = self.text[begin..end]
            .replace("new.", ":new_")
            .replace("old.", ":old_");
        let statements = body.split(";\n").map(str::trim);
        statements
            .filter(|s| !s.is_empty() && !s.contains("RAISE("))
            .map(String::from)
            .collect()
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sql")
}

fn files() -> Vec<File> {
    let mut files = Vec::new();
    for folder in std::fs::read_dir(root()).unwrap() {
        for file in std::fs::read_dir(folder.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let name = path
                .strip_prefix(root())
                .unwrap()
                .to_str()
                .unwrap()
                .to_string();
            assert!(name.ends_with(".sql"), "{name}");
            let text = std::fs::read_to_string(&path).unwrap();
            files.push(File { name, text });
        }
    }
    assert!(files.len() > 40, "sql/ was not found");
    files.sort_by(|a, b| a.name.cmp(&b.name));
    files
}

fn fresh() -> Site {
    let site = Site::new();
    site.run(&["init"]).assert_code(0);
    site
}

/// 100,000 batches of ten records of 50 users, 1,000 of them open, with records in trouble, late and left out; the
/// records of the last batches are there too.
fn filled() -> Site {
    let site = fresh();
    site.write(
        "PRAGMA synchronous = OFF;
         BEGIN;
         INSERT INTO processing_batch_status (id, user_id, batch_offset, batch_size, start_id, end_id, status,
                delivered_count, created_at, last_attempt_at, next_attempt_at, error_message)
         SELECT value, value % 50, value / 50, 10, value * 10, value * 10 + 9,
                CASE WHEN value <= 99000 THEN 'SUCCESS' WHEN value % 3 = 0 THEN 'FAILED' WHEN value % 3 = 1 THEN 'DEAD' ELSE 'PENDING' END,
                CASE WHEN value <= 99000 THEN 10 ELSE 0 END, '2026-01-01T00:00:00.000Z', '2026-01-01T00:00:00.000Z',
                CASE WHEN value > 99000 AND value % 3 = 0 THEN '2026-01-01T00:00:00.000Z' END, 'id=1: HTTP 500'
           FROM generate_series(1, 100000);
         INSERT INTO user_record SELECT value, (value / 10) % 50, value, 'Lisboa' FROM generate_series(990010, 1000009);
         INSERT INTO user_record SELECT value, 7, value, 'Lisboa' FROM generate_series(1, 3000);
         DELETE FROM undelivered_record; DELETE FROM backlog;
         INSERT INTO undelivered_record (record_id, user_id, batch_id, state, error, first_seen_at)
         SELECT id, user_id, CASE WHEN id > 3000 THEN id / 10 END, CASE WHEN id > 3000 THEN 'RETRY' ELSE 'LATE' END, 'HTTP 500', '2026-01-01T00:00:00.000Z'
           FROM user_record WHERE id % 2 = 0;
         UPDATE user_cursor SET planned_through = 1000009, next_offset = 2000;
         INSERT INTO backlog SELECT value, 10, '2026-01-01T00:00:00.000Z' FROM generate_series(0, 49);
         INSERT INTO left_out SELECT value, 7 FROM generate_series(5000, 6000);
         COMMIT;",
    );
    site
}

/// The lines of EXPLAIN QUERY PLAN.
#[track_caller]
fn plan(conn: &Connection, name: &str, statement: &str) -> Vec<String> {
    let sql = format!("EXPLAIN QUERY PLAN {statement}");
    let mut explained = conn
        .prepare(&sql)
        .unwrap_or_else(|e| panic!("{name}: {e}\n{statement}"));
    let mut rows = explained.raw_query();
    let mut lines = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        lines.push(row.get(3).unwrap());
    }
    lines
}

/// The steps of a plan that read a table from end to end.
fn scans<'a>(conn: &Connection, plan: &'a [String]) -> Vec<&'a str> {
    let is_table = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?1";
    let mut is_table = conn.prepare(is_table).unwrap();
    let scans = plan.iter().filter_map(|line| line.strip_prefix("SCAN "));
    let of_tables = scans.filter(|scan| {
        let name = scan.split(' ').next();
        let found: i64 = is_table.query_row([name], |row| row.get(0)).unwrap();
        found > 0
    });
    of_tables.collect()
}

#[track_caller]
fn assert_searches(conn: &Connection, name: &str, statement: &str) {
    let plan = plan(conn, name, statement);
    let mut scans = scans(conn, &plan);
    scans.retain(|table| !ONE_ROW.contains(table) && !MAY_SCAN.contains(&(name, table)));
    assert!(scans.is_empty(), "{name} reads whole tables: {plan:#?}");
    let sorts = plan.iter().any(|line| line.contains("TEMP B-TREE"));
    assert!(!sorts, "{name} sorts: {plan:#?}");
}

#[test]
fn every_statement_prepares_against_a_fresh_file() {
    let site = fresh();
    let conn = site.connect();
    for file in files() {
        // Those of the audit and of `failures` use temporary tables of their own, and their tests run them all.
        if !["schema", "views", "triggers", "audit", "failures"].contains(&file.folder()) {
            conn.prepare(&file.statement())
                .unwrap_or_else(|e| panic!("{}: {e}", file.name));
        }
    }
}

#[test]
fn every_schema_file_runs_in_order_on_an_empty_file() {
    let conn = Connection::open_in_memory().unwrap();
    for file in files().iter().filter(|file| file.folder() == "schema") {
        conn.execute_batch(&file.text)
            .unwrap_or_else(|e| panic!("{}: {e}", file.name));
    }
}

#[test]
fn every_view_and_trigger_is_in_the_file_as_it_is_written_here() {
    let site = fresh();
    let mut count = 0;
    for file in files() {
        if ["views", "triggers"].contains(&file.folder()) {
            let sql = format!(
                "SELECT sql FROM sqlite_schema WHERE name = '{}'",
                file.object()
            );
            let text = &file.text[file.text.find("CREATE").unwrap()..];
            assert_eq!(site.shell(&sql), text.trim_end(), "{}", file.name);
            count += 1;
        }
    }
    let sql = "SELECT count(*) FROM sqlite_schema WHERE type IN ('view', 'trigger')";
    assert_eq!(
        site.value::<i64>(sql),
        count,
        "a view or trigger has no file"
    );
}

#[test]
fn every_file_is_used_by_the_program() {
    let mut source = String::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                source += &std::fs::read_to_string(&path).unwrap();
            }
        }
    }
    for file in files() {
        let used = source.contains(&format!("sql/{}\")", file.name));
        assert!(used, "{} is used nowhere", file.name);
    }
}

#[test]
fn hot_statements_find_their_rows_by_index_and_sort_nothing() {
    let (empty, filled) = (fresh(), filled());
    let analysed = self::filled();
    analysed.write("ANALYZE");
    for conn in [empty.connect(), filled.connect(), analysed.connect()] {
        for file in files() {
            if HOT.contains(&file.folder()) {
                assert_searches(&conn, &file.name, &file.statement());
            }
        }
    }
}

#[test]
fn what_the_live_status_shows_of_batches_is_found_by_index() {
    let (empty, filled) = (fresh(), filled());
    for conn in [empty.connect(), filled.connect()] {
        for file in files() {
            if ["running", "next_due", "held", "failures"].contains(&file.object())
                && file.folder() == "look"
            {
                let plan = plan(&conn, &file.name, &file.statement());
                let mut scans = scans(&conn, &plan);
                // By the index of failed batches, newest first, up to a LIMIT.
                scans.retain(|scan| {
                    *scan != "processing_batch_status USING INDEX failed_batch_by_time"
                });
                scans.retain(|table| !ONE_ROW.contains(table));
                assert!(scans.is_empty(), "{}: {plan:#?}", file.name);
            }
        }
    }
}

#[test]
fn triggers_find_their_rows_by_index() {
    let (empty, filled) = (fresh(), filled());
    for conn in [empty.connect(), filled.connect()] {
        for file in files().iter().filter(|file| file.folder() == "triggers") {
            for statement in file.body() {
                assert_searches(&conn, &file.name, &statement);
            }
        }
    }
}

#[test]
fn records_to_send_again_are_found_by_their_batch() {
    let site = filled();
    let conn = site.connect();
    let file = files()
        .into_iter()
        .find(|file| file.object() == "load_undelivered");
    let plan = plan(&conn, "load_undelivered", &file.unwrap().statement());
    let by_batch =
        "undelivered_record USING INDEX undelivered_by_batch (batch_id=? AND record_id>?";
    assert!(plan.iter().any(|line| line.contains(by_batch)), "{plan:#?}");
}

#[test]
fn no_view_reads_all_records_or_all_batches() {
    let (empty, filled) = (fresh(), filled());
    for conn in [empty.connect(), filled.connect()] {
        for file in files().iter().filter(|file| file.folder() == "views") {
            let select = format!("SELECT * FROM {} LIMIT 100", file.object());
            let plan = plan(&conn, &file.name, &select);
            let mut scans = scans(&conn, &plan);
            // The index of failed batches, newest first; and the newest batches by rowid, up to a LIMIT.
            scans
                .retain(|scan| *scan != "processing_batch_status USING INDEX failed_batch_by_time");
            scans.retain(|scan| {
                file.object() != "recent_batches" || *scan != "processing_batch_status"
            });
            scans.retain(|scan| !VIEWS_MAY_SCAN.iter().any(|may| scan.starts_with(may)));
            assert!(scans.is_empty(), "{}: {plan:#?}", file.name);
            let sorts = plan.iter().any(|line| line.contains("FOR ORDER BY"));
            assert!(!sorts, "{} sorts: {plan:#?}", file.name);
        }
    }
}

#[test]
fn every_view_reads_in_the_sqlite3_shell_with_a_hundred_thousand_batches() {
    let site = filled();
    for file in files().iter().filter(|file| file.folder() == "views") {
        site.shell(&format!("SELECT * FROM {} LIMIT 1000", file.object()));
    }
    assert_eq!(
        site.shell("SELECT success_batches, failed_batches + dead_batches + pending_batches FROM delivery_summary"),
        "99000 1000"
    );
    assert_eq!(site.shell("SELECT count(*) FROM user_progress"), "50");
    assert_eq!(site.shell("SELECT count(*) FROM recent_batches"), "100");
}

#[test]
fn every_table_and_column_comment_reads_in_the_sqlite3_shell() {
    let shown = fresh().shell(".schema");
    // A table that a later file makes anew is as it is written there.
    let mut tables = BTreeMap::new();
    for file in files().iter().filter(|file| file.folder() == "schema") {
        for table in file.text.split("CREATE TABLE ").skip(1) {
            // A copy that is made AS SELECT has none.
            let Some((name, body)) = table.split_once(" (\n") else {
                continue;
            };
            let body = body[..body.find("\n);").unwrap()].to_string();
            tables.insert(name.to_string(), body);
        }
    }
    let lines = tables.values().flat_map(|body| body.lines());
    let comments: Vec<&str> = lines.filter(|line| line.contains("-- ")).collect();
    assert!(comments.len() > 40, "{comments:#?}");
    for line in comments {
        assert!(shown.contains(line), "not shown: {line}");
    }
}

#[test]
fn status_finds_the_users_with_the_most_left_among_many() {
    let site = fresh();
    site.write(
        "INSERT INTO user_record (user_id) SELECT value FROM generate_series(1, 5000);
         INSERT INTO user_record (user_id) SELECT 4000 FROM generate_series(1, 8);
         INSERT INTO user_record (user_id) SELECT 3000 FROM generate_series(1, 5)",
    );
    let conn = site.connect();
    let list = |name: &str| {
        let path = root().join("look").join(name);
        let sql = std::fs::read_to_string(path).unwrap();
        let mut statement = conn.prepare(&sql).unwrap();
        let rows = statement.query_map(&[(":users", &11)], |row| Ok((row.get(0)?, row.get(1)?)));
        let rows: Vec<(i64, i64)> = rows.unwrap().map(Result::unwrap).collect();
        rows
    };
    let found = list("users.sql");
    assert_eq!(found[..3], [(4000, 9), (3000, 6), (1, 1)]);
    assert_eq!(found, list("all_users.sql"));
}

#[test]
fn a_success_can_be_undone_by_nobody() {
    let api = Api::accepting();
    let site = Site::with(&api, "");
    site.import(1, 1..=3);
    site.run(&["drain"]).assert_code(0);
    for status in ["PENDING", "RUNNING", "FAILED", "DEAD"] {
        let said = site.refused(&format!(
            "UPDATE processing_batch_status SET status = '{status}'"
        ));
        assert!(said.contains("SUCCESS is final"), "{said}");
    }
    let said = site.refused("UPDATE processing_batch_status SET batch_size = 4");
    assert!(said.contains("a_success_leaves_no_record"), "{said}");
}
