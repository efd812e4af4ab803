//! Links whose write key more than one machine has, or whose store was copied.
//!
//! Two machines that each append to what they believe is the newest version make two histories of one core, and no
//! follower can ever tell which is right. So a key that was exported or imported marks its link in the store, and
//! whoever writes to a marked link calls [`Engine::before_writing`] first.
//!
//! States of a link, in the row [`ROW`] kept with its db core:
//! * no row: the key never left, this store has the newest version;
//! * *pending* (a row with the seed): imported. The seed is not the core's key pair yet, so no code path of this
//!   store can write to the link, whatever it forgets;
//! * *shared* (a row without it): writable, to be checked before every write.
//!
//! A store that is a copy of another ([`bosc_store::Store::copied`]) has all links that were in it as if imported, without
//! a row of their own, until it is declared to be the only copy.
//!
//! `before_writing` asks peers for the newest version, fetches it whole (who writes a link must be able to seed it),
//! refuses when nobody answers or what is here is older than what the key file names, and only then turns pending into
//! shared. Peers whose word is taken proved that their history is this store's; one that proves another ends it with
//! `ERR_FORKED` before anything is written. Two machines that write at one moment see each other: what it gives is held
//! until the writing is over. It cannot see a version that no peer it reached has; that is why somebody has to seed a shared link.

use super::Engine;
use super::conflict::{Conflicts, forked_at};
use super::drive::{CoreSource, DriveCores, drive_error};
use super::errors::store_error;
use super::follow::timed_out;
use super::run_lock::RunLock;
use crate::command::{Sink, Stop};
use crate::error::{CommandError, ErrorKind};
use crate::event::link::{CatchUpStats, Downloaded, LinkEvent};
use bosc_drive::bee::Bee;
use bosc_drive::drive::{EntryValue, FILES_PREFIX};
use bosc_follow::vouch::Claim;
use bosc_follow::{FollowError, FollowedCore, Wait};
use bosc_format::crypto::KeyPair;
use bosc_format::id;
use bosc_node::CoreStatus;
use bosc_store::{Core, CreateOptions, Evidence};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::{Duration, Instant};
use zeroize::{Zeroize, Zeroizing};

/// Name of the row.
const ROW: &str = "shared-key";
/// How long peers are looked for, and how long a download may stand still.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two `stats` events.
const STATS_EVERY: Duration = Duration::from_millis(500);

/// What is remembered of a shared link.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SharedKey {
    /// The link's newest version that this store heard of: nothing older is written on.
    pub(crate) fork: u64,
    pub(crate) length: u64,
    pub(crate) blobs_length: u64,
    /// The key, until it may be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) seed: Option<String>,
}

impl Drop for SharedKey {
    fn drop(&mut self) {
        self.seed.zeroize();
    }
}

impl SharedKey {
    /// Reads the row of a drive's db core.
    pub(crate) fn of(db: &Core) -> Result<Option<Self>, CommandError> {
        let Some(bytes) = db.user_data(ROW).map_err(store_error)?.map(Zeroizing::new) else {
            return Ok(None);
        };
        serde_json::from_slice(&bytes).map(Some).map_err(|e| {
            CommandError::new(
                ErrorKind::Store,
                "ERR_STORE_DAMAGED",
                "what the store knows about a shared key is damaged",
            )
            .because(e)
            .hint("import the key file again with `bosc keys import`")
        })
    }

    /// The link's key pair: the one that may not be used yet, or the core's.
    fn key_pair(&self, drive: &DriveCores) -> Result<Option<KeyPair>, CommandError> {
        let Some(seed) = &self.seed else { return Ok(drive.db.key_pair()) };
        let mut seed = id::decode(seed).map_err(|_| {
            CommandError::new(ErrorKind::Store, "ERR_STORE_DAMAGED", "an imported key is damaged")
                .hint("import the key file again with `bosc keys import`")
        })?;
        let pair = KeyPair::from_seed(&seed);
        seed.zeroize();
        Ok(Some(pair))
    }

    /// Writes the row. Durable on return.
    pub(crate) fn keep(&self, db: &Core) -> Result<(), CommandError> {
        let bytes = serde_json::to_vec(self).map(Zeroizing::new);
        let bytes = bytes.map_err(|e| CommandError::failed("the key could not be written").because(e))?;
        db.set_user_data(ROW, Some(&bytes)).map_err(store_error)
    }
}

/// How it is known that this store has a link's newest version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Newest {
    /// Not yet: peers are asked.
    Unknown,
    /// The user says so (`--newest`). It counts for a key that is on several machines, not for a copied store: who copied one
    /// knows of the copy, seldom of what was signed with the other since. That is said once, with `--sole-copy`.
    Told,
    /// This command learned it a moment ago and holds what [`Engine::before_writing`] gave, or it writes nothing.
    Learned,
}

impl Newest {
    /// What a command's flags say.
    pub(crate) fn of_flags(newest: bool) -> Self {
        if newest { Self::Told } else { Self::Unknown }
    }
}

impl Engine {
    /// Whether other machines may have the link's key as well.
    pub(crate) fn is_shared(&self, drive: &DriveCores) -> Result<bool, CommandError> {
        Ok(SharedKey::of(&drive.db)?.is_some() || self.store.may_be_elsewhere(&drive.db))
    }

    /// To be called before anything is appended to a link or cut from it. Makes sure that nothing newer is known to
    /// peers, and makes an imported key usable. Nobody else who has the key writes while that is held; see [`super::run_lock`].
    pub(crate) fn before_writing(
        &self,
        drive: &DriveCores,
        newest: Newest,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<Option<RunLock>, CommandError> {
        let kept = SharedKey::of(&drive.db)?;
        let copied = self.store.copied().filter(|_| self.store.may_be_elsewhere(&drive.db));
        let row = match (&kept, copied) {
            (Some(row), _) => row.clone(),
            (None, Some(_)) => self.as_shared(drive)?,
            (None, None) => return Ok(None),
        };
        if let Some(copied) = copied {
            sink.tell(LinkEvent::StoreCopied {
                store: self.dir.clone(),
                evidence: copied.evidence.to_string(),
                link: drive.plain_link(),
            });
        }
        let mut lock = None;
        let known = match newest {
            Newest::Unknown => false,
            Newest::Told => copied.is_none(),
            Newest::Learned => true,
        };
        if !known {
            // Told before anything is waited for.
            sink.tell(LinkEvent::Checking {
                link: drive.plain_link(),
                length: drive.db.length(),
                at_least: row.length,
            });
            // It looks for the DHT while the lock does.
            self.node()?;
            if let Some(pair) = row.key_pair(drive)? {
                lock = Some(RunLock::take(self.bootstrap.clone(), &pair, PATIENCE, sink, stop)?);
            }
            // Both looked for a network all that time: nobody can say what is newest, and no more waiting helps.
            let alone = lock.as_ref().is_some_and(RunLock::is_unanswered) && self.unanswered().is_some();
            let learned = match alone {
                true => Err(nobody(drive, &row, &CoreStatus::default())),
                false => self.catch_up(drive, &row, sink, stop),
            };
            learned.map_err(|e| match copied {
                Some(c) if e.code() == "ERR_NOT_NEWEST" => copied_store(drive, c.evidence, e),
                _ => e,
            })?;
        }
        let head = drive.db.head();
        let behind = head.fork < row.fork || (head.fork == row.fork && head.length < row.length);
        let whole = drive.db.contiguous_length() >= head.length;
        let blobs = drive.blobs()?;
        let blobs_length = blobs.as_ref().map_or(0, Core::length);
        let needed = if whole { history_blobs_length(&drive.db).map_err(drive_error)? } else { u64::MAX };
        let floor = if head.fork == row.fork { needed.max(row.blobs_length) } else { needed };
        if behind || !whole || (head.length > 0 && blobs_length < floor) {
            return Err(CommandError::new(
                ErrorKind::NotFound,
                "ERR_NOT_NEWEST",
                format!(
                    "this store has length {} of the link, and the key came with length {}",
                    head.length, row.length
                ),
            )
            .hint("fetch all of it first with `bosc seed <link>` from whoever has it; nothing was written"));
        }
        if let Some(lock) = &lock {
            lock.check()?;
        }
        self.use_key(drive, &row)?;
        let next = SharedKey { fork: head.fork, length: head.length, blobs_length, seed: None };
        if kept.is_some() && next != row {
            next.keep(&drive.db)?;
        }
        sink.tell(LinkEvent::Newest { verlink: drive.verlink(), length: head.length, told: known });
        Ok(lock)
    }

    /// What a link of a copied store is checked by: no less than what is here.
    fn as_shared(&self, drive: &DriveCores) -> Result<SharedKey, CommandError> {
        let head = drive.db.head();
        let blobs_length = drive.blobs()?.map_or(0, |b| b.length());
        Ok(SharedKey { fork: head.fork, length: head.length, blobs_length, seed: None })
    }

    /// Gives the drive's cores the pending key.
    fn use_key(&self, drive: &DriveCores, row: &SharedKey) -> Result<(), CommandError> {
        if row.seed.is_none() {
            return Ok(());
        }
        let Some(pair) = row.key_pair(drive)? else { return Ok(()) };
        let mut options = CreateOptions::with_key_pair(pair.clone());
        if let Some(manifest) = drive.db.manifest() {
            options = options.manifest((*manifest).clone());
        }
        if pair.public() == *drive.db.key() {
            options = options.compat();
        }
        let core = self.store.create_core(options).map_err(store_error)?;
        if core.key() != drive.db.key() || !drive.db.writable() {
            return Err(CommandError::new(
                ErrorKind::Integrity,
                "ERR_WRONG_KEY",
                "the key is not the link's",
            )
            .hint("import the right key file with `bosc keys import`"));
        }
        drive.blobs()?;
        self.store.flush().map_err(store_error)
    }

    fn catch_up(
        &self,
        drive: &DriveCores,
        row: &SharedKey,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<(), CommandError> {
        let followed = self.follow_drive(drive, false)?;
        let result = (|| {
            learn(drive, followed.db(), row, sink, stop)?;
            let Some(blobs) = followed.blobs()? else { return Ok(()) };
            let needed = history_blobs_length(&drive.db).map_err(drive_error)?;
            if needed > 0 || row.blobs_length > 0 {
                // The peers of the db may take a moment to open the blobs core.
                learn(drive, blobs, row, sink, stop)?;
            }
            Ok(())
        })();
        Conflicts::default().tell(self, &followed, sink)?;
        let node = Arc::clone(followed.node());
        drop(followed);
        let _ = node.flush();
        result
    }
}

/// The store is a copy, and no peer could say what is newest.
fn copied_store(drive: &DriveCores, evidence: Evidence, because: CommandError) -> CommandError {
    CommandError::new(
        ErrorKind::Store,
        "ERR_STORE_COPIED",
        format!("this store is a copy of another ({evidence}), and no peer showed the link's newest version; nothing was written"),
    )
    .because(because)
    .hint(format!(
        "two copies that both write make two histories of a link. Seed {} where its newest version is and run this again; \
         only if no other copy was or will be written to, say so once: add --sole-copy",
        drive.plain_link()
    ))
}

fn nobody(drive: &DriveCores, row: &SharedKey, status: &CoreStatus) -> CommandError {
    CommandError::new(
        ErrorKind::Network,
        "ERR_NOT_NEWEST",
        "no peer answered, so it is not known whether this store has the link's newest version",
    )
    .because(timed_out(status))
    .hint(format!(
        "seed {} on a machine that has it (length {} or more) and stage again; only if you know that this store has \
         the newest version, add --newest: two histories of one link cannot be joined",
        drive.plain_link(),
        row.length
    ))
}

/// Brings a core to its newest head, for which somebody vouches, and gets all of it.
fn learn(
    drive: &DriveCores,
    core: &FollowedCore,
    row: &SharedKey,
    sink: &mut dyn Sink,
    stop: &Stop,
) -> Result<(), CommandError> {
    let word = core.vouched(&mut Wait::new(stop).timeout(PATIENCE)).map_err(|e| match e {
        FollowError::Forked { peer } => forked_at(drive, &peer),
        e => e.into(),
    })?;
    if !word.vouched {
        return Err(nobody(drive, row, &core.status()));
    }
    tell_unproved(&word.unproved, sink);
    let mut told = Instant::now();
    let mut tell = || {
        // What is over at once has nothing to tell.
        if told.elapsed() < STATS_EVERY {
            return !stop.is_stopped();
        }
        told = Instant::now();
        let s = core.status();
        sink.tell(LinkEvent::Stats(CatchUpStats {
            peers: s.peers.len(),
            drive_length: s.length,
            download: Downloaded { total_bytes: s.downloaded_bytes, total_blocks: s.downloaded_blocks },
            upload: (),
        }));
        !stop.is_stopped()
    };
    core.whole(&mut Wait::new(stop).stall(PATIENCE).tell(STATS_EVERY, &mut tell)).map_err(|e| match e {
        e @ FollowError::TimedOut(_) => CommandError::from(e)
            .hint("no peer holds a full copy of the link; seed it from a machine that does"),
        e => e.into(),
    })
}

/// How many blocks of blobs all entries that were ever written name. The whole db must be here.
fn history_blobs_length(db: &Core) -> Result<u64, bosc_drive::Error> {
    let mut length = 0;
    if db.length() == 0 {
        return Ok(0);
    }
    for step in Bee::new(CoreSource::new(db)).history(1) {
        let entry = step?.entry;
        let Some(value) = entry.value.as_deref().filter(|_| entry.key.starts_with(FILES_PREFIX)) else {
            continue;
        };
        if let Some(blob) = EntryValue::decode(entry.seq, value).ok().and_then(|v| v.blob) {
            length = length.max(blob.block_offset.saturating_add(blob.block_length));
        }
    }
    Ok(length)
}

/// Tells of peers whose claim to be ahead does not count.
pub(crate) fn tell_unproved(claims: &[Claim], sink: &mut dyn Sink) {
    for c in claims {
        sink.tell(LinkEvent::UnprovedPeer { peer: id::encode(&c.peer), fork: c.fork, length: c.length });
    }
}
