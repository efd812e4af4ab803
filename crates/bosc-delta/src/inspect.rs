//! What a patch says of itself.

use crate::Error;
use crate::format::{Packing, Parts, Tables};
use crate::packed::Level;

/// What a patch says of itself. Nothing of it is proved.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inspection {
    /// Version of the format.
    pub format: u8,
    /// Version of the extractor of references.
    pub extractor: u8,
    /// Length of the old file in bytes.
    pub old_len: u64,
    /// BLAKE2b-256 of the old file.
    pub old_hash: [u8; 32],
    /// Length of the new file in bytes.
    pub new_len: u64,
    /// BLAKE2b-256 of the new file.
    pub new_hash: [u8; 32],
    /// Stretches that are taken from the old file; none if the old file is not needed.
    pub copies: u64,
    /// Bytes that are in no copy.
    pub new_bytes: u64,
    /// How those are packed: `models`, `lzma` or `raw`.
    pub packing: &'static str,
    /// Bytes of the patch for tables.
    pub tables_packed: u64,
    /// Bytes of the patch for copies and corrections.
    pub script_packed: u64,
    /// Bytes of the patch for new bytes.
    pub new_packed: u64,
    /// Parts of the old file in which references are looked for.
    pub regions: usize,
    /// Parts of the new file that follow from the rest of it.
    pub derived: usize,
    /// Pieces of the old file that are unpacked.
    pub unpacked: usize,
    /// Pieces of the new file that are packed again.
    pub packed: usize,
    /// If the patch is between the insides of the files: their lengths.
    pub inside: Option<(u64, u64)>,
}

/// Reads what a patch says of itself.
///
/// # Errors
/// What is not a patch, is of another version, or is damaged where this looks.
pub fn inspect(patch: &[u8]) -> Result<Inspection, Error> {
    let parts = Parts::read(patch)?;
    let h = parts.header;
    let tables = Tables::read(parts.tables, h.tables_len, h.lens())?;
    let recipe = parts.recipe()?;
    let pieces = |of: fn(&Level) -> usize| recipe.levels.iter().map(of).sum();
    Ok(Inspection {
        format: h.version(),
        extractor: h.extractor,
        old_len: h.old_len,
        old_hash: h.old_hash,
        new_len: h.new_len,
        new_hash: h.new_hash,
        copies: h.copies,
        new_bytes: h.extra_len,
        packing: match h.packing {
            Packing::Models => "models",
            Packing::Lzma => "lzma",
            Packing::Raw => "raw",
        },
        tables_packed: parts.tables.len() as u64,
        script_packed: parts.script.len() as u64,
        new_packed: parts.extra.len() as u64,
        regions: tables.old.regions.len(),
        derived: tables.derived.len(),
        unpacked: pieces(|l| l.old.len()),
        packed: pieces(|l| l.new.len()),
        inside: h.inside.map(|i| (i.old_len, i.new_len)),
    })
}
