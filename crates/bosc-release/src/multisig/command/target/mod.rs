//! What production is, seen from a source: the question every check of a commit comes down to.

use super::peers::{known_hash, known_head};
use crate::error::CommandError;
use crate::multisig::errors;
use bosc_follow::CoreName;
use bosc_format::crypto::Hash;
use bosc_store::Core;

/// How far one core of production is, relative to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TargetStanding {
    /// It has no blocks.
    Empty,
    /// It holds an earlier release; the source goes on from there.
    Earlier(u64),
    /// It holds what is requested already.
    Done,
}

/// One core of a request: its name, length and tree hash.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) name: CoreName,
    pub(super) length: u64,
    pub(super) hash: Hash,
}

/// What can be said of production without the source. `None`: the source is needed.
///
/// # Errors
/// `TARGET_CORE_TOO_BIG`, `INCOMPATIBLE_SOURCE_AND_TARGET`.
pub(super) fn standing_alone(target: &Core, wanted: Wanted) -> Result<Option<TargetStanding>, CommandError> {
    let head = target.head();
    if head.length == 0 && head.fork == 0 {
        // An empty blobs core is what a drive without files asks for.
        return Ok(Some(if wanted.length == 0 { TargetStanding::Done } else { TargetStanding::Empty }));
    }
    if head.fork != 0 {
        return Err(errors::incompatible(wanted.name, head.length));
    }
    if head.length < wanted.length {
        return Ok(None);
    }
    let there = known_hash(target, wanted.length);
    if head.length == wanted.length {
        return if there == Some(wanted.hash) {
            Ok(Some(TargetStanding::Done))
        } else {
            Err(errors::incompatible(wanted.name, head.length))
        };
    }
    let contained = there == Some(wanted.hash);
    // A release that only removes files can need fewer blobs than the one before it.
    if wanted.name == CoreName::Blobs && contained {
        return Ok(Some(TargetStanding::Done));
    }
    Err(errors::target_too_big(wanted.name, head.length, wanted.length, contained))
}

/// What production is, seen from the source, whose nodes at production's length must be here.
///
/// # Errors
/// As [`standing_alone`], and `INCOMPATIBLE_SOURCE_AND_TARGET` when the source does not begin with production.
pub(super) fn standing(target: &Core, source: &Core, wanted: Wanted) -> Result<TargetStanding, CommandError> {
    if let Some(known) = standing_alone(target, wanted)? {
        return Ok(known);
    }
    let head = target.head();
    let begins = known_head(source, head.length).is_some_and(|h| h.tree_hash() == head.tree_hash());
    if begins {
        Ok(TargetStanding::Earlier(head.length))
    } else {
        Err(errors::incompatible(wanted.name, head.length))
    }
}

#[cfg(test)]
mod tests;
