//! `/metrics`: a format that Prometheus reads, and numbers that are true.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use ferryd::server::Answer;

use super::client::{address, await_reply, get, site};
use crate::harness::{Api, Daemon};

/// Samples by name and labels, as `name{label="value"}`.
pub struct Metrics(pub BTreeMap<String, f64>);

impl Metrics {
    pub fn of(daemon: &Daemon) -> Metrics {
        let reply = get(&address(daemon), "/metrics");
        let format = "text/plain; version=0.0.4; charset=utf-8";
        assert_eq!(reply.field("content-type"), Some(format));
        Metrics(parse(&reply.body))
    }

    #[track_caller]
    pub fn get(&self, sample: &str) -> f64 {
        *self
            .0
            .get(sample)
            .unwrap_or_else(|| panic!("there is no {sample}"))
    }

    /// Names without labels.
    pub fn names(&self) -> Vec<&str> {
        self.0
            .keys()
            .map(|sample| sample.split('{').next().unwrap())
            .collect()
    }
}

/// Reads the text format strictly: each family has HELP and TYPE once, before its samples, which stand together.
#[track_caller]
fn parse(text: &str) -> BTreeMap<String, f64> {
    assert!(text.ends_with('\n'));
    let (mut samples, mut families) = (BTreeMap::new(), Vec::new());
    let mut lines = text.lines();
    let mut kind = "";
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, help) = help.split_once(' ').unwrap();
            assert!(help.ends_with('.') && !families.contains(&name), "{line}");
            let kinds = lines.next().unwrap().strip_prefix("# TYPE ").unwrap();
            kind = kinds.strip_prefix(name).unwrap().trim();
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert_eq!(name.ends_with("_total"), kind == "counter", "{line}");
            families.push(name);
            continue;
        }
        let (sample, value) = line.rsplit_once(' ').unwrap();
        let name = sample.split('{').next().unwrap();
        let family = families.last().unwrap();
        let of_histogram = ["_bucket", "_sum", "_count"].map(|suffix| format!("{family}{suffix}"));
        match kind {
            "histogram" => assert!(of_histogram.iter().any(|of| of == name), "{line}"),
            _ => assert_eq!(name, *family, "{line}"),
        }
        assert!(
            name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'),
            "{line}"
        );
        let value = value.parse().unwrap_or_else(|_| panic!("{line}"));
        assert!(
            samples.insert(sample.to_string(), value).is_none(),
            "{line}"
        );
    }
    samples
}

#[test]
fn the_numbers_are_what_happened() {
    let api = Api::answering(|seen, _| {
        Answer::status(match seen.record {
            1..=4 => 422,
            5..=7 => 503,
            _ => 200,
        })
    });
    let site = site(&api, "");
    site.import(1, 1..=30);
    let daemon = site.daemon();
    site.await_delivered(23);
    let told = |body: &str| body.contains("ferryd_batches{status=\"failed\"} 1\n");
    await_reply(&address(&daemon), "/metrics", "the batch waits", |reply| {
        told(&reply.body)
    });
    let metrics = Metrics::of(&daemon);
    for (sample, value) in [
        ("ferryd_requests_total{result=\"delivered\"}", 23.0),
        ("ferryd_requests_total{result=\"refused\"}", 4.0),
        ("ferryd_requests_total{result=\"retry\"}", 3.0),
        ("ferryd_requests_total{result=\"unknown\"}", 0.0),
        ("ferryd_records_delivered_total", 23.0),
        ("ferryd_gate_closings_total", 0.0),
        ("ferryd_request_duration_seconds_count", 30.0),
        ("ferryd_request_duration_seconds_bucket{le=\"+Inf\"}", 30.0),
        ("ferryd_records{state=\"waiting\"}", 0.0),
        ("ferryd_records{state=\"delivered\"}", 23.0),
        ("ferryd_records{state=\"retrying\"}", 3.0),
        ("ferryd_records{state=\"dead\"}", 4.0),
        ("ferryd_gate_state{state=\"open\"}", 1.0),
        ("ferryd_gate_state{state=\"closed\"}", 0.0),
        ("ferryd_workers{doing=\"resting\"}", 10.0),
        ("ferryd_file_usable", 1.0),
        ("ferryd_stuck", 0.0),
        ("ferryd_build_info{version=\"0.1.0\"}", 1.0),
    ] {
        assert_eq!(metrics.get(sample), value, "{sample}");
    }
    assert!(metrics.get("ferryd_wal_size_bytes") > 0.0);
    assert!(metrics.get("ferryd_database_size_bytes") > 0.0);
    assert!(metrics.get("process_resident_memory_bytes") > 1e6);
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
    let start = metrics.get("process_start_time_seconds");
    assert!((now - 60.0..=now).contains(&start), "{start}");
    // The first delay is five minutes, give or take a tenth.
    let due = metrics.get("ferryd_next_retry_timestamp_seconds") - now;
    assert!((200.0..=331.0).contains(&due), "{due}");
    assert!(
        !metrics
            .names()
            .contains(&"ferryd_oldest_waiting_timestamp_seconds")
    );
}

#[test]
fn the_buckets_of_the_histogram_grow_to_the_count() {
    let api = Api::answering(|seen, request| {
        if seen.record == 1 {
            request.sleep(std::time::Duration::from_millis(60));
        }
        Answer::status(200)
    });
    let site = site(&api, "");
    site.import(1, 1..=10);
    let daemon = site.daemon();
    site.await_delivered(10);
    let metrics = Metrics::of(&daemon);
    let name = "ferryd_request_duration_seconds";
    let mut buckets: Vec<(f64, f64)> = Vec::new();
    for (sample, count) in &metrics.0 {
        if let Some(bound) = sample.strip_prefix(&format!("{name}_bucket{{le=\"")) {
            let bound = bound.trim_end_matches("\"}").replace("+Inf", "inf");
            buckets.push((bound.parse().unwrap(), *count));
        }
    }
    buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    assert!(buckets.is_sorted_by(|a, b| a.1 <= b.1), "{buckets:?}");
    assert_eq!(buckets.len(), 15);
    assert_eq!(
        buckets.last().unwrap().1,
        metrics.get(&format!("{name}_count"))
    );
    let at_most_50_ms = buckets.iter().find(|(bound, _)| *bound == 0.05).unwrap().1;
    assert!(at_most_50_ms <= 9.0, "{buckets:?}");
    assert!(metrics.get(&format!("{name}_sum")) >= 0.06);
}

#[test]
fn a_closed_gate_and_waiting_records_are_told() {
    let api = Api::answering(|_, _| Answer::status(401));
    let site = site(&api, "");
    site.import(1, 1..=30);
    let daemon = site.daemon();
    await_reply(
        &address(&daemon),
        "/metrics",
        "the gate is closed",
        |reply| reply.body.contains("ferryd_gate_state{state=\"closed\"} 1"),
    );
    let metrics = Metrics::of(&daemon);
    assert_eq!(metrics.get("ferryd_gate_state{state=\"open\"}"), 0.0);
    assert_eq!(metrics.get("ferryd_gate_closings_total"), 1.0);
    assert!(metrics.get("ferryd_requests_total{result=\"destination_fault\"}") >= 1.0);
    assert_eq!(metrics.get("ferryd_records{state=\"waiting\"}"), 30.0);
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
    let oldest = metrics.get("ferryd_oldest_waiting_timestamp_seconds");
    assert!((now - 60.0..=now).contains(&oldest), "{oldest}");
}

#[test]
fn prometheus_finds_no_fault_with_the_format() {
    let api = Api::answering(|_, _| Answer::status(401));
    let site = site(&api, "");
    site.import(1, 1..=3);
    let daemon = site.daemon();
    let text = get(&address(&daemon), "/metrics").body;
    let mut command = Command::new("promtool");
    command
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let Ok(mut child) = command.stderr(Stdio::piped()).spawn() else {
        return crate::rights::skip("promtool is not installed");
    };
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.trim().is_empty(), "{said}");
}
