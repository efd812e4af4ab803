//! What a version of a drive holds: files, fields, package.json, content.

use super::side::DriveAt;
use crate::engine::drive::drive_error;
use crate::error::{CommandError, ErrorKind};
use crate::folder::package::{MAX_PACKAGE_LEN, Package};
use crate::provision::{BlobTree, CoreVersion, DriveTree, DriveVersion, FIELDS, ProvisionError, Which};
use crate::stage::Leaf;
use bosc_drive::blobs::BlobReader;
use bosc_drive::drive::{Drive, EntryValue};
use bosc_drive::{BlockSource, Error};
use bosc_follow::Fetch;
use bosc_format::id;
use bosc_format::link::PearLink;
use bosc_store::Core;
use bytes::Bytes;

impl DriveAt<'_> {
    /// All files, symlinks and fields of this version.
    pub(crate) fn tree(&self) -> Result<DriveTree, CommandError> {
        let mut out = DriveTree::default();
        if self.length == 0 {
            return Ok(out);
        }
        let drive = Drive::checkout(self.db(), self.length);
        out.entries = self.reading(Which::Db).all(drive.list("/")?)?;
        for field in FIELDS {
            if let Some(entry) = self.reading(Which::Db).read(|| drive.raw(field))? {
                out.fields.push((field, entry.value.unwrap_or_else(|| Bytes::from_static(b"null"))));
            }
        }
        Ok(out)
    }

    /// How long the blobs core must be for the files of a tree of this drive.
    pub(crate) fn blobs_needed(tree: &DriveTree) -> u64 {
        tree.entries
            .iter()
            .filter_map(|e| e.value.blob)
            .map(|b| b.block_offset.saturating_add(b.block_length))
            .max()
            .unwrap_or(0)
    }

    /// The furthest block any file of any version up to this one reaches: how long a blobs core has to be that nobody
    /// will ever append to at a place that was used. All of the db must be here.
    pub(crate) fn blobs_reached(&self) -> Result<u64, CommandError> {
        let mut reached = 0u64;
        if self.length > 1 {
            for entry in Drive::checkout(self.db(), self.length).bee().history(1) {
                let entry = entry.map_err(drive_error)?;
                let Some(value) = entry.entry.value.as_deref() else { continue };
                if let Some(blob) = EntryValue::decode(entry.entry.seq, value).ok().and_then(|v| v.blob) {
                    reached = reached.max(blob.block_offset.saturating_add(blob.block_length));
                }
            }
        }
        Ok(reached)
    }

    /// The package.json of this version; `None` when there is none. The length of the blobs must be set.
    pub(crate) fn package(&self) -> Result<Option<Package>, CommandError> {
        if self.length == 0 {
            return Ok(None);
        }
        let drive = Drive::checkout(self.db(), self.length);
        let entry = self.reading(Which::Db).read(|| drive.entry_follow("/package.json"))?;
        let Some(entry) = entry else { return Ok(None) };
        let Some(blob) = entry.value.blob else { return Ok(None) };
        let source = self.contents()?;
        let mut reader = BlobReader::new(source, blob);
        let mut text = Vec::new();
        while let Some(part) = self.reading(Which::Blobs).next(&mut reader)? {
            text.extend_from_slice(&part);
            if text.len() as u64 > MAX_PACKAGE_LEN {
                return Err(invalid_manifest("its package.json is too large"));
            }
        }
        Package::parse(&text).map(Some).map_err(|why| invalid_manifest(&format!("its package.json is {why}")))
    }

    /// The bytes of the rules of this version (`/release.json`); `None` when there are none. The length of the blobs must be set.
    pub(crate) fn rules(&self) -> Result<Option<Vec<u8>>, CommandError> {
        let drive = Drive::checkout(self.db(), self.length);
        let entry = self.reading(Which::Db).read(|| drive.entry_follow(bosc_policy::FILE))?;
        let Some(blob) = entry.and_then(|e| e.value.blob) else { return Ok(None) };
        let mut reader = BlobReader::new(self.contents()?, blob);
        let mut bytes = Vec::new();
        while let Some(part) = self.reading(Which::Blobs).next(&mut reader)? {
            bytes.extend_from_slice(&part);
            // What is longer is no policy, and is not read to its end.
            if bytes.len() > bosc_policy::MAX_POLICY {
                break;
            }
        }
        Ok(Some(bytes))
    }

    /// What is told of this version: both cores, and links to it.
    pub(crate) fn told(&self) -> DriveVersion {
        let core = |core: &Core, length: u64| CoreVersion {
            id: id::encode(core.key()),
            length,
            // The tree may not be known that far back.
            hash: core.head_at(length).ok().map(|h| id::encode(&h.tree_hash())),
        };
        let fork = self.drive.db.head().fork;
        let key = *self.drive.key();
        let hash = self.drive.db.head_at(self.length).ok().map(|h| h.tree_hash());
        DriveVersion {
            core: core(&self.drive.db, self.length),
            blobs: self.core(Which::Blobs).ok().map(|blobs| core(&blobs, self.blobs_length.get())),
            link: self.drive.plain_link(),
            verlink: PearLink::verlink(key, fork, self.length).to_string(),
            hashlink: hash.map(|h| PearLink::hashlink(key, fork, self.length, h).to_string()),
        }
    }
}

impl BlobTree for DriveAt<'_> {
    fn length(&self) -> u64 {
        self.blobs_length.get()
    }

    fn leaf(&self, index: u64) -> Result<Leaf, ProvisionError> {
        let (core, source) = (self.core(Which::Blobs)?, self.contents()?);
        let leaf = || {
            if !source.is_ready().map_err(Error::from)? {
                return Err(Error::Missing(index));
            }
            let node = core.node(index.saturating_mul(2)).map_err(|e| Error::Source(Box::new(e)))?;
            node.map(|n| Leaf { hash: n.hash, size: n.size }).ok_or(Error::Missing(index))
        };
        Ok(self.reading(Which::Blobs).read(leaf)?)
    }

    fn block(&self, index: u64) -> Result<Bytes, ProvisionError> {
        let source = self.contents()?;
        let block = || source.block(index).map_err(Error::from);
        Ok(self.reading(Which::Blobs).read(block)?)
    }

    fn fetch_leaves(&self, mut blocks: Vec<u64>) -> Result<(), ProvisionError> {
        // A hash alone cannot be asked for here, so it comes with its block.
        let core = self.core(Which::Blobs)?;
        blocks.retain(|b| !matches!(core.node(b.saturating_mul(2)), Ok(Some(_))));
        self.fetch(blocks)
    }

    fn fetch(&self, blocks: Vec<u64>) -> Result<(), ProvisionError> {
        self.cx.check_stop()?;
        if blocks.is_empty() { Ok(()) } else { Ok(self.get_with_stats(Which::Blobs, blocks)?) }
    }
}

pub(crate) fn invalid_manifest(why: &str) -> CommandError {
    CommandError::new(
        ErrorKind::Input,
        "ERR_INVALID_MANIFEST",
        format!("the source is not an application: {why}"),
    )
    .hint("stage a folder with a valid package.json, then provision that version")
}
