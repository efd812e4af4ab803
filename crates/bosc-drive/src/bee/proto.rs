//! The bee's blocks as bytes: protocol buffers written by hand (npm `hyperbee`, lib/messages.js).
//!
//! ```text
//! Header  1: string protocol ("hyperbee")   2: Metadata { 1: bytes contentFeed, 2: bytes userData }
//! Node    1: bytes index (YoloIndex)        2: bytes key      3: bytes value (absent: null)
//! YoloIndex  1: repeated Level { 1: packed varint keys, 2: packed varint children (seq, offset, seq, offset ...) }
//! ```
//! Unknown fields are skipped. Known fields must have their wire type and lie inside the block.

use super::bounds::{MAX_KEY_LEN, MAX_LEVELS, MAX_NODE_KEYS};
use crate::{Error, Result};
use bytes::Bytes;

/// Reads protobuf fields from the front of a slice. Offsets are relative to the whole block.
struct Fields<'a> {
    block: u64,
    bytes: &'a [u8],
    at: usize,
}

enum Field<'a> {
    /// Length-delimited.
    Bytes(&'a [u8]),
    /// Any other wire type; no field of ours has one.
    Other,
}

impl<'a> Fields<'a> {
    fn new(block: u64, bytes: &'a [u8]) -> Self {
        Self { block, bytes, at: 0 }
    }

    fn bad(&self, what: &'static str) -> Error {
        Error::malformed(self.block, what)
    }

    fn varint(&mut self) -> Result<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = *self.bytes.get(self.at).ok_or_else(|| self.bad("a number is cut off"))?;
            self.at += 1;
            let low = u64::from(byte & 0x7f);
            if shift == 63 && low > 1 {
                break;
            }
            value |= low << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.bad("a number is too long"))
    }

    fn take(&mut self, n: u64) -> Result<&'a [u8]> {
        let start = self.at;
        let end = usize::try_from(n).ok().and_then(|n| start.checked_add(n));
        let bytes = end.and_then(|end| self.bytes.get(start..end));
        let bytes = bytes.ok_or_else(|| self.bad("a field is cut off"))?;
        self.at += bytes.len();
        Ok(bytes)
    }

    /// The next field's number and content; `None` at the end.
    fn next(&mut self) -> Result<Option<(u64, Field<'a>)>> {
        if self.at >= self.bytes.len() {
            return Ok(None);
        }
        let prefix = self.varint()?;
        let field = match prefix & 7 {
            0 => {
                self.varint()?;
                Field::Other
            }
            1 => {
                self.take(8)?;
                Field::Other
            }
            2 => {
                let n = self.varint()?;
                Field::Bytes(self.take(n)?)
            }
            5 => {
                self.take(4)?;
                Field::Other
            }
            _ => return Err(self.bad("unknown wire type")),
        };
        Ok(Some((prefix >> 3, field)))
    }
}

fn write_varint(out: &mut Vec<u8>, mut v: u64) {
    while v >= 0x80 {
        out.push((v as u8) | 0x80);
        v >>= 7;
    }
    out.push(v as u8);
}

fn varint_len(v: u64) -> usize {
    (64 - (v | 1).leading_zeros() as usize).div_ceil(7)
}

fn write_bytes(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    write_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Block 0 of a bee.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// What the core holds; `hyperbee` for a bee.
    pub protocol: String,
    /// Present, even if empty, in the bee of a drive; absent in a plain one.
    pub metadata: Option<Metadata>,
}

/// What a bee's header says about the core it belongs to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Key of the blobs core, in drives older than manifests; newer ones derive it.
    pub content_feed: Option<Bytes>,
    /// Free to the application.
    pub user_data: Option<Bytes>,
}

impl Header {
    /// The protocol name of a Hyperbee.
    pub const PROTOCOL: &'static str = "hyperbee";

    /// The header `hyperdrive` writes for a drive whose blobs key is derived from its manifest.
    pub fn drive() -> Self {
        Self { protocol: Self::PROTOCOL.into(), metadata: Some(Metadata::default()) }
    }

    /// The header of a bee on its own.
    pub fn plain() -> Self {
        Self { protocol: Self::PROTOCOL.into(), metadata: None }
    }

    /// As block bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        write_bytes(&mut out, 10, self.protocol.as_bytes());
        if let Some(m) = &self.metadata {
            let mut inner = Vec::new();
            if let Some(feed) = &m.content_feed {
                write_bytes(&mut inner, 10, feed);
            }
            if let Some(data) = &m.user_data {
                write_bytes(&mut inner, 18, data);
            }
            write_bytes(&mut out, 18, &inner);
        }
        out
    }

    /// From block bytes.
    pub fn decode(block: &Bytes) -> Result<Self> {
        let mut protocol = None;
        let mut metadata = None;
        let mut fields = Fields::new(0, block);
        while let Some((tag, field)) = fields.next()? {
            match (tag, field) {
                (1, Field::Bytes(b)) => {
                    let s = std::str::from_utf8(b).map_err(|_| Error::NotABee)?;
                    protocol = Some(s.to_owned());
                }
                (2, Field::Bytes(b)) => {
                    let mut m = Metadata::default();
                    let mut inner = Fields::new(0, b);
                    while let Some((tag, field)) = inner.next()? {
                        match (tag, field) {
                            (1, Field::Bytes(b)) => m.content_feed = Some(block.slice_ref(b)),
                            (2, Field::Bytes(b)) => m.user_data = Some(block.slice_ref(b)),
                            (1 | 2, Field::Other) => return Err(Error::malformed(0, "wrong wire type")),
                            _ => {}
                        }
                    }
                    metadata = Some(m);
                }
                (1 | 2, Field::Other) => return Err(Error::malformed(0, "wrong wire type")),
                _ => {}
            }
        }
        Ok(Self { protocol: protocol.ok_or(Error::NotABee)?, metadata })
    }
}

/// A block of a bee after the header: one put or delete, and the part of the tree it rewrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NodeBlock {
    pub(crate) seq: u64,
    pub(crate) key: Bytes,
    pub(crate) value: Option<Bytes>,
    index: Bytes,
}

/// One tree node as written: seqs of its keys, and (seq, offset) of its children.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Level {
    pub(crate) keys: Vec<u64>,
    pub(crate) children: Vec<(u64, u64)>,
}

impl NodeBlock {
    pub(crate) fn decode(seq: u64, block: &Bytes) -> Result<Self> {
        let (mut index, mut key, mut value) = (None, None, None);
        let mut fields = Fields::new(seq, block);
        while let Some((tag, field)) = fields.next()? {
            let slot = match tag {
                1 => &mut index,
                2 => &mut key,
                3 => &mut value,
                _ => continue,
            };
            match field {
                Field::Bytes(b) => *slot = Some(block.slice_ref(b)),
                Field::Other => return Err(Error::malformed(seq, "wrong wire type")),
            }
        }
        let key = key.ok_or(Error::malformed(seq, "no key"))?;
        if key.len() > MAX_KEY_LEN {
            return Err(Error::malformed(seq, "the key is too long"));
        }
        Ok(Self { seq, key, value, index: index.ok_or(Error::malformed(seq, "no index"))? })
    }

    /// The tree node at `offset` of this block's index. Checks that it is a B-tree node whose keys and children
    /// were written no later than this block.
    pub(crate) fn level(&self, offset: u64) -> Result<Level> {
        let bad = |what| Error::malformed(self.seq, what);
        let mut fields = Fields::new(self.seq, &self.index);
        let mut at = 0u64;
        while let Some((tag, field)) = fields.next()? {
            let (1, Field::Bytes(bytes)) = (tag, field) else { continue };
            if at == offset {
                let level = self.decode_level(bytes)?;
                let newest = level.keys.iter().chain(level.children.iter().map(|(seq, _)| seq)).max();
                if newest.is_some_and(|&seq| seq > self.seq) {
                    return Err(bad("a key or child is newer than its node"));
                }
                return Ok(level);
            }
            at += 1;
            if at > MAX_LEVELS {
                return Err(bad("the index has too many levels"));
            }
        }
        if offset == 0 {
            Err(Error::NotAVersion(self.seq.saturating_add(1)))
        } else {
            Err(bad("no such tree node"))
        }
    }

    fn decode_level(&self, bytes: &[u8]) -> Result<Level> {
        let bad = |what| Error::malformed(self.seq, what);
        let mut level = Level::default();
        let mut fields = Fields::new(self.seq, bytes);
        while let Some((tag, field)) = fields.next()? {
            let packed = match (tag, field) {
                (1 | 2, Field::Bytes(packed)) => packed,
                (1 | 2, Field::Other) => return Err(bad("wrong wire type")),
                _ => continue,
            };
            let mut numbers = Fields::new(self.seq, packed);
            while numbers.at < packed.len() {
                let seq = numbers.varint()?;
                if seq == 0 {
                    return Err(bad("a key or child is the header"));
                }
                if tag == 1 {
                    level.keys.push(seq);
                } else {
                    level.children.push((seq, numbers.varint()?));
                }
                if level.keys.len() > MAX_NODE_KEYS || level.children.len() > MAX_NODE_KEYS + 1 {
                    return Err(bad("a tree node is too wide"));
                }
            }
        }
        if !level.children.is_empty()
            && (level.keys.is_empty() || level.children.len() != level.keys.len() + 1)
        {
            return Err(bad("a tree node has a wrong number of children"));
        }
        Ok(level)
    }

    /// Whether the block carries tree nodes. Of a batch the last one does, and others may.
    pub(crate) fn has_tree(&self) -> bool {
        !self.index.is_empty()
    }

    /// Whether any level of this block's index names the block itself as a key. Inside a batch levels may name blocks
    /// that are newer: the rest of the batch changed what is below them.
    pub(crate) fn links_itself(&self) -> Result<bool> {
        let mut fields = Fields::new(self.seq, &self.index);
        while let Some((tag, field)) = fields.next()? {
            let (1, Field::Bytes(bytes)) = (tag, field) else { continue };
            if self.decode_level(bytes)?.keys.contains(&self.seq) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn packed_len(numbers: impl Iterator<Item = u64>) -> usize {
    numbers.map(varint_len).sum()
}

fn level_len(level: &Level) -> usize {
    let field = |n: usize| if n == 0 { 0 } else { 1 + varint_len(n as u64) + n };
    field(packed_len(level.keys.iter().copied()))
        + field(packed_len(level.children.iter().flat_map(|&(seq, offset)| [seq, offset])))
}

/// The bytes of a node block.
pub(crate) fn encode_node(key: &[u8], value: Option<&[u8]>, levels: &[Level]) -> Vec<u8> {
    let index_len: usize = levels
        .iter()
        .map(|l| {
            let n = level_len(l);
            1 + varint_len(n as u64) + n
        })
        .sum();
    let mut out = Vec::with_capacity(index_len + key.len() + value.map_or(0, <[u8]>::len) + 20);
    out.push(10);
    write_varint(&mut out, index_len as u64);
    for level in levels {
        out.push(10);
        write_varint(&mut out, level_len(level) as u64);
        if !level.keys.is_empty() {
            out.push(10);
            write_varint(&mut out, packed_len(level.keys.iter().copied()) as u64);
            for &seq in &level.keys {
                write_varint(&mut out, seq);
            }
        }
        if !level.children.is_empty() {
            out.push(18);
            let numbers = || level.children.iter().flat_map(|&(seq, offset)| [seq, offset]);
            write_varint(&mut out, packed_len(numbers()) as u64);
            for n in numbers() {
                write_varint(&mut out, n);
            }
        }
    }
    write_bytes(&mut out, 18, key);
    if let Some(value) = value {
        write_bytes(&mut out, 26, value);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_come_back_and_know_their_length() {
        for v in [0, 1, 0x7f, 0x80, 0x3fff, 0x4000, u64::from(u32::MAX), u64::MAX] {
            let mut out = Vec::new();
            write_varint(&mut out, v);
            assert_eq!(out.len(), varint_len(v), "{v}");
            assert_eq!(Fields::new(0, &out).varint().unwrap(), v);
        }
        let overlong = [0xff; 11];
        assert!(Fields::new(0, &overlong).varint().is_err());
        let mut too_big = [0xff; 10];
        too_big[9] = 2;
        assert!(Fields::new(0, &too_big).varint().is_err());
    }

    #[test]
    fn headers_match_javascript() {
        let drive = Header::drive().encode();
        assert_eq!(drive, b"\x0a\x08hyperbee\x12\x00");
        assert_eq!(Header::decode(&Bytes::from(drive)).unwrap(), Header::drive());
        assert_eq!(Header::plain().encode(), b"\x0a\x08hyperbee");
        assert!(matches!(Header::decode(&Bytes::from_static(b"\x12\x00")), Err(Error::NotABee)));
    }

    #[test]
    fn unknown_fields_are_skipped_and_cut_fields_refused() {
        let levels = [Level { keys: vec![3], children: vec![] }];
        let mut block = encode_node(b"k", Some(b"v"), &levels);
        block.extend_from_slice(&[
            0x20, 0x05, 0x2d, 0, 0, 0, 0, 0x31, 0, 0, 0, 0, 0, 0, 0, 0, 0x3a, 0x01, 0xff,
        ]);
        let node = NodeBlock::decode(3, &Bytes::from(block.clone())).unwrap();
        assert_eq!((node.key.as_ref(), node.value.as_deref()), (b"k".as_ref(), Some(b"v".as_ref())));
        assert_eq!(node.level(0).unwrap(), levels[0]);
        assert!(NodeBlock::decode(3, &Bytes::from(block).slice(..5)).is_err());
    }

    #[test]
    fn a_level_that_is_no_tree_node_is_refused() {
        let refuse = |keys: Vec<u64>, children: Vec<(u64, u64)>| {
            let block = Bytes::from(encode_node(b"k", None, &[Level { keys, children }]));
            assert!(NodeBlock::decode(5, &block).unwrap().level(0).is_err());
        };
        refuse(vec![6], vec![]);
        refuse(vec![0], vec![]);
        refuse(vec![1], vec![(1, 0)]);
        refuse(vec![], vec![(1, 0)]);
        refuse(vec![1], vec![(1, 0), (6, 0)]);
        refuse(vec![1; 200], vec![]);
    }
}
