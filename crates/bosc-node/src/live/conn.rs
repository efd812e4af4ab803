//! One connection: its mux and which channel carries which core.

use super::blind::BlindChannel;
use crate::credit::Credit;
use bosc_format::crypto::{CoreKey, PublicKey};
use bosc_wire::mux::{ChannelId, Limits, Mux};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// What a channel carries.
#[derive(Debug, Clone, Copy)]
pub(super) struct Channel {
    pub(super) core: CoreKey,
    /// Whether the other side has shown that it knows the core's key.
    pub(super) verified: bool,
}

pub(super) struct Conn {
    pub(super) remote: PublicKey,
    pub(super) initiator: bool,
    pub(super) hash: [u8; 64],
    pub(super) mux: Mux,
    pub(super) channels: HashMap<ChannelId, Channel>,
    pub(super) by_core: BTreeMap<CoreKey, ChannelId>,
    pub(super) credit: Arc<Credit>,
    /// Cores that may have something to say on it.
    pub(super) ready: BTreeSet<CoreKey>,
    /// When the net side last heard that it delivers.
    pub(super) told_delivered: Option<Duration>,
    /// It was told which relay we are.
    pub(super) relay_offered: bool,
    /// For what is asked of blind peers.
    pub(super) blind: Option<BlindChannel>,
}

impl Conn {
    pub(super) fn new(remote: PublicKey, initiator: bool, hash: [u8; 64], credit: Arc<Credit>) -> Self {
        Self {
            remote,
            initiator,
            hash,
            mux: Mux::new(Limits::default()),
            channels: HashMap::new(),
            by_core: BTreeMap::new(),
            credit,
            ready: BTreeSet::new(),
            told_delivered: None,
            relay_offered: false,
            blind: None,
        }
    }
}
