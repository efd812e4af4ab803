//! What people read of a relay.

use crate::plain::Tone;
use crate::printer::{Printer, bytes};
use bosc_release::relay::event::RelayEvent;

/// The lines of an event.
pub(crate) fn relay(p: &Printer, event: &RelayEvent) {
    match event {
        RelayEvent::Relaying { key, port, public, allowed } => {
            p.data(key);
            let who = if *public { "everyone".to_owned() } else { crate::lines::count(*allowed, "key") };
            p.say(Tone::Plain, &format!("Relaying for {who} on UDP port {port}"));
            p.say(Tone::Plain, &format!("Peers use it with: --relay {key}"));
        }
        RelayEvent::Announced => p.say(Tone::Good, "Announced: peers can find it now"),
        RelayEvent::Offline { tried } => {
            let tried = tried.join(", ");
            let line = format!(
                "No DHT node answers (tried {tried}): check the network, or --bootstrap. It is tried again until one does."
            );
            p.say(Tone::Warn, &line);
        }
        RelayEvent::Stats(s) => p.say(
            Tone::Plain,
            &format!(
                "{} clients, {} pairs ({} waiting), {} relayed; since the start {} pairs, {} in vain, {} refused, {} packets dropped",
                s.clients,
                s.pairs,
                s.waiting,
                bytes(s.bytes),
                s.paired,
                s.expired,
                s.refused,
                s.dropped
            ),
        ),
    }
}
