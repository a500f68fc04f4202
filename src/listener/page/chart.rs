//! Pictures: records per second over the last hour, and bars of shares.

use std::fmt::Write;
use std::time::Duration;

use super::html::Count;
use crate::metrics::{Metrics, SLOT, SLOTS};

/// Slots that make one point of the chart.
const JOINED: usize = 3;
const POINTS: usize = SLOTS / JOINED;

/// The field of the chart.
const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 100.0;

/// From one point to the next.
const STEP: f64 = WIDTH / (POINTS - 1) as f64;

/// Slots that the rate of now is taken from: the last minute.
const NOW: usize = 6;

/// Records per second over the last minute, or since the start or since the gate opened if that is shorter.
pub(super) fn rate(metrics: &Metrics, open_for: Duration) -> f64 {
    let uptime = metrics.uptime().as_secs_f64();
    let into_slot = uptime % SLOT.as_secs_f64();
    let hour = metrics.last_hour();
    let earlier = (open_for.as_secs_f64() - into_slot) / SLOT.as_secs_f64();
    // The slot that is not over yet, and those before it in which the gate was open.
    let slots = NOW.min(1 + earlier.max(0.0).ceil() as usize);
    let recent: u64 = hour.iter().rev().take(slots).sum();
    let whole_slots = hour.len().min(slots).saturating_sub(1) as f64;
    let seconds = (whole_slots * SLOT.as_secs_f64() + into_slot).min(open_for.as_secs_f64());
    recent as f64 / seconds.max(1.0)
}

/// The chart of the last hour.
pub(super) fn render(out: &mut String, metrics: &Metrics, open_for: Duration) {
    let points = points(&metrics.last_hour());
    let top = points.iter().copied().fold(0.0, f64::max);
    let now = per_second(rate(metrics, open_for));
    let over = match open_for < SLOT * NOW as u32 {
        true => "since the gate opened",
        false => "over the last minute",
    };
    let _ = write!(
        out,
        "<section aria-labelledby=\"rate\"><h2 id=\"rate\">Delivered per second: {now} <span class=\"soft\">{over}</span></h2>"
    );
    match top > 0.0 {
        true => picture(out, &points, top),
        false => out.push_str(
            "<p class=\"soft\">The chart begins some seconds after the first delivery of this process.</p>",
        ),
    }
    out.push_str("</section>");
}

fn picture(out: &mut String, points: &[f64], top: f64) {
    let most = per_second(top);
    let line = 0.08 * HEIGHT;
    let curve = curve(points, (HEIGHT - line) / top);
    let begin = WIDTH - (points.len() - 1) as f64 * STEP;
    let _ = write!(
        out,
        "<figure><div class=\"chart\"><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"Records delivered per second over the last hour, at most {most}\">\
         <line x1=\"0\" x2=\"{WIDTH}\" y1=\"{line}\" y2=\"{line}\"/>\
         <path class=\"area\" d=\"M{begin:.1} {HEIGHT}L{curve}L{WIDTH} {HEIGHT}z\"/><path class=\"curve\" d=\"M{curve}\"/></svg>\
         <span class=\"top\" aria-hidden=\"true\">{most}/s</span></div>\
         <figcaption><span>60 min ago</span><span>30</span><span>now</span></figcaption></figure>"
    );
}

/// Records per second, the newest last. The slot that is not over yet would look like a drop.
fn points(hour: &[u64]) -> Vec<f64> {
    let over = hour.split_last().map_or(hour, |(_, over)| over);
    let mut points: Vec<f64> = over
        .rchunks(JOINED)
        .map(|slots| {
            let seconds = SLOT.as_secs_f64() * slots.len() as f64;
            slots.iter().sum::<u64>() as f64 / seconds
        })
        .collect();
    points.reverse();
    if let [only] = points[..] {
        points.push(only);
    }
    points
}

/// `x y` pairs of a path, ending at the right edge.
fn curve(points: &[f64], scale: f64) -> String {
    let mut path = String::new();
    for (place, point) in points.iter().enumerate() {
        let from_right = (points.len() - 1 - place) as f64;
        let (x, y) = (WIDTH - from_right * STEP, HEIGHT - point * scale);
        let _ = write!(path, "{x:.1} {y:.1} ");
    }
    path
}

/// Whole from 10 up.
pub(super) fn per_second(rate: f64) -> String {
    match rate {
        0.0 => "0".to_string(),
        rate if rate < 9.95 => format!("{rate:.1}"),
        rate => Count(rate.round() as i64).to_string(),
    }
}

/// A bar of parts; none that is there is too thin to be seen.
pub(super) fn share(out: &mut String, label: &str, parts: &[(&str, i64)]) {
    let total: i64 = parts.iter().map(|(_, count)| count).sum();
    let words = parts.iter().filter(|(_, count)| *count > 0);
    let words: Vec<String> = words
        .map(|(kind, count)| format!("{} {kind}", Count(*count)))
        .collect();
    let _ = write!(
        out,
        "<svg class=\"share\" viewBox=\"0 0 1000 10\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{label}: {}\">",
        words.join(", ")
    );
    let present = parts.iter().filter(|(_, count)| *count > 0);
    let widths: Vec<(&str, f64)> = present
        .map(|(kind, count)| (*kind, (*count as f64 / total as f64 * 1000.0).max(6.0)))
        .collect();
    let sum: f64 = widths.iter().map(|(_, width)| width).sum();
    let mut x = 0.0;
    for (kind, width) in widths {
        let width = width * 1000.0 / sum;
        let _ = write!(
            out,
            "<rect class=\"k-{kind}\" x=\"{x:.1}\" width=\"{width:.1}\" height=\"10\"/>"
        );
        x += width;
    }
    out.push_str("</svg>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slot_that_is_not_over_is_left_out_of_the_chart() {
        assert_eq!(points(&[30, 30, 30, 60, 60, 60, 1]), [3.0, 6.0]);
        assert_eq!(points(&[10, 60, 60, 60, 1]), [1.0, 6.0]);
        assert_eq!(points(&[20, 1]), [2.0, 2.0]);
        assert!(points(&[1]).is_empty());
    }

    #[test]
    fn a_part_of_one_in_a_million_is_seen() {
        let mut out = String::new();
        share(
            &mut out,
            "x",
            &[("delivered", 1_000_000), ("waiting", 0), ("dead", 1)],
        );
        assert!(out.contains("1,000,000 delivered, 1 dead"), "{out}");
        assert_eq!(out.matches("<rect").count(), 2);
        assert!(out.contains("k-dead\" x=\"994.0\" width=\"6.0\""), "{out}");
    }
}
