//! What a followed drive says at one moment: who has which version, how it stands. Asks nobody and waits for nothing.

use super::examine::Exam;
use super::snapshot::{LineView, MAX_SHARES, NetworkView, NextStep, StoreView, VersionShare};
use crate::doctor::nat;
use crate::line::compare::{LineSeen, LineStanding, compare};
use crate::line::file::{Declared, LineKind};
use bosc_follow::FollowedDrive;
use bosc_format::id;
use bosc_node::{NetStatus, PeerStatus};
use bosc_store::StoreStats;
use std::collections::BTreeSet;
use std::path::Path;

/// Full copies wanted where no file says how many.
const WANTED: u64 = 2;

/// How long the blobs core must be at a head of the db: counted again only when that changes.
#[derive(Debug, Default)]
pub(super) struct Needed(Option<((u64, u64), Option<u64>)>);

/// A line without a drive, or whose drive is not open.
pub(super) fn closed(declared: Option<&Declared>, link: Option<String>, error: Option<String>) -> LineView {
    LineView {
        name: declared.map(|d| d.name.clone()),
        kind: declared.map(|d| d.kind),
        source: declared.and_then(|d| d.source.clone()),
        link,
        wanted: declared.map_or(WANTED, |d| d.seeds.wanted()),
        error,
        ..LineView::default()
    }
}

/// What a line's drive says now.
pub(super) fn open(
    declared: Option<&Declared>,
    followed: &FollowedDrive,
    exam: &Exam,
    needed: &mut Needed,
    announced: bool,
) -> LineView {
    let cores = followed.cores();
    let (db, blobs) = followed.statuses();
    let at = (db.fork, db.length);
    if needed.0.is_none_or(|(known, _)| known != at) {
        needed.0 = (db.length > 0).then(|| (at, cores.blobs_needed()));
    }
    let full = followed.copies(needed.0.and_then(|(_, n)| n)).full;
    let is_full = |p: &PeerStatus| full.contains(&p.key);
    LineView {
        verlink: (db.length > 0).then(|| cores.verlink()),
        app: exam.app.clone(),
        version: exam.version.clone(),
        length: db.length,
        fork: db.fork,
        release_bytes: exam.release_bytes,
        total_bytes: db.byte_length.saturating_add(blobs.byte_length),
        writable: cores.db.writable(),
        announced,
        seeders: full.len() as u64,
        peers: db.peers.len() as u64,
        shares: shares(&db.peers, is_full, db.fork, &exam.versions),
        sent_bytes: db.uploaded_bytes.saturating_add(blobs.uploaded_bytes),
        releases: exam.releases.clone(),
        more_releases: exam.more_releases,
        costs: exam.costs.clone(),
        policy: exam.policy.clone(),
        conflicts: (db.conflicts.len() + blobs.conflicts.len()) as u64,
        ..closed(declared, Some(cores.plain_link()), exam.error.clone())
    }
}

/// Which versions peers have, the newest first: a peer has the last version that its length reaches.
fn shares(
    peers: &[PeerStatus],
    is_full: impl Fn(&PeerStatus) -> bool,
    fork: u64,
    versions: &[(u64, Option<String>)],
) -> Vec<VersionShare> {
    // The newest first, and last those of whom nothing is known.
    let mut out: Vec<VersionShare> = Vec::new();
    for (_, version) in versions.iter().rev() {
        if out.len() < MAX_SHARES && !out.iter().any(|s| s.version == *version) && version.is_some() {
            out.push(VersionShare { version: version.clone(), ..VersionShare::default() });
        }
    }
    let mut other = VersionShare::default();
    for peer in peers {
        let reached = versions.partition_point(|(length, _)| *length <= peer.length).checked_sub(1);
        let version = reached.filter(|_| peer.fork == fork).and_then(|at| versions.get(at)?.1.as_ref());
        let share = version.and_then(|v| out.iter_mut().find(|s| s.version.as_ref() == Some(v)));
        let share = share.unwrap_or(&mut other);
        match is_full(peer) {
            true => share.seeders += 1,
            false => share.followers += 1,
        }
    }
    out.push(other);
    out.retain(|s| s.seeders + s.followers > 0);
    out
}

/// What is known of a line for a comparison.
fn seen(view: &LineView, followed: &FollowedDrive, source: Option<&FollowedDrive>) -> LineSeen {
    let head = followed.cores().db.head();
    let known = head.length > 0 || followed.topic().is_flushed();
    LineSeen {
        length: known.then_some(head.length),
        version: view.version.clone(),
        tree_hash: Some(head.tree_hash()),
        source_hash_at_length: source
            .map(|s| &s.cores().db)
            .filter(|core| core.length() >= head.length)
            .and_then(|core| core.head_at(head.length).ok())
            .map(|h| h.tree_hash()),
    }
}

/// How a line stands to its source.
pub(super) fn standing(
    (view, followed): (&LineView, Option<&FollowedDrive>),
    (source, theirs): (&LineView, Option<&FollowedDrive>),
) -> LineStanding {
    let (Some(followed), Some(theirs)) = (followed, theirs) else { return LineStanding::Unknown };
    let ours = seen(view, followed, Some(theirs));
    compare(&ours, Some(&seen(source, theirs, None)), view.kind == Some(LineKind::Multisig))
}

/// What a line that is behind needs.
pub(super) fn promote(view: &LineView, source: &LineView) -> Option<NextStep> {
    let (from, to) = (source.name.as_ref()?, view.name.as_ref()?);
    let behind = matches!(view.standing, Some(LineStanding::Behind | LineStanding::Empty));
    behind.then(|| NextStep {
        why: format!(
            "{from} holds {}, {to} holds {}",
            source.version.as_deref().unwrap_or("a release"),
            view.version.as_deref().unwrap_or("nothing")
        ),
        command: format!("bosc line promote {from} {to}"),
    })
}

/// What a line that too few hold needs.
pub(super) fn seed(view: &LineView) -> Option<NextStep> {
    let link = view.link.as_deref()?;
    (view.length > 0 && view.seeders < view.wanted).then(|| NextStep {
        why: format!(
            "{} of {} full copies are there: run this on another machine",
            view.seeders, view.wanted
        ),
        command: format!("bosc seed {link}"),
    })
}

pub(super) fn network(net: &NetStatus) -> NetworkView {
    NetworkView {
        up: net.bootstrapped && net.nodes > 0,
        nodes: net.nodes as u64,
        connections: net.connections.len() as u64,
        relayed: net.relayed as u64,
        address: net.address.map(|a| a.to_string()),
        nat: Some(nat::judge(net)),
        received_bytes: net.received,
        sent_bytes: net.sent,
    }
}

pub(super) fn store(folder: &Path, stats: &StoreStats) -> StoreView {
    StoreView {
        folder: folder.display().to_string(),
        disk_bytes: stats.segment_bytes,
        live_bytes: stats.live_bytes,
        unnamed_bytes: stats.unnamed_bytes,
        pending_bytes: stats.pending_bytes as u64,
    }
}

/// Keys that a file wants to hold full copies and that do not, shortened.
pub(super) fn missing(declared: &Declared, followed: &FollowedDrive, needed: &Needed) -> Vec<String> {
    let crate::line::file::Seeds::Keys(keys) = &declared.seeds else { return Vec::new() };
    let full: BTreeSet<String> =
        followed.copies(needed.0.and_then(|(_, n)| n)).full.iter().map(id::encode).collect();
    keys.iter().filter(|k| !full.contains(*k)).map(|k| k.chars().take(12).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(key: u8, length: u64) -> PeerStatus {
        PeerStatus {
            key: [key; 32],
            synced: true,
            fork: 0,
            length,
            contiguous_length: 0,
            proved_length: 0,
            other_history: false,
            unproved: 0,
            stale: false,
            uploaded_bytes: 0,
        }
    }

    #[test]
    fn a_peer_has_the_last_version_that_its_length_reaches() {
        let versions =
            [(3, Some("1.0.0".to_owned())), (5, Some("1.0.0".to_owned())), (9, Some("1.1.0".to_owned()))];
        let peers = [peer(1, 9), peer(2, 9), peer(3, 4), peer(4, 8), peer(5, 0), peer(6, 1_000)];
        let got = shares(&peers, |p| p.key[0] == 1, 0, &versions);
        let got: Vec<_> =
            got.iter().map(|s| (s.version.as_deref().unwrap_or("?"), s.seeders, s.followers)).collect();
        assert_eq!(got, [("1.1.0", 1, 2), ("1.0.0", 0, 2), ("?", 0, 1)]);
        let forked = [PeerStatus { fork: 1, ..peer(1, 9) }];
        assert_eq!(shares(&forked, |_| false, 0, &versions)[0].version, None);
    }
}
