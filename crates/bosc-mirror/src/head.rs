//! The head of a mirror: the only file that changes.

use crate::layout::{Layout, Lineage, MAX_LINEAGES, MAX_PIECE, MAX_PIECES, Part, Piece};
use bosc_format::codec::{DecodeError, Decoder, Encoder};
use bosc_format::crypto::{CoreKey, hash};
use bosc_format::flat_tree;
use bosc_format::manifest::{MAX_SIGNATURE, Manifest};
use bosc_format::merkle::{Head, MAX_BYTES, Node};
use bosc_format::proof::{Proof, ProofError, UpgradeProof, verify_detached};

/// What a head begins with.
pub const MAGIC: &[u8; 8] = b"boscmirr";
/// The version of the format that is written and read.
pub const VERSION: u8 = 1;
/// Bytes of the largest head that is read.
pub const MAX_HEAD: usize = 8 << 20;
/// Bytes of the largest note of a sparse mirror.
pub const MAX_NOTE: usize = 1024;
/// Bytes of the hash at its end.
const SUM: usize = 32;
/// Not the whole drive is here.
const SPARSE: u8 = 1;

/// Why bytes are not a head.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeadError {
    /// They are something else.
    #[error("it is not the head of a mirror")]
    NotAHead,
    /// A newer program wrote it.
    #[error("it has version {0} of the format, and this program reads version {VERSION}")]
    Newer(u8),
    /// The end is missing, or some of it was changed on its way.
    #[error("it was cut off or damaged")]
    Damaged,
    /// It is complete and says something that cannot be.
    #[error("it is malformed: {0}")]
    Malformed(#[from] DecodeError),
}

/// What a mirror says of one core: the signed head, and where the objects are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoreHead {
    /// The core's key.
    pub key: CoreKey,
    /// Who may sign; `None` when the key itself does.
    pub manifest: Option<Manifest>,
    /// What was signed.
    pub head: Head,
    /// Where the objects are.
    pub layout: Layout,
}

impl CoreHead {
    /// The head as a peer would prove it.
    pub fn proof(&self) -> Proof {
        let upgrade = UpgradeProof {
            start: 0,
            length: self.head.length,
            nodes: self.head.roots.clone(),
            additional_nodes: Vec::new(),
            signature: self.head.signature.clone(),
        };
        let upgrade = (self.head.length > 0).then_some(upgrade);
        Proof { fork: self.head.fork, upgrade, manifest: self.manifest.clone(), ..Proof::default() }
    }

    /// Whether the head is signed as `key` demands. One without blocks says nothing and is not signed. `manifest`: what is
    /// known of the core already.
    ///
    /// # Errors
    /// [`ProofError::Invalid`]: it is another core's, or nobody who may signed it.
    pub fn verify(&self, key: &CoreKey, manifest: Option<&Manifest>) -> Result<(), ProofError> {
        if self.head.length == 0 {
            return Ok(());
        }
        verify_detached(key, manifest, &self.proof()).map(drop)
    }

    fn encode(&self, e: &mut Encoder) {
        e.raw(&self.key);
        e.buffer(&self.manifest.as_ref().map(Manifest::encode).unwrap_or_default());
        e.uint(self.head.fork);
        e.uint(self.head.length);
        for root in &self.head.roots {
            e.uint(root.size);
            e.raw(&root.hash);
        }
        e.buffer(&self.head.signature);
        e.uint(self.layout.lineages.len() as u64);
        for lineage in &self.layout.lineages {
            e.raw(&lineage.id);
            e.uint(lineage.start);
        }
        e.uint(self.layout.pieces.len() as u64);
        let mut at = 0;
        for piece in &self.layout.pieces {
            e.uint(piece.start.saturating_sub(at));
            e.uint(piece.end.saturating_sub(piece.start));
            e.uint(piece.bytes);
            at = piece.end;
        }
    }

    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let key = d.fixed32()?;
        let manifest = d.optional_buffer()?.map(Manifest::decode).transpose()?;
        let (fork, length) = (d.uint()?, d.uint()?);
        if length > flat_tree::MAX_LENGTH || fork > flat_tree::MAX_INDEX {
            return Err(DecodeError::TooLarge("a length or fork"));
        }
        let mut roots = Vec::new();
        let mut byte_length = 0u64;
        for index in flat_tree::full_roots(length) {
            let (size, hash) = (d.uint()?, d.fixed32()?);
            byte_length = byte_length
                .checked_add(size)
                .filter(|n| *n <= MAX_BYTES)
                .ok_or(DecodeError::TooLarge("the number of bytes"))?;
            roots.push(Node { index, size, hash });
        }
        let signature = d.buffer()?;
        if signature.len() > MAX_SIGNATURE {
            return Err(DecodeError::TooLarge("a signature"));
        }
        let head = Head { fork, length, byte_length, roots, signature: signature.to_vec() };
        let layout = decode_layout(d, length)?;
        Ok(Self { key, manifest, head, layout })
    }
}

fn decode_layout(d: &mut Decoder<'_>, length: u64) -> Result<Layout, DecodeError> {
    let count = d.uint_max(MAX_LINEAGES, "the number of lineages")?;
    let mut layout = Layout::default();
    for i in 0..count {
        let lineage = Lineage { id: d.fixed()?, start: d.uint()? };
        // The first has everything that no other has.
        let goes_on =
            layout.lineages.last().map_or(lineage.start == 0, |l: &Lineage| lineage.start > l.start);
        if !goes_on || (i > 0 && lineage.start >= length) {
            return Err(DecodeError::Invalid("order of lineages"));
        }
        layout.lineages.push(lineage);
    }
    if layout.lineages.is_empty() != (length == 0) {
        return Err(DecodeError::Invalid("number of lineages"));
    }
    let count = d.count(3)?;
    if count > MAX_PIECES {
        return Err(DecodeError::TooLarge("the number of pieces"));
    }
    let mut at = 0u64;
    for _ in 0..count {
        let (skip, blocks, bytes) = (d.uint()?, d.uint()?, d.uint()?);
        let start = at.checked_add(skip).ok_or(DecodeError::TooLarge("a piece"))?;
        let end = start.checked_add(blocks).ok_or(DecodeError::TooLarge("a piece"))?;
        if blocks == 0 || end > length || bytes > MAX_PIECE {
            return Err(DecodeError::Invalid("piece"));
        }
        layout.pieces.push(Piece { start, end, bytes });
        at = end;
    }
    Ok(layout)
}

/// The head of a mirror.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirrorHead {
    /// When it was written, in seconds since 1970. Nothing is decided by it.
    pub made: u64,
    /// What of the drive is on this mirror, for people; `None`: all of it.
    pub sparse: Option<String>,
    /// The entries. Its key is the link's.
    pub db: CoreHead,
    /// The contents; `None` before the drive has any.
    pub blobs: Option<CoreHead>,
}

impl MirrorHead {
    /// What it says of a core.
    pub fn core(&self, part: Part) -> Option<&CoreHead> {
        match part {
            Part::Db => Some(&self.db),
            Part::Blobs => self.blobs.as_ref(),
        }
    }

    /// As bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::new();
        e.raw(MAGIC);
        e.raw(&[VERSION, if self.sparse.is_some() { SPARSE } else { 0 }]);
        e.raw(&self.made.to_le_bytes());
        let note = self.sparse.as_deref().unwrap_or_default();
        let end = (0..=MAX_NOTE.min(note.len())).rev().find(|i| note.is_char_boundary(*i)).unwrap_or(0);
        e.buffer(note.get(..end).unwrap_or_default().as_bytes());
        self.db.encode(&mut e);
        e.raw(&[u8::from(self.blobs.is_some())]);
        if let Some(blobs) = &self.blobs {
            blobs.encode(&mut e);
        }
        let mut bytes = e.finish();
        let sum = hash(&[&bytes]);
        bytes.extend_from_slice(&sum);
        bytes
    }

    /// Reads bytes. Nothing in it is verified. What a later writer adds before the hash is skipped.
    ///
    /// # Errors
    /// See [`HeadError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, HeadError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(HeadError::NotAHead)?;
        match rest.first() {
            Some(&VERSION) => {}
            Some(0) | None => return Err(HeadError::NotAHead),
            Some(newer) => return Err(HeadError::Newer(*newer)),
        }
        if bytes.len() > MAX_HEAD {
            return Err(DecodeError::TooLarge("a head").into());
        }
        let (content, sum) = bytes
            .len()
            .checked_sub(SUM)
            .and_then(|at| bytes.split_at_checked(at))
            .ok_or(HeadError::Damaged)?;
        if hash(&[content]) != sum {
            return Err(HeadError::Damaged);
        }
        let mut d = Decoder::new(content.get(MAGIC.len() + 1..).ok_or(HeadError::Damaged)?);
        let flags = d.u8()?;
        let made = d.u64()?;
        let note = d.buffer()?;
        if note.len() > MAX_NOTE {
            return Err(DecodeError::TooLarge("a note").into());
        }
        let note = String::from_utf8_lossy(note).into_owned();
        let db = CoreHead::decode(&mut d)?;
        let blobs = match d.u8()? {
            0 => None,
            _ => Some(CoreHead::decode(&mut d)?),
        };
        Ok(Self { made, sparse: (flags & SPARSE != 0).then_some(note), db, blobs })
    }
}
