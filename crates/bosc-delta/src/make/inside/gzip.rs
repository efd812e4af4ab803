//! Gzip of one member, such as tar.gz.
//!
//! Layout: RFC 1952.

use super::member::{Member, place};
use crate::packed::Method;

/// The packed member; none if this is no gzip.
pub(super) fn members(b: &[u8]) -> Option<Vec<Member>> {
    if !b.starts_with(&[0x1f, 0x8b, 8]) {
        return None;
    }
    let flags = *b.get(3)?;
    let mut at = 10;
    if flags & 4 != 0 {
        at += 2 + place(b, at, 2)?;
    }
    for bit in [8, 16] {
        if flags & bit != 0 {
            at += b.get(at..)?.iter().position(|c| *c == 0)? + 1;
        }
    }
    if flags & 2 != 0 {
        at += 2;
    }
    let len = b.len().checked_sub(at + 8)?;
    Some(vec![Member::one(at, len, Method::Deflate)])
}
