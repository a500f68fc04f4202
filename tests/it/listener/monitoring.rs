//! The monitoring kit in packaging/: it asks only for what there is, and Prometheus agrees with it.

use std::path::{Path, PathBuf};
use std::process::Command;

use ferryd::server::Answer;
use serde_json::Value;

use super::client::{address, await_reply, site};
use super::metrics::Metrics;
use crate::harness::Api;
use crate::rights::skip;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn dashboard() -> Value {
    let text = std::fs::read_to_string(file("packaging/grafana-dashboard.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// All that the panels and the variables ask for.
fn queries(dashboard: &Value) -> Vec<String> {
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().unwrap());
    let variables = dashboard["templating"]["list"].as_array().unwrap().iter();
    let asked = targets
        .map(|target| &target["expr"])
        .chain(variables.map(|variable| &variable["definition"]));
    asked.filter_map(Value::as_str).map(String::from).collect()
}

/// Names of metrics in a query.
fn metrics_in(query: &str) -> Vec<&str> {
    let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words
        .filter(|word| word.starts_with("ferryd_") || word.starts_with("process_"))
        .collect()
}

/// Whether a `label="value"` of a query is one that samples of the metric have; regular expressions and variables are not
/// looked at.
fn labels_exist(query: &str, metrics: &Metrics) {
    for (place, _) in query.match_indices("ferryd_") {
        let rest = &query[place..];
        let name = rest
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .next()
            .unwrap();
        let Some(labels) = rest[name.len()..].strip_prefix('{') else {
            continue;
        };
        for label in labels.split('}').next().unwrap().split(", ") {
            if label.starts_with("job") || label.starts_with("instance") {
                continue;
            }
            let wanted = format!("{name}{{{}}}", label.replace("!=", "="));
            assert!(metrics.0.contains_key(&wanted), "{wanted} in {query}");
        }
    }
}

/// A daemon that tells all it can: some records wait, some wait for a retry, the gate is closed.
fn telling() -> Metrics {
    let api = Api::answering(|seen, _| Answer::status(if seen.record <= 3 { 422 } else { 503 }));
    let site = site(
        &api,
        "[gate]\nfailures = 10\n[workers]\nthreads = 1\n[batch]\nsize = 8\n",
    );
    site.import(1, 1..=100);
    let daemon = site.daemon();
    await_reply(&address(&daemon), "/metrics", "it tells all", |reply| {
        reply.body.contains("ferryd_next_retry_timestamp_seconds ")
            && reply
                .body
                .contains("ferryd_oldest_waiting_timestamp_seconds ")
    });
    Metrics::of(&daemon)
}

#[test]
fn dashboard_and_alerts_ask_only_for_what_there_is() {
    let metrics = telling();
    let names = metrics.names();
    let mut queries = queries(&dashboard());
    let alerts = std::fs::read_to_string(file("packaging/prometheus-alerts.yml")).unwrap();
    queries.extend(
        alerts
            .lines()
            .filter(|line| !line.contains("description:"))
            .map(String::from),
    );
    let mut asked = 0;
    for query in &queries {
        for name in metrics_in(query) {
            assert!(names.contains(&name), "there is no {name}: {query}");
            asked += 1;
        }
        labels_exist(query, &metrics);
    }
    assert!(asked > 40, "{asked}");
}

#[test]
fn the_dashboard_is_one_that_grafana_takes() {
    let dashboard = dashboard();
    assert_eq!(dashboard["uid"], "ferryd");
    let panels = dashboard["panels"].as_array().unwrap();
    let mut ids = Vec::new();
    for panel in panels {
        let id = panel["id"].as_u64().unwrap();
        assert!(!ids.contains(&id), "{panel}");
        ids.push(id);
        assert!(
            ["stat", "timeseries"].contains(&panel["type"].as_str().unwrap()),
            "{panel}"
        );
        let place = &panel["gridPos"];
        let right = place["x"].as_u64().unwrap() + place["w"].as_u64().unwrap();
        assert!(right <= 24, "{panel}");
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{panel}");
    }
}

/// Runs promtool; nothing where it is not installed.
fn promtool(arguments: &[&str], directory: &Path) -> Option<(bool, String)> {
    let mut command = Command::new("promtool");
    let output = command
        .args(arguments)
        .current_dir(directory)
        .output()
        .ok()?;
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    Some((output.status.success(), said.into_owned()))
}

#[test]
fn prometheus_takes_the_alert_rules() {
    let rules = ["check", "rules", "packaging/prometheus-alerts.yml"];
    let Some((fine, said)) = promtool(&rules, &file("")) else {
        return skip("promtool is not installed");
    };
    assert!(fine && said.contains("SUCCESS"), "{said}");
}

#[test]
fn the_alerts_are_raised_when_they_should_be_and_not_otherwise() {
    let room = tempfile::tempdir().unwrap();
    for name in [
        "packaging/prometheus-alerts.yml",
        "tests/it/listener/alerts_test.yml",
    ] {
        let name = file(name);
        std::fs::copy(&name, room.path().join(name.file_name().unwrap())).unwrap();
    }
    let Some((fine, said)) = promtool(&["test", "rules", "alerts_test.yml"], room.path()) else {
        return skip("promtool is not installed");
    };
    assert!(fine, "{said}");
}

#[test]
fn prometheus_understands_every_query_of_the_dashboard() {
    let mut rules = String::from("groups:\n- name: x\n  rules:\n");
    let dashboard = dashboard();
    for (place, query) in queries(&dashboard).iter().enumerate() {
        if query.starts_with("label_values") {
            continue;
        }
        let query = query.replace("$__rate_interval", "5m").replace('$', "");
        let query = serde_json::to_string(&query).unwrap();
        rules += &format!("  - record: a:q{place}\n    expr: {query}\n");
    }
    let room = tempfile::tempdir().unwrap();
    std::fs::write(room.path().join("rules.yml"), rules).unwrap();
    let Some((fine, said)) = promtool(&["check", "rules", "rules.yml"], room.path()) else {
        return skip("promtool is not installed");
    };
    assert!(fine, "{said}");
}
