//! The recipes of `packaging/queries.sql`: each runs in the system's sqlite3 shell and is true, and the schema explains itself.

use crate::harness::{Api, Site};
use crate::rights::skip;
use ferryd::server::Answer;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

const QUERIES: &str = include_str!("../../packaging/queries.sql");

/// Title and statement of each recipe.
fn recipes() -> BTreeMap<&'static str, &'static str> {
    let parts = QUERIES.split("\n\n").map(|part| part.trim());
    let statements = parts.filter(|part| part.ends_with(';') && !part.starts_with("-- Steering"));
    let recipe = |part: &'static str| {
        let (title, statement) = part.split_once('\n').unwrap();
        let title = title.strip_prefix("-- ");
        (
            title.unwrap_or_else(|| panic!("no title: {part}")),
            statement,
        )
    };
    let recipes: BTreeMap<_, _> = statements.map(recipe).collect();
    assert!(recipes.len() > 20, "{}", recipes.len());
    recipes
}

/// Statements that change something, from the comments at the end.
fn changes() -> Vec<&'static str> {
    let lines = QUERIES
        .lines()
        .filter_map(|line| line.strip_prefix("--   "));
    lines.filter(|line| line.ends_with(';')).collect()
}

/// User 7 has 12 records, of which 5 is dead and 3 and 4 wait for a retry; 9 has 3 delivered ones, and one came late; 11 has
/// not been planned.
fn filled() -> Site {
    let api = Api::answering(|seen, _| {
        Answer::status(match seen.record {
            3 | 4 => 500,
            5 => 422,
            _ => 200,
        })
    });
    let site = Site::with(&api, "[batch]\nsize = 6\n");
    site.import(7, 1..=12);
    site.import(9, [101, 103, 104]);
    site.run(&["drain", "--once"]).assert_code(3);
    site.insert(9, 102);
    site.run(&["drain", "--once"]).assert_code(3);
    site.run(&["pause"]).assert_code(0);
    site.run(&["resume"]).assert_code(0);
    site.import(11, 201..=204);
    site
}

#[track_caller]
fn said(site: &Site, recipe: &str) -> String {
    let recipes = recipes();
    let found = recipes.iter().find(|(title, _)| title.starts_with(recipe));
    site.shell(found.unwrap_or_else(|| panic!("no recipe: {recipe}")).1)
}

#[test]
fn each_recipe_runs_and_finds_something() {
    let site = filled();
    for (title, statement) in recipes() {
        let found = site.shell(statement);
        let may_find_none = title.starts_with("Records that may have")
            || title.starts_with("Records that were tried");
        assert!(may_find_none || !found.is_empty(), "{title}: {statement}");
    }
}

#[test]
fn the_recipes_tell_the_truth() {
    let site = filled();
    for (recipe, wanted) in [
        ("How it stands", "4 13 2 0 1 0 0 3 1 0 "),
        ("What waits, by user", "11 4 2"),
        ("Open batches", "1 7 0 FAILED 6 3 1 2"),
        (
            "Why records failed",
            "RETRY 500 HTTP 500 Internal Server Error 2 3\nDEAD 422 ",
        ),
        ("The failed batches", "1 7 FAILED 1 2"),
        (
            "Dead records",
            "5 7 5 Lisboa 422 will not be sent again: HTTP 422",
        ),
        ("One user", "7 0 9 2 0 1 1 1 2"),
        (
            "The users with the most delivered",
            "7 9 0 2 0 1\n9 4 0 0 0 0\n11 0 4 0 0 0",
        ),
        ("The users with trouble", "7 2 0 1 0"),
        ("Which batch holds a record", "1 0 RANGE FAILED 2"),
        ("The last commands", "2 resume  2"),
        ("What prune has", "0 0"),
        ("What prune would", "0 0"),
        ("Journal mode", "wal 4"),
        (
            "Columns of user_record",
            "id INTEGER\nuser_id INTEGER\nnetwork_id TEXT\ncity TEXT",
        ),
    ] {
        let told = said(&site, recipe);
        assert!(told.starts_with(wanted), "{recipe}: {told}");
    }
    let hours: i64 = said(&site, "Records delivered by hour")
        .lines()
        .map(|line| line.rsplit(' ').next().unwrap().parse::<i64>().unwrap())
        .sum();
    assert_eq!(hours, 10, "the records of the batches that are done");
    assert!(said(&site, "How long records waited").ends_with(" 3"));
}

#[test]
fn each_change_that_is_shown_is_taken() {
    let site = filled();
    let changes = changes();
    assert!(changes.len() >= 10, "{changes:?}");
    for change in changes {
        site.write(change);
    }
    let row = "SELECT user_id, visited_at FROM user_record ORDER BY id DESC LIMIT 1";
    assert_eq!(site.shell(row), "7 2026-11-26");
}

#[test]
fn a_member_of_the_group_runs_each_recipe_with_the_daemon_up_and_down() {
    if !rustix::process::geteuid().is_root() {
        return skip("only root can read as somebody else");
    }
    let site = filled();
    let api = Api::accepting();
    site.configure(&format!("[api]\nurl = \"{}\"\n", api.url()));
    let steps = "chgrp 65534 . ferryd.db ferryd.db-wal ferryd.db-shm && chmod 750 . && chmod 640 ferryd.db*";
    let done = Command::new("sh")
        .args(["-c", steps])
        .current_dir(site.path(""))
        .status();
    assert!(done.unwrap().success());
    let read_all = || {
        for (title, statement) in recipes() {
            let output = Command::new("setpriv")
                .args([
                    "--reuid=65533",
                    "--regid=65534",
                    "--clear-groups",
                    "sqlite3",
                    "-readonly",
                ])
                .arg(site.database())
                .arg(statement)
                .output()
                .unwrap();
            assert!(
                output.status.success() && output.stderr.is_empty(),
                "{title}: {output:?}"
            );
        }
    };
    read_all();
    let daemon = site.daemon();
    site.await_delivered(13 + 4);
    read_all();
    assert_eq!(daemon.terminate().0, 0);
    let mode = std::fs::metadata(site.database())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o640);
    read_all();
}

/// Columns whose name says it all, or whose table's comment does.
const PLAIN: [&str; 10] = [
    "id",
    "user_id",
    "status",
    "state",
    "reason",
    "error",
    "verb",
    "result",
    "only_row",
    "record_id",
];

#[test]
fn every_table_view_and_column_is_explained_in_the_schema() {
    let site = Site::new();
    site.run(&["init"]).assert_code(0);
    let conn = site.connect();
    let sql = "SELECT m.type, m.name, m.sql, c.name FROM sqlite_schema AS m, pragma_table_info(m.name) AS c
                WHERE m.type IN ('table', 'view') AND m.name NOT LIKE 'sqlite_%' AND m.name <> 'user_record'";
    let mut statement = conn.prepare(sql).unwrap();
    let mut rows = statement.query([]).unwrap();
    let mut explained = 0;
    while let Some(row) = rows.next().unwrap() {
        let [kind, table, sql, column] = [0, 1, 2, 3].map(|at| row.get::<_, String>(at).unwrap());
        assert!(
            sql.contains("\n  -- ") || sql.contains("\n-- "),
            "{table} has no comment"
        );
        if kind == "view" || PLAIN.contains(&column.as_str()) || column.ends_with("_at") {
            continue;
        }
        let mut lines = sql.lines();
        let line = lines.find(|line| {
            let start = line.trim_start().trim_start_matches("ADD COLUMN ");
            start.starts_with(&format!("{column} "))
        });
        let inline = sql.contains(&format!("{column} /* "));
        let plain = |line: &str| line.contains("-- ") || line.contains("/* ") || is_count(&column);
        assert!(
            inline || line.is_some_and(plain),
            "{table}.{column} is not explained"
        );
        explained += 1;
    }
    assert!(explained > 40, "{explained}");
}

/// Counts of what the column's name says, which the table's comment speaks of.
fn is_count(column: &str) -> bool {
    column.ends_with("_batches")
        || [
            "delivered",
            "records",
            "retrying",
            "unknown",
            "dead",
            "resting_delivered",
            "resting_left",
            "attempts",
            "http_status",
            "since",
        ]
        .contains(&column)
}
