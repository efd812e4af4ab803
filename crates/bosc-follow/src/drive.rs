//! A drive whose cores are live, on a joined topic.

use crate::core::{FollowedCore, Lazy};
use crate::cores::{CoreName, DriveCores};
use crate::error::{FollowError, check};
use crate::mirror::Mirrors;
use crate::news::News;
use crate::topics::{Topic, Topics};
use crate::wait::{Alarm, Wait};
use bosc_format::crypto::PublicKey;
use bosc_mirror::Part;
use bosc_node::{ConflictStatus, CoreStatus, Node};
use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

/// What peers hold of a drive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Copies {
    /// Peers that hold both cores whole.
    pub full: BTreeSet<PublicKey>,
    /// Peers that have the drive at all.
    pub peers: usize,
}

/// A drive that is followed. It stays on the topic until it is dropped.
#[derive(Debug)]
pub struct FollowedDrive {
    cores: DriveCores,
    topic: Topic,
    db: FollowedCore,
    blobs: OnceLock<FollowedCore>,
    mirrors: Mirrors,
}

impl FollowedDrive {
    /// Joins the drive's topic, looking for peers; as `server` also lets itself be found. Needs no network: without one
    /// it waits for one.
    ///
    /// # Errors
    /// What the store says.
    pub fn join(
        node: &Arc<Node>,
        topics: &Topics,
        cores: DriveCores,
        server: bool,
    ) -> Result<Self, FollowError> {
        // Live before the topic is joined: nobody who is found at once has to be asked twice.
        let live = node.attach(&cores.db);
        let topic = topics.join(node, *cores.db.discovery_key(), server);
        let db = FollowedCore::new(node, &topic, live.core());
        let mirrors = Mirrors::new(node, &cores, db.live().clone());
        let db = db.mirrored(&mirrors, Part::Db);
        let drive = Self { cores, topic, db, blobs: OnceLock::new(), mirrors };
        drive.blobs()?;
        Ok(drive)
    }

    /// The cores in the store.
    pub fn cores(&self) -> &DriveCores {
        &self.cores
    }

    /// The node it is on.
    pub fn node(&self) -> &Arc<Node> {
        &self.db.node
    }

    /// Its topic.
    pub fn topic(&self) -> &Topic {
        &self.topic
    }

    /// Its mirrors: none until they are added.
    pub fn mirrors(&self) -> &Mirrors {
        &self.mirrors
    }

    /// The db core.
    pub fn db(&self) -> &FollowedCore {
        &self.db
    }

    /// The blobs core, once the db's manifest is known.
    ///
    /// # Errors
    /// What the store says.
    pub fn blobs(&self) -> Result<Option<&FollowedCore>, FollowError> {
        if self.blobs.get().is_none()
            && let Some(core) = self.cores.blobs()?
        {
            let blobs = FollowedCore::new(&self.db.node, &self.topic, &core).beside(&self.db);
            self.mirrors.blobs_are(blobs.live());
            let _ = self.blobs.set(blobs.mirrored(&self.mirrors, Part::Blobs));
        }
        Ok(self.blobs.get())
    }

    /// The blobs core.
    ///
    /// # Errors
    /// [`FollowError::NotADrive`] when the db's manifest names none, or is not known; what the store says.
    pub fn need_blobs(&self) -> Result<&FollowedCore, FollowError> {
        self.blobs()?.ok_or(FollowError::NotADrive)
    }

    /// The blobs core, if it was asked for since its manifest is known.
    pub fn known_blobs(&self) -> Option<&FollowedCore> {
        self.blobs.get()
    }

    /// One of its cores; the blobs core as [`FollowedDrive::known_blobs`].
    pub fn core(&self, name: CoreName) -> Option<&FollowedCore> {
        match name {
            CoreName::Db => Some(&self.db),
            CoreName::Blobs => self.blobs.get(),
        }
    }

    /// Snapshots of db and blobs.
    pub fn statuses(&self) -> (CoreStatus, CoreStatus) {
        (self.db.status(), self.blobs.get().map(FollowedCore::status).unwrap_or_default())
    }

    /// Waits until `look` answers, looking again whenever anything of the node has changed. `None`: the time is over.
    ///
    /// # Errors
    /// [`FollowError::Stopped`]; [`FollowError::NotStored`] when a core cannot go on; what `look` fails with.
    pub fn wait<T, E: From<FollowError>>(
        &self,
        wait: &mut Wait<'_>,
        mut look: impl FnMut(&mut Alarm) -> Result<Option<T>, E>,
    ) -> Result<Option<T>, E> {
        let mut urgent = Lazy::default();
        self.idle(wait, |alarm| {
            let found = look(alarm)?;
            if found.is_none() {
                urgent.begin(&self.topic);
            }
            Ok(found)
        })
    }

    /// As [`FollowedDrive::wait`], for those who wait for nothing that peers have: the topic is not urgent.
    ///
    /// # Errors
    /// As [`FollowedDrive::wait`].
    pub fn idle<T, E: From<FollowError>>(
        &self,
        wait: &mut Wait<'_>,
        mut look: impl FnMut(&mut Alarm) -> Result<Option<T>, E>,
    ) -> Result<Option<T>, E> {
        let ends_alone = wait.ends_unanswered();
        let found = wait.run(self.node().signal(), |alarm| {
            let (db, blobs) = self.statuses();
            check(&db)?;
            check(&blobs)?;
            let found = look(alarm)?;
            let settled = self.mirrors.is_settled(1);
            let vain = ends_alone && db.peers.is_empty() && settled && self.node().status().unanswered;
            Ok::<_, E>((found.is_some() || vain).then_some(found))
        })?;
        Ok(found.flatten())
    }

    /// Fails when one of its cores cannot go on, for those who wait for several drives at once.
    ///
    /// # Errors
    /// [`FollowError::NotStored`].
    pub fn check(&self) -> Result<(), FollowError> {
        let (db, blobs) = self.statuses();
        check(&db)?;
        check(&blobs)
    }

    /// Has every peer prove from now on that its history is ours.
    pub fn compare(&self) {
        self.db.live().compare();
        if let Some(blobs) = self.blobs.get() {
            blobs.live().compare();
        }
    }

    /// Who holds everything, as far as they told. `None` for `needed` ([`DriveCores::blobs_needed`]) counts nobody.
    pub fn copies(&self, needed: Option<u64>) -> Copies {
        let (db, blobs) = self.statuses();
        copies(&db, &blobs, needed)
    }

    /// Peers that hold both cores as far as these are here, by such snapshots of both. Without a blobs core: nobody.
    pub fn full_copies(&self, db: &CoreStatus, blobs: &CoreStatus) -> BTreeSet<PublicKey> {
        copies(db, blobs, self.known_blobs().map(|_| 0)).full
    }

    /// Other histories that peers proved, at the present forks.
    pub fn conflicts(&self) -> Vec<(CoreName, ConflictStatus)> {
        let (db, blobs) = self.statuses();
        let db = db.conflicts.into_iter().map(|c| (CoreName::Db, c));
        db.chain(blobs.conflicts.into_iter().map(|c| (CoreName::Blobs, c))).collect()
    }

    /// Calls `changed` whenever there may be a newer head, a first peer has come, or another history was proved. From a
    /// thread of its own, which sleeps until something happens; it ends with what is returned.
    ///
    /// While somebody says that there is more and does not deliver it, others are looked for.
    ///
    /// # Errors
    /// What the operating system says when a thread cannot be had.
    pub fn on_change(&self, changed: Box<dyn Fn() + Send + Sync>) -> std::io::Result<News> {
        News::start(self.db.clone(), changed)
    }
}

/// Waits for several drives of one node at once: until `look` answers, looking again whenever anything has changed.
/// `None`: the time is over.
///
/// # Errors
/// [`FollowError::Stopped`]; what `look` fails with.
pub fn wait_for<'t, T, E: From<FollowError>>(
    node: &Node,
    topics: impl IntoIterator<Item = &'t Topic> + Clone,
    wait: &mut Wait<'_>,
    mut look: impl FnMut(&mut Alarm) -> Result<Option<T>, E>,
) -> Result<Option<T>, E> {
    let mut urgent = Vec::new();
    wait.run(node.signal(), |alarm| {
        let found = look(alarm)?;
        if found.is_none() && urgent.is_empty() {
            urgent.extend(topics.clone().into_iter().map(Topic::urgent));
        }
        Ok(found)
    })
}

/// Who holds all of both cores as they are here, as far as they told. `None` for `needed` (how long the blobs must be for the
/// files of the db) counts nobody.
pub fn copies(db: &CoreStatus, blobs: &CoreStatus, needed: Option<u64>) -> Copies {
    let whole = |s: &CoreStatus, key: &PublicKey| {
        s.length == 0 || s.peers.iter().any(|p| p.key == *key && p.holds(s.fork, s.length))
    };
    let known = db.length > 0 && needed.is_some_and(|n| blobs.length >= n);
    let full = db.peers.iter().map(|p| p.key).filter(|k| known && whole(db, k) && whole(blobs, k)).collect();
    Copies { full, peers: db.peers.len() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bosc_node::PeerStatus;

    fn status(length: u64, peers: &[(u8, u64)]) -> CoreStatus {
        let peer = |(key, held): &(u8, u64)| PeerStatus {
            key: [*key; 32],
            synced: true,
            fork: 0,
            length,
            contiguous_length: *held,
            proved_length: 0,
            other_history: false,
            unproved: 0,
            stale: false,
            uploaded_bytes: 0,
        };
        CoreStatus { length, peers: peers.iter().map(peer).collect(), ..CoreStatus::default() }
    }

    #[test]
    fn a_copy_is_whole_in_both_cores() {
        let db = status(3, &[(1, 3), (2, 3), (3, 2)]);
        let blobs = status(7, &[(1, 7), (2, 6), (3, 7)]);
        let full = |needed| copies(&db, &blobs, needed).full;
        assert_eq!(full(Some(7)), BTreeSet::from([[1; 32]]));
        assert_eq!(full(Some(8)), BTreeSet::new(), "the blobs we know are too short");
        assert_eq!(full(None), BTreeSet::new(), "what is needed is not known");
        assert_eq!(copies(&db, &status(0, &[]), Some(0)).full.len(), 2);
        let unknown = status(0, &[(1, 0), (2, 0)]);
        assert_eq!(
            copies(&unknown, &unknown, Some(0)).full,
            BTreeSet::new(),
            "nothing is known of the drive"
        );
        assert_eq!(copies(&db, &blobs, None).peers, 3);
    }
}
