//! One line: who has which version, what was released, what updates cost, who signed, what the quorum allows, what `doctor` found.

use super::curve::curve;
use super::html::{Html, ago, bytes, count, day, span};
use super::pieces::{command, copies, finding, meter};
use crate::dashboard::snapshot::{
    CeremonyStage, CeremonyView, LineView, MAX_NAME, MAX_NOTES, PolicyView, ReleaseView,
};
use crate::doctor::Level;
use crate::event::CostBasis;

/// Most findings of a line.
const MAX_FINDINGS: usize = 24;
/// Most signers of a ceremony, and problems with it.
const MAX_SIGNERS: usize = 32;
/// Most words of operators, and most operators.
const MAX_SAID: usize = 16;

/// The page of a line.
pub(super) fn page(h: &mut Html, line: &LineView, now: u64) {
    h.raw("<h1>");
    h.text(&line.title(), 60);
    h.raw("</h1>\n");
    head(h, line);
    next(h, line);
    parts(h, line, now);
}

/// Its sections, without what is next.
pub(super) fn parts(h: &mut Html, line: &LineView, now: u64) {
    who(h, line);
    adoption(h, line);
    releases(h, line);
    costs(h, line);
    if let Some(state) = &line.ceremony {
        ceremony(h, state);
    }
    if let Some(terms) = &line.policy {
        policy(h, terms, now);
    }
    findings(h, line, now);
}

fn head(h: &mut Html, line: &LineView) {
    h.raw("<section id=\"head\" data-part aria-label=\"What it holds\">\n<dl class=\"facts\">\n<dt>Version</dt><dd>");
    h.text(line.version.as_deref().unwrap_or("none yet"), 60);
    h.raw("</dd>\n<dt>Size</dt><dd>");
    h.bytes(line.release_bytes.unwrap_or(0));
    h.raw(" (all versions ");
    h.bytes(line.total_bytes);
    h.raw(")</dd>\n<dt>Length</dt><dd>");
    h.number(line.length);
    if line.fork > 0 {
        h.raw(", fork ");
        h.number(line.fork);
    }
    h.raw("</dd>\n");
    for (name, text) in [("Application", &line.app), ("Comes from", &line.source), ("Link", &line.verlink)] {
        if let Some(text) = text {
            h.raw("<dt>");
            h.raw(name);
            h.raw("</dt><dd class=\"long\">");
            h.text(text, 120);
            h.raw("</dd>\n");
        }
    }
    h.raw("<dt>This store</dt><dd>");
    h.raw(if line.writable { "writes it" } else { "only reads it" });
    h.raw(if line.announced { ", and gives it to peers" } else { "" });
    h.raw("</dd>\n</dl>\n");
    if let Some(error) = &line.error {
        h.raw("<p class=\"bad\">");
        h.text(error, 300);
        h.raw("</p>\n");
    }
    if line.conflicts > 0 {
        h.raw("<p class=\"bad\">Peers proved another history of this link, signed by the same key. Release nothing before you know why:");
        command(h, &format!("bosc doctor {}", line.link.as_deref().unwrap_or("LINK")));
        h.raw("</p>\n");
    }
    h.raw("</section>\n");
}

fn next(h: &mut Html, line: &LineView) {
    if line.next.is_empty() {
        return;
    }
    h.raw("<section id=\"next\" data-part aria-labelledby=\"next-title\">\n<h2 id=\"next-title\">Next</h2>\n<ul class=\"wanted\">\n");
    for step in line.next.iter().take(8) {
        h.raw("<li class=\"warn\">");
        h.text(&step.why, 300);
        command(h, &step.command);
        h.raw("</li>\n");
    }
    h.raw("</ul>\n</section>\n");
}

fn who(h: &mut Html, line: &LineView) {
    h.raw("<section id=\"who\" data-part aria-labelledby=\"who-title\">\n<h2 id=\"who-title\">Who has it now</h2>\n<p>");
    h.text(&count(line.peers, "peer"), 40);
    h.raw(", ");
    copies(h, line);
    h.raw(" full copies. On the newest: ");
    meter(h, line);
    h.raw("</p>\n");
    if !line.shares.is_empty() {
        h.raw(
            "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Versions at peers\"><table>\n<caption>Connected peers \
             by the version they show</caption>\n<thead><tr><th scope=\"col\">Version</th><th scope=\"col\" class=\"n\">Full copies</th>\
             <th scope=\"col\" class=\"n\">Followers</th></tr></thead>\n<tbody>\n",
        );
        for share in &line.shares {
            h.raw("<tr><th scope=\"row\">");
            h.text(share.version.as_deref().unwrap_or("not known"), 40);
            h.raw("</th><td class=\"n\">");
            h.number(share.seeders);
            h.raw("</td><td class=\"n\">");
            h.number(share.followers);
            h.raw("</td></tr>\n");
        }
        h.raw("</tbody>\n</table></div>\n");
    }
    h.raw("</section>\n");
}

fn adoption(h: &mut Html, line: &LineView) {
    h.raw("<section id=\"adoption\" data-part aria-labelledby=\"adoption-title\">\n<h2 id=\"adoption-title\">Versions over 90 days</h2>\n");
    curve(h, &line.adoption, line.version.as_deref());
    h.raw("</section>\n");
}

fn releases(h: &mut Html, line: &LineView) {
    h.raw("<section id=\"releases\" data-part aria-labelledby=\"releases-title\">\n<h2 id=\"releases-title\">Releases</h2>\n");
    if line.releases.is_empty() {
        h.raw(if line.length == 0 { "<p>Nothing was released yet.</p>\n" } else { "<p>Being read…</p>\n" });
    }
    for (i, release) in line.releases.iter().enumerate() {
        one_release(h, release, i);
    }
    if line.more_releases > 0 {
        h.raw("<p>");
        h.text(&count(line.more_releases, "older version"), 40);
        h.raw(":");
        command(h, &format!("bosc versions {}", line.link.as_deref().unwrap_or("LINK")));
        h.raw("</p>\n");
    }
    h.raw("</section>\n");
}

fn one_release(h: &mut Html, release: &ReleaseView, at: usize) {
    h.raw("<details id=\"release-");
    h.number(release.length);
    h.raw(if at == 0 { "\" open>\n<summary><strong>" } else { "\">\n<summary><strong>" });
    h.text(release.version.as_deref().unwrap_or("no version"), 40);
    h.raw("</strong> · ");
    h.bytes(release.bytes);
    h.raw(" · ");
    h.text(&count(release.put, "file"), 40);
    h.raw(" written");
    if release.deleted > 0 {
        h.raw(", ");
        h.number(release.deleted);
        h.raw(" deleted");
    }
    h.raw(" · length ");
    h.number(release.length);
    h.raw("</summary>\n");
    if let Some(notes) = &release.notes {
        h.raw("<pre class=\"notes\">");
        h.lines(notes, MAX_NOTES);
        h.raw("</pre>\n");
    }
    if !release.changes.is_empty() {
        h.raw(
            "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Changed files\"><table>\n<caption class=\"quiet\">What \
             changed, the largest first</caption>\n<thead><tr><th scope=\"col\">File</th><th scope=\"col\" class=\"n\">Size</th>\
             <th scope=\"col\" class=\"n\">Before</th></tr></thead>\n<tbody>\n",
        );
        for change in &release.changes {
            h.raw("<tr><th scope=\"row\" class=\"long\">");
            h.text(&change.file, MAX_NAME);
            h.raw("</th><td class=\"n\">");
            h.text(&change.bytes.map_or("deleted".into(), bytes), 20);
            h.raw("</td><td class=\"n\">");
            h.text(&change.before.map_or("new".into(), bytes), 20);
            h.raw("</td></tr>\n");
        }
        h.raw("</tbody>\n</table></div>\n");
    }
    h.raw("</details>\n");
}

fn costs(h: &mut Html, line: &LineView) {
    if line.costs.is_empty() {
        return;
    }
    h.raw(
        "<section id=\"costs\" data-part aria-labelledby=\"costs-title\">\n<h2 id=\"costs-title\">What an update costs</h2>\n\
         <div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Costs of updates\"><table>\n<caption>Bytes to the newest \
         release, by the version a user has</caption>\n<thead><tr><th scope=\"col\">From</th><th scope=\"col\">Platform</th>\
         <th scope=\"col\" class=\"n\">Update</th><th scope=\"col\" class=\"n\">Without deltas</th><th scope=\"col\">Rests on</th></tr>\
         </thead>\n<tbody>\n",
    );
    for cost in &line.costs {
        h.raw("<tr><th scope=\"row\">");
        h.text(&cost.from, 40);
        h.raw("</th><td>");
        h.text(&cost.platform, 40);
        h.raw("</td><td class=\"n\">");
        h.bytes(cost.bytes);
        h.raw("</td><td class=\"n\">");
        h.text(&cost.without.map_or("not known".into(), bytes), 20);
        h.raw("</td><td>");
        h.raw(match cost.basis {
            CostBasis::Proved => "the signed tree",
            CostBasis::Publisher => "the publisher's word",
            CostBasis::Partly => "a part: at least that",
        });
        h.raw("</td></tr>\n");
    }
    h.raw("</tbody>\n</table></div>\n</section>\n");
}

fn ceremony(h: &mut Html, state: &CeremonyView) {
    let signed = state.signers.iter().filter(|s| s.signed).count() as u64;
    h.raw("<section id=\"ceremony\" data-part aria-labelledby=\"ceremony-title\">\n<h2 id=\"ceremony-title\">Signatures</h2>\n<p>");
    h.raw(match state.stage {
        CeremonyStage::Idle => "No request is open here.",
        CeremonyStage::Collecting => "Signatures are being collected.",
        CeremonyStage::Ready => "Enough have signed; nobody has committed it yet.",
        CeremonyStage::Begun => "A commit began and wrote nothing yet.",
        CeremonyStage::Written => "The release is written here; peers have to take it.",
        CeremonyStage::Committed => "The last request is committed.",
    });
    h.raw(" <strong>");
    h.number(signed);
    h.raw(" of ");
    h.number(state.quorum);
    h.raw("</strong> needed signatures");
    if let Some(length) = state.length {
        h.raw(" for length ");
        h.number(length);
    }
    h.raw(
        ".</p>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Signers\"><table>\n<caption>Who may sign</caption>\n\
         <thead><tr><th scope=\"col\">Signer</th><th scope=\"col\">Signed</th></tr></thead>\n<tbody>\n",
    );
    for signer in state.signers.iter().take(MAX_SIGNERS) {
        h.raw("<tr><th scope=\"row\" class=\"long\">");
        h.text(&signer.key, 60);
        h.raw("</th><td>");
        h.raw(match signer.signed {
            true => "<span class=\"badge good\">signed</span>",
            false => "<span class=\"badge quiet\">not yet</span>",
        });
        h.raw("</td></tr>\n");
    }
    h.raw("</tbody>\n</table></div>\n");
    for problem in state.problems.iter().take(MAX_SIGNERS) {
        h.raw("<p class=\"bad\">");
        h.text(problem, 200);
        h.raw("</p>\n");
    }
    h.raw("</section>\n");
}

fn percent(h: &mut Html, hundredths: u16) {
    h.number(u64::from(hundredths / 100));
    if !hundredths.is_multiple_of(100) {
        h.raw(".");
        h.text(&format!("{:02}", hundredths % 100), 2);
    }
    h.raw(" %");
}

fn policy(h: &mut Html, terms: &PolicyView, now: u64) {
    h.raw("<section id=\"policy\" data-part aria-labelledby=\"policy-title\">\n<h2 id=\"policy-title\">Rollout and policy</h2>\n");
    if let Some(error) = &terms.error {
        h.raw("<p class=\"bad\">Clients install nothing by this release: ");
        h.text(error, 300);
        h.raw("</p>\n</section>\n");
        return;
    }
    h.raw("<dl>\n<dt>Rollout</dt><dd>");
    percent(h, terms.rollout);
    h.raw(" of a version that no operator spoke of</dd>\n<dt>Freshness</dt><dd>");
    match (terms.freshness, terms.heard) {
        (None, _) => h.raw("no limit"),
        (Some(limit), Some(heard)) if now.saturating_sub(heard) <= limit => {
            h.raw("<span class=\"badge good\">fresh</span> heard ");
            h.text(&ago(heard, now), 40);
            h.raw(", may be ");
            h.text(&span(limit), 40);
            h.raw(" old");
        }
        (Some(limit), heard) => {
            h.raw("<span class=\"badge bad\">stale</span> ");
            if let Some(heard) = heard {
                h.raw("heard ");
                h.text(&ago(heard, now), 40);
                h.raw(", ");
            }
            h.raw("may be ");
            h.text(&span(limit), 40);
            h.raw(" old: clients update to nothing until an operator says what is the newest");
        }
    }
    h.raw("</dd>\n");
    if let Some(time) = terms.time {
        h.raw("<dt>Made on</dt><dd>");
        h.text(&day(time), 20);
        h.raw("</dd>\n");
    }
    for (name, text) in [("Channel", &terms.channel), ("Oldest version allowed", &terms.minimum)] {
        if let Some(text) = text {
            h.raw("<dt>");
            h.raw(name);
            h.raw("</dt><dd>");
            h.text(text, 64);
            h.raw("</dd>\n");
        }
    }
    h.raw("<dt>Put off</dt><dd>");
    h.raw(if terms.mandatory { "not allowed" } else { "allowed" });
    h.raw("</dd>\n<dt>Recall</dt><dd>");
    h.raw(if terms.recall { "operators may order it" } else { "not allowed" });
    h.raw("</dd>\n<dt>Operators</dt><dd>");
    if terms.operators.is_empty() {
        h.raw("none");
    }
    for (i, operator) in terms.operators.iter().take(MAX_SAID).enumerate() {
        h.raw(if i == 0 { "" } else { "<br>" });
        h.text(operator, 120);
    }
    h.raw("</dd>\n</dl>\n");
    if !terms.said.is_empty() {
        h.raw(
            "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"What operators said\"><table>\n<caption>What operators \
             said of versions</caption>\n<thead><tr><th scope=\"col\">Version</th><th scope=\"col\">Rollout</th><th scope=\"col\">Halt</th>\
             <th scope=\"col\">By</th><th scope=\"col\">On</th></tr></thead>\n<tbody>\n",
        );
        for said in terms.said.iter().take(MAX_SAID) {
            h.raw("<tr><th scope=\"row\">");
            h.text(&said.version, 64);
            h.raw("</th><td>");
            match said.rollout {
                Some(share) => percent(h, share),
                None => h.raw("–"),
            }
            h.raw("</td><td>");
            match said.halt.as_deref() {
                Some(halt @ ("halted" | "recalled")) => {
                    h.raw("<span class=\"badge bad\">");
                    h.text(halt, 20);
                    h.raw("</span>");
                }
                Some(halt) => h.text(halt, 20),
                None => h.raw("–"),
            }
            h.raw("</td><td>");
            h.text(&said.operator, 64);
            h.raw("</td><td>");
            h.text(&day(said.time), 20);
            h.raw("</td></tr>\n");
        }
        h.raw("</tbody>\n</table></div>\n");
    }
    h.raw("</section>\n");
}

fn findings(h: &mut Html, line: &LineView, now: u64) {
    h.raw("<section id=\"findings\" data-part aria-labelledby=\"findings-title\">\n<h2 id=\"findings-title\">Health</h2>\n");
    match line.examined {
        None => h.raw("<p>Being examined…</p>\n"),
        Some(then) => {
            h.raw("<p class=\"quiet\">As <code>bosc doctor</code> found it ");
            h.text(&ago(then, now), 40);
            h.raw("</p>\n<ul class=\"wanted\">\n");
            for one in line.findings.iter().take(MAX_FINDINGS) {
                h.raw(match one.level {
                    Level::Bad => "<li class=\"bad\"><span class=\"badge bad\">bad</span> ",
                    Level::Warn => "<li class=\"warn\"><span class=\"badge warn\">look</span> ",
                    Level::Ok => "<li class=\"good\"><span class=\"badge good\">ok</span> ",
                });
                finding(h, one);
                h.raw("</li>\n");
            }
            h.raw("</ul>\n");
        }
    }
    h.raw("</section>\n");
}
