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
use crate::command::{Sink, Stop};
use crate::error::{CommandError, ErrorKind};
use crate::event::LinkEvent;
use bosc_follow::{Meeting, Wait};
use bosc_format::crypto::{self, KeyPair};
use bosc_store::CreateOptions;
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// What is signed to derive the lock's key.
const CONTEXT: &[u8] = b"bosc publishing lock";
/// How long to wait for the announcement and the look after it.
const PATIENCE: Duration = Duration::from_secs(40);
/// Least time that a run which has the lock is waited for.
const GRACE: Duration = Duration::from_secs(2);

/// Held until it is dropped.
pub(crate) struct RunLock {
    // Dropped in this order: the topic is left while the engine still runs, and whoever waits for us learns at once that
    // we are gone.
    meeting: Meeting,
    engine: Engine,
}

impl RunLock {
    /// Takes the lock of the link that `key_pair` signs, waiting up to `wait` for a run that has it.
    ///
    /// # Errors
    /// `ERR_PUBLISHING` when another run has it or is to have it.
    pub(crate) fn take(
        bootstrap: Vec<SocketAddrV4>,
        key_pair: &KeyPair,
        wait: Duration,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<Self, CommandError> {
        let engine = Engine::in_memory(bootstrap)?;
        let seed = Zeroizing::new(crypto::hash(&[CONTEXT, &key_pair.sign(CONTEXT)]));
        let options = CreateOptions::with_key_pair(KeyPair::from_seed(&seed));
        let core = engine.store.create_core(options).map_err(super::errors::store_error)?;
        let node = engine.node()?;
        let meeting = Meeting::join(&node, &engine.topics, &core);
        let mut lock = Self { meeting, engine };
        let met = lock.meeting.announce(&mut Wait::new(stop).timeout(PATIENCE))?;
        if !met.announced || !met.looked {
            sink.tell(LinkEvent::Unguarded { announced: met.announced });
        }
        let (start, mut told) = (Instant::now(), false);
        let meeting = &mut lock.meeting;
        Wait::new(stop).run(node.signal(), |alarm| {
            let settled = meeting.is_settled(alarm);
            let others = meeting.others();
            if others.is_empty() && settled {
                return Ok(Some(()));
            }
            let first = others.iter().all(|other| node.public_key() < other);
            if !first || alarm.has_passed(start, wait.max(GRACE)) {
                return Err(publishing());
            }
            if !others.is_empty() && !std::mem::replace(&mut told, true) {
                sink.tell(LinkEvent::Waiting { runs: others.len() });
            }
            Ok(None)
        })?;
        Ok(lock)
    }

    /// Whether nothing at all was heard of a network while it was taken.
    pub(crate) fn is_unanswered(&self) -> bool {
        self.engine.unanswered().is_some()
    }

    /// Whether nobody else came meanwhile. To be called right before signing.
    pub(crate) fn check(&self) -> Result<(), CommandError> {
        if self.meeting.others().is_empty() { Ok(()) } else { Err(publishing()) }
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
