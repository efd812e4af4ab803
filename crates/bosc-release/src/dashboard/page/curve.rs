//! Versions over 90 days: a stacked curve as SVG, and the same numbers as a table, by day.

use super::html::{Html, day};
use crate::dashboard::snapshot::Sample;
use std::collections::BTreeMap;

/// Size of the drawing in its own units.
const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 160.0;
/// Room for numbers at its edges.
const LEFT: f64 = 36.0;
const BELOW: f64 = 20.0;
/// Versions that have a colour of their own; the others share one.
const COLOURS: [&str; 6] = ["c0", "c1", "c2", "c3", "c4", "c5"];
/// Most columns of the drawing, and most rows of the table.
const DAYS: usize = 90;

/// Peers by version of one day.
struct Day {
    day: u64,
    counts: Vec<u64>,
}

/// Draws them. `newest`: the release that is there now.
pub(super) fn curve(h: &mut Html, samples: &[Sample], newest: Option<&str>) {
    let versions = names(samples, newest);
    let days = days(samples, &versions);
    let (Some(first), Some(last)) = (days.first(), days.last()) else {
        h.raw("<p>No peer was seen yet. The curve begins with the first one.</p>\n");
        return;
    };
    let most = days.iter().map(|d| d.counts.iter().sum::<u64>()).max().unwrap_or(0).max(1);
    h.raw("<figure>\n<svg class=\"curve\" viewBox=\"0 0 640 180\" role=\"img\" aria-label=\"Peers by version, from ");
    h.text(&day(first.day * 86_400), 20);
    h.raw(" to ");
    h.text(&day(last.day * 86_400), 20);
    h.raw(". The table below has the numbers.\">\n");
    // A day alone is as wide as the drawing.
    let span = last.day.saturating_sub(first.day).max(1) as f64;
    let x = |d: u64| LEFT + (WIDTH - LEFT) * (d.saturating_sub(first.day) as f64) / span;
    let y = |n: u64| HEIGHT - (HEIGHT - 10.0) * (n as f64) / (most as f64);
    for (n, class) in [(0, "axis"), (most, "grid")] {
        h.raw("<line class=\"");
        h.raw(class);
        for (name, at) in [("x1", LEFT), ("x2", WIDTH), ("y1", y(n)), ("y2", y(n))] {
            h.raw("\" ");
            h.raw(name);
            h.raw("=\"");
            h.tenth(at);
        }
        h.raw("\"/>\n<text class=\"tick\" text-anchor=\"end\" x=\"");
        h.tenth(LEFT - 6.0);
        h.raw("\" y=\"");
        h.tenth(y(n) + 4.0);
        h.raw("\">");
        h.number(n);
        h.raw("</text>\n");
    }
    // The newest lies at the bottom, so that its edge is the curve that rises.
    let mut below = vec![0u64; days.len()];
    for (i, _) in versions.iter().enumerate() {
        h.raw("<polygon class=\"");
        h.raw(COLOURS.get(i).copied().unwrap_or("other"));
        h.raw("\" points=\"");
        let mut point = |at: f64, n: u64| {
            h.tenth(at);
            h.raw(",");
            h.tenth(y(n));
            h.raw(" ");
        };
        let lone = days.len() == 1;
        for (d, base) in days.iter().zip(&below) {
            point(x(d.day), *base);
            if lone {
                point(WIDTH, *base);
            }
        }
        for (d, base) in days.iter().zip(&mut below).rev() {
            *base += d.counts.get(i).copied().unwrap_or(0);
            if lone {
                point(WIDTH, *base);
            }
            point(x(d.day), *base);
        }
        h.raw("\"/>\n");
    }
    h.raw("<text class=\"tick\" x=\"");
    h.tenth(LEFT);
    h.raw("\" y=\"");
    h.tenth(HEIGHT + BELOW - 4.0);
    h.raw("\">");
    h.text(&day(first.day * 86_400), 20);
    h.raw("</text>\n<text class=\"tick\" text-anchor=\"end\" x=\"");
    h.tenth(WIDTH);
    h.raw("\" y=\"");
    h.tenth(HEIGHT + BELOW - 4.0);
    h.raw("\">");
    h.text(&day(last.day * 86_400), 20);
    h.raw("</text>\n</svg>\n<figcaption><ul class=\"legend\">\n");
    for (i, version) in versions.iter().enumerate() {
        h.raw("<li><span class=\"swatch ");
        h.raw(COLOURS.get(i).copied().unwrap_or("other"));
        h.raw("\"></span> ");
        h.text(shown(version), 40);
        h.raw("</li>\n");
    }
    h.raw("</ul></figcaption>\n</figure>\n");
    table(h, &days, &versions);
}

fn shown(version: &str) -> &str {
    if version.is_empty() { "not known" } else { version }
}

fn table(h: &mut Html, days: &[Day], versions: &[String]) {
    h.raw(
        "<details id=\"adoption-table\">\n<summary>The numbers</summary>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" \
         aria-label=\"Peers by version and day\"><table>\n<caption>Most peers at once with each version, by day (UTC)</caption>\n\
         <thead><tr><th scope=\"col\">Day</th>",
    );
    for version in versions {
        h.raw("<th scope=\"col\" class=\"n\">");
        h.text(shown(version), 40);
        h.raw("</th>");
    }
    h.raw("</tr></thead>\n<tbody>\n");
    for d in days.iter().rev() {
        h.raw("<tr><th scope=\"row\">");
        h.text(&day(d.day * 86_400), 20);
        h.raw("</th>");
        for n in &d.counts {
            h.raw("<td class=\"n\">");
            h.number(*n);
            h.raw("</td>");
        }
        h.raw("</tr>\n");
    }
    h.raw("</tbody>\n</table></div>\n</details>\n");
}

/// The versions, in the order in which they are stacked: the newest release, then those that most had, last what is not known.
fn names(samples: &[Sample], newest: Option<&str>) -> Vec<String> {
    let mut most: BTreeMap<&str, u64> = BTreeMap::new();
    for (version, n) in samples.iter().flat_map(|s| &s.versions) {
        let known = most.entry(version.as_str()).or_default();
        *known = (*known).max(*n);
    }
    let mut all: Vec<(&str, u64)> = most.into_iter().filter(|(_, n)| *n > 0).collect();
    all.sort_by_key(|(v, n)| (Some(*v) != newest, v.is_empty(), std::cmp::Reverse(*n)));
    all.truncate(COLOURS.len() + 1);
    all.into_iter().map(|(v, _)| v.to_owned()).collect()
}

/// The most of each day.
fn days(samples: &[Sample], versions: &[String]) -> Vec<Day> {
    let mut out: Vec<Day> = Vec::new();
    for sample in samples {
        let day = sample.at / 86_400;
        if out.last().is_none_or(|d| d.day != day) {
            out.push(Day { day, counts: vec![0; versions.len()] });
        }
        let Some(last) = out.last_mut() else { continue };
        for (version, n) in &sample.versions {
            if let Some(i) = versions.iter().position(|v| v == version)
                && let Some(known) = last.counts.get_mut(i)
            {
                *known = (*known).max(*n);
            }
        }
    }
    let excess = out.len().saturating_sub(DAYS);
    out.drain(..excess);
    if versions.is_empty() {
        out.clear();
    }
    out
}
