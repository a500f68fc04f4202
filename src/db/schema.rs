//! The schema: what a file is, and how it becomes one of this version.
//!
//! Migrations only go forward: `user_version` is the number of those that were applied. Triggers and views hold no data
//! and are made anew whenever their text differs; what the triggers count is then recounted. Nothing is written before [`inspect`] has agreed.

mod programs;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use std::path::Path;
use std::time::Duration;

use super::{APPLICATION_ID, OpenError};
use programs::PROGRAMS;

const MIGRATIONS: &[&str] = &[
    include_str!("../../sql/schema/0001_first.sql"),
    include_str!("../../sql/schema/0002_counts.sql"),
    include_str!("../../sql/schema/0003_chunk.sql"),
    include_str!("../../sql/schema/0004_upkeep.sql"),
];

/// The newest schema that this program knows.
pub const VERSION: i32 = MIGRATIONS.len() as i32;

/// What a file turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// No ferryd file yet, but one that may become one.
    Usable,
    /// A ferryd file.
    Ours {
        /// Its schema is of this version, triggers and views included.
        current: bool,
    },
}

impl Found {
    /// A ferryd file of any version.
    pub fn is_ours(self) -> bool {
        self != Found::Usable
    }

    /// Nothing to do to it.
    pub fn is_current(self) -> bool {
        self == Found::Ours { current: true }
    }
}

/// Looks at a file without writing to it, and waits for another program's lock for at most `wait`.
///
/// # Errors
/// When the file is damaged, foreign, newer, or holds a `user_record` that cannot be adopted.
pub fn inspect(path: &Path, wait: Duration) -> Result<Found, OpenError> {
    let conn = super::open_reader(path, wait)?;
    let of = |e| OpenError::of(path, e);
    let application_id: i32 = pragma(&conn, "application_id").map_err(of)?;
    let version: i32 = pragma(&conn, "user_version").map_err(of)?;
    if application_id == APPLICATION_ID {
        if version > VERSION {
            return Err(OpenError::Newer {
                path: path.to_path_buf(),
                found: version,
                known: VERSION,
            });
        }
        let current = version == VERSION && programs_are_current(&conn).map_err(of)?;
        return Ok(Found::Ours { current });
    }
    let foreign = |reason: String| OpenError::Foreign {
        path: path.to_path_buf(),
        reason,
    };
    if application_id != 0 {
        return Err(foreign(format!(
            "the file belongs to another application (application_id {application_id:#010x})"
        )));
    }
    if version != 0 {
        return Err(foreign(format!(
            "another program keeps its schema version in this file (user_version {version}), where ferryd would keep its own"
        )));
    }
    match adoption_obstacle(&conn).map_err(of)? {
        None => Ok(Found::Usable),
        Some(reason) => Err(OpenError::NotAdoptable {
            path: path.to_path_buf(),
            reason,
        }),
    }
}

/// The schema version of a ferryd file.
///
/// # Errors
/// SQLite's.
pub fn version_of(conn: &Connection) -> rusqlite::Result<i32> {
    pragma(conn, "user_version")
}

/// A number that changes with each change of the schema, by whomever: `PRAGMA schema_version`.
///
/// # Errors
/// SQLite's.
pub fn number_of_changes(conn: &Connection) -> rusqlite::Result<i32> {
    pragma(conn, "schema_version")
}

/// Refuses a file that `migrate` has yet to bring to this version, for those who read more than the views.
///
/// # Errors
/// When the file is older, or cannot be read.
pub fn expect_this_version(conn: &Connection, path: &Path) -> Result<(), OpenError> {
    let found = version_of(conn).map_err(|e| OpenError::of(path, e))?;
    if found < VERSION {
        return Err(OpenError::Older {
            path: path.to_path_buf(),
            found,
            known: VERSION,
        });
    }
    Ok(())
}

/// Brings an inspected file to this version, all or nothing; waits for another program's lock for at most `wait`.
pub(super) fn migrate(conn: &mut Connection, wait: Duration) -> rusqlite::Result<()> {
    conn.busy_timeout(wait)?;
    super::keep_wal(conn)?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i32 = pragma(&tx, "user_version")?;
    let was_watched = version == 0 || is_watched(&tx)?;
    if version < VERSION {
        // A table that a view names cannot be made anew.
        drop_programs(&tx)?;
    }
    for migration in MIGRATIONS.iter().skip(version.max(0) as usize) {
        tx.execute_batch(migration)?;
    }
    if !was_watched {
        watch_again(&tx)?;
    } else if !programs_are_current(&tx)? {
        make_programs(&tx)?;
    }
    tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    tx.pragma_update(None, "user_version", VERSION)?;
    tx.commit()?;
    // It cannot change inside a transaction; and a file that was no good after all is as it was.
    conn.pragma_update(None, "journal_mode", "WAL")?;
    // The first read makes the -wal and the -shm, without which nobody could read who may not write to the directory.
    pragma::<i32>(conn, "user_version").map(drop)
}

fn drop_programs(conn: &Connection) -> rusqlite::Result<()> {
    let mut programs = PROGRAMS.iter().rev();
    programs.try_for_each(|(kind, name, _)| {
        conn.execute_batch(&format!("DROP {kind} IF EXISTS {name}"))
    })
}

/// Makes views and triggers anew, and recounts what triggers count: nobody knows what they missed while they differed.
fn make_programs(conn: &Connection) -> rusqlite::Result<()> {
    drop_programs(conn)?;
    PROGRAMS
        .iter()
        .try_for_each(|(_, _, text)| conn.execute_batch(text))?;
    conn.execute(include_str!("../../sql/restore/recount_users.sql"), [])?;
    conn.execute(include_str!("../../sql/restore/recount_total.sql"), [])?;
    Ok(())
}

/// Whether `user_record` has ferryd's triggers and index. Its owner may have made the table anew, without them.
///
/// # Errors
/// SQLite's.
pub fn is_watched(conn: &Connection) -> rusqlite::Result<bool> {
    conn.prepare_cached(include_str!("../../sql/restore/is_watched.sql"))?
        .query_row([], |row| row.get(0))
}

/// Gives a `user_record` that was made anew its triggers and index again, and books the rows that came meanwhile. A row
/// that came in below a cursor cannot be told from a delivered one.
///
/// # Errors
/// SQLite's, for example while there is no such table.
pub fn watch_again(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute_batch(include_str!("../../sql/restore/record_index.sql"))?;
    conn.execute(include_str!("../../sql/restore/mark_unwatched.sql"), [])?;
    make_programs(conn)?;
    conn.execute(include_str!("../../sql/restore/recount_backlog.sql"), [])?;
    conn.execute(include_str!("../../sql/restore/recount_total.sql"), [])?;
    conn.execute(include_str!("../../sql/restore/name_unfit_users.sql"), [])?;
    log::warn!(
        "user_record was made anew by its owner, without ferryd's triggers: they are there again, and rows above the last planned id are planned. Rows below it that came meanwhile must be inserted again."
    );
    Ok(())
}

fn pragma<T: rusqlite::types::FromSql>(conn: &Connection, name: &str) -> rusqlite::Result<T> {
    conn.pragma_query_value(None, name, |row| row.get(0))
}

/// SQLite keeps the text of a view or trigger as it was written, without what stands before CREATE.
fn programs_are_current(conn: &Connection) -> rusqlite::Result<bool> {
    let sql = "SELECT sql FROM sqlite_schema WHERE type = ?1 AND name = ?2";
    let mut stored = conn.prepare(sql)?;
    if !is_watched(conn)? {
        return Ok(false);
    }
    for (kind, name, text) in PROGRAMS {
        let now: Option<String> = stored
            .query_row([kind, name], |row| row.get(0))
            .optional()?;
        let wanted = text.find("CREATE").map(|at| text[at..].trim_end());
        if now.as_deref() != wanted {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The tables and indexes that the migrations make beside `user_record`.
const OWN_NAMES: [&str; 22] = [
    "instance",
    "processing_batch_status",
    "undelivered_record",
    "user_cursor",
    "delivery_total",
    "backlog",
    "left_out",
    "begun",
    "replaced",
    "gate",
    "command",
    "ferryd_record_by_user",
    "open_batch_by_status",
    "open_range_by_user",
    "failed_batch_by_time",
    "success_by_time",
    "late_batch_by_user",
    "user_by_rest",
    "backlog_by_time",
    "undelivered_by_batch",
    "late_by_user",
    "command_to_do",
];

/// A table, view, index or trigger of somebody else's that has a name which ferryd needs.
fn taken_name(conn: &Connection) -> rusqlite::Result<Option<String>> {
    let sql = "SELECT name FROM sqlite_schema";
    let mut statement = conn.prepare(sql)?;
    let names = statement.query_map([], |row| row.get::<_, String>(0))?;
    let names: Vec<String> = names.collect::<rusqlite::Result<_>>()?;
    let own = || {
        let programs = PROGRAMS.iter().map(|(_, name, _)| *name);
        OWN_NAMES.into_iter().chain(programs)
    };
    let mut taken = names.into_iter();
    Ok(taken.find(|name| own().any(|own| own.eq_ignore_ascii_case(name))))
}

/// Why the file, or an existing `user_record`, cannot be adopted; `None` when nothing is in the way.
fn adoption_obstacle(conn: &Connection) -> rusqlite::Result<Option<String>> {
    if let Some(name) = taken_name(conn)? {
        let reason = format!("it uses the name {name}, which ferryd needs for its own");
        return Ok(Some(reason));
    }
    let sql = "SELECT type FROM pragma_table_list
                WHERE schema = 'main' AND name = 'user_record' COLLATE NOCASE";
    let kind: Option<String> = conn.query_row(sql, [], |row| row.get(0)).optional()?;
    match kind.as_deref() {
        None => return Ok(None),
        Some("table") => {}
        Some(kind) => return Ok(Some(format!("it is a {kind}, not a table"))),
    }
    let sql = "SELECT name, upper(type), pk FROM pragma_table_xinfo('user_record')";
    let mut statement = conn.prepare(sql)?;
    let columns: Vec<(String, String, i64)> = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let find = |name: &str| columns.iter().find(|c| c.0.eq_ignore_ascii_case(name));
    for name in ["id", "user_id", "network_id", "city"] {
        if find(name).is_none() {
            return Ok(Some(format!("it has no column {name}")));
        }
    }
    // Only a true INTEGER PRIMARY KEY is the rowid itself, with no index of its own (lang_createtable.html §5): a key of
    // several columns, of another type, DESC or WITHOUT ROWID has one.
    let sql = "SELECT EXISTS (SELECT 1 FROM pragma_index_list('user_record') WHERE origin = 'pk')";
    let has_key_index: bool = conn.query_row(sql, [], |row| row.get(0))?;
    let is_key = find("id").is_some_and(|id| id.2 > 0);
    if has_key_index || !is_key {
        return Ok(Some("id is not its INTEGER PRIMARY KEY".into()));
    }
    // SQLite's rule 1 of column affinity (datatype3.html §3.1): a type with INT in it holds whole numbers.
    if !find("user_id").is_some_and(|user| user.1.contains("INT")) {
        return Ok(Some("user_id is not of an integer type".into()));
    }
    Ok(None)
}
