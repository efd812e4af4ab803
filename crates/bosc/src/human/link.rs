//! Lines for people about a link that any command may meet: a second history, a copied store, what an update costs.

use crate::plain::{Tone, one_line};
use crate::printer::{Printer, bytes};
use bosc_release::event::{Conflict, CostBasis, LinkEvent, UpdateCost};

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
        LinkEvent::UpdateCost(cost) => p.say(Tone::Plain, &format!("Update of {}", update_cost(cost))),
    }
}

/// What an update costs: `linux-x64 from 1.4.2: 41.2 kB (6.0 MB without deltas)`.
pub(crate) fn update_cost(cost: &UpdateCost) -> String {
    let (at_least, said) = match cost.basis {
        CostBasis::Proved => ("", ""),
        CostBasis::Publisher => ("", ", as the publisher says"),
        CostBasis::Partly => ("at least ", ""),
    };
    let without = cost.without.filter(|without| *without > cost.bytes);
    let without = without.map_or(String::new(), |n| format!(" ({} without deltas)", bytes(n)));
    format!(
        "{} from {}: {at_least}{}{without}{said}",
        one_line(&cost.platform),
        one_line(&cost.from),
        bytes(cost.bytes)
    )
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
