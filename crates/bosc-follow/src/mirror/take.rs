//! What came from a mirror, put into the core. Nothing else writes.

use super::carrier::{Answer, Ask, Connection};
use super::fault::{FaultKind, MirrorFault};
use super::known::Known;
use super::wish::Job;
use bosc_format::proof::{HashedProof, NodeRequest, Proof, ProofRequest, UpgradeRequest};
use bosc_mirror::{Read, ReadError, plan};
use bosc_store::{Applied, Core, Error};
use bytes::Bytes;
use std::sync::atomic::{AtomicBool, Ordering};

/// Most steps by which a fork is followed.
const MAX_STEPS: usize = 256;

/// Why a job ended early.
#[derive(Debug)]
pub(super) enum Ended {
    /// The mirror is to blame.
    Fault(MirrorFault),
    /// The store failed.
    Store(Error),
}

impl From<MirrorFault> for Ended {
    fn from(fault: MirrorFault) -> Self {
        Self::Fault(fault)
    }
}

/// A store's error, by who is to blame.
fn refused(object: &str, e: Error) -> Ended {
    match e {
        Error::InvalidProof(why) => MirrorFault::new(FaultKind::WrongBytes, object, why).into(),
        Error::Invalid(why) => MirrorFault::new(FaultKind::WrongBytes, object, why).into(),
        e => Ended::Store(e),
    }
}

/// What a mirror's head was worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Worth {
    /// It is of our history, and not longer than what is here now.
    Ours,
    /// It is of an older fork.
    Older,
}

/// Brings the core up to a mirror's verified head, if that is newer. Never back.
pub(super) fn head(core: &Core, known: &Known, from: &mut dyn Connection) -> Result<Worth, Ended> {
    let theirs = &known.head.head;
    let object = bosc_mirror::HEAD;
    for _ in 0..MAX_STEPS {
        let ours = core.head();
        if theirs.length == 0 {
            return Ok(if theirs.fork < ours.fork { Worth::Older } else { Worth::Ours });
        }
        if theirs.fork < ours.fork {
            return Ok(Worth::Older);
        }
        if theirs.fork > ours.fork {
            reorg(core, known, from)?;
            continue;
        }
        if theirs.length <= ours.length {
            let same = core.compare_history(&known.head.proof(), theirs.length);
            return match same {
                Ok(compared) if compared.same => Ok(Worth::Ours),
                Ok(_) => Err(MirrorFault::new(
                    FaultKind::OtherHistory,
                    object,
                    "it has another history than this machine, signed by the same key",
                )
                .into()),
                // The core moved on meanwhile.
                Err(Error::Conflict(_)) => continue,
                Err(e) => Err(refused(object, e)),
            };
        }
        let upgrade =
            UpgradeRequest { start: ours.length, length: theirs.length.saturating_sub(ours.length) };
        let request = ProofRequest {
            upgrade: Some(upgrade),
            manifest: core.manifest().is_none(),
            ..ProofRequest::default()
        };
        let proof = known.prove(&request, None, from)?;
        let proof = proof
            .ok_or_else(|| MirrorFault::new(FaultKind::Malformed, object, "its tree does not prove it"))?;
        match core.apply(&proof) {
            Ok(Applied::Stored { .. }) => return Ok(Worth::Ours),
            Ok(_) => {}
            // Verified as a whole and wrong as a continuation: it continues something else.
            Err(Error::InvalidProof(_)) => {
                return Err(MirrorFault::new(
                    FaultKind::OtherHistory,
                    object,
                    "it continues another history than this machine has, signed by the same key",
                )
                .into());
            }
            Err(e) => return Err(refused(object, e)),
        }
    }
    Err(MirrorFault::new(FaultKind::Malformed, object, "the core changes faster than it can be followed")
        .into())
}

/// Moves the core to the mirror's higher fork.
fn reorg(core: &Core, known: &Known, from: &mut dyn Connection) -> Result<(), Ended> {
    let object = bosc_mirror::HEAD;
    let moved = |e: Error| match e {
        Error::Conflict(_) => None,
        e => Some(refused(object, e)),
    };
    let mut session = match core.begin_reorg(&known.head.proof()) {
        Ok(session) => session,
        Err(e) => return moved(e).map_or(Ok(()), Err),
    };
    for _ in 0..MAX_STEPS {
        let Some(want) = session.want() else {
            return match session.apply() {
                Ok(_) => Ok(()),
                Err(e) => moved(e).map_or(Ok(()), Err),
            };
        };
        let hash = NodeRequest { index: want.start.saturating_mul(2), nodes: want.nodes };
        let request = ProofRequest { hash: Some(hash), ..ProofRequest::default() };
        let proof = known.prove(&request, None, from)?;
        let proof =
            proof.ok_or_else(|| MirrorFault::new(FaultKind::Malformed, object, "its tree has gaps"))?;
        if let Err(e) = session.update(&proof) {
            return moved(e).map_or(Ok(()), Err);
        }
    }
    Err(MirrorFault::new(FaultKind::Malformed, object, "its fork has no end").into())
}

/// What a job brought.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Brought {
    pub(super) blocks: u64,
    pub(super) bytes: u64,
}

/// Fetches and keeps the leaf hashes of a job.
pub(super) fn leaves(
    core: &Core,
    known: &Known,
    job: &Job,
    from: &mut dyn Connection,
) -> Result<Brought, Ended> {
    let mut brought = Brought::default();
    for block in &job.blocks {
        let index = block.saturating_mul(2);
        let nodes = core.missing_nodes(index).map_err(Ended::Store)?;
        if nodes == 0 {
            continue;
        }
        let request = ProofRequest { hash: Some(NodeRequest { index, nodes }), ..ProofRequest::default() };
        let Some(proof) = known.prove(&request, None, from)? else { continue };
        if matches!(core.apply(&proof).map_err(|e| refused(bosc_mirror::HEAD, e))?, Applied::Stored { .. }) {
            brought.blocks += 1;
        }
    }
    Ok(brought)
}

/// Fetches and keeps the blocks of a job. `ranges`: whether the server has them; it is put right when the server shows otherwise.
pub(super) fn blocks(
    core: &Core,
    known: &Known,
    job: &Job,
    ranges: &AtomicBool,
    from: &mut dyn Connection,
) -> Result<Brought, Ended> {
    let mut brought = Brought::default();
    // A hole in what is wanted is not asked for either.
    let mut open = job.blocks.clone();
    while !open.is_empty() {
        let planned =
            plan(known.part, &known.head, &known.tree(), &job.piece, &open, ranges.load(Ordering::Relaxed));
        let reads = match planned {
            Ok(reads) => reads,
            Err(ReadError::Lacks(block)) => {
                known.around(block, from)?;
                continue;
            }
            Err(e) => return Err(MirrorFault::new(FaultKind::Malformed, bosc_mirror::HEAD, e).into()),
        };
        open.clear();
        for read in reads {
            match one(core, known, &read, ranges, from) {
                Ok(n) => {
                    brought.blocks += n.blocks;
                    brought.bytes = brought.bytes.saturating_add(n.bytes);
                }
                // A cache that gives other ranges than were asked for gives whole objects, perhaps.
                Err(Ended::Fault(fault))
                    if read.range.is_some()
                        && matches!(fault.kind, FaultKind::WrongBytes | FaultKind::WrongLength) =>
                {
                    // Another thread may have found it at the same time. Without ranges it does not come here again.
                    ranges.store(false, Ordering::Relaxed);
                    open.extend(read.blocks.iter().map(|(block, _)| *block));
                }
                Err(e) => return Err(e),
            }
        }
    }
    Ok(brought)
}

/// One request, or none: a server without ranges sends all of an object once.
fn one(
    core: &Core,
    known: &Known,
    read: &Read,
    ranges: &AtomicBool,
    from: &mut dyn Connection,
) -> Result<Brought, Ended> {
    let stored = answered(core, known, read, ranges, from);
    if stored.is_err() {
        known.keep(&read.path, None);
    }
    stored
}

fn answered(
    core: &Core,
    known: &Known,
    read: &Read,
    ranges: &AtomicBool,
    from: &mut dyn Connection,
) -> Result<Brought, Ended> {
    let (answer, whole) = if read.is_empty() {
        (Bytes::new(), read.range.is_none())
    } else if let Some(bytes) = known.kept(&read.path) {
        (bytes, true)
    } else {
        let ask = Ask { path: &read.path, range: read.range.clone(), max: read.object, head: None };
        match from.get(&ask)? {
            Answer::Whole(bytes, _) => {
                if read.range.is_some() {
                    ranges.store(false, Ordering::Relaxed);
                }
                if !ranges.load(Ordering::Relaxed) {
                    known.keep(&read.path, Some(bytes.clone()));
                }
                (bytes, true)
            }
            Answer::Part(bytes) => (bytes, false),
            Answer::Unchanged => {
                return Err(MirrorFault::new(FaultKind::Malformed, &read.path, "nothing came").into());
            }
        }
    };
    let cut = read.cut(&answer, whole).map_err(|e| {
        let fault = MirrorFault::wrong(&read.path, &answer, &e);
        match fault.kind {
            FaultKind::WebPage => fault,
            _ => MirrorFault::new(FaultKind::WrongLength, &read.path, e),
        }
    })?;
    let mut proofs: Vec<Proof> = Vec::with_capacity(cut.len());
    for (block, bytes) in cut {
        if core.has(block).map_err(Ended::Store)? {
            continue;
        }
        let nodes = core.missing_nodes(block.saturating_mul(2)).map_err(Ended::Store)?;
        let request =
            ProofRequest { block: Some(NodeRequest { index: block, nodes }), ..ProofRequest::default() };
        // A small block is not to hold all that came with it.
        let bytes = if bytes.len() < answer.len() / 2 { Bytes::copy_from_slice(&bytes) } else { bytes };
        if let Some(proof) = known.prove(&request, Some(&bytes), from)? {
            proofs.push(proof);
        }
    }
    let mut brought = Brought::default();
    for proof in HashedProof::together(proofs) {
        let len = proof.block.as_ref().map_or(0, |b| b.value.len() as u64);
        match core.apply_hashed(&proof) {
            Ok(Applied::Stored { .. }) => {
                brought.blocks += 1;
                brought.bytes = brought.bytes.saturating_add(len);
            }
            // Another head is here now: whoever wants the block still asks again.
            Ok(_) => {}
            Err(Error::InvalidProof(why)) => return Err(MirrorFault::wrong(&read.path, &answer, why).into()),
            Err(e) => return Err(refused(&read.path, e)),
        }
    }
    Ok(brought)
}
