//! One mirror brought up to date: what is at the target, what is here, and the steps between.

use super::event::Mirrored;
use super::retired::{MAX_BYTES, RETIRED, Retired};
use super::target::{Kept, Target};
use crate::clock::now;
use crate::command::Stop;
use crate::engine::errors::store_error;
use crate::engine::follow::stopped;
use crate::error::{CommandError, ErrorKind};
use bosc_follow::DriveCores;
use bosc_format::link::PearLink;
use bosc_format::merkle::{Head, Node, TreeReadError, TreeReader};
use bosc_mirror::{
    CoreHead, HEAD, HeadError, MAX_HEAD, MirrorHead, Object, Part, ProvenTree, Publication, Tile, publish,
};
use bosc_store::Core;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// How far it is: objects and bytes that are there, and that are to be there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) objects: u64,
    pub(crate) total_objects: u64,
    pub(crate) bytes: u64,
    pub(crate) total_bytes: u64,
}

/// What is to be on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Content {
    /// Blocks of the contents.
    pub(crate) blobs: Vec<Range<u64>>,
    /// What that is of the drive, for people; none: all of it.
    pub(crate) sparse: Option<String>,
}

/// A core's tree.
struct CoreTree<'a>(&'a Core);

impl TreeReader for CoreTree<'_> {
    fn node(&self, index: u64) -> Result<Option<Node>, TreeReadError> {
        self.0.node(index).map_err(|e| TreeReadError(Box::new(e)))
    }
}

/// The tree of what is at the target, read when it is asked for.
struct TargetTree<'a> {
    target: &'a dyn Target,
    part: Part,
    core: &'a CoreHead,
    tree: RefCell<ProvenTree>,
}

impl TreeReader for TargetTree<'_> {
    fn node(&self, index: u64) -> Result<Option<Node>, TreeReadError> {
        let length = self.core.head.length;
        let block = bosc_format::flat_tree::first_block(index);
        let level = bosc_format::flat_tree::depth(index) / 8;
        for tile in Tile::chain(block, length).into_iter().filter(|t| t.level >= level) {
            if self.tree.borrow().has(tile) {
                continue;
            }
            let path = self.core.layout.tile_path(self.part, tile).unwrap_or_default();
            let bytes =
                self.target.get(&path, tile.bytes() as u64 + 1).map_err(|e| TreeReadError(Box::new(e)))?;
            // What is not there, or is something else, only makes more be written anew.
            let Some(bytes) = bytes else { return Ok(None) };
            if self.tree.borrow_mut().insert(tile, &bytes).is_err() {
                return Ok(None);
            }
        }
        self.tree.borrow().node(index)
    }
}

fn damaged(why: impl std::fmt::Display, target: &dyn Target) -> CommandError {
    refused(format!("{} cannot be continued: {why}", target.name())).hint(
        "if it is to be a mirror of this link, run the command with `--check`: all of it is looked at, and its head written anew",
    )
}

fn refused(message: String) -> CommandError {
    CommandError::new(ErrorKind::Input, "ERR_MIRROR", message)
}

/// The head at a target.
enum HeadThere {
    Missing,
    Readable(Box<MirrorHead>),
    /// No reader takes it.
    Damaged(HeadError),
}

impl HeadThere {
    fn read(target: &dyn Target) -> Result<Self, CommandError> {
        let Some(bytes) = target.get(HEAD, MAX_HEAD as u64 + 1)? else { return Ok(Self::Missing) };
        match MirrorHead::decode(&bytes) {
            Ok(head) => Ok(Self::Readable(Box::new(head))),
            Err(e @ HeadError::Newer(_)) => {
                Err(refused(format!("{} was made by a newer version of bosc", target.name()))
                    .because(e)
                    .hint("update bosc on this machine, then run the command again"))
            }
            Err(e) => Ok(Self::Damaged(e)),
        }
    }
}

/// What of the head at the target may be continued: of this drive, signed, and not newer than what is here.
fn before(
    target: &dyn Target,
    key: &[u8; 32],
    db: &Head,
    manifest: &Core,
    check: bool,
) -> Result<Option<MirrorHead>, CommandError> {
    let head = match HeadThere::read(target)? {
        HeadThere::Missing => return Ok(None),
        HeadThere::Damaged(_) if check => return Ok(None),
        HeadThere::Damaged(e) => return Err(damaged(format!("its head cannot be read: {e}"), target)),
        HeadThere::Readable(head) => *head,
    };
    if head.db.key != *key {
        return Err(refused(format!("{} is the mirror of another drive", target.name()))
            .hint("name another target: a mirror has one drive"));
    }
    if let Err(e) = head.db.verify(key, manifest.manifest().as_deref()) {
        if check {
            return Ok(None);
        }
        return Err(damaged(format!("its head is not signed: {e}"), target));
    }
    let there = (head.db.head.fork, head.db.head.length);
    if there > (db.fork, db.length) {
        return Err(refused(format!(
            "{} has a newer version (fork {}, length {}) than this store (fork {}, length {})",
            target.name(),
            there.0,
            there.1,
            db.fork,
            db.length
        ))
        .hint("bring this store up to date first (`bosc seed LINK`); a mirror is never taken back"));
    }
    Ok(Some(head))
}

fn publish_error(e: bosc_mirror::PublishError) -> CommandError {
    CommandError::new(ErrorKind::NotFound, "ERR_MIRROR", "the drive cannot be mirrored from this store")
        .because(e)
        .hint("fetch all of it first (`bosc seed LINK`), then run the command again")
}

/// What is to be done for one core.
fn plan(
    target: &dyn Target,
    part: Part,
    core: &Core,
    head: &Head,
    wanted: &[Range<u64>],
    before: Option<&CoreHead>,
) -> Result<Publication, CommandError> {
    let tree = CoreTree(core);
    let manifest = core.manifest();
    let who = (core.key(), manifest.as_deref());
    let before = before.filter(|b| b.key == *core.key() && b.verify(core.key(), manifest.as_deref()).is_ok());
    let Some(before) = before else {
        return publish(part, who, (head, &tree), wanted, None).map_err(publish_error);
    };
    let old =
        TargetTree { target, part, core: before, tree: RefCell::new(ProvenTree::new(before.head.clone())) };
    let none = std::collections::BTreeMap::<u64, Node>::new();
    let grows = before.grows_to(head, &tree).map_err(|e| publish_error(e.into()))?;
    let known: &dyn TreeReader = if grows { &none } else { &old };
    publish(part, who, (head, &tree), wanted, Some((before, known))).map_err(publish_error)
}

/// The bytes of an object.
fn bytes_of(core: &Core, head: &Head, object: Object) -> Result<Vec<u8>, CommandError> {
    match object {
        Object::Tile(tile) => tile.encode(head, &CoreTree(core)).map_err(|e| publish_error(e.into())),
        Object::Piece(piece) => {
            let mut out =
                Vec::with_capacity(usize::try_from(piece.bytes.min(bosc_mirror::MAX_PIECE)).unwrap_or(0));
            for block in piece.blocks() {
                let bytes = core.block(block).map_err(store_error)?.ok_or_else(|| {
                    CommandError::not_found(format!("block {block} of the drive is not on this machine"))
                        .hint("run the command again; what was written is kept")
                })?;
                out.extend_from_slice(&bytes);
            }
            Ok(out)
        }
    }
}

fn size_of(object: Object) -> u64 {
    match object {
        Object::Tile(tile) => tile.bytes() as u64,
        Object::Piece(piece) => piece.bytes,
    }
}

/// How an object is found to be there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// By its size: what is written is written in one step.
    Size,
    /// By its bytes.
    Bytes,
}

struct Todo<'a> {
    core: &'a Core,
    head: &'a Head,
    path: String,
    object: Object,
    look: Look,
    /// The head at the target names it.
    stands: bool,
}

impl Todo<'_> {
    /// Whether what it has to be can be told on this machine: a sparse mirror may hold what this store does not.
    fn is_here(&self) -> Result<bool, CommandError> {
        let Object::Piece(piece) = self.object else { return Ok(true) };
        for block in piece.blocks() {
            if !self.core.has(block).map_err(store_error)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Writes it, unless it is there. Whether it was written.
    fn run(&self, target: &dyn Target) -> Result<bool, CommandError> {
        let size = size_of(self.object);
        let by_size = self.look == Look::Size || (self.stands && !self.is_here()?);
        if by_size && target.size(&self.path)? == Some(size) {
            return Ok(false);
        }
        let bytes = bytes_of(self.core, self.head, self.object)?;
        if self.look == Look::Bytes
            && target.get(&self.path, size.saturating_add(1))?.as_ref() == Some(&bytes)
        {
            return Ok(false);
        }
        target.put(&self.path, bytes, Kept::ForEver)?;
        Ok(true)
    }
}

/// What was written.
#[derive(Debug, Clone, Copy, Default)]
struct Written {
    objects: u64,
    bytes: u64,
    repaired: u64,
}

/// Writes objects, several at once where the target likes that.
fn write_all(
    target: &dyn Target,
    todo: &[Todo<'_>],
    progress: &Mutex<(Progress, &mut (dyn FnMut(Progress) + Send))>,
    stop: &Stop,
) -> Result<Written, CommandError> {
    let next = AtomicUsize::new(0);
    let written: Mutex<Written> = Mutex::default();
    let failed: Mutex<Option<CommandError>> = Mutex::new(None);
    let lock = || failed.lock().unwrap_or_else(PoisonError::into_inner);
    let one = |t: &Todo<'_>| -> Result<(), CommandError> {
        let size = size_of(t.object);
        if t.run(target)? {
            let mut written = written.lock().unwrap_or_else(PoisonError::into_inner);
            written.objects += 1;
            written.bytes = written.bytes.saturating_add(size);
            written.repaired += u64::from(t.stands);
        }
        let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress.0.objects += 1;
        progress.0.bytes = progress.0.bytes.saturating_add(size);
        let now = progress.0;
        (progress.1)(now);
        Ok(())
    };
    let work = || {
        while let Some(t) = todo.get(next.fetch_add(1, Ordering::Relaxed)) {
            if lock().is_some() {
                return;
            }
            let outcome = if stop.is_stopped() { Err(stopped()) } else { one(t) };
            if let Err(e) = outcome {
                lock().get_or_insert(e);
                return;
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..target.at_once().min(todo.len()) {
            scope.spawn(work);
        }
        work();
    });
    match lock().take() {
        Some(e) => Err(e),
        None => Ok(written.into_inner().unwrap_or_else(PoisonError::into_inner)),
    }
}

/// What is to be looked at, and written where it is not there: what is new, and of what the head before names, what `again` says.
fn todo<'a>(
    part: Part,
    plan: &Publication,
    (core, head): (&'a Core, &'a Head),
    (new, again): (Look, Option<Look>),
) -> Vec<Todo<'a>> {
    let fresh = plan.objects.iter().map(|(path, object)| (path.clone(), *object, new, false));
    let known: BTreeSet<&String> = plan.objects.iter().map(|(path, _)| path).collect();
    let layout = &plan.core.layout;
    let tiles = Tile::all(head.length).map(|t| (layout.tile_path(part, t), Object::Tile(t)));
    let pieces = layout.pieces.iter().map(|p| (layout.piece_path(part, p), Object::Piece(*p)));
    let all = tiles.chain(pieces).filter_map(|(path, object)| Some((path?, object, again?, true)));
    let standing = all.filter(|(path, ..)| !known.contains(path));
    let one = |(path, object, look, stands)| Todo { core, head, path, object, look, stands };
    fresh.chain(standing).map(one).collect()
}

/// Brings the mirror at `target` up to the heads of `cores`, of which everything in `content` is here. `check`: everything that is there is
/// read. `grace_ms`: how long what is not needed any more stays.
pub(crate) fn write(
    cores: &DriveCores,
    target: &dyn Target,
    content: &Content,
    (check, grace_ms): (bool, u64),
    tell: &mut (dyn FnMut(Progress) + Send),
    stop: &Stop,
) -> Result<Mirrored, CommandError> {
    let db = &cores.db;
    let blobs = cores.blobs()?;
    let heads = (db.head(), blobs.as_ref().map(Core::head));
    if heads.0.length == 0 {
        return Err(CommandError::not_found("the link holds nothing yet")
            .hint("stage to it with `bosc stage <link> <dir>`, then run the command again"));
    }
    let _alone = target.alone()?;
    let old = before(target, db.key(), &heads.0, db, check)?;
    let whole = std::slice::from_ref(&(0..heads.0.length)).to_vec();
    let db_plan = plan(target, Part::Db, db, &heads.0, &whole, old.as_ref().map(|o| &o.db))?;
    let blobs_plan = match (&blobs, &heads.1) {
        (Some(core), Some(head)) => {
            let old = old.as_ref().and_then(|o| o.blobs.as_ref());
            Some((plan(target, Part::Blobs, core, head, &content.blobs, old)?, core, head))
        }
        _ => None,
    };
    let look = match (check, target.is_near(), &old) {
        (true, ..) => (Look::Bytes, Some(Look::Bytes)),
        // Nobody vouches for what lies there without a head.
        (false, true, None) => (Look::Bytes, None),
        (false, true, Some(_)) => (Look::Size, Some(Look::Size)),
        (false, false, _) => (Look::Size, None),
    };
    // Contents first: entries are of no use without them, and an upload that ends here left the most behind it.
    let contents = blobs_plan.iter().map(|(plan, core, head)| (Part::Blobs, plan, (*core, &***head)));
    let entries = (Part::Db, &db_plan, (db, &*heads.0));
    let parts = contents.chain(std::iter::once(entries));
    let todo: Vec<Todo<'_>> = parts.flat_map(|(part, plan, of)| todo(part, plan, of, look)).collect();
    let total_bytes = todo.iter().fold(0, |n: u64, t| n.saturating_add(size_of(t.object)));
    let start = Progress { total_objects: todo.len() as u64, total_bytes, ..Progress::default() };
    let progress = Mutex::new((start, tell));
    let written = write_all(target, &todo, &progress, stop)?;
    let head = MirrorHead {
        made: now(),
        sparse: content.sparse.clone(),
        db: db_plan.core.clone(),
        blobs: blobs_plan.as_ref().map(|(plan, ..)| plan.core.clone()),
    };
    let needed = objects(&head);
    let mut retired = Retired::parse(&target.get(RETIRED, MAX_BYTES)?.unwrap_or_default());
    let had = retired.clone();
    retired.keep(&needed);
    let gone = blobs_plan.iter().flat_map(|(plan, ..)| plan.retired.clone());
    retired.add(db_plan.retired.iter().cloned().chain(gone), head.made);
    let changed = old.as_ref().is_none_or(|o| MirrorHead { made: head.made, ..o.clone() } != head);
    if retired != had {
        // Known before the head says so: what a killed run retired is removed one day, too.
        target.put(RETIRED, retired.encode(), Kept::Fresh)?;
    }
    if changed {
        target.put(HEAD, head.encode(), Kept::Fresh)?;
    }
    let removed = remove_due(target, &mut retired, head.made, grace_ms / 1000, db.key())?;
    let layouts = [Some(&head.db), head.blobs.as_ref()];
    let sizes = layouts.into_iter().flatten().map(|c| {
        let tiles = Tile::all(c.head.length).map(|t| t.bytes() as u64).sum::<u64>();
        c.layout.pieces.iter().fold(tiles, |n, p| n.saturating_add(p.bytes))
    });
    let is_whole = head.blobs.as_ref().is_none_or(|b| b.layout.is_whole(b.head.length));
    Ok(Mirrored {
        target: target.name(),
        verlink: PearLink::verlink(*db.key(), heads.0.fork, heads.0.length).to_string(),
        length: heads.0.length,
        changed,
        objects: written.objects,
        bytes: written.bytes,
        repaired: written.repaired,
        total_objects: needed.len() as u64,
        total_bytes: sizes.fold(0, u64::saturating_add),
        removed,
        whole: is_whole,
        statements: None,
        statements_changed: false,
    })
}

fn objects(head: &MirrorHead) -> BTreeSet<String> {
    let mut out = head.db.objects(Part::Db);
    if let Some(blobs) = &head.blobs {
        out.extend(blobs.objects(Part::Blobs));
    }
    out
}

/// Removes what was retired so long ago, but for what the head that is there now needs: another run may have written it.
fn remove_due(
    target: &dyn Target,
    retired: &mut Retired,
    now: u64,
    grace: u64,
    key: &[u8; 32],
) -> Result<u64, CommandError> {
    let mut left = retired.clone();
    let due = left.take_due(now, grace);
    if due.is_empty() {
        return Ok(0);
    }
    let HeadThere::Readable(there) = HeadThere::read(target)? else { return Ok(0) };
    if there.db.key != *key {
        return Ok(0);
    }
    let needed = objects(&there);
    let mut removed = 0;
    for path in due.iter().filter(|path| !needed.contains(*path)) {
        target.remove(path)?;
        removed += 1;
    }
    *retired = left;
    target.put(RETIRED, retired.encode(), Kept::Fresh)?;
    Ok(removed)
}

/// All of the drive.
pub(crate) fn everything(cores: &DriveCores) -> Result<Content, CommandError> {
    let length = cores.blobs()?.map_or(0, |blobs| Arc::clone(&blobs.head()).length);
    let blobs = if length == 0 { Vec::new() } else { std::iter::once(0..length).collect() };
    Ok(Content { blobs, sparse: None })
}
