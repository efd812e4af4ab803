//! A drive's two cores in the store, and links to them.

use super::{Engine, store_error};
use crate::error::{CommandError, ErrorKind};
use bosc_drive::bee::Bee;
use bosc_drive::{BlockSource, SourceError};
use bosc_format::crypto::CoreKey;
use bosc_format::id;
use bosc_format::link::PearLink;
use bosc_format::merkle::Seek;
use bosc_store::{Core, CreateOptions};
use bytes::Bytes;
use serde_json::{Value, json};

/// A core as a source of blocks for reading drives, at a fixed length.
#[derive(Debug, Clone)]
pub(crate) struct CoreSource {
    core: Core,
    length: u64,
}

impl CoreSource {
    /// The core as long as it is now.
    pub(crate) fn new(core: &Core) -> Self {
        Self { core: core.clone(), length: core.head().length }
    }

    /// The core as it was at an older length.
    pub(crate) fn cut(core: &Core, length: u64) -> Self {
        Self { core: core.clone(), length: core.head().length.min(length) }
    }
}

impl BlockSource for CoreSource {
    fn length(&self) -> u64 {
        self.length
    }

    fn block(&self, index: u64) -> Result<Bytes, SourceError> {
        if index >= self.length {
            return Err(SourceError::Missing(index));
        }
        match self.core.block(index) {
            Ok(Some(block)) => Ok(block),
            Ok(None) => Err(SourceError::Missing(index)),
            Err(e) => Err(SourceError::Failed(Box::new(e))),
        }
    }

    fn has(&self, index: u64) -> bool {
        index < self.length && self.core.has(index).unwrap_or(false)
    }

    fn seek(&self, offset: u64) -> Result<Option<(u64, u64)>, SourceError> {
        match self.core.seek(offset) {
            Ok(Seek::Found { block, offset }) => Ok(Some((block, offset))),
            // The reader then walks the blocks.
            _ => Ok(None),
        }
    }
}

/// The cores of a drive.
#[derive(Debug, Clone)]
pub(crate) struct DriveCores {
    pub(crate) db: Core,
}

impl DriveCores {
    pub(crate) fn key(&self) -> &CoreKey {
        self.db.key()
    }

    /// The blobs core, once the db's manifest is known.
    pub(crate) fn blobs(&self, engine: &Engine) -> Result<Option<Core>, CommandError> {
        let Some(manifest) = self.db.manifest() else { return Ok(None) };
        let Some(blobs) = manifest.blobs(self.db.key()) else { return Ok(None) };
        let core = match self.db.key_pair() {
            Some(pair) => engine.store.create_core(CreateOptions::with_key_pair(pair).manifest(blobs)),
            None => engine.store.create_core(CreateOptions::new().manifest(blobs)),
        };
        core.map(Some).map_err(store_error)
    }

    pub(crate) fn plain_link(&self) -> String {
        PearLink::new(*self.key()).to_string()
    }

    /// The link that names the present version.
    pub(crate) fn verlink(&self) -> String {
        let head = self.db.head();
        PearLink::verlink(*self.key(), head.fork, head.length).to_string()
    }

    /// The link that names the present version and its content.
    pub(crate) fn hashlink(&self) -> String {
        let head = self.db.head();
        PearLink::hashlink(*self.key(), head.fork, head.length, head.tree_hash()).to_string()
    }

    /// What the JSON of several commands tells of the blobs core.
    pub(crate) fn blobs_json(&self, blobs: Option<&Core>) -> Value {
        let Some(core) = blobs else { return Value::Null };
        let head = core.head();
        json!({
            "key": id::encode(core.key()),
            "length": head.length,
            "fork": head.fork,
            "byteLength": head.byte_length,
            "hash": id::encode(&head.tree_hash()),
        })
    }
}

impl Engine {
    /// The drive a link names.
    pub(crate) fn open_drive(&self, link: &PearLink) -> Result<DriveCores, CommandError> {
        Ok(DriveCores { db: self.store.open_core(&link.key).map_err(store_error)? })
    }
}

/// Reads a link to a drive.
pub(crate) fn parse_link(text: &str) -> Result<PearLink, CommandError> {
    PearLink::parse(text).map_err(|e| invalid_link(text, &e.to_string()))
}

fn invalid_link(text: &str, why: &str) -> CommandError {
    let shown: String = text.chars().take(120).collect();
    CommandError::new(ErrorKind::Input, "ERR_INVALID_LINK", format!("not a pear link: {shown:?}: {why}"))
        .hint("a link looks like pear://<52 characters>; `bosc touch` makes one")
}

/// Checks that a drive's core ends a batch at `length`: lengths inside a batch show some of its files and hide others.
/// With all blocks below `length` here the answer is exact. Else it is as good as a few blocks allow: a file written by
/// the last block must be in the tree there, which can hold inside a large batch as well.
pub(crate) fn check_batch_end(source: CoreSource, length: u64) -> Result<(), bosc_drive::Error> {
    if length <= 1 {
        return Ok(());
    }
    let exact = source.core.contiguous_length() >= length;
    let bee = Bee::checkout(source, length);
    if exact {
        // The walk is only for lengths that a single look cannot rule out.
        bee.get(b"")?;
        let last = bee.versions().last().transpose()?;
        return match last {
            Some(step) if !step.ends_batch => Err(bosc_drive::Error::NotAVersion(length)),
            _ => Ok(()),
        };
    }
    let last = bee.get_by_seq(length - 1)?;
    let there = bee.get(&last.key)?;
    // The last block of a batch may have taken a file out.
    if last.value.is_some() && there.is_none_or(|e| e.seq != last.seq) {
        return Err(bosc_drive::Error::NotAVersion(length));
    }
    Ok(())
}

/// A drive that does not hold what its format says.
pub(crate) fn drive_error(e: bosc_drive::Error) -> CommandError {
    use bosc_drive::Error as E;
    match e {
        E::NotAVersion(n) => {
            CommandError::input(format!("length {n} is inside a batch, not a version of the drive"))
                .hint("use a length that a verlink showed")
        }
        E::Missing(n) => CommandError::new(
            ErrorKind::NotFound,
            "ERR_NOT_FOUND",
            format!("block {n} of the drive is not on this machine"),
        ),
        E::InvalidPath { .. } => CommandError::input(e.to_string()),
        e => CommandError::new(ErrorKind::Integrity, "ERR_INVALID_DRIVE", "the drive cannot be read")
            .because(e),
    }
}
