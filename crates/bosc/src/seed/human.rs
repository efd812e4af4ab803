//! What people read of a seeder.

use crate::board::holds;
use crate::lines::count;
use crate::plain::{Tone, one_line};
use crate::printer::Printer;
use crate::printer::bytes;
use bosc_release::seed::event::{BlindPeerIs, PeerRow, SeedEvent};

/// The line of an event; `link` is named where there are several. Progress is not said here.
pub(crate) fn line(p: &Printer, link: Option<&str>, event: &SeedEvent) {
    let of = link.map(|link| format!("{link}: ")).unwrap_or_default();
    let say = |tone, text: String| p.say(tone, &format!("{of}{text}"));
    match event {
        SeedEvent::Seeding { link, .. } => p.say(Tone::Plain, &format!("Seeding {link}")),
        SeedEvent::Announced => say(Tone::Good, "Announced: others can find it now".to_owned()),
        SeedEvent::Offline { tried } => {
            let tried = tried.as_deref().unwrap_or_default().join(", ");
            let line = format!(
                "No DHT node answers (tried {tried}): check the network, or --bootstrap. It is tried again until one does."
            );
            p.say(Tone::Warn, &line);
        }
        SeedEvent::Online { .. } => p.say(Tone::Good, "A DHT node answers"),
        SeedEvent::Key(key) => p.detail(&format!("{of}content key {key}")),
        SeedEvent::PeerAdd(key) => say(Tone::Plain, format!("peer joined {key}")),
        SeedEvent::PeerRemove(key) => say(Tone::Plain, format!("peer left {key}")),
        SeedEvent::PeerSync(key) => say(Tone::Good, format!("peer holds a full copy {key}")),
        SeedEvent::Stats(_) => {}
        SeedEvent::Damaged(rot) => say(
            Tone::Warn,
            format!("{} found: not given to others, and fetched again", count(rot.blocks, "damaged block")),
        ),
        SeedEvent::Repaired(rot) => {
            say(Tone::Good, format!("{} fetched again", count(rot.blocks, "damaged block")))
        }
        SeedEvent::Links { file, links, added, removed, bad } => {
            let tone = if *bad > 0 { Tone::Warn } else { Tone::Plain };
            let bad = if *bad > 0 { format!(", {}", count(*bad, "bad line")) } else { String::new() };
            p.say(
                tone,
                &format!(
                    "{} of {}: {added} added, {removed} removed{bad}",
                    count(*links, "link"),
                    one_line(file)
                ),
            );
        }
        SeedEvent::BadLine { file, line, text, why } => p.say(
            Tone::Warn,
            &format!("{}, line {line}: {}: {}", one_line(file), one_line(text), one_line(why)),
        ),
        SeedEvent::LinksUnreadable { file, why } => p.say(
            Tone::Warn,
            &format!("{} cannot be read, so the links stay as they are: {}", one_line(file), one_line(why)),
        ),
        SeedEvent::Removed => say(Tone::Plain, "Not seeded any more".to_owned()),
        SeedEvent::Failed { message, hint, .. } => {
            say(Tone::Bad, format!("{}; next: {}", one_line(message), one_line(hint)));
        }
        SeedEvent::DiskLimit { needed_bytes, limit_bytes } => say(
            Tone::Warn,
            format!(
                "Not fetched: all of it is {}, and --max-disk leaves no room for that within {}. What is here is seeded",
                bytes(*needed_bytes),
                bytes(*limit_bytes)
            ),
        ),
        SeedEvent::DiskRoom => say(Tone::Good, "Fits within --max-disk now, and is fetched".to_owned()),
        SeedEvent::Metrics { address, loopback } => {
            p.say(
                Tone::Plain,
                &format!("Metrics on http://{address}/metrics, health on http://{address}/healthz"),
            );
            if !loopback {
                let line = "Every machine that reaches this address reads them: links, peers and traffic are no secret then";
                p.say(Tone::Warn, line);
            }
        }
        SeedEvent::RelayFor { key, anyone } => {
            let who = if *anyone { "anyone" } else { "peers that share a link with this seeder" };
            p.say(Tone::Plain, &format!("Relaying for {who}, with key {key}"));
        }
        SeedEvent::PortMapping { address: Some(address), by } => {
            let by = by.map(|by| format!(" ({by})")).unwrap_or_default();
            p.say(Tone::Good, &format!("The router leads {address} here{by}: peers connect directly"));
        }
        SeedEvent::PortMapping { address: None, .. } => {
            p.say(Tone::Plain, "The router leads no port here any more");
        }
        SeedEvent::BlindPeer { key, state } => match state {
            BlindPeerIs::Away => {
                p.say(Tone::Plain, &format!("Blind peer {key} is away: it is tried again and again"))
            }
            BlindPeerIs::Asked => p.say(Tone::Plain, &format!("Blind peer {key} is asked to keep it")),
            BlindPeerIs::Refused => {
                let line = format!(
                    "Blind peer {key} does not keep cores for this seeder: its operator has to allow the `whoami` of `bosc seed --json`"
                );
                p.say(Tone::Warn, &line);
            }
            BlindPeerIs::Whole => p.say(Tone::Good, &format!("Blind peer {key} holds all of it")),
        },
        SeedEvent::Peers { fork, length, peers, more, .. } => table(p, link, (*fork, *length), peers, *more),
        SeedEvent::Copies { full, wanted, peers, .. } => {
            say(Tone::Plain, format!("{full} of {wanted} hold a full copy ({})", count(*peers, "peer")));
        }
    }
}

/// Who is connected: data, so it goes to stdout.
fn table(p: &Printer, link: Option<&str>, here: (u64, u64), peers: &[PeerRow], more: usize) {
    let of = link.map(|link| format!("{link}, ")).unwrap_or_default();
    p.data(&format!("{of}version {}.{}: {}", here.0, here.1, count(peers.len() + more, "peer")));
    for line in rows(peers) {
        p.data(&line);
    }
    if more > 0 {
        p.data(&format!("and {more} more"));
    }
}

/// The rows of a table with its head, each column as wide as its widest cell; nothing for nobody.
fn rows(peers: &[PeerRow]) -> Vec<String> {
    if peers.is_empty() {
        return Vec::new();
    }
    let head = ["PEER", "ADDRESS", "VIA", "VERSION", "HOLDS", "SENT"].map(str::to_owned);
    let cells = peers.iter().map(|peer| {
        [
            peer.key.chars().take(12).collect(),
            peer.address.clone().unwrap_or_else(|| "-".to_owned()),
            if peer.relayed { "relay" } else { "direct" }.to_owned(),
            format!("{}.{}", peer.fork, peer.length),
            holds(peer),
            bytes(peer.sent_bytes),
        ]
    });
    let table: Vec<[String; 6]> = std::iter::once(head).chain(cells).collect();
    let mut widths = [0; 6];
    for row in &table {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.len().max(*width);
        }
    }
    let line = |row: &[String; 6]| {
        let mut line = String::new();
        for (at, (cell, width)) in row.iter().zip(widths).enumerate() {
            // Numbers stand below each other by their ends.
            line.push_str(&if at >= 4 { format!("{cell:>width$}  ") } else { format!("{cell:<width$}  ") });
        }
        line.trim_end().to_owned()
    };
    table.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(key: &str, address: Option<&str>, held: u64, sent_bytes: u64) -> PeerRow {
        PeerRow {
            key: key.into(),
            address: address.map(str::to_owned),
            relayed: address.is_none(),
            fork: 0,
            length: 12,
            full: held == 10,
            content_length: 10,
            content_held: held,
            sent_bytes,
        }
    }

    #[test]
    fn columns_stand_below_each_other() {
        let peers = [row("abcdefghijklmnop", Some("127.0.0.1:49737"), 10, 1_500_000), row("b", None, 4, 0)];
        let expected = [
            "PEER          ADDRESS          VIA     VERSION  HOLDS    SENT",
            "abcdefghijkl  127.0.0.1:49737  direct  0.12       all  1.5 MB",
            "b             -                relay   0.12      40 %     0 B",
        ];
        assert_eq!(rows(&peers), expected);
        assert!(rows(&[]).is_empty());
    }
}
