//! The due time that an answer leaves in the file, with and without `Retry-After`.

use crate::harness::{Api, Site};
use crate::retry::assert_delay;
use ferryd::server::Answer;

/// An answer with a `Retry-After`.
fn later(status: u16, retry_after: &str) -> Answer {
    Answer::Full {
        status,
        headers: vec![("Retry-After".into(), retry_after.into())],
        body: Vec::new(),
    }
}

/// The seconds from the end of the attempt to the next one, read from the file.
fn delay(site: &Site, batch: i64) -> f64 {
    site.value(&format!(
        "SELECT (julianday(next_attempt_at) - julianday(last_attempt_at)) * 86400
           FROM processing_batch_status WHERE id = {batch}"
    ))
}

/// The delay that one pass leaves behind when the first record is answered like this.
fn delay_after(answer: Answer, retry_toml: &str) -> f64 {
    let api = Api::answering(move |seen, _| match seen.record {
        1 => answer.clone(),
        _ => Answer::status(200),
    });
    let site = Site::with(&api, retry_toml);
    site.import(1, 1..=3);
    site.run(&["drain", "--once"]).assert_code(3);
    delay(&site, 1)
}

#[test]
fn the_first_delay_is_five_minutes_by_default() {
    assert_delay(delay_after(Answer::status(500), ""), 300.0);
}

#[test]
fn retry_after_in_seconds_pushes_the_due_time() {
    for status in [408, 409, 425, 500, 502] {
        let found = delay_after(later(status, "3600"), "[retry]\ninterval = \"1s\"\n");
        assert!((3599.9..3960.1).contains(&found), "{status}: {found}");
    }
}

#[test]
fn retry_after_as_a_date_pushes_the_due_time() {
    let in_an_hour = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
    for form in [
        "%a, %d %b %Y %H:%M:%S GMT",
        // The obsolete forms that a recipient must understand all the same (RFC 9110, 5.6.7).
        "%A, %d-%b-%y %H:%M:%S GMT",
        "%a %b %e %H:%M:%S %Y",
    ] {
        let date = in_an_hour.strftime(form).to_string();
        let found = delay_after(later(500, &date), "[retry]\ninterval = \"1s\"\n");
        assert!((3570.0..3960.1).contains(&found), "{date}: {found}");
    }
}

#[test]
fn a_retry_after_sooner_than_the_interval_does_not_hurry() {
    for value in ["0", "1", "Sun, 06 Nov 1994 08:49:37 GMT"] {
        assert_delay(delay_after(later(500, value), ""), 300.0);
    }
}

#[test]
fn nonsense_in_retry_after_is_ignored() {
    for value in [
        "",
        "soon",
        "-5",
        "+900",
        "1e9",
        "900.5",
        "900 s",
        "\u{661}\u{662}",
        "Sun, 99 Nov 2999 08:49:37 GMT",
    ] {
        let found = delay_after(later(500, value), "[retry]\ninterval = \"10s\"\n");
        assert!(found < 11.1, "{value:?}: {found}");
    }
}

#[test]
fn a_hostile_retry_after_is_capped_at_the_longest_delay() {
    let far = "Fri, 31 Dec 9999 23:59:59 GMT";
    for value in [
        "99999999",
        "9223372036854775807",
        "18446744073709551615",
        far,
    ] {
        let found = delay_after(later(500, value), "[retry]\nmax_interval = \"2h\"\n");
        assert!((7199.9..=7200.1).contains(&found), "{value}: {found}");
    }
}

#[test]
fn the_longest_retry_after_of_a_batch_counts() {
    let api = Api::answering(|seen, _| match seen.record {
        1 => later(500, "900"),
        2 => later(500, "1800"),
        3 => later(500, "1200"),
        _ => Answer::status(200),
    });
    let site = Site::with(&api, "[retry]\ninterval = \"1s\"\n");
    site.import(1, 1..=5);
    site.run(&["drain", "--once"]).assert_code(3);
    assert!(delay(&site, 1) >= 1799.9);
}
