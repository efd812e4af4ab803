//! Blind peers that a seeder asks to keep its links available.
//!
//! Each is asked for the cores of all links, and again when that changes: a new link, or the contents of one whose manifest came. The
//! node stays connected to it and asks again on each new connection, so new versions reach it as they are staged.

use super::event::{BlindPeerIs, SeedEvent};
use crate::command::Sink;
use bosc_format::crypto::PublicKey;
use bosc_format::id;
use bosc_node::{BlindCores, BlindPeerState, BlindWish, Node};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Those of a command. What it asked for is taken back when it is dropped: nobody connects to them any more, and they keep what they have.
pub(super) struct BlindPeers {
    node: Arc<Node>,
    told: BTreeMap<PublicKey, Option<BlindPeerIs>>,
    asked: Vec<BlindWish>,
}

impl BlindPeers {
    pub(super) fn new(node: &Arc<Node>, keys: Vec<PublicKey>) -> Self {
        let told = keys.into_iter().map(|key| (key, None)).collect();
        Self { node: Arc::clone(node), told, asked: Vec::new() }
    }

    /// Whether there are any.
    pub(super) fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    /// Asks for these cores, if they are others than before.
    pub(super) fn ask(&mut self, cores: Vec<BlindWish>) {
        let keys = |wishes: &[BlindWish]| wishes.iter().map(|w| w.key).collect::<Vec<_>>();
        if cores.is_empty() || keys(&cores) == keys(&self.asked) {
            return;
        }
        for peer in self.told.keys() {
            let request = BlindCores { announce: true, priority: 1, cores: cores.clone(), referrer: None };
            self.node.ask_blind_peer(*peer, Some(request));
        }
        self.asked = cores;
    }

    /// Tells how they stand, where that has changed. `holds` says whether a peer has everything.
    pub(super) fn tell(&mut self, holds: impl Fn(&PublicKey) -> bool, sink: &mut dyn Sink) {
        if self.told.is_empty() {
            return;
        }
        let states = self.node.blind_peers();
        for (peer, told) in &mut self.told {
            let state = match states.get(peer) {
                Some(BlindPeerState::Asked) if holds(peer) => BlindPeerIs::Whole,
                Some(BlindPeerState::Asked) => BlindPeerIs::Asked,
                Some(BlindPeerState::Refused) => BlindPeerIs::Refused,
                // That it is not connected yet is no news.
                _ if told.is_none() => continue,
                _ => BlindPeerIs::Away,
            };
            if *told != Some(state) {
                *told = Some(state);
                sink.tell(SeedEvent::BlindPeer { key: id::encode(peer), state });
            }
        }
    }
}

impl Drop for BlindPeers {
    fn drop(&mut self) {
        for peer in self.told.keys() {
            self.node.ask_blind_peer(*peer, None);
        }
    }
}
