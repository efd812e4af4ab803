//! What is packed inside both files, opened where it differs: what is packed to the same bytes in both stays packed and is copied.
//!
//! # Files
//!
//! - Here: which pieces are opened, level by level, and how many and how much. `member`: what a finder says. `zip`, `gzip`,
//!   `squashfs`: the finders.
//! - `opened`: a piece and what it holds. `settings`: with which packer and level a piece was packed. `programs`: executables
//!   anywhere in a file, how many.

mod gzip;
mod member;
mod opened;
mod programs;
mod settings;
mod squashfs;
mod zip;

use crate::hash::hash;
use crate::packed::{Level, MOST_LEVELS, Pack, Recipe, Unpack, most_inside, unpack};
use member::Member;
use opened::Opened;
pub(super) use programs::structures;
use settings::Settings;
use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

/// Bytes that are inside, on each side.
const MOST_OPENED: u64 = 1 << 30;
/// Pieces of one level, on each side.
const MOST_PIECES: usize = 60_000;

/// Zips that hold zips without packing them.
const MOST_WITHIN: usize = 2;

/// Both insides.
pub(super) struct Insides {
    pub(super) recipe: Recipe,
    pub(super) old: Vec<u8>,
    pub(super) new: Vec<u8>,
}

/// A side while it is opened.
struct Side<'a> {
    bytes: Cow<'a, [u8]>,
    /// What may hold packages.
    look_in: Vec<Range<usize>>,
}

/// Opens what differs; none if there is nothing.
pub(super) fn insides(old: &[u8], new: &[u8]) -> Option<Insides> {
    let whole =
        |bytes| Side { bytes: Cow::Borrowed(bytes), look_in: std::iter::once(0..bytes.len()).collect() };
    let (mut a, mut b) = (whole(old), whole(new));
    let mut levels = Vec::new();
    let mut settings = Settings::default();
    while (levels.len() as u64) < MOST_LEVELS {
        let (of_a, of_b) = (a.members(), b.members());
        if of_a.is_empty() || of_b.is_empty() {
            break;
        }
        let (known_a, known_b) = (known(&a.bytes, &of_a), known(&b.bytes, &of_b));
        let mut level = Level::default();
        let mut room = MOST_OPENED.min(most_inside(old.len() as u64)).checked_sub(a.bytes.len() as u64)?;
        let opened = open(&a.bytes, &of_a, &known_b, &mut room, |_, _| Some(()));
        let opened_a: Vec<Vec<Opened>> =
            opened.into_iter().map(|m| m.into_iter().map(|(o, ())| o).collect()).collect();
        let mut room = MOST_OPENED.min(most_inside(new.len() as u64)).checked_sub(b.bytes.len() as u64)?;
        let opened_b = open(&b.bytes, &of_b, &known_a, &mut room, |o, packed| settings.of(o, packed));
        if opened_a.iter().all(Vec::is_empty) || opened_b.iter().all(Vec::is_empty) {
            break;
        }
        level.old = opened_a.iter().flatten().map(|o| o.piece).collect();
        a = a.inside(&opened_a);
        let pieces: Vec<(Unpack, crate::packed::Parameters)> =
            opened_b.iter().flatten().map(|(o, p)| (o.piece, *p)).collect();
        let mut moved = 0i64;
        for (piece, parameters) in pieces {
            level.new.push(Pack {
                offset: piece.offset.checked_add_signed(moved)?,
                unpacked: piece.unpacked,
                method: piece.method,
                parameters,
            });
            moved += piece.unpacked as i64 - piece.packed as i64;
        }
        let opened_b: Vec<Vec<Opened>> =
            opened_b.into_iter().map(|m| m.into_iter().map(|(o, _)| o).collect()).collect();
        b = b.inside(&opened_b);
        levels.push(level);
    }
    let fits = a.bytes.len() as u64 <= most_inside(old.len() as u64)
        && b.bytes.len() as u64 <= most_inside(new.len() as u64);
    (fits && !levels.is_empty()).then(|| Insides {
        recipe: Recipe { levels },
        old: a.bytes.into_owned(),
        new: b.bytes.into_owned(),
    })
}

impl Side<'_> {
    /// What is packed in what may hold packages, in order.
    fn members(&self) -> Vec<Member> {
        let mut out = Vec::new();
        let mut todo: Vec<(Range<usize>, usize)> = self.look_in.iter().map(|r| (r.clone(), 0)).collect();
        while let Some((range, depth)) = todo.pop() {
            let Some(bytes) = self.bytes.get(range.clone()) else { continue };
            let mut found = match zip::members(bytes) {
                Some((found, plain)) => {
                    // A package that a package holds as it is.
                    let within = plain.into_iter().filter(|_| depth < MOST_WITHIN);
                    todo.extend(within.map(|r| (range.start + r.start..range.start + r.end, depth + 1)));
                    found
                }
                None => gzip::members(bytes).or_else(|| squashfs::members(bytes)).unwrap_or_default(),
            };
            found.iter_mut().flat_map(|m| &mut m.pieces).for_each(|p| p.offset += range.start);
            out.append(&mut found);
        }
        out.retain(|m| !m.pieces.is_empty());
        out.sort_by_key(|m| m.pieces.first().map(|p| p.offset));
        // None over another.
        let (mut end, mut pieces) = (0, 0);
        out.retain(|m| {
            let mut place = end;
            let fits = m.pieces.iter().all(|p| {
                let fits = p.offset >= place && p.len > 0 && p.offset + p.len <= self.bytes.len();
                place = p.offset + p.len;
                fits
            });
            pieces += m.pieces.len();
            let keep = fits && pieces <= MOST_PIECES;
            end = if keep { place } else { end };
            keep
        });
        out
    }

    /// The inside, with these members opened.
    fn inside(&self, opened: &[Vec<Opened>]) -> Side<'static> {
        let mut out = Vec::new();
        let mut look_in = Vec::new();
        let mut at = 0;
        for member in opened {
            let mut start = None;
            for o in member {
                let from = o.piece.offset as usize;
                out.extend_from_slice(self.bytes.get(at..from).unwrap_or(&[]));
                start = start.or(Some(out.len()));
                out.extend_from_slice(&o.bytes);
                at = from + o.piece.packed as usize;
            }
            look_in.extend(start.map(|start| start..out.len()));
        }
        out.extend_from_slice(self.bytes.get(at..).unwrap_or(&[]));
        Side { bytes: Cow::Owned(out), look_in }
    }
}

/// Hashes of everything that is packed.
fn known(bytes: &[u8], members: &[Member]) -> HashSet<[u8; 32]> {
    let pieces = members.iter().flat_map(|m| &m.pieces);
    pieces.filter_map(|p| bytes.get(p.offset..p.offset + p.len)).map(hash).collect()
}

/// Opens the members that the other side does not have in the same bytes. `accept` says whether a piece can be used, and how.
fn open<T>(
    bytes: &[u8],
    members: &[Member],
    other: &HashSet<[u8; 32]>,
    room: &mut u64,
    mut accept: impl FnMut(&Opened, &[u8]) -> Option<T>,
) -> Vec<Vec<(Opened, T)>> {
    let mut out = Vec::new();
    for member in members {
        let packed = |p: &member::Piece| bytes.get(p.offset..p.offset + p.len).unwrap_or(&[]);
        if member.pieces.iter().all(|p| other.contains(&hash(packed(p)))) {
            continue;
        }
        let (mut opened, mut failed) = (Vec::new(), 0);
        for p in &member.pieces {
            // What is far smaller than what it holds is cheap as it is.
            let most = (p.len as u64 * 64).min(*room);
            let Some((inside, used)) = unpack(packed(p), p.method, most as usize) else { continue };
            if used != p.len as u64 || inside.is_empty() || inside.len() as u64 > most {
                continue;
            }
            let piece = Unpack {
                offset: p.offset as u64,
                packed: used,
                unpacked: inside.len() as u64,
                method: p.method,
            };
            let o = Opened { piece, bytes: inside };
            match accept(&o, packed(p)) {
                Some(how) => {
                    *room -= o.piece.unpacked;
                    opened.push((o, how));
                }
                None => failed += 1,
            }
            // Packed by another program.
            if failed > 4 && opened.is_empty() {
                break;
            }
        }
        out.push(opened);
    }
    out
}
