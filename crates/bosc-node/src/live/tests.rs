//! One machine, or two, with nothing but frames between them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use super::access::TURN;
use super::inbox::{Inbox, MAX_BYTES, MAX_MESSAGES};
use super::machine::{LiveMachine, LiveSetup};
use crate::between::{FromLive, FromNet};
use crate::credit::{Bounds, Credit};
use bosc_format::crypto::CoreKey;
use bosc_store::{Core, CreateOptions, Options, Store};
use bosc_wire::mux::{ChannelId, Limits, Mux, MuxEvent};
use bosc_wire::replication::{Download, PROTOCOL, local_handshake};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

const HASH: [u8; 64] = [5; 64];
const EXTENSION: u32 = 9;

/// A machine with one connection.
struct Side {
    machine: LiveMachine,
    now: Duration,
}

impl Side {
    fn new(initiator: bool) -> (Self, Store) {
        let store = Store::memory(Options::default()).unwrap();
        let mut machine = LiveMachine::new(LiveSetup {
            store: Some(store.clone()),
            seed: 1,
            tell: Arc::new(|_, _| {}),
            disguise: None,
            turn: TURN,
            offer_relay: None,
            blind_for: None,
            blind: Arc::default(),
        });
        let credit = Arc::new(Credit::new(Bounds::default()));
        let open =
            FromNet::Open { conn: 1, remote: [u8::from(initiator); 32], initiator, hash: HASH, credit };
        machine.from_net(open, Duration::ZERO);
        (Self { machine, now: Duration::ZERO }, store)
    }

    fn hear(&mut self, messages: Vec<Bytes>) {
        let bytes = messages.iter().map(Bytes::len).sum();
        self.machine.from_net(FromNet::Messages { conn: 1, messages, bytes }, self.now);
    }

    /// What it has to send.
    fn say(&mut self) -> Vec<Bytes> {
        self.now += Duration::from_millis(1);
        self.machine.work(self.now);
        let mut out = Vec::new();
        while let Some(told) = self.machine.poll_net() {
            if let FromLive::Send { frames, .. } = told {
                out.extend(frames.iter().map(|frame| frame.to_bytes()));
            }
        }
        out
    }
}

fn frames(mux: &mut Mux) -> Vec<Bytes> {
    std::iter::from_fn(|| mux.poll_frame()).map(|frame| frame.to_bytes()).collect()
}

fn filled(store: &Store) -> Core {
    let core = store.create_core(CreateOptions::new()).unwrap();
    let blocks: Vec<Bytes> = (0..20).map(|i| format!("block {i}").repeat(100).into()).collect();
    core.append(&blocks).unwrap();
    core
}

/// A peer that opens a channel for a core with the capability of `key`; what it is told on it.
fn peer(side: &mut Side, core: &Core, key: &CoreKey) -> (Mux, ChannelId, Vec<MuxEvent>) {
    let mut mux = Mux::new(Limits::default());
    let handshake = local_handshake(true, key, &HASH);
    let channel = mux.open(PROTOCOL, Some(&core.discovery_key()[..]), &handshake).unwrap();
    let mut told = Vec::new();
    for _ in 0..3 {
        side.hear(frames(&mut mux));
        for frame in side.say() {
            mux.feed(frame).unwrap();
        }
        while let Some(event) = mux.poll_event().unwrap() {
            told.push(event);
        }
    }
    (mux, channel, told)
}

#[test]
fn who_does_not_know_the_key_is_told_nothing() {
    for (key, knows) in [(Some([9; 32]), false), (None, true)] {
        let (mut side, store) = Side::new(false);
        let core = filled(&store);
        let shared = side.machine.attach(core.clone());
        let (_, _, told) = peer(&mut side, &core, &key.unwrap_or(*core.key()));
        let spoken = told.iter().any(|e| matches!(e, MuxEvent::Message { .. }));
        let closed = told.iter().any(|e| matches!(e, MuxEvent::Closed { .. }));
        assert_eq!((spoken, closed), (knows, !knows), "{told:?}");
        assert_eq!(side.machine.strangers(), u64::from(!knows));
        assert_eq!(shared.status().peers.len(), usize::from(knows));
    }
}

/// However many messages a peer packs into one frame, few wait.
#[test]
fn what_waits_for_a_replicator_is_bounded() {
    for (count, len) in [(10 * MAX_MESSAGES + 7, 10), (22, MAX_BYTES / 3)] {
        let (mut side, store) = Side::new(false);
        let core = filled(&store);
        side.machine.attach(core.clone());
        let (mut mux, channel, _) = peer(&mut side, &core, core.key());
        mux.cork();
        for _ in 0..count {
            mux.send(channel, EXTENSION, &vec![1; len]).unwrap();
        }
        mux.uncork();
        let mut most = 0;
        for frame in frames(&mut mux) {
            side.hear(vec![frame]);
            let (messages, bytes) = side.machine.inbox.as_ref().map_or((0, 0), Inbox::waiting);
            most = most.max(messages);
            assert!(messages < MAX_MESSAGES && bytes < MAX_BYTES, "{messages} with {bytes} bytes");
        }
        assert!(most > 0);
    }
}

/// What came before the end counts, also when nobody looked in between.
#[test]
fn what_came_before_the_end_of_a_connection_counts() {
    let ((mut a, from), (mut b, to)) = (Side::new(true), Side::new(false));
    let core = filled(&from);
    let copy = to.open_core(core.key()).unwrap();
    a.machine.attach(core.clone());
    b.machine.attach(copy.clone());
    b.machine.download(core.key(), Download::live());
    for _ in 0..100 {
        let (ours, theirs) = (a.say(), b.say());
        let is_data = ours.iter().map(Bytes::len).sum::<usize>() > 4000;
        b.hear(ours);
        if is_data {
            let before = copy.contiguous_length();
            b.machine.from_net(FromNet::Closed { conn: 1 }, b.now);
            assert!(copy.contiguous_length() > before, "{before}");
            return;
        }
        a.hear(theirs);
    }
    panic!("no block ever came");
}
