//! What any command that reads or writes a link may tell of it.

use crate::plain::{Tone, one_line};
use crate::printer::Printer;
use bosc_release::event::{Conflict, LinkEvent};

pub(crate) fn line(p: &Printer, event: &LinkEvent) {
    match event {
        LinkEvent::Conflict(c) => p.say(Tone::Bad, &conflict(c)),
        LinkEvent::StoreCopied { evidence, .. } => p.say(
            Tone::Warn,
            &format!(
                "This store is a copy of another ({}): asking peers for the newest version, up to a minute",
                one_line(evidence)
            ),
        ),
        LinkEvent::Checking { .. } => {
            p.say(Tone::Plain, "The link's key is on other machines too: asking peers for its newest version, up to a minute");
        }
        // Progress, which has a place of its own.
        LinkEvent::Stats(_) => {}
        LinkEvent::Newest { verlink, .. } => p.say(Tone::Good, &format!("Continuing {verlink}")),
        LinkEvent::Waiting { .. } => {
            p.say(Tone::Plain, "Waiting for another run that publishes to this link");
        }
        LinkEvent::Unguarded { .. } => p.say(
            Tone::Warn,
            "Other runs could not be looked for in time: see that none publishes to this link at the same moment",
        ),
        LinkEvent::UnprovedPeer { peer, length, .. } => p.say(
            Tone::Warn,
            &format!("Peer {peer} says that it has length {length} and cannot prove it: not believed"),
        ),
    }
}

/// Two histories of a link, in words.
fn conflict(c: &Conflict) -> String {
    format!(
        "TWO HISTORIES of {}: here length {} ({}), at peer {} length {} ({}); see `bosc doctor`",
        one_line(&c.link),
        c.ours.length,
        one_line(&c.ours.tree_hash),
        one_line(&c.peer),
        c.theirs.length,
        one_line(&c.theirs.tree_hash),
    )
}
