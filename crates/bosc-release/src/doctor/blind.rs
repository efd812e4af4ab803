//! Blind peers that are to keep a link: whether each is reached, and up to where it holds the link. None is asked to keep anything.

use super::facts::{BlindPeerSeen, Facts};
use super::finding::{AddFinding, Level};
use crate::command::Stop;
use crate::engine::Engine;
use crate::engine::open::Opened;
use crate::error::CommandError;
use bosc_follow::{FollowError, Wait};
use bosc_format::crypto::PublicKey;
use bosc_format::id;
use bosc_node::{CoreStatus, Node};
use std::sync::Arc;
use std::time::Duration;

/// How long it is waited for a connection to each, and for what it says that it holds.
const REACH: Duration = Duration::from_secs(15);

/// Blind peers that this node connects to for their own sake, until this is dropped.
pub(super) struct Named {
    node: Arc<Node>,
    keys: Vec<PublicKey>,
}

impl Named {
    /// None if there are none.
    pub(super) fn new(engine: &Engine, keys: Vec<PublicKey>) -> Result<Option<Self>, CommandError> {
        if keys.is_empty() {
            return Ok(None);
        }
        let node = engine.node()?;
        for key in &keys {
            node.name_peer(*key, true);
        }
        Ok(Some(Self { node, keys }))
    }

    /// What each holds, once it has said so.
    pub(super) fn look(
        &self,
        opened: &Opened,
        f: &Facts,
        needed: u64,
        stop: &Stop,
    ) -> Result<Vec<BlindPeerSeen>, CommandError> {
        let look = || {
            let connected = self.node.status().connections;
            let (db, blobs) =
                opened.followed.as_ref().map(|followed| followed.statuses()).unwrap_or_default();
            let one = |key: &PublicKey| BlindPeerSeen {
                key: id::encode(key),
                reached: connected.contains(key),
                db: held(&db, f.fork, key),
                blobs: held(&blobs, f.fork, key).unwrap_or(0),
                needed,
            };
            self.keys.iter().map(one).collect::<Vec<_>>()
        };
        let waited = Wait::new(stop).timeout(REACH).run(self.node.signal(), |_| {
            let whole = look().iter().all(|seen| seen.keeps(f));
            Ok::<_, FollowError>(whole.then_some(()))
        });
        match waited {
            // That is said as it stands.
            Ok(_) | Err(FollowError::TimedOut(_)) => Ok(look()),
            Err(e) => Err(e.into()),
        }
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        for key in &self.keys {
            self.node.name_peer(*key, false);
        }
    }
}

/// Blocks that a peer holds from the first on, of our history.
fn held(core: &CoreStatus, fork: u64, key: &PublicKey) -> Option<u64> {
    let peer = core.peers.iter().find(|p| p.key == *key && p.synced)?;
    Some(if peer.holds(fork, 0) { peer.contiguous_length } else { 0 })
}

impl BlindPeerSeen {
    /// It holds everything up to the length that was looked at.
    fn keeps(&self, f: &Facts) -> bool {
        self.db.is_some_and(|db| db > 0 && db >= f.at) && self.blobs >= self.needed
    }
}

pub(super) fn blind_peers(f: &Facts, add: &mut AddFinding<'_>) {
    use Level::{Ok, Warn};
    for seen in &f.blind_peers {
        let key = &seen.key;
        let seed = format!("`bosc seed {} --blind-peer {key}`", f.link);
        if seen.keeps(f) {
            add(
                "blind-peer",
                Ok,
                format!("blind peer {key} keeps the link up to length {}", seen.db.unwrap_or(0)),
                "",
            );
        } else if !seen.reached {
            add(
                "blind-peer",
                Warn,
                format!("blind peer {key} was not reached"),
                "check that it runs, that its key is this one, and that UDP gets through to it: `bosc blind-peer` shows its key when \
                 it starts",
            );
        } else if seen.db.is_none_or(|db| db == 0) {
            add(
                "blind-peer",
                Warn,
                format!("blind peer {key} was reached, and does not keep the link"),
                &format!(
                    "ask it with {seed}; it has to allow the key of that seeder (`whoami` of `bosc seed --json`): \
                     `bosc blind-peer --allow KEY`, or `--public`"
                ),
            );
        } else {
            let (db, blobs, needed) = (seen.db.unwrap_or(0), seen.blobs, seen.needed);
            add(
                "blind-peer",
                Warn,
                format!(
                    "blind peer {key} is behind: it keeps length {db} of {}, and {blobs} of {needed} blobs",
                    f.at
                ),
                &format!(
                    "keep {seed} running until it says that the blind peer has everything; if it never does, its disk bound is reached"
                ),
            );
        }
    }
}
