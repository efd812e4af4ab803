//! What people read of a blind peer.

use crate::lines::count;
use crate::plain::Tone;
use crate::printer::{Printer, bytes};
use bosc_release::blind_peer::event::BlindPeerEvent as Told;

/// The lines of an event.
pub(crate) fn blind_peer(p: &Printer, event: &Told) {
    match event {
        Told::Keeping { key, port, public, allowed, cores, bytes: held } => {
            p.data(key);
            let who = if *public { "everyone".to_owned() } else { count(*allowed, "key") };
            let line = format!("Keeping cores for {who} on UDP port {port}: {} ({})", count(*cores, "core"), bytes(*held));
            p.say(Tone::Plain, &line);
            p.say(Tone::Plain, &format!("Seeders use it with: --blind-peer {key}"));
        }
        Told::Announced => p.say(Tone::Good, "Announced: clients can find it now"),
        Told::Offline { tried } => {
            let tried = tried.join(", ");
            let line = format!(
                "No DHT node answers (tried {tried}): check the network, or --bootstrap. It is tried again until one does."
            );
            p.say(Tone::Warn, &line);
        }
        Told::Add { core, client, announce } => {
            let how = if *announce { ", announced" } else { "" };
            p.say(Tone::Plain, &format!("core {core} for {client}{how}"));
        }
        Told::Full { core, client } => {
            let line = format!("core {core} for {client} is not kept: --max-cores leaves no room for it");
            p.say(Tone::Warn, &line);
        }
        Told::Whole { core, bytes: held } => p.say(Tone::Good, &format!("core {core} is here ({})", bytes(*held))),
        Told::Cleared { core, bytes: held } => {
            let line = format!("core {core} made room for others ({}): nobody asked for it lately", bytes(*held));
            p.say(Tone::Plain, &line);
        }
        Told::Removed { core } => {
            p.say(Tone::Plain, &format!("core {core} is forgotten: nobody asked for it lately"));
        }
        Told::Stats(s) => p.say(
            Tone::Plain,
            &format!(
                "{}, {} ({} announced), {}; {} waiting for room; since the start {} added, {} refused, {} cleared",
                count(s.clients, "client"),
                count(s.cores, "core"),
                s.announced,
                bytes(s.bytes),
                s.waiting,
                s.added,
                s.refused,
                bytes(s.cleared_bytes)
            ),
        ),
    }
}
