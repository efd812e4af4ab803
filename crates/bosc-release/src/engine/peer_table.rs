//! Who has a followed drive, as `seed` and `publish` show it.
//!
//! Bound: [`MAX_ROWS`] peers are named, those who were sent most; the others are counted.

use crate::seed::event::{NatType, PeerRow, Reachable, SeedEvent};
use bosc_follow::FollowedDrive;
use bosc_format::id;
use bosc_node::{NetStatus, PeerStatus};

/// Most peers that are named.
const MAX_ROWS: usize = 1000;

/// How this node can be reached.
fn reachable(net: &NetStatus) -> Reachable {
    let nat_type = if net.randomized { NatType::Random } else { NatType::Consistent };
    Reachable { firewalled: net.firewalled, nat_type }
}

/// Who has it, and how much of it; with `network` also how this node can be reached.
pub(crate) fn peer_table(followed: &FollowedDrive, net: &NetStatus, network: bool) -> SeedEvent {
    let (db, blobs) = followed.statuses();
    let full = followed.full_copies(&db, &blobs);
    let row = |peer: &PeerStatus| {
        let connection = net.peers.get(&peer.key);
        let content = blobs.peers.iter().find(|p| p.key == peer.key);
        PeerRow {
            key: id::encode(&peer.key),
            address: connection.map(|c| c.address.to_string()),
            relayed: connection.is_some_and(|c| c.relayed),
            fork: peer.fork,
            length: peer.length,
            full: full.contains(&peer.key),
            content_length: content.map_or(0, |p| p.length),
            content_held: content.map_or(0, |p| p.contiguous_length),
            sent_bytes: peer.uploaded_bytes + content.map_or(0, |p| p.uploaded_bytes),
        }
    };
    let mut peers: Vec<PeerRow> = db.peers.iter().map(row).collect();
    peers.sort_by(|a, b| b.sent_bytes.cmp(&a.sent_bytes).then_with(|| a.key.cmp(&b.key)));
    let more = peers.len().saturating_sub(MAX_ROWS);
    peers.truncate(MAX_ROWS);
    let network = network.then(|| reachable(net));
    SeedEvent::Peers { fork: db.fork, length: db.length, peers, more, network }
}
