//! The target against production: whether it begins as production does, and what is missing.

use super::context::Context;
use super::side::DriveAt;
use super::target::Target;
use crate::engine::drive::drive_error;
use crate::engine::errors::store_error;
use crate::error::{CommandError, ErrorKind};
use crate::provision::{Copied, ProvisionEvent, ProvisionWarning, Which};
use bosc_store::Core;
use std::time::Duration;

/// How long peers may take to tell of content that production's files of the past reached and its present ones do not.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where the work starts.
pub(super) struct Start<'a> {
    /// The target, when it holds the whole prefix, and perhaps more. Else the prefix, or its end, has to come from
    /// production.
    pub(super) own: Option<DriveAt<'a>>,
    /// Length of the prefix's blobs.
    pub(super) blobs: u64,
    /// The target's db is longer than the prefix.
    pub(super) ahead: bool,
}

/// Compares the target with production, fetching what has to be compared or copied.
pub(super) fn start<'a>(
    cx: &'a Context<'a>,
    target: &Target,
    production: Option<&DriveAt<'a>>,
) -> Result<Start<'a>, CommandError> {
    let own = |length, to| Some(DriveAt::local(cx, &target.drive, &target.blobs, length, to));
    let Some(production) = production else {
        if target.length == 0 && target.blobs_length > 0 {
            return Err(left_over(target.blobs_length));
        }
        let own = own(target.length, target.blobs_length);
        return Ok(Start { own, blobs: target.blobs_length, ahead: target.length > 0 });
    };
    let length = production.length;
    syncing(cx, Which::Db);
    let same_core = production.drive.key() == target.drive.key();
    if target.length >= length {
        if !same_core && hash_at(&target.drive.db, length)? != production.tree_hash(Which::Db, length)? {
            return Err(diverged("files"));
        }
        blocks(cx, Which::Db, length, length);
    } else {
        production.sync(Which::Db, length, &|at| {
            cx.progress(|| blocks_here(Which::Db, at.max(target.length), length));
        })?;
        blocks(cx, Which::Db, length, length);
        check_prefix(&target.drive.db, &production.core(Which::Db)?, "files")?;
    }
    synced(cx, Which::Db);

    let here = match target.length >= length {
        true => DriveAt::local(cx, &target.drive, &target.blobs, length, target.blobs_length),
        false => DriveAt::local(cx, &production.drive, &production.core(Which::Blobs)?, length, 0),
    };
    let reached = here.blobs_reached()?;
    let needed = DriveAt::blobs_needed(&here.tree()?);
    let to = if same_core {
        target.blobs_length.min(reached)
    } else {
        known_length(cx, production, needed, reached)?
    };
    syncing(cx, Which::Blobs);
    if target.length >= length && target.blobs_length >= to {
        if !same_core && hash_at(&target.blobs, to)? != production.tree_hash(Which::Blobs, to)? {
            return Err(diverged("content"));
        }
        production.set_blobs_length(to);
        blocks(cx, Which::Blobs, to, to);
        synced(cx, Which::Blobs);
        if target.length > length {
            let own = own(target.length, target.blobs_length);
            return Ok(Start { own, blobs: target.blobs_length, ahead: true });
        }
        if target.blobs_length > reached {
            return Err(left_over(target.blobs_length - reached));
        }
        if target.blobs_length > to {
            cx.tell(ProvisionEvent::Warning {
                code: ProvisionWarning::DraftsInTarget,
                message: "the target holds content of versions that were never released; the result can be \
                          signed, but made again only on this target"
                    .to_owned(),
            });
        }
        return Ok(Start { own: own(length, target.blobs_length), blobs: target.blobs_length, ahead: false });
    }
    if target.length > length || target.blobs_length > to {
        return Err(if target.length > length {
            diverged("content")
        } else {
            left_over(target.blobs_length - to)
        });
    }
    // The db is needed to copy it, the content to copy it and to compare with.
    production.sync(Which::Db, length, &|_| {})?;
    production.sync(Which::Blobs, to, &|at| {
        cx.progress(|| blocks_here(Which::Blobs, at.max(target.blobs_length), to));
    })?;
    blocks(cx, Which::Blobs, to, to);
    check_prefix(&target.blobs, &production.core(Which::Blobs)?, "content")?;
    production.set_blobs_length(to);
    synced(cx, Which::Blobs);
    Ok(Start { own: None, blobs: to, ahead: false })
}

/// How long production's blobs are at its version: as far as its files ever reached, unless drafts that were never
/// released reached further. Then as far as production says.
fn known_length(
    cx: &Context<'_>,
    production: &DriveAt<'_>,
    needed: u64,
    reached: u64,
) -> Result<u64, CommandError> {
    if reached > needed && production.core(Which::Blobs)?.length() < reached {
        production.look(Which::Blobs, reached, cx.timeout.min(PATIENCE))?;
    }
    production.reach(Which::Blobs, needed)?;
    Ok(production.core(Which::Blobs)?.length().min(reached))
}

fn hash_at(core: &Core, length: u64) -> Result<bosc_format::crypto::Hash, CommandError> {
    Ok(core.head_at(length).map_err(store_error)?.tree_hash())
}

/// Fails unless `whole` begins with all of `start`.
fn check_prefix(start: &Core, whole: &Core, what: &str) -> Result<(), CommandError> {
    let head = start.head();
    if head.length > whole.length() {
        return Err(drive_error(bosc_drive::Error::Missing(head.length)));
    }
    if head.length > 0 && hash_at(whole, head.length)? != head.tree_hash() {
        return Err(diverged(what));
    }
    Ok(())
}

fn syncing(cx: &Context<'_>, core: Which) {
    cx.tell(ProvisionEvent::Syncing { core });
}

fn synced(cx: &Context<'_>, core: Which) {
    cx.tell(ProvisionEvent::Synced { core });
}

fn blocks_here(core: Which, at: u64, length: u64) -> ProvisionEvent {
    ProvisionEvent::Blocks(Copied { core, target_length: at, production_length: length })
}

fn blocks(cx: &Context<'_>, which: Which, at: u64, length: u64) {
    cx.tell(blocks_here(which, at, length));
}

const NEW_TARGET: &str =
    "make a new target with `bosc touch` and provision to that; its result is the same on any link";

fn diverged(what: &str) -> CommandError {
    CommandError::new(
        ErrorKind::Input,
        "ERR_TARGET_DIVERGED",
        format!(
            "the target does not begin with production's {what}: it could never be signed into production"
        ),
    )
    .hint(NEW_TARGET)
}

fn left_over(blocks: u64) -> CommandError {
    CommandError::new(
        ErrorKind::Input,
        "ERR_TARGET_DIVERGED",
        format!("the target holds {blocks} blocks of content that belong to no file of production"),
    )
    .hint(NEW_TARGET)
}

/// The target went another way after production's version.
pub(super) fn ahead(target: &Target, length: u64) -> CommandError {
    CommandError::new(
        ErrorKind::Input,
        "ERR_TARGET_AHEAD",
        format!(
            "the target is longer than production's version ({} against {length}) and holds other files than the source",
            target.length
        ),
    )
    .hint(format!(
        "{NEW_TARGET}. To put the source on top of what the target holds, give the target's own version as \
         production: {}",
        target.drive.verlink()
    ))
}
