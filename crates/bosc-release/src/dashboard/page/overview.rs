//! All lines side by side, what needs somebody, the network and the store.

use super::html::{Html, ago, count};
use super::line;
use super::pieces::{command, copies, finding, meter};
use crate::dashboard::snapshot::{CeremonyStage, LineView, Snapshot};
use crate::doctor::Level;
use crate::line::compare::LineStanding;

/// Most things that need somebody.
const MAX_WANTED: usize = 30;

/// The page of all lines.
pub(super) fn page(h: &mut Html, snapshot: &Snapshot) {
    // A line alone needs no overview of one row and a page behind it.
    let alone = match snapshot.lines.as_slice() {
        [line] => Some(line),
        _ => None,
    };
    h.raw("<h1>Releases</h1>\n");
    if snapshot.at == 0 {
        h.raw("<section id=\"starting\" data-part><p>Looking at the store…</p></section>\n");
        return;
    }
    lines(h, snapshot);
    wanted(h, snapshot);
    if let Some(line) = alone {
        // What is next is said above.
        line::parts(h, line, snapshot.at);
    }
    h.raw("<div class=\"pair\">\n");
    network(h, snapshot);
    store(h, snapshot);
    h.raw("</div>\n");
}

fn lines(h: &mut Html, snapshot: &Snapshot) {
    h.raw("<section id=\"lines\" data-part aria-labelledby=\"lines-title\">\n<h2 id=\"lines-title\">Lines</h2>\n");
    if snapshot.lines.is_empty() {
        h.raw(
            "<p>This store writes no link yet. <code>bosc init</code> prepares a project, <code>bosc publish DIR</code> releases \
             it.</p>\n</section>\n",
        );
        return;
    }
    h.raw(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Lines\"><table class=\"cards\">\n\
         <caption class=\"quiet\">What each line holds, and who has it</caption>\n<thead><tr><th scope=\"col\">Line</th>\
         <th scope=\"col\">Version</th><th scope=\"col\" class=\"n\">Size</th><th scope=\"col\" class=\"n\">Full copies</th>\
         <th scope=\"col\" class=\"n\">Peers</th><th scope=\"col\">On the newest</th><th scope=\"col\">State</th></tr></thead>\n<tbody>\n",
    );
    for line in &snapshot.lines {
        row(h, line);
    }
    h.raw("</tbody>\n</table></div>\n");
    if snapshot.more_lines > 0 {
        h.raw("<p>");
        h.number(snapshot.more_lines as u64);
        h.raw(" more lines are not shown: name those to show with <code>--line</code></p>\n");
    }
    h.raw("</section>\n");
}

fn row(h: &mut Html, line: &LineView) {
    h.raw("<tr><th scope=\"row\"><a href=\"/line/");
    h.slug(&line.slug());
    h.raw("\">");
    h.text(&line.title(), 60);
    h.raw("</a>");
    if let Some(kind) = line.kind {
        h.raw(" <span class=\"kind\">");
        h.raw(kind.name());
        h.raw("</span>");
    }
    h.raw("</th><td data-th=\"Version\">");
    match (&line.version, line.length) {
        (Some(version), _) => h.text(version, 40),
        (None, 0) => h.raw("nothing yet"),
        (None, _) => h.raw("no version"),
    }
    h.raw("</td><td data-th=\"Size\" class=\"n\">");
    h.bytes(line.release_bytes.unwrap_or(line.total_bytes));
    h.raw("</td><td data-th=\"Full copies\" class=\"n\">");
    copies(h, line);
    h.raw("</td><td data-th=\"Peers\" class=\"n\">");
    h.number(line.peers);
    h.raw("</td><td data-th=\"On the newest\">");
    meter(h, line);
    h.raw("</td><td data-th=\"State\">");
    state(h, line);
    h.raw("</td></tr>\n");
}

/// The worst that is to say of a line, in a few words and a colour.
fn state(h: &mut Html, line: &LineView) {
    let (class, words): (&'static str, String) = if line.error.is_some() {
        ("bad", "cannot be read".into())
    } else if line.conflicts > 0 {
        ("bad", "two histories".into())
    } else if line.link.is_none() {
        ("warn", "no link yet".into())
    } else {
        let signed = line.ceremony.as_ref().map(|c| {
            let signed = c.signers.iter().filter(|s| s.signed).count();
            (c.stage, format!("{signed} of {} signed", c.quorum))
        });
        match (line.worst(), signed, line.standing) {
            (Some(Level::Bad), ..) => ("bad", "needs you".into()),
            (_, Some((CeremonyStage::Collecting | CeremonyStage::Ready, words)), _) => ("warn", words),
            (_, Some((CeremonyStage::Begun | CeremonyStage::Written, _)), _) => {
                ("warn", "commit not finished".into())
            }
            (_, _, Some(LineStanding::Behind | LineStanding::Empty)) => ("warn", "behind its source".into()),
            (_, _, Some(LineStanding::Differs)) => ("warn", "differs from its source".into()),
            (Some(Level::Warn), ..) => ("warn", "worth a look".into()),
            (Some(Level::Ok), ..) => ("good", "well".into()),
            (None, ..) if line.length == 0 => ("quiet", "empty".into()),
            (None, ..) => ("quiet", "being examined".into()),
        }
    };
    h.raw("<span class=\"badge ");
    h.raw(class);
    h.raw("\">");
    h.text(&words, 60);
    h.raw("</span>");
}

/// Everything that needs somebody, the worst first, with the command that helps.
fn wanted(h: &mut Html, snapshot: &Snapshot) {
    let bad = |l: &&LineView| l.worst() == Some(Level::Bad) || l.error.is_some() || l.conflicts > 0;
    let first = snapshot.lines.iter().filter(bad);
    let then = snapshot.lines.iter().filter(|l| !bad(l));
    h.raw("<section id=\"wanted\" data-part aria-labelledby=\"wanted-title\">\n<h2 id=\"wanted-title\">What needs you</h2>\n");
    // The oldest: what is below is at most that old.
    if let Some(then) = snapshot.lines.iter().filter_map(|line| line.examined).min() {
        h.raw("<p class=\"quiet\">As <code>bosc doctor</code> found it ");
        h.text(&ago(then, snapshot.at), 40);
        h.raw("</p>\n");
    }
    h.raw("<ul class=\"wanted\">\n");
    let (mut shown, mut left) = (0, 0);
    for line in first.chain(then) {
        let findings = line.findings.iter().filter(|f| f.level != Level::Ok);
        let wanted = line.next.len() + findings.clone().count();
        if shown + wanted > MAX_WANTED {
            left += wanted;
            continue;
        }
        shown += wanted;
        let said = |h: &mut Html, level: Level| {
            for one in findings.clone().filter(|f| f.level == level) {
                h.raw(if level == Level::Bad {
                    "<li class=\"bad\"><strong>"
                } else {
                    "<li class=\"warn\"><strong>"
                });
                h.text(&line.title(), 60);
                h.raw("</strong>: ");
                finding(h, one);
                h.raw("</li>\n");
            }
        };
        said(h, Level::Bad);
        for next in &line.next {
            h.raw("<li class=\"warn\"><strong>");
            h.text(&line.title(), 60);
            h.raw("</strong>: ");
            h.text(&next.why, 300);
            command(h, &next.command);
            h.raw("</li>\n");
        }
        said(h, Level::Warn);
    }
    if shown == 0 && left == 0 {
        h.raw("<li class=\"good\">Nothing that is known here.</li>\n");
    }
    if left > 0 {
        h.raw("<li>");
        h.number(left as u64);
        h.raw(" more: see the lines</li>\n");
    }
    h.raw("</ul>\n</section>\n");
}

fn network(h: &mut Html, snapshot: &Snapshot) {
    let net = &snapshot.network;
    h.raw("<section id=\"network\" data-part aria-labelledby=\"network-title\">\n<h2 id=\"network-title\">Network</h2>\n<dl>\n<dt>DHT</dt><dd>");
    match net.up {
        true => {
            h.raw("<span class=\"badge good\">answers</span> ");
            h.text(&count(net.nodes, "node"), 40);
        }
        false => h.raw(
            "<span class=\"badge bad\">no node answers</span> check the network, or <code>--bootstrap</code>",
        ),
    }
    h.raw("</dd>\n<dt>Connections</dt><dd>");
    h.number(net.connections);
    if net.relayed > 0 {
        h.raw(", of these ");
        h.number(net.relayed);
        h.raw(" through a relay");
    }
    h.raw("</dd>\n<dt>Seen from outside as</dt><dd>");
    h.text(net.address.as_deref().unwrap_or("not known yet"), 60);
    h.raw("</dd>\n");
    if let Some(nat) = &net.nat {
        h.raw("<dt>Router (NAT)</dt><dd>");
        h.text(&nat.message, 300);
        if let Some(next) = &nat.next {
            h.raw("<br>");
            h.text(next, 300);
        }
        h.raw("</dd>\n");
    }
    h.raw("</dl>\n</section>\n");
}

fn store(h: &mut Html, snapshot: &Snapshot) {
    let store = &snapshot.store;
    h.raw("<section id=\"store\" data-part aria-labelledby=\"store-title\">\n<h2 id=\"store-title\">Store</h2>\n<dl>\n<dt>Folder</dt><dd class=\"long\">");
    h.text(&store.folder, 200);
    h.raw("</dd>\n<dt>On disk</dt><dd>");
    h.bytes(store.disk_bytes);
    h.raw(", of these ");
    h.bytes(store.live_bytes);
    h.raw(" in use</dd>\n");
    if store.disk_bytes > store.live_bytes.saturating_mul(2).saturating_add(64 << 20) {
        h.raw("<dt>Can be freed</dt><dd>");
        h.bytes(store.disk_bytes.saturating_sub(store.live_bytes));
        command(h, "bosc gc store");
        h.raw("</dd>\n");
    }
    if store.unnamed_bytes > 0 {
        h.raw("<dt>Newer than the database</dt><dd>");
        h.bytes(store.unnamed_bytes);
        h.raw(": it was put back from a backup; they are kept</dd>\n");
    }
    h.raw("<dt>Check every byte</dt><dd>");
    command(h, "bosc store check");
    h.raw("</dd>\n</dl>\n<p class=\"quiet\">As of ");
    h.text(&ago(snapshot.at, snapshot.at), 30);
    h.raw("</p>\n</section>\n");
}
