//! Every wrong value is refused, in words that help, and none hides another.

use super::*;

/// The lines of the error that `text` gives.
fn problems(text: &str) -> Vec<String> {
    read(text, &[], &Flags::default()).unwrap_err().problems
}

/// The lines of the error that one variable gives.
fn variable_problems(name: &str, value: &str) -> Vec<String> {
    let outcome = read("", &[(name, value)], &Flags::default());
    outcome.unwrap_err().problems
}

#[test]
fn every_problem_is_reported_in_line_order_and_then_those_of_variables_and_flags() {
    let text = "[batch]\nsize = 0\nsise = 5\nlinger = oops\n\n[worker]\nthreads = 1\n\n\
                [api]\nurl = 5\n[api.body]\na = 7\n";
    let variables = [("FERRYD_GATE_FAILURES", "0"), ("FERRYD_BATCH_SIZE", "abc")];
    let flags = Flags {
        config: None,
        database: Some(PathBuf::new()),
    };
    let error = read(text, &variables, &flags).unwrap_err();
    assert_eq!(
        error.to_string(),
        "ferryd.toml:2: batch.size = 0: must be a whole number from 1 to 100000\n\
         ferryd.toml:3: unknown key \"batch.sise\", did you mean \"batch.size\"?\n\
         ferryd.toml:4: not TOML: string values must be quoted, expected literal string\n\
         ferryd.toml:6: unknown section \"worker\", did you mean \"workers\"?\n\
         ferryd.toml:10: api.url = 5: must be a URL, as a string: http://… or https://…\n\
         ferryd.toml:12: api.body.a: must be a string, the name of a column; a constant is written { value = … }\n\
         FERRYD_BATCH_SIZE=abc: must be a whole number from 1 to 100000\n\
         FERRYD_GATE_FAILURES=0: must be a whole number from 1 to 1000000\n\
         --database \"\": must not be empty: give the path of a file"
    );
}

#[test]
fn a_file_that_cannot_be_read_does_not_hide_the_other_problems() {
    let problem = Problem {
        place: Place::File { line: 0 },
        text: "f: cannot be read".to_owned(),
    };
    let environment = [("FERRYD_BATCH_SIZE".into(), "0".into())];
    let error = assemble(Err(&problem), &environment, &Flags::default()).unwrap_err();
    assert_eq!(error.problems.len(), 2);
    assert_eq!(error.problems[0], "f: cannot be read");
}

#[test]
fn a_value_of_the_wrong_type_is_refused_with_what_is_allowed() {
    for (text, problem) in [
        (
            "batch.size = \"5\"",
            "ferryd.toml:1: batch.size = \"5\": must be a whole number from 1 to 100000",
        ),
        (
            "batch.linger = 5",
            "ferryd.toml:1: batch.linger = 5: must be a duration such as 500ms, 30s, 5m, 6h or 7d",
        ),
        (
            "database.durability = true",
            "ferryd.toml:1: database.durability = true: must be \"normal\" or \"full\"",
        ),
        (
            "batch = 5",
            "ferryd.toml:1: batch: is a section: write [batch], and its keys below",
        ),
        (
            "api.headers = \"x\"",
            "ferryd.toml:1: api.headers: must be a table: write [api.headers], and name = \"…\" below",
        ),
    ] {
        assert_eq!(problems(text), [problem]);
    }
}

#[test]
fn every_number_and_duration_is_held_to_its_bounds() {
    for line in [
        "batch.size = 0",
        "batch.size = 100_001",
        "batch.size = 1.5",
        "batch.size = -1",
        "batch.size = 99999999999999999999999999999999999999999999",
        "workers.threads = 0",
        "workers.threads = 1025",
        "workers.queue = 0",
        "workers.queue = 100001",
        "retry.interval = \"0s\"",
        "retry.max_interval = \"0s\"",
        "retry.backoff = 0.9",
        "retry.backoff = 100.1",
        "retry.backoff = inf",
        "retry.backoff = nan",
        "retry.max_attempts = -1",
        "api.timeout = \"0ms\"",
        "api.connect_timeout = \"0s\"",
        "gate.failures = 0",
        "gate.probe_interval = \"0s\"",
        "shutdown.grace = \"3651d\"",
        "api.body = {}",
        "api.idempotency_key = \"on\"",
        "api.idempotency_header = \"Host\"",
        "api.format = \"xml\"",
        "api.traceparent = \"yes\"",
        "api.traceparent = 1",
    ] {
        assert_eq!(problems(line).len(), 1, "{line}");
    }
    for line in [
        "batch.size = 1",
        "batch.size = 0x10",
        "batch.size = 100_000",
        "workers.threads = 1024",
        "workers.queue = 100000",
        "retry.backoff = 100",
        "retry.max_attempts = 0",
        "gate.failures = 1",
        "shutdown.grace = \"0s\"",
        "api.headers = {}",
        "api.traceparent = true",
        "api.method = \"HEAD\"\napi.format = \"none\"",
    ] {
        good(line);
    }
    assert_eq!(good("batch.size = 0x10").batch.size, 16);
}

#[test]
fn the_longest_delay_is_never_below_the_first_and_the_value_set_last_is_blamed() {
    assert_eq!(
        problems("[retry]\nmax_interval = \"1m\"\n"),
        [
            "ferryd.toml:2: retry.max_interval = \"1m\": must be at least retry.interval, which is 5m"
        ]
    );
    let file = "[retry]\nmax_interval = \"1h\"\n";
    let variables = [("FERRYD_RETRY_INTERVAL", "2h")];
    assert_eq!(
        read(file, &variables, &Flags::default())
            .unwrap_err()
            .problems,
        ["FERRYD_RETRY_INTERVAL=2h: must be at most retry.max_interval, which is 1h"]
    );
    good("[retry]\ninterval = \"6h\"\n");
}

#[test]
fn the_delays_are_not_compared_while_one_of_them_is_unknown() {
    assert_eq!(
        problems("[retry]\ninterval = \"x\"\nmax_interval = \"1m\"\n").len(),
        1
    );
    assert_eq!(
        problems("[retry]\ninterval = 1s\nmax_interval = \"1m\"\n").len(),
        1
    );
}

#[test]
fn a_broken_line_is_reported_once_and_hides_only_itself() {
    assert_eq!(
        problems("[batch]\nlinger = \"5s\nsize = 0\n"),
        [
            "ferryd.toml:2: not TOML: invalid basic string, expected `\"`",
            "ferryd.toml:3: batch.size = 0: must be a whole number from 1 to 100000",
        ]
    );
}

#[test]
fn the_keys_of_a_broken_section_are_not_called_unknown() {
    assert_eq!(
        problems("[batch\nsize = 5\nlinger = \"0s\"\n\n[gate]\nfailures = 0\n"),
        [
            "ferryd.toml:1: not TOML: unclosed table, expected `]`",
            "ferryd.toml:6: gate.failures = 0: must be a whole number from 1 to 1000000",
        ]
    );
}

#[test]
fn a_section_or_key_that_stands_twice_is_reported_with_the_problems_in_it() {
    assert_eq!(
        problems("[batch]\nsize = 1\nsize = 2\n[batch]\nlinger = 5\n"),
        [
            "ferryd.toml:3: not TOML: duplicate key",
            "ferryd.toml:4: not TOML: duplicate key",
            "ferryd.toml:5: batch.linger = 5: must be a duration such as 500ms, 30s, 5m, 6h or 7d",
        ]
    );
}

#[test]
fn lines_are_counted_right_in_a_file_from_another_system() {
    let text = "\u{feff}[batch]\r\n\r\nsize = 0\r\n";
    assert!(problems(text)[0].starts_with("ferryd.toml:3: "));
}

#[test]
fn a_key_without_its_section_is_recognised() {
    assert_eq!(
        problems("url = \"http://h/\"\n"),
        ["ferryd.toml:1: unknown key \"url\", did you mean \"api.url\"?"]
    );
}

#[test]
fn a_name_like_no_other_is_to_be_removed() {
    assert_eq!(
        problems("[zebra]\nx = 1\n[api]\nxyzzy = 1\n"),
        [
            "ferryd.toml:1: unknown section \"zebra\": remove it",
            "ferryd.toml:4: unknown key \"api.xyzzy\": remove it",
        ]
    );
}

#[test]
fn an_unknown_variable_is_named_with_the_nearest_known_one() {
    assert_eq!(
        variable_problems("FERRYD_BATCH_SISE", "5"),
        ["FERRYD_BATCH_SISE: unknown variable, did you mean FERRYD_BATCH_SIZE?"]
    );
    assert_eq!(
        variable_problems("FERRYD_XYZZY", "5"),
        ["FERRYD_XYZZY: unknown variable: unset it"]
    );
}

#[test]
fn every_single_value_has_a_variable() {
    for key in KEYS {
        let outcome = variable_problems(&key.variable(), "file:\u{1}é");
        let is_table = !matches!(key.set, Set::One(_));
        let from_file_only = outcome[0].contains("cannot be set from the environment");
        assert_eq!(from_file_only, is_table, "{outcome:?}");
        assert!(!outcome[0].contains("unknown"), "{outcome:?}");
    }
}

#[test]
fn tables_cannot_be_set_from_the_environment() {
    for name in [
        "FERRYD_API_HEADERS",
        "FERRYD_API_BODY",
        "FERRYD_API_HEADERS_X",
    ] {
        let problem = &variable_problems(name, "secret")[0];
        assert!(problem.contains("set it in the file, section [api."));
        assert!(!problem.contains("secret"), "{problem}");
    }
}

#[test]
fn empty_variables_and_variables_that_are_no_text_are_refused() {
    use std::os::unix::ffi::OsStringExt;
    for name in ["FERRYD_BATCH_SIZE", "FERRYD_CONFIG"] {
        let problem = &variable_problems(name, "")[0];
        assert_eq!(
            *problem,
            format!("{name}: is empty: give it a value or unset it")
        );
        let environment = [(OsString::from(name), OsString::from_vec(vec![0xff]))];
        let outcome = assemble(Ok(None), &environment, &Flags::default());
        assert_eq!(
            outcome.unwrap_err().to_string(),
            format!("{name}: is not UTF-8 text")
        );
    }
}

#[test]
fn secrets_are_not_shown() {
    let text = "[api]\nurl = \"http://me:secret@h:0/\"\nproxy = \"ftp://me:secret@h/\"\n\
                [api.headers]\nAuthorization = \"secret\\n\"\nHost = \"secret\"\nX = [\"secret\"]\n";
    let found = problems(text);
    assert_eq!(found.len(), 5);
    let by_variable = variable_problems("FERRYD_API_URL", "me:secret@h");
    for problem in found.iter().chain(&by_variable) {
        assert!(!problem.contains("secret"), "{problem}");
    }
}

#[test]
fn foreign_text_cannot_add_a_line_to_a_message() {
    let text = "\"a\\nb\\u001b\" = 1\nbatch.linger = \"\"\"5\n6\"\"\"\n";
    let variables = [("FERRYD_X\nY", "1"), ("FERRYD_BATCH_SIZE", "1\n2\u{1b}[2J")];
    let error = read(text, &variables, &Flags::default()).unwrap_err();
    assert_eq!(error.to_string().lines().count(), 4);
    assert!(!error.to_string().contains('\u{1b}'));
}

proptest::proptest! {
    #[test]
    fn no_file_makes_the_reader_panic(text in "[\\[\\]a-z=\"'{}.,0-9\n #\\\\é\r]{0,80}") {
        let _ = read(&text, &[], &Flags::default());
    }

    #[test]
    fn no_damage_to_a_good_file_makes_the_reader_panic(at in 0usize..4000, damage in "[\\[\\]=\"'{}\n]") {
        let mut text = template().replace("\n# ", "\n");
        let at = (0..=at.min(text.len())).rfind(|at| text.is_char_boundary(*at)).unwrap();
        text.insert_str(at, &damage);
        let _ = read(&text, &[], &Flags::default());
    }
}
