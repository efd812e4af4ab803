//! Links whose write key more than one machine has.
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
//! `before_writing` asks peers for the newest version, fetches it whole (who writes a link must be able to seed it),
//! refuses when nobody answers or what is here is older than what the key file names, and only then turns pending into
//! shared. Peers whose word is taken proved that their history is this store's; one that proves another ends it with
//! `ERR_FORKED` before anything is written. Two machines that write at one moment see each other: what it gives is held
//! until the writing is over. It cannot see a version that no peer it reached has; that is why somebody has to seed a shared link.

use super::ci::{claims_in_vain, forked, tell_unproved};
use super::drive::{CoreSource, DriveCores, drive_error};
use super::run_lock::RunLock;
use super::wait::{core_failed, stopped, timed_out};
use super::{Engine, store_error};
use crate::command::{Sink, Stop};
use crate::error::{CommandError, ErrorKind};
use bosc_drive::bee::Bee;
use bosc_drive::drive::{EntryValue, FILES_PREFIX};
use bosc_format::crypto::KeyPair;
use bosc_format::id;
use bosc_node::{CoreStatus, Download, LiveCore, Node, PeerStatus, TICK};
use bosc_store::{Core, CreateOptions};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use zeroize::{Zeroize, Zeroizing};

/// Name of the row.
const ROW: &str = "shared-key";
/// How long peers are looked for, and how long a download may stand still.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often peers are looked for again while there is none whose word counts.
const LOOK_AGAIN: Duration = Duration::from_secs(3);
/// Between two `stats` events.
const STATS_EVERY: Duration = Duration::from_millis(500);

/// What is remembered of a shared link.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SharedKey {
    /// The link's newest version that this store heard of: nothing older is written on.
    pub(super) fork: u64,
    pub(super) length: u64,
    pub(super) blobs_length: u64,
    /// The key, until it may be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) seed: Option<String>,
}

impl Drop for SharedKey {
    fn drop(&mut self) {
        self.seed.zeroize();
    }
}

impl SharedKey {
    /// Reads the row of a drive's db core.
    pub(super) fn of(db: &Core) -> Result<Option<Self>, CommandError> {
        let Some(bytes) = db.user_data(ROW).map_err(store_error)?.map(Zeroizing::new) else {
            return Ok(None);
        };
        serde_json::from_slice(&bytes).map(Some).map_err(|e| {
            CommandError::new(
                ErrorKind::Store,
                "ERR_STORE_CORRUPT",
                "what the store knows of a shared key is damaged",
            )
            .because(e)
            .hint("import the key file again with `bosc keys import`")
        })
    }

    /// The link's key pair: the one that may not be used yet, or the core's.
    fn key_pair(&self, drive: &DriveCores) -> Result<Option<KeyPair>, CommandError> {
        let Some(seed) = &self.seed else { return Ok(drive.db.key_pair()) };
        let mut seed = id::decode(seed).map_err(|_| {
            CommandError::new(ErrorKind::Store, "ERR_STORE_CORRUPT", "an imported key is damaged")
                .hint("import the key file again with `bosc keys import`")
        })?;
        let pair = KeyPair::from_seed(&seed);
        seed.zeroize();
        Ok(Some(pair))
    }

    /// Writes the row. Durable on return.
    pub(super) fn keep(&self, db: &Core) -> Result<(), CommandError> {
        let bytes = serde_json::to_vec(self).map(Zeroizing::new);
        let bytes = bytes.map_err(|e| CommandError::failed("the key could not be written").because(e))?;
        db.set_user_data(ROW, Some(&bytes)).map_err(store_error)
    }
}

impl Engine {
    /// Whether other machines may have the link's key as well.
    pub(super) fn is_shared(&self, drive: &DriveCores) -> Result<bool, CommandError> {
        Ok(SharedKey::of(&drive.db)?.is_some())
    }

    /// To be called before anything is appended to a link or cut from it. Makes sure that nothing newer is known to
    /// peers, and makes an imported key usable. `newest`: the caller knows that this store has the newest version, or
    /// holds what this gives. Nobody else who has the key writes while that is held; see [`super::run_lock`].
    pub(super) fn before_writing(
        &self,
        drive: &DriveCores,
        newest: bool,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<Option<RunLock>, CommandError> {
        let Some(row) = SharedKey::of(&drive.db)? else { return Ok(None) };
        let mut lock = None;
        if !newest {
            if let Some(pair) = row.key_pair(drive)? {
                lock = Some(RunLock::take(self.bootstrap.clone(), &pair, PATIENCE, sink, stop)?);
            }
            sink.event(
                "checking",
                json!({ "link": drive.plain_link(), "length": drive.db.length(), "atLeast": row.length }),
            );
            self.catch_up(drive, &row, sink, stop)?;
        }
        let head = drive.db.head();
        let behind = head.fork < row.fork || (head.fork == row.fork && head.length < row.length);
        let whole = drive.db.contiguous_length() >= head.length;
        let blobs = drive.blobs(self)?;
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
        if next != row {
            next.keep(&drive.db)?;
        }
        sink.event("newest", json!({ "verlink": drive.verlink(), "length": head.length, "told": newest }));
        Ok(lock)
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
        drive.blobs(self)?;
        self.store.flush().map_err(store_error)
    }

    fn catch_up(
        &self,
        drive: &DriveCores,
        row: &SharedKey,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<(), CommandError> {
        let node = self.node()?;
        let topic = *drive.db.discovery_key();
        let db = node.attach(&drive.db);
        let joined = self.join_topic(&node, topic, false);
        let result = (|| {
            if !settle(&node, &db, topic, sink, stop)? {
                return Err(nobody(drive, row, &db.status()));
            }
            fetch_all(&node, &db, sink, stop)?;
            let Some(core) = drive.blobs(self)? else { return Ok(()) };
            let live = node.attach(&core);
            let needed = history_blobs_length(&drive.db).map_err(drive_error)?;
            if needed > 0 || row.blobs_length > 0 {
                // The peers of the db may take a moment to open the blobs core.
                if !settle(&node, &live, topic, sink, stop)? {
                    return Err(nobody(drive, row, &live.status()));
                }
                fetch_all(&node, &live, sink, stop)?;
            }
            Ok(())
        })();
        drop(joined);
        let _ = node.flush();
        result
    }
}

fn nobody(drive: &DriveCores, row: &SharedKey, status: &CoreStatus) -> CommandError {
    CommandError::new(
        ErrorKind::Network,
        "ERR_NOT_NEWEST",
        "no peer answered, so nobody can say whether this store has the link's newest version",
    )
    .because(timed_out(status))
    .hint(format!(
        "seed {} on a machine that has it (length {} or more) and stage again; only if you know that this store has \
         the newest version, add --newest: two histories of one link cannot be joined",
        drive.plain_link(),
        row.length
    ))
}

/// Waits until discovery is over and every connected peer has told what it has, and we have the newest head of it.
/// False: nobody is there.
fn settle(
    node: &Node,
    core: &LiveCore,
    topic: [u8; 32],
    sink: &mut dyn Sink,
    stop: &Stop,
) -> Result<bool, CommandError> {
    core.compare();
    let deadline = Instant::now() + PATIENCE;
    let mut looked = Instant::now();
    let found = node.signal().wait(Some(deadline), TICK, || {
        if stop.is_stopped() {
            return Some(Err(stopped()));
        }
        let s = core.status();
        if let Some(why) = &s.failed {
            return Some(Err(core_failed(why)));
        }
        if let Some(peer) = s.peers.iter().find(|p| p.other_history) {
            return Some(Err(forked(peer)));
        }
        let behind = s.peers.iter().any(|p| (p.fork, p.length) > (s.fork, s.length));
        let told = vouched(&s) && s.peers.iter().all(|p| p.synced && is_compared(p, &s));
        if told && !behind && node.is_flushed(&topic) && (s.length == 0 || s.has_manifest) {
            return Some(Ok(true));
        }
        if !vouched(&s) && looked.elapsed() >= LOOK_AGAIN && node.is_flushed(&topic) {
            looked = Instant::now();
            node.refresh(topic);
        }
        None
    });
    match found {
        Some(result) => result,
        None => {
            let s = core.status();
            // A peer that never says what it has, or cannot prove it, does not keep the others' word from counting; one
            // that has more does.
            let ahead = |p: &PeerStatus| (p.fork, p.length) > (s.fork, s.length);
            if s.peers.iter().any(|p| ahead(p) && !claims_in_vain(p)) {
                return Err(timed_out(&s));
            }
            if vouched(&s) {
                tell_unproved(&s, sink);
            }
            Ok(vouched(&s))
        }
    }
}

/// Whether a peer showed that what it has is of our history; at an older fork it has nothing to say.
fn is_compared(p: &PeerStatus, s: &CoreStatus) -> bool {
    p.length == 0 || p.fork != s.fork || p.proved_length >= p.length.min(s.length)
}

/// Whether some peer's word can be taken: with a history here, that of one that proved to have it too.
fn vouched(s: &CoreStatus) -> bool {
    s.peers.iter().any(|p| {
        p.synced
            && (s.length == 0
                || (p.length > 0 && p.fork == s.fork && p.length <= s.length && is_compared(p, s)))
    })
}

/// Downloads every block of a core.
fn fetch_all(node: &Node, core: &LiveCore, sink: &mut dyn Sink, stop: &Stop) -> Result<(), CommandError> {
    let _all = core.download(Download::live());
    let mut seen = (0, Instant::now());
    let mut told = Instant::now();
    loop {
        let s = core.status();
        if core.core().contiguous_length() >= s.length {
            return Ok(());
        }
        if stop.is_stopped() {
            return Err(stopped());
        }
        if let Some(why) = &s.failed {
            return Err(core_failed(why));
        }
        if s.downloaded_blocks != seen.0 {
            seen = (s.downloaded_blocks, Instant::now());
        } else if seen.1.elapsed() > PATIENCE {
            return Err(
                timed_out(&s).hint("the peers do not have all of the link; seed it from one that has")
            );
        }
        if told.elapsed() >= STATS_EVERY {
            told = Instant::now();
            sink.event(
                "stats",
                json!({ "peers": s.peers.len(), "driveLength": s.length,
                        "download": { "totalBytes": s.downloaded_bytes, "totalBlocks": s.downloaded_blocks },
                        "upload": Value::Null }),
            );
        }
        let wait = Instant::now() + TICK;
        node.signal().wait(Some(wait), TICK, || (core.status() != s).then_some(()));
    }
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
