//! What several pages show: commands, findings, how many have what.

use super::html::Html;
use crate::dashboard::snapshot::LineView;
use crate::doctor::Finding;

/// Longest command that is shown. A request is some hundred characters.
const MAX_COMMAND: usize = 2_000;

/// A command to copy. Without a script it is text to select.
pub(super) fn command(h: &mut Html, command: &str) {
    h.raw("<span class=\"command\"><code>");
    h.text(command, MAX_COMMAND);
    h.raw("</code><button type=\"button\" data-copy hidden>Copy</button></span>");
}

/// A finding and its remedy.
pub(super) fn finding(h: &mut Html, finding: &Finding) {
    h.text(&finding.message, 400);
    if let Some(next) = &finding.next {
        h.raw("<br><span class=\"remedy\">");
        // Commands in it stand in backquotes.
        for (i, part) in next.split('`').take(8).enumerate() {
            if i % 2 == 0 {
                h.text(part, 400);
            } else if part.starts_with("bosc ") {
                command(h, part);
            } else {
                h.raw("<code>");
                h.text(part, 200);
                h.raw("</code>");
            }
        }
        h.raw("</span>");
    }
}

/// Full copies, and how many are wanted while there are fewer.
pub(super) fn copies(h: &mut Html, line: &LineView) {
    h.number(line.seeders);
    if line.seeders < line.wanted {
        h.raw(" of ");
        h.number(line.wanted);
    }
}

/// How many peers have the newest version.
pub(super) fn meter(h: &mut Html, line: &LineView) {
    let newest = line.shares.iter().find(|s| s.version.is_some() && s.version == line.version);
    let have = newest.map_or(0, |s| s.seeders + s.followers);
    let all = line.peers.max(1);
    h.raw("<span class=\"share\"><svg class=\"meter\" viewBox=\"0 0 80 8\" aria-hidden=\"true\"><rect class=\"back\" width=\"80\" height=\"8\" rx=\"4\"/>\
           <rect class=\"c0\" height=\"8\" rx=\"4\" width=\"");
    h.tenth(80.0 * (have.min(all) as f64) / (all as f64));
    h.raw("\"/></svg> ");
    h.number(have);
    h.raw(" of ");
    h.number(line.peers);
    h.raw("</span>");
}
