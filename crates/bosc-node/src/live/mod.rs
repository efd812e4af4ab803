//! The thread that owns live cores. What it does is decided by [`machine::LiveMachine`]; here is only the waiting and the
//! handing over.
//!
//! It takes what the socket thread decrypted, callers' wishes and changes of the store; it gives frames to the
//! socket thread and snapshots to callers. It blocks on the store's disk and on nothing else, so a slow disk
//! slows peers down through [`crate::credit::Credit`] and never loses a datagram. It sleeps until the machine's next
//! timeout or an input: nothing else wakes it.
//!
//! # Files
//!
//! - `machine`: all that is decided: which cores are offered to whom, what a misbehaving peer costs, when received blocks are
//!   flushed; `channels`, `pump` and `snapshot` are parts of it: channels, the proof that both sides know the key, and what comes in
//!   on them; messages out, whose turn it is; snapshots for callers.
//! - `conn`: one connection. `inbox`: messages on their way to a replicator: how many and how much wait to be hashed together.
//!   `access`: a core of the store as replication sees it: whose fault an error is (the peer's or our store's), its changes by other
//!   threads or by rot, and how much is made for one connection in a turn.
//! - `shared`: what callers hold of a live core: its snapshot, and downloads.
//! - `blind`: what blind peers are asked, and being one: how many keys and wishes a client may have, how fast, and who is offered
//!   what is kept.
//! - `beside`: a drive's two cores, and whose heads of the second are taken where a key signed two histories.

mod access;
mod beside;
pub(crate) mod blind;
mod channels;
mod conn;
mod inbox;
pub(crate) mod machine;
mod pump;
pub(crate) mod shared;
mod snapshot;
#[cfg(test)]
mod tests;

use crate::between::{Input, NetCommand};
use crate::signal::Signal;
use blind::{BlindFor, BlindShared};
use bosc_format::crypto::PublicKey;
use bosc_store::Store;
use machine::{LiveMachine, LiveSetup};
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

/// Most inputs worked through before what they cause is sent.
const BATCH: usize = 256;

pub(crate) struct Live {
    machine: LiveMachine,
    start: Instant,
    net: tokio::sync::mpsc::UnboundedSender<NetCommand>,
    signal: Signal,
    store: Option<Store>,
    bootstrap: Vec<SocketAddrV4>,
}

/// A machine's setup in a node: changes that others make to cores come in as `inputs`.
pub(crate) fn setup(
    store: Option<Store>,
    seed: u64,
    inputs: Sender<Input>,
    offer_relay: Option<PublicKey>,
    blind_for: Option<BlindFor>,
    blind: Arc<BlindShared>,
) -> LiveSetup {
    LiveSetup {
        store,
        seed,
        tell: Arc::new(move |key, change| {
            let _ = inputs.send(Input::Changed { key, change });
        }),
        disguise: None,
        turn: access::TURN,
        offer_relay,
        blind_for,
        blind,
    }
}

impl Live {
    pub(crate) fn new(
        setup: LiveSetup,
        bootstrap: Vec<SocketAddrV4>,
        start: Instant,
        net: tokio::sync::mpsc::UnboundedSender<NetCommand>,
        signal: Signal,
    ) -> Self {
        let store = setup.store.clone();
        Self { machine: LiveMachine::new(setup), start, net, signal, store, bootstrap }
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// Runs until told to close.
    pub(crate) fn run(mut self, inputs: &Receiver<Input>) {
        'awake: loop {
            let first = match self.machine.next_timeout() {
                Some(t) => inputs.recv_timeout(t.saturating_sub(self.now())),
                None => inputs.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match first {
                Ok(Input::Close) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(first) => {
                    self.input(first);
                    for next in inputs.try_iter().take(BATCH) {
                        if matches!(next, Input::Close) {
                            break 'awake;
                        }
                        self.input(next);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.machine.work(self.now());
            while let Some(told) = self.machine.poll_net() {
                let _ = self.net.send(NetCommand::Live(told));
            }
            if self.machine.take_raised() {
                self.signal.raise();
            }
        }
        self.machine.end();
        self.signal.raise();
    }

    fn input(&mut self, input: Input) {
        let now = self.now();
        let machine = &mut self.machine;
        match input {
            Input::Net(told) => machine.from_net(told, now),
            Input::Attach { core, reply } => {
                let _ = reply.send(machine.attach(core));
            }
            Input::AttachForClients { core, reply } => {
                let _ = reply.send(machine.attach_for_clients(core));
            }
            Input::Detach { key } => machine.detach(&key, now),
            Input::AskBlindPeer { peer, cores } => machine.ask_blind_peer(peer, cores, now),
            Input::Download { key, download, reply } => {
                let _ = reply.send(machine.download(&key, download));
            }
            Input::Cancel { key, state } => machine.cancel(&key, &state),
            Input::Compare { key } => machine.compare(&key),
            Input::Want { key, blocks } => machine.want(&key, blocks),
            Input::Hashes { key, ranges } => machine.want_hashes(&key, ranges),
            Input::Changed { key, change } => machine.changed(&key, change, now),
            Input::KeepNodes { nodes } => {
                if let Some(store) = &self.store {
                    crate::nodes::write(store, &self.bootstrap, &nodes);
                }
            }
            Input::Flush { reply } => {
                let _ = reply.send(machine.flush().map_err(|e| e.why));
            }
            Input::Close => {}
        }
    }
}
