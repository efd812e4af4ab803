//! The record of a core: everything about it that is not a page.
//!
//! Format, version 1 (compact encoding): byte 1, flags (bit 0 manifest, bit 1 key pair by name, bit 2 key pair
//! by seed), 32 bytes key, [manifest as a buffer], [32 bytes namespace, name as a buffer] or [32 bytes seed],
//! head: uints fork, length, byte length; uint count of roots, each uint index, uint size, 32 bytes hash;
//! signature as a buffer; uints contiguous length, blocks kept, bytes kept. Bytes after that belong to later
//! versions and are ignored.

use crate::error::{Error, Result};
use bosc_format::codec::{DecodeError, Decoder, Encoder};
use bosc_format::crypto::{CoreKey, Hash, KeyPair};
use bosc_format::manifest::Manifest;
use bosc_format::merkle::{Head, Node};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Where a core's own key pair comes from.
#[derive(Clone, Default)]
pub(crate) enum KeySource {
    /// There is none.
    #[default]
    None,
    /// Derived from the primary key.
    Name { namespace: Hash, name: Vec<u8> },
    /// Kept in the record.
    Seed(Zeroizing<[u8; 32]>),
}

impl KeySource {
    pub(crate) fn seed(pair: &KeyPair) -> Self {
        KeySource::Seed(Zeroizing::new(pair.seed()))
    }

    pub(crate) fn is_none(&self) -> bool {
        matches!(self, KeySource::None)
    }
}

/// A core but for its pages.
#[derive(Clone)]
pub(crate) struct Record {
    pub(crate) key: CoreKey,
    pub(crate) manifest: Option<Arc<Manifest>>,
    pub(crate) source: KeySource,
    pub(crate) head: Arc<Head>,
    /// All blocks below are here.
    pub(crate) contiguous: u64,
    /// How many blocks are here.
    pub(crate) blocks: u64,
    /// How many bytes these blocks have.
    pub(crate) bytes: u64,
}

impl Record {
    pub(crate) fn new(key: CoreKey) -> Self {
        Self {
            key,
            manifest: None,
            source: KeySource::None,
            head: Arc::new(Head::empty()),
            contiguous: 0,
            blocks: 0,
            bytes: 0,
        }
    }

    pub(crate) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut e = Encoder::with_capacity(512);
        let source = match self.source {
            KeySource::None => 0,
            KeySource::Name { .. } => 2,
            KeySource::Seed(_) => 4,
        };
        e.u8(1).u8(u8::from(self.manifest.is_some()) | source).raw(&self.key);
        if let Some(m) = &self.manifest {
            e.buffer(&m.encode());
        }
        match &self.source {
            KeySource::None => {}
            KeySource::Name { namespace, name } => {
                e.raw(namespace).buffer(name);
            }
            KeySource::Seed(seed) => {
                e.raw(&**seed);
            }
        }
        let h = &*self.head;
        e.uint(h.fork).uint(h.length).uint(h.byte_length).uint(h.roots.len() as u64);
        for r in &h.roots {
            e.uint(r.index).uint(r.size).raw(&r.hash);
        }
        e.buffer(&h.signature).uint(self.contiguous).uint(self.blocks).uint(self.bytes);
        Zeroizing::new(e.finish())
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        match bytes.first() {
            Some(1) => Self::decode_v1(bytes).map_err(|e| Error::corrupt(format!("a core's record: {e}"))),
            Some(v) => Err(Error::NewerVersion { found: u64::from(*v), supported: 1 }),
            None => Err(Error::corrupt("a core's record is empty")),
        }
    }

    fn decode_v1(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut d = Decoder::new(bytes);
        d.u8()?;
        let flags = d.u8()?;
        let key = d.fixed32()?;
        let manifest = if flags & 1 == 0 { None } else { Some(Arc::new(Manifest::decode(d.buffer()?)?)) };
        let source = match flags & 6 {
            0 => KeySource::None,
            2 => KeySource::Name { namespace: d.fixed32()?, name: d.buffer()?.to_vec() },
            4 => KeySource::Seed(Zeroizing::new(d.fixed32()?)),
            _ => return Err(DecodeError::Invalid("key source")),
        };
        let (fork, length, byte_length) = (d.uint()?, d.uint()?, d.uint()?);
        let roots = d.list(34, |d| Ok(Node { index: d.uint()?, size: d.uint()?, hash: d.fixed32()? }))?;
        let signature = d.buffer()?.to_vec();
        let head = Head { fork, length, byte_length, roots, signature };
        if !head.is_well_formed() {
            return Err(DecodeError::Invalid("head"));
        }
        let (contiguous, blocks, bytes) = (d.uint()?, d.uint()?, d.uint()?);
        if contiguous > length || blocks > length {
            return Err(DecodeError::Invalid("block count"));
        }
        Ok(Self { key, manifest, source, head: Arc::new(head), contiguous, blocks, bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bosc_format::merkle::Appender;

    #[test]
    fn a_record_survives_a_round_trip() {
        let pair = KeyPair::from_seed(&[7; 32]);
        let manifest = Manifest::single(pair.public());
        let mut a = Appender::new(&Head::empty());
        for i in 0..11u8 {
            a.append_block(&[i; 3]).unwrap();
        }
        let (mut head, _) = a.finish(2);
        head.signature = vec![5; 70];
        let mut r = Record::new(manifest.key());
        r.manifest = Some(Arc::new(manifest));
        r.head = Arc::new(head);
        (r.contiguous, r.blocks, r.bytes) = (3, 4, 5);
        for source in [
            KeySource::None,
            KeySource::seed(&pair),
            KeySource::Name { namespace: [3; 32], name: b"db".to_vec() },
        ] {
            r.source = source;
            let bytes = r.encode();
            let back = Record::decode(&bytes).unwrap();
            assert_eq!(*back.encode(), *bytes);
            assert_eq!(back.head, r.head);
            assert_eq!(back.manifest, r.manifest);
            for cut in 0..bytes.len() {
                assert!(Record::decode(&bytes[..cut]).is_err());
            }
        }
        assert!(matches!(Record::decode(&[2, 0]), Err(Error::NewerVersion { found: 2, .. })));
    }
}
