//! Answers that tell results per item, and tell them badly: nothing is delivered by mistake, and memory does not grow.

use ferryd::server::Answer;

use super::{ITEMS, results, site};
use crate::harness::{Api, Site, eventually};

/// The site after one pass over five records, with this body in a 200.
fn told(body: &str, toml: &str) -> Site {
    let body = body.to_string();
    let api = Api::answering(move |_, _| Answer::text(200, body.clone()));
    let site = site(&api, &format!("{ITEMS}\n{toml}"));
    site.import(1, 1..=5);
    site.run(&["drain", "--once"]).assert_code(3);
    assert_eq!(api.seen().len(), 1);
    site
}

/// What became of the five records: delivered, to be sent again, unknown, dead.
fn counts(site: &Site) -> String {
    site.shell("SELECT delivered, retrying, unknown, dead FROM delivery_summary")
}

#[test]
fn results_that_are_too_many_cut_off_or_no_json_deliver_nothing() {
    let good = "{\"status\":200}";
    let many = format!(
        "{{\"results\":[{}{good}]}}",
        format!("{good},").repeat(9_999)
    );
    let five = [good; 5].join(",");
    for (body, reason) in [
        (many.as_str(), "the answer has 10000 results for 5 records"),
        (
            &format!("{{\"results\":[{five}]"),
            "the results per item cannot be read: EOF",
        ),
        (
            &format!("{{\"results\":[{five}]}}}}"),
            "the results per item cannot be read: trailing",
        ),
        (
            &format!("{{\"results\":[{five},]}}"),
            "the results per item cannot be read: expected value",
        ),
        // Of members with the same name the last one counts.
        (
            &format!("{{\"results\":[{five}],\"results\":[]}}"),
            "the answer has 0 results for 5 records",
        ),
        (
            &format!("{{\"results\":{}", "[".repeat(1_000_000)),
            "the results per item cannot be read: EOF",
        ),
        (
            &"[".repeat(1_000_000),
            "the results per item cannot be read: EOF",
        ),
        (
            &format!("{{\"result\":[{five}]}}"),
            "the answer has no array at /results",
        ),
    ] {
        let site = told(body, "");
        assert_eq!(counts(&site), "0 0 5 0", "{reason}");
        let said: String = site.value("SELECT error FROM undelivered_record LIMIT 1");
        assert!(said.starts_with(reason), "{said}");
    }
}

#[test]
fn of_results_that_say_strange_things_only_a_plain_success_is_one() {
    let deep = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
    let long = format!("2{}", "0".repeat(100_000));
    let body = format!(
        "{{\"deep\":{deep},\"results\":[{{\"status\":{long}}},{{\"status\":200.0}},{{\"status\":\"200\"}},\
         {{\"status\":200,\"status\":422,\"error\":{deep}}},{{\"status\":207,\"error\":{deep}}}]}}"
    );
    let site = told(&body, "");
    assert_eq!(counts(&site), "1 3 0 1");
    let sql = "SELECT group_concat(record_id || state, ' '), max(length(error)) <= 256 FROM undelivered_record";
    assert_eq!(site.shell(sql), "1RETRY 2RETRY 3RETRY 4DEAD 1");
}

#[test]
fn a_207_without_results_is_a_success_of_all_and_with_them_of_those_that_say_so() {
    let api = Api::answering(|_, _| Answer::status(207));
    let plain = site(&api, "");
    plain.import(1, 1..=5);
    plain.run(&["drain"]).assert_code(0);
    assert_eq!(counts(&plain), "5 0 0 0");

    let api = Api::answering(|seen, _| {
        let Answer::Full { body, headers, .. } =
            results(
                &super::ids(&seen.body),
                |id| if id == 2 { 409 } else { 201 },
            )
        else {
            unreachable!("results are a whole answer")
        };
        Answer::Full {
            status: 207,
            headers,
            body,
        }
    });
    let told = site(&api, ITEMS);
    told.import(1, 1..=5);
    told.run(&["drain", "--once"]).assert_code(3);
    assert_eq!(counts(&told), "4 1 0 0");
}

#[test]
fn an_answer_longer_than_the_limit_is_unknown_and_names_the_remedy() {
    let padding = "x".repeat(5 << 20);
    let site = told(
        &format!("{{\"pad\":\"{padding}\",\"results\":[1,1,1,1,1]}}"),
        "",
    );
    assert_eq!(counts(&site), "0 0 5 0");
    let said: String = site.value("SELECT error FROM undelivered_record LIMIT 1");
    assert!(said.contains("set api.bulk.records lower"), "{said}");
}

/// As values in memory, such answers would take fifty times their length.
#[test]
fn answers_full_of_small_values_do_not_make_memory_grow() {
    let list = |filler: &str| filler.repeat((4 << 20) / filler.len() - 100) + "1";
    for body in [
        format!("{{\"results\":[{}]}}", list("1,")),
        format!("{{\"x\":[{0}],\"results\":[[{0}]]}}", list("{\"a\":[1]},")),
    ] {
        let api = Api::answering(move |_, _| Answer::text(200, body.clone()));
        let toml = format!("[api.bulk]\nrecords = 10\n{ITEMS}\n[retry]\ninterval = \"1h\"\n");
        let site = Site::with(&api, &toml);
        site.import(1, 1..=10);
        let daemon = site.daemon();
        eventually("the answer was read", || counts(&site) == "0 0 10 0");
        daemon.assert_small();
    }
}

#[test]
fn a_secret_that_a_result_repeats_is_covered_also_where_the_reason_is_cut() {
    let secret = "geheim-0123456789-abcdefghijklmnopqrstuvwxyz";
    for pad in (160..210).step_by(10) {
        let reason = format!("{}{secret} and so on", "x".repeat(pad));
        let api = Api::answering(move |_, _| {
            Answer::text(
                200,
                format!("{{\"results\":[{{\"status\":422,\"error\":\"{reason}\"}}]}}"),
            )
        });
        let site = site(
            &api,
            &format!("{ITEMS}\n[api.auth]\nbearer_token_file = \"token\"\n"),
        );
        site.secret("token", secret);
        site.import(1, [1]);
        site.run(&["drain", "--once"]).assert_code(3);
        let said: String = site.value("SELECT error FROM undelivered_record");
        assert!(said.contains("xxx") && !said.contains("geh"), "{said}");
    }
}
