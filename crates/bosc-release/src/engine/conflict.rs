//! Two histories of one link.
//!
//! Whoever signs a link in two places makes two histories of it. Peers of each follow their own, and nothing joins them
//! again: an upgrade signed on one is not a valid upgrade of the other. What can be done is to say so, everywhere it is
//! met, with both heads: the event `conflict`, once for each other history in a command.
//!
//! A conflict that a peer proved is kept with the link's db core in the row [`ROW`], so that the next command knows it
//! without that peer. It holds for its fork: a link that is cut back to what both histories share goes on at a higher
//! fork, which peers of both follow.
//!
//! What commands do: those that sign (`stage`, `publish`, `provision`, `line promote`, `rotate`, `commit`) refuse with
//! `ERR_FORKED`; the ways out, `stage --truncate` and `commit --force-dangerous`, do not. `seed`, `info`, `dump` and
//! `doctor` tell it and go on with the history that is here.

use super::Engine;
use super::drive::DriveCores;
use super::errors::store_error;
use super::open::Opened;
use crate::command::Stop;
use crate::error::{CommandError, ErrorKind};
use crate::event::Sink;
use crate::event::link::{Conflict, HistoryHead, LinkEvent};
use bosc_follow::vouch::is_uncompared;
use bosc_follow::{FollowError, FollowedDrive, Wait};
use bosc_format::crypto::{Hash, PublicKey};
use bosc_format::id;
use bosc_node::{ConflictStatus, HeadSummary};
use bosc_store::Core;
use std::collections::BTreeSet;
use std::time::Duration;

/// Name of the row.
const ROW: &str = "conflict";
/// How long a command that is done otherwise waits for peers that were not compared yet.
const COMPARE: Duration = Duration::from_millis(500);

impl From<HeadSummary> for HistoryHead {
    fn from(h: HeadSummary) -> Self {
        Self { length: h.length, tree_hash: id::encode(&h.tree_hash) }
    }
}

impl Conflict {
    fn new(drive: &DriveCores, name: &str, core: &Core, c: &ConflictStatus) -> Self {
        Self {
            link: drive.plain_link(),
            key: id::encode(core.key()),
            core: name.to_owned(),
            fork: c.conflict.fork,
            length: c.conflict.length,
            ours: c.conflict.ours.into(),
            theirs: c.conflict.theirs.into(),
            peer: id::encode(&c.peer),
        }
    }

    /// Both heads, in words.
    pub(crate) fn heads(&self) -> String {
        format!(
            "here length {} ({}), at peer {} length {} ({}), both of fork {} and signed by the link's key; their {} cores \
             differ within the first {} blocks",
            self.ours.length,
            short(&self.ours.tree_hash),
            short(&self.peer),
            self.theirs.length,
            short(&self.theirs.tree_hash),
            self.fork,
            self.core,
            self.length
        )
    }
}

/// The beginning of a text of ours that only tells things apart.
fn short(text: &str) -> String {
    text.chars().take(12).collect()
}

/// What to do about two histories.
pub(crate) fn way_out(link: &str, signers: usize) -> String {
    match signers {
        0 | 1 => format!(
            "decide which history stays. Where its key is, cut the link back to a version both have (`bosc versions`): \
             `bosc stage {link} DIR --truncate LENGTH`, with --newest when its key is on other machines too, or --sole-copy \
             when the store is a copy; followers of both go on from there. When nobody got what this store signed, leave it: publish with a new store (`--store DIR`) and \
             a new --mirror. JavaScript followers that saw \
             both stop for good: move them with `bosc rotate`. See docs/recovery.md, \"Two histories of one link\""
        ),
        _ => format!(
            "a link that a quorum signs cannot be cut back: followers keep the history they have. Move them to a new link: \
             `bosc rotate {link} <new>` prepares a last release, to be committed with --force-dangerous from a store of \
             each history. See docs/recovery.md, \"Two histories of one link\""
        ),
    }
}

/// Tells conflicts, each once.
#[derive(Debug, Default)]
pub(crate) struct Conflicts {
    told: BTreeSet<(String, Hash)>,
}

impl Conflicts {
    /// Tells what is new, and keeps it. How many there are.
    pub(crate) fn tell(
        &mut self,
        engine: &Engine,
        followed: &FollowedDrive,
        sink: &mut dyn Sink,
    ) -> Result<usize, CommandError> {
        let drive = followed.cores();
        for (name, c) in followed.conflicts() {
            let Some(core) = followed.core(name) else { continue };
            let conflict = Conflict::new(drive, name.as_str(), core.core(), &c);
            if self.told.insert((conflict.key.clone(), c.conflict.theirs.tree_hash)) {
                engine.keep_conflict(drive, &conflict)?;
                sink.tell(LinkEvent::Conflict(Box::new(conflict)));
            }
        }
        Ok(self.told.len())
    }
}

impl Engine {
    fn keep_conflict(&self, drive: &DriveCores, conflict: &Conflict) -> Result<(), CommandError> {
        if self.known_conflict(drive)?.is_some_and(|known| known.key == conflict.key) {
            return Ok(());
        }
        let bytes = serde_json::to_vec(conflict)
            .map_err(|e| CommandError::failed("the conflict cannot be written").because(e))?;
        drive.db.set_user_data(ROW, Some(&bytes)).map_err(store_error)
    }

    /// The conflict a peer proved before, while the link is at its fork.
    pub(crate) fn known_conflict(&self, drive: &DriveCores) -> Result<Option<Conflict>, CommandError> {
        let Some(bytes) = drive.db.user_data(ROW).map_err(store_error)? else { return Ok(None) };
        // It only warns: one that cannot be read is found again when its peer is met.
        let Ok(known) = serde_json::from_slice::<Conflict>(&bytes) else { return Ok(None) };
        let fork = match known.core.as_str() {
            "blobs" => drive.blobs()?.map_or(0, |b| b.head().fork),
            _ => drive.db.head().fork,
        };
        Ok((fork == known.fork).then_some(known))
    }

    /// Refuses to sign on one of two histories that are known.
    pub(crate) fn refuse_forked(&self, drive: &DriveCores, sink: &mut dyn Sink) -> Result<(), CommandError> {
        let Some(known) = self.known_conflict(drive)? else { return Ok(()) };
        sink.tell(LinkEvent::Conflict(Box::new(known.clone())));
        let message = format!("the link has two histories: {}; nothing was written", known.heads());
        Err(forked_link(drive, message))
    }

    /// Tells what is known of conflicts of a drive that was opened: from before, and from its peers.
    pub(crate) fn tell_conflicts(&self, opened: &Opened, sink: &mut dyn Sink) -> Result<usize, CommandError> {
        let mut conflicts = Conflicts::default();
        let mut told = 0;
        if let Some(followed) = &opened.followed {
            // Those who are there have a moment to prove their history; a stop is no reason to hurry that on.
            let stop = Stop::new();
            let compared = followed.idle(&mut Wait::new(&stop).timeout(COMPARE), |_| {
                let (db, blobs) = followed.statuses();
                Ok::<_, FollowError>((!is_uncompared(&db) && !is_uncompared(&blobs)).then_some(()))
            });
            // What is known is told also when the store failed meanwhile.
            drop(compared);
            told = conflicts.tell(self, followed, sink)?;
        }
        match self.known_conflict(&opened.drive)? {
            Some(known) if told == 0 => {
                sink.tell(LinkEvent::Conflict(Box::new(known)));
                Ok(1)
            }
            _ => Ok(told),
        }
    }
}

fn forked_link(drive: &DriveCores, message: String) -> CommandError {
    let signers = drive.db.manifest().map_or(1, |m| m.signers.len());
    CommandError::new(ErrorKind::Integrity, "ERR_FORKED", message).hint(way_out(&drive.plain_link(), signers))
}

/// A peer has just proved another history.
pub(crate) fn forked_now(drive: &DriveCores, name: &str, core: &Core, c: &ConflictStatus) -> CommandError {
    let conflict = Conflict::new(drive, name, core, c);
    forked_link(drive, format!("the link has two histories: {}", conflict.heads()))
}

/// A peer was found to have another history, before its heads were told.
pub(crate) fn forked_at(drive: &DriveCores, peer: &PublicKey) -> CommandError {
    let peer = id::encode(peer);
    let message = format!(
        "peer {peer} holds another history of the link than this store, signed by the same key; nothing was written"
    );
    forked_link(drive, message)
}
