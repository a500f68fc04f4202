//! wrk, the load generator to compare with: one thread on epoll, ten connections, the same body.

use std::path::Path;
use std::process::Command;

const POST: &str = r#"wrk.method = "POST"
wrk.body = '{"networkId":"net-0001","city":"Lisboa"}'
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Idempotency-Key"] = "0123456789abcdef.42.1000"
"#;

/// Requests a second over this many seconds; `None` without wrk (Debian package `wrk`), which is said once.
pub fn send(directory: &Path, url: &str, seconds: u64) -> Option<f64> {
    std::fs::write(directory.join("post.lua"), POST).expect("the script is written");
    let time = format!("-d{seconds}");
    let output = Command::new("wrk")
        .args(["-t1", "-c10", &time, "-s", "post.lua", url])
        .current_dir(directory)
        .output()
        .inspect_err(|error| eprintln!("SKIPPED wrk: {error}"))
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let rate = text
        .lines()
        .find_map(|line| line.strip_prefix("Requests/sec:"))?;
    assert!(!text.contains("Non-2xx"), "{text}");
    rate.trim().parse().ok()
}
