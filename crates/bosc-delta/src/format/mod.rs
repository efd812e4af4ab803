//! A patch's bytes. Drawn in docs/formats.md.
//!
//! - Here: the header and where the parts are.
//! - `numbers`: whole numbers in bytes. `tables`: layouts, derived ranges and anchors.

mod numbers;
mod tables;

pub(crate) use numbers::Numbers;
#[cfg(feature = "make")]
pub(crate) use numbers::{put, put_signed};
use tables::MOST_TABLES;
pub(crate) use tables::Tables;

use crate::{Error, MAX_FILE};

const MAGIC: &[u8; 7] = b"boscdlt";
/// The version of the format.
pub(crate) const VERSION: u8 = 1;
/// Copies that a patch may have.
pub(crate) const MOST_COPIES: u64 = 1 << 20;
/// How the new bytes are packed. The numbers are in patches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Packing {
    /// By the models of `literals`.
    Models = 0,
    /// LZMA.
    Lzma = 1,
    /// Not at all.
    Raw = 2,
}

/// The header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) extractor: u8,
    pub(crate) old_len: u64,
    pub(crate) new_len: u64,
    pub(crate) old_hash: [u8; 32],
    pub(crate) new_hash: [u8; 32],
    pub(crate) tables_len: u64,
    pub(crate) copies: u64,
    pub(crate) extra_len: u64,
    pub(crate) packing: Packing,
}

/// A patch, taken apart.
#[derive(Debug)]
pub(crate) struct Parts<'a> {
    pub(crate) header: Header,
    /// Packed.
    pub(crate) tables: &'a [u8],
    pub(crate) script: &'a [u8],
    pub(crate) extra: &'a [u8],
}

impl<'a> Parts<'a> {
    /// Takes a patch apart.
    pub(crate) fn read(patch: &'a [u8]) -> Result<Parts<'a>, Error> {
        let mut n = Numbers::new(patch);
        if n.bytes::<7>().map_err(|_| Error::NotAPatch)? != *MAGIC {
            return Err(Error::NotAPatch);
        }
        let [format, extractor] = n.bytes::<2>()?;
        if format != VERSION || extractor != crate::extract::VERSION {
            return Err(Error::Version { format, extractor });
        }
        let (old_len, new_len) = (n.number()?, n.number()?);
        for len in [old_len, new_len] {
            if len > MAX_FILE {
                return Err(Error::TooLong(len));
            }
        }
        let (old_hash, new_hash) = (n.bytes::<32>()?, n.bytes::<32>()?);
        let (tables_len, tables) = (n.number()?, n.number()?);
        let (copies, script) = (n.number()?, n.number()?);
        let extra_len = n.number()?;
        let [packing] = n.bytes::<1>()?;
        let packing = match packing {
            0 => Packing::Models,
            1 => Packing::Lzma,
            2 => Packing::Raw,
            _ => return Err(Error::Damaged("its new bytes are packed in an unknown way")),
        };
        if tables_len > MOST_TABLES || copies > MOST_COPIES {
            return Err(Error::TooMuch("its tables or copies are too many"));
        }
        if extra_len > new_len || copies > new_len {
            return Err(Error::Damaged("it has more than its result"));
        }
        let header = Header {
            extractor,
            old_len,
            new_len,
            old_hash,
            new_hash,
            tables_len,
            copies,
            extra_len,
            packing,
        };
        let parts = Parts { header, tables: n.slice(tables)?, script: n.slice(script)?, extra: n.rest() };
        Ok(parts)
    }

    /// Puts a patch together.
    #[cfg(feature = "make")]
    pub(crate) fn write(&self) -> Vec<u8> {
        let h = &self.header;
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&[VERSION, h.extractor]);
        put(&mut out, h.old_len);
        put(&mut out, h.new_len);
        out.extend_from_slice(&h.old_hash);
        out.extend_from_slice(&h.new_hash);
        for n in [h.tables_len, self.tables.len() as u64, h.copies, self.script.len() as u64, h.extra_len] {
            put(&mut out, n);
        }
        out.push(h.packing as u8);
        for part in [self.tables, self.script, self.extra] {
            out.extend_from_slice(part);
        }
        out
    }
}
