//! Every command on a terminal of forty columns: what is laid out fits, and bars do too.

use super::{bars, lines, shown};
use crate::harness::{Api, Site};
use ferryd::server::Answer;
use std::time::Duration;
use unicode_width::UnicodeWidthStr;

/// Records that failed for long reasons in wide characters, of users with long numbers.
fn wide() -> (Api, Site) {
    let api = Api::answering(|seen, _| match seen.record % 3 {
        0 => Answer::text(422, "東京都にはそのような町はありません"),
        1 => Answer::text(503, "come back later, when there is less to do here"),
        _ => Answer::status(200),
    });
    let site = Site::with(&api, "[batch]\nsize = 3\n");
    site.import(-9_223_372_036_854_775_808, 1..=9);
    site.import(7, 1_000_000_001..=1_000_000_009);
    site.run(&["drain", "--once"]).assert_code(3);
    (api, site)
}

#[test]
fn tables_fit_forty_columns() {
    let (_api, site) = wide();
    for arguments in [
        "status",
        "failures",
        "failures --limit 3",
        "batches",
        "batches --status failed",
    ] {
        let Some(shown) = shown(&site, arguments, 40, &[("LC_ALL", "C.UTF-8")]) else {
            return;
        };
        let lines = lines(&shown);
        assert!(lines.len() > 3, "{arguments}: {shown}");
        for line in lines {
            assert!(line.width() <= 40, "{arguments}: {line}\n{shown}");
        }
    }
}

#[test]
fn colours_mark_what_failed_and_only_on_a_terminal_that_has_them() {
    let (_api, site) = wide();
    let Some(coloured) = shown(&site, "failures", 100, &[]) else {
        return;
    };
    assert!(coloured.contains("\u{1b}[31mDEAD"), "{coloured:?}");
    assert!(coloured.contains("\u{1b}[33mRETRY"), "{coloured:?}");
    for plain in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let shown = shown(&site, "failures", 100, &[plain]).unwrap();
        assert!(
            shown.contains("DEAD") && !shown.contains('\u{1b}'),
            "{shown:?}"
        );
    }
}

#[test]
fn a_pipe_has_lines_of_any_length() {
    let (_api, site) = wide();
    let said = site.run(&["failures"]).assert_code(0).stdout;
    assert!(
        said.contains("come back later, when there is less to do here\n"),
        "{said}"
    );
}

#[test]
fn the_bar_of_a_million_records_fits_forty_columns() {
    let api = Api::answering(|_, request| {
        request.sleep(Duration::from_millis(400));
        Answer::status(200)
    });
    let site = Site::with(&api, "[workers]\nthreads = 1\n");
    site.import(1, 1..=2);
    site.write("INSERT INTO user_record SELECT value, 2, value, 'Lisboa' FROM generate_series(10, 1000007)");
    let Some(shown) = shown(&site, "drain --timeout 1s", 40, &[]) else {
        return;
    };
    let bars = bars(&shown);
    assert!(bars.iter().any(|bar| bar.contains("/1000000")), "{shown:?}");
    for bar in bars {
        assert!(bar.width() <= 40, "{bar}");
    }
}

#[test]
fn the_demo_and_an_import_show_bars_that_fit_forty_columns() {
    let site = Site::with(&Api::accepting(), "");
    let mut csv = String::from("user_id,network_id\n");
    for id in 0..20_000 {
        csv.push_str(&format!("7,{id}\n"));
    }
    std::fs::write(site.path("many.csv"), csv).unwrap();
    let directory = site.path("");
    let directory = [("TMPDIR", directory.to_str().unwrap())];
    for (arguments, word) in [
        ("import many.csv", "storing"),
        ("demo --records 3000", "delivering"),
    ] {
        let Some(shown) = shown(&site, arguments, 40, &directory) else {
            return;
        };
        let lines = lines(&shown);
        let bars: Vec<&String> = lines.iter().filter(|line| line.starts_with(word)).collect();
        assert!(!bars.is_empty(), "{arguments}: {shown:?}");
        for bar in bars {
            assert!(bar.width() <= 40, "{bar}");
        }
    }
}
