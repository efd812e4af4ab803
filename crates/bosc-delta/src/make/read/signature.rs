//! The hashes of pages in Mach-O's signature.
//!
//! Layout: `cs_blobs.h`; its numbers are big-endian.

use super::bytes::Bytes;
use crate::derive::{Derived, PageHasher, Rule};

/// Adds the hash tables of the signature at `at` in an image that starts `start` bytes into the file.
pub(super) fn pages(image: Bytes<'_>, start: u64, at: u64, out: &mut Vec<(Derived, bool)>) {
    let Some(count) = image.big(at + 8).filter(|_| image.big(at) == Some(0xfade_0cc0)) else { return };
    for i in 0..count.min(16) {
        if let Some(directory) = image.big(at + 16 + i * 8).and_then(|d| at.checked_add(d)) {
            out.extend(directory_of(image, start, directory));
        }
    }
}

fn directory_of(image: Bytes<'_>, start: u64, at: u64) -> Option<(Derived, bool)> {
    if image.big(at)? != 0xfade_0c02 {
        return None;
    }
    let (hashes, slots, len) = (image.big(at + 16)?, image.big(at + 28)?, image.big(at + 32)?);
    let [size, kind, _, page] = image.slice(at + 36, 4)?.try_into().ok()?;
    // SHA-256.
    if size != 32 || kind != 2 || !(9..=20).contains(&page) {
        return None;
    }
    let page = 1u64 << page;
    let mut hasher = PageHasher::new(page, 0, len);
    hasher.take(0, image.slice(0, len)?);
    let there = image.slice(at.checked_add(hashes)?, slots * 32)?;
    let derived = Derived {
        offset: start + at + hashes,
        len: slots * 32,
        rule: Rule::PageHashes { page, from: start, len },
    };
    Some((derived, there == hasher.digests))
}
