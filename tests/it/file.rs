//! The file: made, adopted, refused, and held by one process at a time.

use crate::harness::{Api, Site, shell};
use ferryd::server::Answer;

const OWNERS_TABLE: &str = "CREATE TABLE user_record (id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL, network_id TEXT, city TEXT";

/// "FERY", schema 4, WAL.
fn assert_set_up(site: &Site) {
    let marks = "PRAGMA application_id; PRAGMA user_version; PRAGMA journal_mode";
    assert_eq!(site.shell(marks), format!("{}\n4\nwal", 0x4645_5259));
    assert_eq!(site.shell("SELECT gate FROM delivery_summary"), "open");
}

/// Every command that opens the file refuses it with exit code 65 and these words, and leaves its bytes alone.
#[track_caller]
fn assert_refused(site: &Site, words: &str) {
    let api = Api::accepting();
    site.configure(&format!("[api]\nurl = \"{}\"\n", api.url()));
    std::fs::write(site.path("records.csv"), "id,user_id\n1,1\n").unwrap();
    let before = std::fs::read(site.database()).unwrap();
    for command in [
        "run",
        "drain",
        "import records.csv",
        "init",
        "status",
        "check",
    ] {
        let arguments: Vec<&str> = command.split(' ').collect();
        let ran = site.run(&arguments).assert_code(65).assert_says(words);
        let complaint = ran.stderr.lines().count();
        assert_eq!(complaint, 1, "one line names the cause: {ran:#?}");
        assert_eq!(std::fs::read(site.database()).unwrap(), before, "{command}");
    }
}

#[test]
fn init_sets_the_file_up() {
    let site = Site::new();
    site.run(&["init"]).assert_code(0);
    assert_set_up(&site);
}

#[test]
fn init_never_overwrites() {
    let site = Site::new();
    site.run(&["init"]).assert_code(0);
    site.write("INSERT INTO user_record VALUES (1, 1, '1', 'Lisboa')");
    site.configure("[batch]\nsize = 7\n");
    site.run(&["init"]).assert_code(0);
    assert_eq!(site.shell("SELECT count(*) FROM user_record"), "1");
    let config = std::fs::read_to_string(site.path("ferryd.toml")).unwrap();
    assert_eq!(config, "[batch]\nsize = 7\n");
}

#[test]
fn import_sets_the_file_up() {
    let site = Site::new();
    site.import(1, 1..=2);
    assert_set_up(&site);
}

#[test]
fn drain_sets_the_file_up() {
    let site = Site::with(&Api::accepting(), "");
    site.run(&["drain"]).assert_code(0);
    assert_set_up(&site);
}

#[test]
fn run_sets_the_file_up() {
    let site = Site::with(&Api::accepting(), "");
    let daemon = site.daemon();
    assert_set_up(&site);
    assert_eq!(daemon.terminate().0, 0);
    assert_set_up(&site);
}

#[test]
fn looking_makes_no_file() {
    let site = Site::new();
    site.run(&["status"])
        .assert_code(1)
        .assert_says("ferryd init");
    assert!(!site.database().exists());
}

#[test]
fn an_empty_file_is_set_up() {
    let site = Site::new();
    std::fs::write(site.database(), "").unwrap();
    site.import(1, 1..=2);
    assert_set_up(&site);
}

#[test]
fn every_time_is_iso_8601_utc_with_milliseconds() {
    let api = Api::answering(|seen, _| Answer::status([200, 500, 422][seen.record as usize % 3]));
    let site = Site::with(&api, "");
    site.import(1, 10..=15);
    site.run(&["drain", "--once"]).assert_code(3);
    site.insert(1, 1);
    site.insert(1, 20);
    site.write("INSERT INTO command (verb) VALUES ('pause')");
    let conn = site.connect();
    let columns = "SELECT m.name, c.name FROM sqlite_schema AS m, pragma_table_info(m.name) AS c
                    WHERE m.type = 'table' AND (c.name LIKE '%\\_at' ESCAPE '\\' OR c.name = 'since')";
    let mut statement = conn.prepare(columns).unwrap();
    let columns: Vec<(String, String)> = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert!(columns.len() >= 10, "{columns:?}");
    let (two, three) = ("[0-9][0-9]", "[0-9][0-9][0-9]");
    let shape = format!("{two}{two}-{two}-{two}T{two}:{two}:{two}.{three}Z");
    let mut times = 0;
    for (table, column) in columns {
        let count = |condition: &str| {
            let sql = format!("SELECT count(*) FROM {table} WHERE {column} {condition}");
            site.value::<i64>(&sql)
        };
        times += count("IS NOT NULL");
        let wrong = count(&format!("NOT GLOB '{shape}'"));
        assert_eq!(wrong, 0, "{table}.{column}");
    }
    assert!(times >= 15, "only {times} times were there to look at");
}

#[test]
fn an_existing_user_record_is_adopted_with_its_own_columns_and_all_its_rows_are_delivered() {
    let api = Api::accepting();
    let site = Site::with(&api, "[batch]\nsize = 10\n");
    let table = format!(
        "{OWNERS_TABLE}, mail TEXT UNIQUE, price REAL DEFAULT 1.5, big TEXT AS (upper(city)));
         CREATE TABLE of_the_owner (a); INSERT INTO of_the_owner VALUES (7);
         WITH RECURSIVE n(i) AS (SELECT -4 UNION ALL SELECT i + 1 FROM n WHERE i < 40)
         INSERT INTO user_record (id, user_id, network_id, mail) SELECT i, i % 3, i, i || '@x' FROM n"
    );
    site.write(&table);
    site.run(&["drain"]).assert_code(0);
    assert_set_up(&site);
    api.assert_each_once(-4..=40);
    site.assert_adds_up(0);
    assert_eq!(site.shell("SELECT a FROM of_the_owner"), "7");
    assert_eq!(
        site.shell("SELECT mail, price FROM user_record WHERE id = 5"),
        "5@x 1.5"
    );
}

#[test]
fn a_user_record_is_adopted_however_its_names_are_written() {
    let api = Api::accepting();
    let site = Site::with(&api, "");
    site.write(
        "CREATE TABLE User_Record (ID integer primary key, User_ID bigint, Network_Id, CITY)",
    );
    site.write("INSERT INTO user_record VALUES (1, 1, '1', 'Lisboa')");
    site.run(&["drain"]).assert_code(0);
    api.assert_each_once([1]);
}

#[test]
fn a_file_of_another_application_is_refused() {
    let site = Site::new();
    site.write("PRAGMA application_id = 252006673; CREATE TABLE t (a)");
    assert_refused(&site, "belongs to another application");
}

#[test]
fn a_file_in_which_another_program_counts_its_schema_is_refused() {
    let site = Site::new();
    site.write("PRAGMA user_version = 3; CREATE TABLE t (a)");
    assert_refused(
        &site,
        "another program keeps its schema version in this file",
    );
}

#[test]
fn a_file_of_a_newer_schema_is_refused() {
    let site = Site::new();
    site.run(&["init"]).assert_code(0);
    site.write("PRAGMA user_version = 5");
    assert_refused(&site, "schema 5, this ferryd knows up to 4");
}

#[test]
fn a_text_file_is_refused() {
    let site = Site::new();
    let text = "id,user_id,network_id,city\n1,1,1,Lisboa\n".repeat(50);
    std::fs::write(site.database(), text).unwrap();
    assert_refused(&site, "damaged or not a database");
}

#[test]
fn a_file_whose_schema_is_damaged_is_refused() {
    let site = Site::new();
    site.write(&format!("PRAGMA page_size = 4096; {OWNERS_TABLE})"));
    let mut bytes = std::fs::read(site.database()).unwrap();
    bytes[100..4096].fill(0xaa);
    std::fs::write(site.database(), bytes).unwrap();
    assert_refused(&site, "damaged or not a database");
}

#[test]
fn a_damaged_user_record_is_not_adopted() {
    let site = Site::with(&Api::accepting(), "");
    site.write(&format!(
        "PRAGMA page_size = 4096; {OWNERS_TABLE});
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
         INSERT INTO user_record SELECT i, 1, i, 'Lisboa' FROM n"
    ));
    let mut bytes = std::fs::read(site.database()).unwrap();
    bytes[4 * 4096..5 * 4096].fill(0xaa);
    std::fs::write(site.database(), &bytes).unwrap();
    for command in ["drain", "init"] {
        let ran = site.run(&[command]).assert_code(65);
        ran.assert_says("damaged or not a database");
        assert_eq!(std::fs::read(site.database()).unwrap(), bytes, "{command}");
    }
}

#[test]
fn damage_inside_a_file_of_ours_is_a_data_error_with_a_remedy() {
    let site = Site::with(&Api::accepting(), "");
    site.import(1, 1..=3);
    site.write("PRAGMA wal_checkpoint(TRUNCATE)");
    let sound = std::fs::read(site.database()).unwrap();
    for (object, commands) in [
        ("user_record", ["run", "drain", "check"]),
        ("backlog", ["run", "drain", "status"]),
        ("open_batch_by_status", ["drain", "status", "check"]),
    ] {
        let page: usize = {
            std::fs::write(site.database(), &sound).unwrap();
            let sql = format!("SELECT rootpage FROM sqlite_schema WHERE name = '{object}'");
            shell(&site.database(), &[], &sql).parse().unwrap()
        };
        let mut bytes = sound.clone();
        bytes[(page - 1) * 4096..page * 4096].fill(0xaa);
        for command in commands {
            std::fs::write(site.database(), &bytes).unwrap();
            site.run(&[command]).assert_code(65).assert_says(".recover");
        }
    }
}

#[test]
fn a_file_that_uses_a_name_of_ours_is_refused() {
    let site = Site::new();
    site.write(
        "CREATE TABLE user_record (id INTEGER PRIMARY KEY, user_id INTEGER, network_id TEXT, city TEXT);
         CREATE TABLE Gate (x)",
    );
    assert_refused(&site, "it uses the name Gate");
}

#[test]
fn a_user_record_that_lacks_a_column_is_refused() {
    let site = Site::new();
    site.write(
        "CREATE TABLE user_record (id INTEGER PRIMARY KEY, user_id INTEGER, network_id TEXT)",
    );
    assert_refused(&site, "it has no column city");
}

#[test]
fn a_user_record_whose_id_is_not_its_integer_primary_key_is_refused() {
    for table in [
        "(id INTEGER, user_id INTEGER, network_id TEXT, city TEXT)",
        "(id INT PRIMARY KEY, user_id INTEGER, network_id TEXT, city TEXT)",
        "(id INTEGER PRIMARY KEY DESC, user_id INTEGER, network_id TEXT, city TEXT)",
        "(id INTEGER PRIMARY KEY, user_id INTEGER, network_id TEXT, city TEXT) WITHOUT ROWID",
        "(id INTEGER, user_id INTEGER, network_id TEXT, city TEXT, PRIMARY KEY (id, user_id))",
        "(id TEXT, user_id INTEGER PRIMARY KEY, network_id TEXT, city TEXT)",
    ] {
        let site = Site::new();
        site.write(&format!("CREATE TABLE user_record {table}"));
        assert_refused(&site, "id is not its INTEGER PRIMARY KEY");
    }
}

#[test]
fn a_user_record_whose_user_id_is_text_is_refused() {
    let site = Site::new();
    site.write("CREATE TABLE user_record (id INTEGER PRIMARY KEY, user_id TEXT, network_id, city)");
    assert_refused(&site, "user_id is not of an integer type");
}

#[test]
fn a_user_record_that_is_a_view_is_refused() {
    let site = Site::new();
    site.write(
        "CREATE VIEW USER_RECORD AS SELECT 1 AS id, 1 AS user_id, '' AS network_id, '' AS city",
    );
    assert_refused(&site, "it is a view, not a table");
}

#[test]
fn a_second_ferryd_on_the_same_file_is_refused_and_told_the_pid() {
    let site = Site::with(&Api::accepting(), "");
    let daemon = site.daemon();
    let pid = format!("(pid {})", daemon.pid());
    for command in ["run", "drain"] {
        site.run(&[command]).assert_code(75).assert_says(&pid);
    }
    assert_eq!(daemon.terminate().0, 0);
    site.run(&["drain"]).assert_code(0);
}

#[test]
fn a_killed_ferryd_does_not_hold_the_file() {
    let site = Site::with(&Api::accepting(), "");
    site.daemon().kill();
    site.run(&["drain"]).assert_code(0);
}

#[test]
fn an_upgrade_makes_views_and_triggers_anew_and_keeps_the_rest() {
    let api = Api::accepting();
    let site = Site::with(&api, "");
    site.import(1, 1..=5);
    site.write("DROP VIEW user_progress; DROP TRIGGER ferryd_record_deleted; CREATE VIEW user_progress AS SELECT 1");
    site.run(&["drain"]).assert_code(0);
    api.assert_each_once(1..=5);
    site.assert_adds_up(0);
    let sql = "SELECT count(*) FROM sqlite_schema WHERE name = 'ferryd_record_deleted'";
    assert_eq!(site.shell(sql), "1");
}
