//! Chromium without a screen: the page as a browser shows it.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::harness::{Ran, Site};

/// Chromium with a profile of its own in the site's directory; nothing where it is not installed.
fn chromium(site: &Site, arguments: &[&str]) -> Option<Command> {
    let mut command = Command::new("chromium");
    command
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if !command.status().is_ok_and(|status| status.success()) {
        return None;
    }
    static PROFILES: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = PROFILES.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    let profile = site.path(&format!("profile-{number}"));
    let mut command = Command::new("chromium");
    let plain = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--hide-scrollbars",
    ];
    command
        .args(plain)
        .arg(format!("--user-data-dir={}", profile.display()));
    command.args(arguments).stdin(Stdio::null());
    Some(command)
}

/// The document after so many milliseconds of the page's own time, in which it fetches itself every 2000.
pub fn dom(site: &Site, url: &str, milliseconds: u32) -> Option<String> {
    let budget = format!("--virtual-time-budget={milliseconds}");
    let command = chromium(site, &[&budget, "--dump-dom", url])?;
    Some(Ran::wait(command).assert_code(0).stdout)
}

/// A picture of the page, as PNG.
pub fn screenshot(site: &Site, url: &str, width: u32, height: u32) -> Option<Vec<u8>> {
    let file: PathBuf = site.path(&format!("shot-{width}.png"));
    let shot = format!("--screenshot={}", file.display());
    let size = format!("--window-size={width},{height}");
    let command = chromium(site, &["--virtual-time-budget=500", &size, &shot, url])?;
    Ran::wait(command).assert_code(0);
    Some(std::fs::read(file).unwrap())
}

/// Width and height, from the header of a PNG (its specification, 11.2.1).
pub fn size_of(png: &[u8]) -> (u32, u32) {
    assert!(png.starts_with(b"\x89PNG\r\n\x1a\n"), "no PNG");
    let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    (number(16), number(20))
}
