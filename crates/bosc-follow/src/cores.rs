//! A drive's two cores in the store.

use crate::error::FollowError;
use crate::source::CoreSource;
use bosc_drive::drive::Drive;
use bosc_format::crypto::CoreKey;
use bosc_format::link::PearLink;
use bosc_store::{Core, CreateOptions, Store};
use std::fmt;

/// Which of a drive's cores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "lowercase"))]
pub enum CoreName {
    /// The tree of entries; its key is the link's.
    Db,
    /// The contents of files.
    Blobs,
}

impl fmt::Display for CoreName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl CoreName {
    /// `db` or `blobs`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Db => "db",
            Self::Blobs => "blobs",
        }
    }
}

/// A drive's cores in a store. The blobs core's key follows from the db's manifest, which may have to come from a peer
/// first.
#[derive(Debug, Clone)]
pub struct DriveCores {
    /// The store both are in.
    pub store: Store,
    /// The db core.
    pub db: Core,
}

impl DriveCores {
    /// The drive of a key, which may be empty here.
    ///
    /// # Errors
    /// What the store says.
    pub fn open(store: &Store, key: &CoreKey) -> Result<Self, FollowError> {
        Ok(Self::new(store, store.open_core(key)?))
    }

    /// The drive of a db core.
    pub fn new(store: &Store, db: Core) -> Self {
        Self { store: store.clone(), db }
    }

    /// The link's key.
    pub fn key(&self) -> &CoreKey {
        self.db.key()
    }

    /// The blobs core, once the db's manifest is known. Writable when the db is.
    ///
    /// # Errors
    /// What the store says.
    pub fn blobs(&self) -> Result<Option<Core>, FollowError> {
        let Some(manifest) = self.db.manifest() else { return Ok(None) };
        let Some(blobs) = manifest.blobs(self.db.key()) else { return Ok(None) };
        let options = match self.db.key_pair() {
            Some(pair) => CreateOptions::with_key_pair(pair),
            None => CreateOptions::new(),
        };
        Ok(Some(self.store.create_core(options.manifest(blobs))?))
    }

    /// How long the blobs core must be for the files of the db's head; `None` while the db is not all here. What is not
    /// a drive has no files to wait for.
    pub fn blobs_needed(&self) -> Option<u64> {
        match self.db.length() {
            0 => Some(0),
            length if self.db.contiguous_length() < length => None,
            _ => Some(Drive::new(CoreSource::new(&self.db)).blobs_length().unwrap_or(0)),
        }
    }

    /// Whether every block of both cores' heads is here.
    ///
    /// # Errors
    /// What the store says.
    pub fn is_whole(&self) -> Result<bool, FollowError> {
        let whole = |core: &Core| core.contiguous_length() >= core.length();
        Ok(whole(&self.db) && self.blobs()?.is_none_or(|blobs| whole(&blobs)))
    }

    /// The link without a version.
    pub fn plain_link(&self) -> String {
        PearLink::new(*self.key()).to_string()
    }

    /// The link that names the present version.
    pub fn verlink(&self) -> String {
        let head = self.db.head();
        PearLink::verlink(*self.key(), head.fork, head.length).to_string()
    }

    /// The link that names the present version and its content.
    pub fn hashlink(&self) -> String {
        let head = self.db.head();
        PearLink::hashlink(*self.key(), head.fork, head.length, head.tree_hash()).to_string()
    }

    /// Whether the head is what a versioned link names: its fork, and its tree hash where it names one.
    ///
    /// # Errors
    /// [`FollowError::OtherFork`], [`FollowError::HashMismatch`].
    pub fn check_link(&self, link: &PearLink) -> Result<(), FollowError> {
        let (Some(version), head) = (link.version, self.db.head()) else { return Ok(()) };
        if head.length > 0 && version.fork != head.fork {
            return Err(FollowError::OtherFork { asked: version.fork, have: head.fork });
        }
        if let Some(hash) = link.hash
            // A node that is not here yet makes it unknown; then the proof of each block still has to hold.
            && self.db.head_at(version.length).is_ok_and(|there| there.tree_hash() != hash)
        {
            return Err(FollowError::HashMismatch { length: version.length });
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use bosc_store::Options;

    #[test]
    fn a_link_names_a_fork_and_a_history() {
        let store = Store::memory(Options::default()).unwrap();
        let db = store.create_core(CreateOptions::new()).unwrap();
        let key = *db.key();
        let check = |cores: &DriveCores, link: &str| cores.check_link(&PearLink::parse(link).unwrap());
        let cores = DriveCores::new(&store, db);
        let other = PearLink::verlink(key, 7, 2).to_string();
        assert!(check(&cores, &other).is_ok(), "nothing is here that could contradict it");
        cores.db.append(&["a".into(), "b".into(), "c".into()]).unwrap();
        let (link, hashlink) = (cores.verlink(), cores.hashlink());
        let at_two = cores.db.head_at(2).unwrap().tree_hash();
        cores.db.append(&["d".into()]).unwrap();
        assert!(check(&cores, &link).is_ok() && check(&cores, &hashlink).is_ok());
        assert!(check(&cores, &cores.plain_link()).is_ok());
        let e = check(&cores, &other).unwrap_err();
        assert!(matches!(e, FollowError::OtherFork { asked: 7, have: 0 }), "{e}");
        let e = check(&cores, &PearLink::hashlink(key, 0, 3, at_two).to_string()).unwrap_err();
        assert!(matches!(e, FollowError::HashMismatch { length: 3 }), "{e}");
    }
}
