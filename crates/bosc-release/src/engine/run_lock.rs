//! Runs that are about to write one link see each other before they sign.
//!
//! Two runs that learn the newest head at the same moment would each sign the next one: two histories. So a run first
//! offers an empty core, the *lock*, on a node of its own. The lock's key follows from the link's secret key, so only
//! who can write the link can derive it, and a peer of the lock is another such run: nobody else can stop one.
//!
//! ```text
//! announced --> looked once more --> alone ------------------------> held --> [learn, check, sign, seed] --> dropped
//!                                \-> with one of a smaller key: ERR_PUBLISHING
//!                                \-> with one of a greater key: waits until it is gone, then held
//! ```
//!
//! Invariants:
//! * Who holds it was announced before its last look began. Of two runs at least one therefore finds the other, and
//!   a connection tells both.
//! * [`RunLock::check`] comes right before signing. A run of a greater key that is past it goes on until its release is
//!   out, and whoever came later waits for that before it learns; one that is not yet gives way.
//!
//! What it cannot do: two runs that can reach the DHT but not each other do not see each other. `concurrency` of the CI
//! and the snapshot are for those.

use super::Engine;
use super::topics::Topic;
use super::wait::stopped;
use crate::command::{Sink, Stop};
use crate::error::{CommandError, ErrorKind};
use bosc_format::crypto::{self, KeyPair};
use bosc_node::{LiveCore, Node, TICK};
use bosc_store::CreateOptions;
use serde_json::json;
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// What is signed to derive the lock's key.
const CONTEXT: &[u8] = b"bosc publishing lock";
/// How long to wait for the announcement and the look after it.
const PATIENCE: Duration = Duration::from_secs(40);
/// How long after the last connection a peer has to show itself.
const SETTLE: Duration = Duration::from_millis(500);

/// Held until it is dropped.
pub(super) struct RunLock {
    live: LiveCore,
    node: Arc<Node>,
    // Dropped in this order: the topic is left while the engine still runs.
    topic: Option<Topic>,
    engine: Engine,
}

impl RunLock {
    /// Takes the lock of the link that `key_pair` signs, waiting up to `wait` for a run that has it.
    ///
    /// # Errors
    /// `ERR_PUBLISHING` when another run has it or is to have it.
    pub(super) fn take(
        bootstrap: Vec<SocketAddrV4>,
        key_pair: &KeyPair,
        wait: Duration,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<Self, CommandError> {
        let engine = Engine::in_memory(bootstrap)?;
        let seed = Zeroizing::new(crypto::hash(&[CONTEXT, &key_pair.sign(CONTEXT)]));
        let options = CreateOptions::with_key_pair(KeyPair::from_seed(&seed));
        let core = engine.store.create_core(options).map_err(super::store_error)?;
        let node = engine.node()?;
        let live = node.attach(&core);
        let key = *core.discovery_key();
        let topic = Some(engine.join_topic(&node, key, true));
        let lock = Self { live, node, topic, engine };
        let deadline = Instant::now() + PATIENCE;
        let node = &lock.node;
        // Without a single DHT node nobody can be found, nor find us.
        let announced = lock.until(deadline, stop, || {
            node.is_flushed(&key) && (node.status().listening || lock.is_alone_in_the_world())
        })?;
        if announced && !lock.is_alone_in_the_world() {
            node.look_again(key);
        }
        let looked = lock.until(deadline, stop, || node.is_flushed(&key))?;
        if !announced || !looked {
            sink.event("unguarded", json!({ "announced": announced }));
        }
        let mut seen = (lock.others(), node.status().connections, Instant::now());
        let start = Instant::now();
        let mut told = false;
        loop {
            let now = (lock.others(), node.status().connections);
            if (&now.0, &now.1) != (&seen.0, &seen.1) {
                seen = (now.0, now.1, Instant::now());
            }
            if seen.0.is_empty() && seen.2.elapsed() >= SETTLE {
                return Ok(lock);
            }
            let first = seen.0.iter().all(|other| node.public_key() < other);
            if !first || start.elapsed() >= wait.max(SETTLE * 4) {
                return Err(publishing());
            }
            if !seen.0.is_empty() && !std::mem::replace(&mut told, true) {
                sink.event("waiting", json!({ "runs": seen.0.len() }));
            }
            lock.pause(stop)?;
        }
    }

    /// Whether nobody else came meanwhile. To be called right before signing.
    pub(super) fn check(&self) -> Result<(), CommandError> {
        if self.others().is_empty() { Ok(()) } else { Err(publishing()) }
    }

    fn others(&self) -> Vec<[u8; 32]> {
        self.live.status().peers.iter().map(|p| p.key).collect()
    }

    fn is_alone_in_the_world(&self) -> bool {
        self.node.dht_nodes(1).is_empty()
    }

    fn pause(&self, stop: &Stop) -> Result<(), CommandError> {
        if stop.is_stopped() {
            return Err(stopped());
        }
        self.node.signal().wait(Some(Instant::now() + TICK), TICK, || stop.is_stopped().then_some(()));
        Ok(())
    }

    fn until(&self, deadline: Instant, stop: &Stop, done: impl Fn() -> bool) -> Result<bool, CommandError> {
        while !done() {
            if Instant::now() >= deadline {
                return Ok(false);
            }
            self.pause(stop)?;
        }
        Ok(true)
    }
}

impl Drop for RunLock {
    fn drop(&mut self) {
        // Whoever waits for us learns at once that we are gone; the node itself ends when its last handle does.
        self.topic = None;
        let _ = self.engine.store.flush();
    }
}

fn publishing() -> CommandError {
    CommandError::new(
        ErrorKind::Network,
        "ERR_PUBLISHING",
        "another run is about to publish to this link; nothing was written",
    )
    .hint("run it again when the other one has ended, and let your CI do one run at a time (`concurrency`)")
}
