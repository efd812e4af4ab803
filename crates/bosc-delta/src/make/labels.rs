//! Images in which every reference is replaced by a label of its target: stretches that differ in nothing but where things
//! lie become equal.

use crate::Error;
use crate::extract::Extractor;
use crate::field::{Kind, Reference};
use crate::layout::Layout;

/// Mixes a number into a label.
pub(super) fn hashed(v: u64) -> u32 {
    let h = v.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (h >> 32 ^ h) as u32
}

/// The file with `label` of each reference's target in its place.
pub(super) fn labelled(
    extractor: &mut Extractor<'_, [u8]>,
    len: usize,
    label: impl Fn(&Reference) -> u32,
) -> Result<Vec<u8>, Error> {
    let mut out = Vec::with_capacity(len + 16);
    while out.len() < len {
        let start = out.len();
        let block = extractor.block(start as u64)?;
        let end = block.end() as usize;
        out.extend_from_slice(block.bytes().get(..end - start).unwrap_or(&[]));
        for r in &block.references {
            put(&mut out, r, r.offset as usize, label(r));
        }
    }
    out.truncate(len);
    Ok(out)
}

/// Writes a label over a field, as far as it is there already.
fn put(out: &mut [u8], r: &Reference, at: usize, label: u32) {
    let Some(bytes) = out.get_mut(at..).and_then(|b| b.first_chunk_mut::<4>()) else { return };
    let word = u32::from_le_bytes(*bytes);
    let word = match r.kind {
        Kind::Count => return,
        Kind::ArmBranch => word & 0xfc00_0000 | label & 0x3ff_ffff,
        Kind::ArmPage => word & 0x9f00_001f | (label & 0x3ff) << 5,
        Kind::ArmLow => word & !(0xfff << 10) | (label & 0xfff) << 10,
        Kind::FromBase24 => word & 0xff00_0000 | label & 0xff_ffff,
        _ => label,
    };
    *bytes = word.to_le_bytes();
}

/// A label that says what is at an address: some bytes of an image whose references are masked.
pub(super) fn content(masked: &[u8], layout: &Layout, address: u64) -> u32 {
    const SEEN: usize = 12;
    let Some(at) = layout.offset(address).and_then(|o| usize::try_from(o).ok()) else { return 7 };
    let bytes = masked.get(at..masked.len().min(at.saturating_add(SEEN))).unwrap_or(&[]);
    let hash = bytes.iter().fold(0x811c_9dc5u32, |h, b| (h ^ u32::from(*b)).wrapping_mul(0x0100_0193));
    hash ^ hash >> 15
}
