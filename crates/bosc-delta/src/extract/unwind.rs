//! Compact unwinding of Mach-O (`__unwind_info`): an index of functions, pages of 24-bit distances, and language data.
//!
//! Layout: `mach-o/compact_unwind_encoding.h`.

use super::go::Listed;
use crate::Error;
use crate::base::{Base, Words};
use crate::field::Kind;
use crate::layout::{IMAGE_SHIFT, Region};

/// Rows of one list that are looked at.
const MOST: u64 = 1 << 20;

/// Walks the table in `region`.
pub(super) fn walk<B: Base + ?Sized>(
    words: &mut Words<'_, B>,
    region: &Region,
    out: &mut Listed,
) -> Result<(), Error> {
    let image = region.address & !(u64::MAX >> (64 - IMAGE_SHIFT));
    let in_image = out.meaning(Kind::FromBase, image);
    let in_section = out.meaning(Kind::FromBase, region.address);
    let mut list = |at: u64, meaning: u16| {
        if at + 4 <= region.end()
            && out.fields.len() < super::go::MAX
            && let Ok(at) = u32::try_from(at)
        {
            out.fields.push((at, meaning));
        }
    };
    let mut header = [0u64; 7];
    for (i, word) in header.iter_mut().enumerate() {
        *word = u64::from(words.u32(region.offset + 4 * i as u64)?.unwrap_or(0));
    }
    let [_, _, _, personalities, n_personalities, index, n_index] = header;
    for i in [3, 5] {
        list(region.offset + 4 * i, in_section);
    }
    for i in 0..n_personalities.min(16) {
        list(region.offset + personalities + 4 * i, in_image);
    }
    let mut pages = Vec::new();
    let (mut data, mut data_end) = (None, 0);
    for i in 0..n_index.min(region.len / 12) {
        let row = region.offset + index + 12 * i;
        list(row, in_image);
        let (function, page, language) = (words.u32(row)?, words.u32(row + 4)?, words.u32(row + 8)?);
        if let Some(v) = language {
            list(row + 8, in_section);
            data = data.or(Some(u64::from(v)));
            data_end = u64::from(v);
        }
        // The last row ends the list: it has no page.
        if let (Some(function), Some(page)) = (function, page.filter(|p| *p != 0)) {
            list(row + 4, in_section);
            pages.push((u64::from(function), u64::from(page)));
        }
    }
    if let Some(start) = data {
        for row in (0..data_end.saturating_sub(start).min(MOST * 8).min(region.len) / 8)
            .map(|i| region.offset + start + 8 * i)
        {
            list(row, in_image);
            list(row + 4, in_image);
        }
    }
    let mut rows = Vec::new();
    // Pages that lie over each other list no more rows than there is room for.
    let mut left = region.len / 4;
    for (function, page) in pages {
        let at = region.offset + page;
        let (Some(kind), Some(sizes)) = (words.u32(at)?, words.u32(at + 4)?) else { continue };
        let first = at + u64::from(sizes & 0xffff);
        let count = u64::from(sizes >> 16);
        let Some(rest) = left.checked_sub(count) else { break };
        left = rest;
        match kind {
            2 => (0..count).for_each(|i| list(first + 8 * i, in_image)),
            3 => rows.push((function, first, count)),
            _ => {}
        }
    }
    for (function, first, count) in rows {
        let meaning = out.meaning(Kind::FromBase24, image.wrapping_add(function));
        for at in (0..count).map(|i| first + 4 * i) {
            if at + 4 <= region.end()
                && out.fields.len() < super::go::MAX
                && let Ok(at) = u32::try_from(at)
            {
                out.fields.push((at, meaning));
            }
        }
    }
    Ok(())
}
