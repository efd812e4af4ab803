//! Squashfs packed with gzip, alone or behind a program, as in an AppImage: files are blocks that are packed one by one.
//!
//! Layout: `fs/squashfs/squashfs_fs.h` of Linux.

use super::member::{Member, Piece, number, place};
use crate::packed::{Method, unpack};

const BLOCK: usize = 8192;
/// No table of inodes is longer.
const MOST_TABLE: usize = 64 << 20;

/// Files, fragments and tables; none if this is no squashfs that is understood.
pub(super) fn members(b: &[u8]) -> Option<Vec<Member>> {
    let start = if b.starts_with(b"hsqs") { 0 } else { behind_program(b)? };
    let b = b.get(start..)?;
    if !b.starts_with(b"hsqs") || number(b, 28, 2)? != 4 || number(b, 20, 2)? != 1 {
        return None;
    }
    let block_len = number(b, 12, 4)?;
    if !(4096..=1 << 20).contains(&block_len) {
        return None;
    }
    let (ids, inodes, directories) = (place(b, 48, 8)?, place(b, 64, 8)?, place(b, 72, 8)?);
    let (fragments, exports) = (place(b, 80, 8), place(b, 88, 8));
    let mut out = Vec::new();
    // Tables: inodes, directories, and those that are found over a list of their blocks.
    let table = |from: usize, to: usize| metadata(b, from, to);
    let inode_table = table(inodes, directories)?;
    let first_of = |list: Option<usize>| list.and_then(|l| place(b, l, 8)).filter(|at| *at < b.len());
    let fragment_blocks = number(b, 16, 4)?;
    let fragment_list = fragments.filter(|_| fragment_blocks > 0);
    let ends = [first_of(fragment_list), first_of(exports), first_of(Some(ids)), Some(ids)];
    let directory_end = ends.iter().flatten().copied().filter(|e| *e > directories).min()?;
    let directory_table = table(directories, directory_end)?;
    let fragment_table = fragment_list.and_then(|list| table(first_of(Some(list))?, list));
    files(b, &inode_table.bytes, block_len, &mut out);
    for entry in fragment_table.iter().flat_map(|t| t.bytes.chunks_exact(16)) {
        let (Some(at), Some(size)) = (place(entry, 0, 8), number(entry, 8, 4)) else { break };
        out.extend(block(at, size).map(|piece| Member { pieces: vec![piece] }));
    }
    let export_table = first_of(exports).zip(exports).and_then(|(from, to)| table(from, to));
    for t in [Some(inode_table), Some(directory_table), fragment_table, export_table].into_iter().flatten() {
        out.push(Member { pieces: t.pieces });
    }
    out.iter_mut().flat_map(|m| &mut m.pieces).for_each(|p| p.offset += start);
    Some(out)
}

/// Where an ELF program ends: there an AppImage has its files.
fn behind_program(b: &[u8]) -> Option<usize> {
    if !b.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let end = place(b, 40, 8)?.checked_add(place(b, 58, 2)? * place(b, 60, 2)?)?;
    // Runtimes that are padded end a little later.
    (end..end.checked_add(1 << 16)?).find(|at| b.get(*at..).is_some_and(|r| r.starts_with(b"hsqs")))
}

/// A block of a file: its place and what its size says. None if it is not packed.
fn block(at: usize, size: u64) -> Option<Piece> {
    let len = (size & 0xff_ffff) as usize;
    (size & 1 << 24 == 0 && len > 0).then_some(Piece { offset: at, len, method: Method::Zlib })
}

struct Table {
    pieces: Vec<Piece>,
    bytes: Vec<u8>,
}

/// Blocks of a table, each with its length before it.
fn metadata(b: &[u8], from: usize, to: usize) -> Option<Table> {
    let mut out = Table { pieces: Vec::new(), bytes: Vec::new() };
    let mut at = from;
    while at < to {
        let size = place(b, at, 2)?;
        let len = size & 0x7fff;
        let block = b.get(at + 2..at + 2 + len)?;
        if size & 0x8000 != 0 {
            out.bytes.extend_from_slice(block);
        } else {
            let (bytes, used) = unpack(block, Method::Zlib, BLOCK)?;
            out.bytes.extend_from_slice(&bytes);
            if used == len as u64 {
                out.pieces.push(Piece { offset: at + 2, len, method: Method::Zlib });
            }
        }
        if out.bytes.len() > MOST_TABLE {
            return None;
        }
        at += 2 + len;
    }
    Some(out)
}

/// The blocks of files, from the inodes.
fn files(b: &[u8], inodes: &[u8], block_len: u64, out: &mut Vec<Member>) {
    let mut at = 0;
    while let Some(len) = inode(b, inodes.get(at..).unwrap_or(&[]), block_len, out) {
        at += len;
    }
}

/// One inode; returns its length.
fn inode(b: &[u8], i: &[u8], block_len: u64, out: &mut Vec<Member>) -> Option<usize> {
    let blocks = |size: u64, fragment: u64| {
        if fragment == 0xffff_ffff { size.div_ceil(block_len) } else { size / block_len }
    };
    let (header, start, count): (usize, usize, u64) = match number(i, 0, 2)? {
        1 => return Some(32),
        2 => (32, place(i, 16, 4)?, blocks(number(i, 28, 4)?, number(i, 20, 4)?)),
        3 => return 24usize.checked_add(place(i, 20, 4)?),
        4 | 5 => return Some(24),
        6 | 7 => return Some(20),
        8 => {
            let mut len = 40;
            for _ in 0..place(i, 32, 2)? {
                len += 12 + place(i, len + 8, 4)?.checked_add(1)?;
            }
            return Some(len);
        }
        9 => (56, place(i, 16, 8)?, blocks(number(i, 24, 8)?, number(i, 44, 4)?)),
        10 => return 28usize.checked_add(place(i, 20, 4)?),
        11 | 12 => return Some(28),
        13 | 14 => return Some(24),
        _ => return None,
    };
    let count = usize::try_from(count).ok()?;
    let sizes = i.get(header..header.checked_add(count.checked_mul(4)?)?)?;
    let mut member = Member::default();
    let mut at = start;
    for size in sizes.chunks_exact(4).filter_map(|s| number(s, 0, 4)) {
        member.pieces.extend(block(at, size));
        at = at.checked_add((size & 0xff_ffff) as usize)?;
    }
    if at <= b.len() {
        out.push(member);
    }
    Some(header + sizes.len())
}
