//! Zip, and what is made of it: jar, msix, appx, nupkg, apk, xpi.
//!
//! Layout: PKWARE's APPNOTE.TXT.

use super::member::{Member, place};
use crate::packed::Method;
use std::ops::Range;

const END: usize = 22;
/// Entries that are looked at.
const MOST: usize = 60_000;

/// The packed members, and where those are that are not packed; none if this is no zip.
pub(super) fn members(b: &[u8]) -> Option<(Vec<Member>, Vec<Range<usize>>)> {
    let end = find_end(b)?;
    let (count, len, stated) = (place(b, end + 10, 2)?, place(b, end + 12, 4)?, place(b, end + 16, 4)?);
    // A large one has its directory's place and length in a record before the end.
    let (count, len, stated) = if stated == 0xffff_ffff || count == 0xffff {
        let at = place(b, end.checked_sub(20)? + 8, 8)?;
        (place(b, at.checked_add(32)?, 8)?, place(b, at + 40, 8)?, place(b, at + 48, 8)?)
    } else {
        (count, len, stated)
    };
    // Something may be before the first member.
    let directory = if b.get(stated..)?.starts_with(b"PK\x01\x02") { stated } else { end.checked_sub(len)? };
    let before = directory.checked_sub(stated)?;
    let (mut out, mut plain) = (Vec::new(), Vec::new());
    let mut at = directory;
    for _ in 0..count.min(MOST) {
        if !b.get(at..)?.starts_with(b"PK\x01\x02") {
            break;
        }
        let (flags, method, packed) = (place(b, at + 8, 2)?, place(b, at + 10, 2)?, place(b, at + 20, 4)?);
        let header = place(b, at + 42, 4)?.checked_add(before)?;
        let [name, extra, comment] = [place(b, at + 28, 2)?, place(b, at + 30, 2)?, place(b, at + 32, 2)?];
        at += 46 + name + extra + comment;
        // Encrypted, or larger than 4 GiB.
        if ![0, 8].contains(&method) || flags & 1 != 0 || packed == 0xffff_ffff || packed == 0 {
            continue;
        }
        if let Some(from) = data(b, header)
            && from.checked_add(packed).is_some_and(|end| end <= b.len())
        {
            match method {
                8 => out.push(Member::one(from, packed, Method::Deflate)),
                _ => plain.push(from..from + packed),
            }
        }
    }
    Some((out, plain))
}

/// Where a member's data begins.
fn data(b: &[u8], header: usize) -> Option<usize> {
    if !b.get(header..)?.starts_with(b"PK\x03\x04") {
        return None;
    }
    Some(header + 30 + place(b, header + 26, 2)? + place(b, header + 28, 2)?)
}

/// The end record: a comment of up to 64 KiB may follow.
fn find_end(b: &[u8]) -> Option<usize> {
    let last = b.len().checked_sub(END)?;
    let first = last.saturating_sub(0xffff);
    (first..=last).rev().find(|at| {
        b.get(*at..).is_some_and(|r| r.starts_with(b"PK\x05\x06")) && place(b, at + 20, 2) == Some(last - at)
    })
}
