//! What is wanted of mirrors, and who brings what of it.

use super::known::Known;
use bosc_mirror::{Part, Piece};
use bosc_store::Core;
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, Instant};

/// Most wishes at a time; the oldest without an owner goes first.
const MAX_WISHES: usize = 256;
/// How long a wish without an owner counts.
const EXPIRES: Duration = Duration::from_secs(60);
/// Blocks of one request at most.
const MAX_BLOCKS: usize = 4096;
/// A piece of entries of at most so many bytes is asked for as a whole.
const TOGETHER: u64 = 1 << 20;
/// A wish for more pieces than this is taken from its end while peers are there.
const SMALL: usize = 4;

/// What of the blocks is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// The blocks.
    Blocks,
    /// Their leaf hashes.
    Leaves,
}

#[derive(Debug)]
pub(super) struct Wish {
    id: u64,
    part: Part,
    what: What,
    /// In order, not overlapping.
    ranges: Vec<Range<u64>>,
    not_before: Instant,
    /// Without an owner: until when it counts.
    expires: Option<Instant>,
}

/// A job for one mirror.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) part: Part,
    pub(super) what: What,
    pub(super) piece: Piece,
    pub(super) blocks: Vec<u64>,
}

/// All wishes, and who works at which blocks.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    next: u64,
    open: Vec<Wish>,
    claims: BTreeMap<(Part, u64), (usize, Instant)>,
}

/// What a mirror can do for wishes.
pub(super) struct Able<'a> {
    pub(super) mirror: usize,
    pub(super) now: Instant,
    /// Of both cores what it has, the core here, and whether peers have it.
    pub(super) parts: [Option<(&'a Known, &'a Core, bool)>; 2],
    /// How old a claim of another mirror is taken over.
    pub(super) patience: Duration,
}

fn place(part: Part) -> usize {
    match part {
        Part::Db => 0,
        Part::Blobs => 1,
    }
}

impl Wishes {
    pub(super) fn add(
        &mut self,
        part: Part,
        what: What,
        ranges: Vec<Range<u64>>,
        not_before: Instant,
        owned: bool,
    ) -> u64 {
        self.next += 1;
        let now = Instant::now();
        self.open.retain(|w| w.expires.is_none_or(|at| at > now));
        if self.open.len() >= MAX_WISHES
            && let Some(i) = self.open.iter().position(|w| w.expires.is_some())
        {
            self.open.remove(i);
        }
        let expires = (!owned).then(|| now + EXPIRES);
        self.open.push(Wish { id: self.next, part, what, ranges: tidy(ranges), not_before, expires });
        self.next
    }

    /// It is not wanted any more.
    pub(super) fn remove(&mut self, id: u64) {
        self.open.retain(|w| w.id != id);
    }

    /// The earliest time from which a wish counts that does not yet.
    pub(super) fn next_time(&self, now: Instant) -> Option<Instant> {
        self.open.iter().map(|w| w.not_before).filter(|at| *at > now).min()
    }

    /// Whether something is wanted that another mirror has promised.
    pub(super) fn waits_for_others(&self, mirror: usize) -> bool {
        !self.open.is_empty() && self.claims.values().any(|(by, _)| *by != mirror)
    }

    /// A mirror begins anew: nothing that it could not do before counts.
    pub(super) fn forget(&mut self, mirror: usize) {
        self.claims.retain(|_, (by, _)| *by != mirror);
    }

    /// Nobody works at these any more.
    pub(super) fn free(&mut self, mirror: usize, job: &Job) {
        for block in &job.blocks {
            if self.claims.get(&(job.part, *block)).is_some_and(|(by, _)| *by == mirror) {
                self.claims.remove(&(job.part, *block));
            }
        }
    }

    /// Something to do. The newest wishes come first: those who wait for one block wait for the last one they asked for.
    pub(super) fn take(&mut self, able: &Able<'_>) -> Option<Job> {
        let Self { open, claims, .. } = self;
        for wish in open.iter().rev().filter(|w| w.not_before <= able.now) {
            let Some((known, core, peers)) = able.parts.get(place(wish.part)).copied().flatten() else {
                continue;
            };
            let free = |block: u64| {
                let open = claims.get(&(wish.part, block)).is_none_or(|(by, since)| {
                    *by != able.mirror && able.now.saturating_duration_since(*since) >= able.patience
                });
                open && match wish.what {
                    What::Blocks => !core.has(block).unwrap_or(true),
                    What::Leaves => core.leaf_hash(block).is_ok_and(|hash| hash.is_none()),
                }
            };
            let end = known.head.head.length.min(core.length());
            let found = match wish.what {
                What::Leaves => leaves(&wish.ranges, end, &free),
                What::Blocks => piece(&wish.ranges, end, known, core, peers, &free),
            };
            let Some((piece, mut blocks)) = found else { continue };
            if wish.what == What::Blocks {
                // What others want of the same piece comes with it. Entries are read one after the other, each where the one before
                // points: all of a piece is wanted then.
                let all = std::iter::once(piece.start..piece.end);
                let same = open.iter().filter(|w| w.part == wish.part && w.what == wish.what);
                let ranges: Vec<Range<u64>> = match wish.part == Part::Db && piece.bytes <= TOGETHER {
                    true => all.collect(),
                    false => same.flat_map(|w| within(&w.ranges, &piece)).collect(),
                };
                let more = tidy(ranges)
                    .into_iter()
                    .flat_map(|r| r.start.max(piece.start)..r.end.min(piece.end).min(end));
                blocks = more.filter(|b| free(*b)).take(MAX_BLOCKS).collect();
            }
            for block in &blocks {
                claims.insert((wish.part, *block), (able.mirror, able.now));
            }
            return Some(Job { part: wish.part, what: wish.what, piece, blocks });
        }
        None
    }
}

fn leaves(ranges: &[Range<u64>], end: u64, free: &dyn Fn(u64) -> bool) -> Option<(Piece, Vec<u64>)> {
    let all = ranges.iter().flat_map(|r| r.start..r.end.min(end));
    let blocks: Vec<u64> = all.filter(|b| free(*b)).take(MAX_BLOCKS).collect();
    let (first, last) = (*blocks.first()?, *blocks.last()?);
    Some((Piece { start: first, end: last.saturating_add(1), bytes: 0 }, blocks))
}

/// The first piece with something to fetch, or the last one, and what is to be fetched of it.
fn piece(
    ranges: &[Range<u64>],
    end: u64,
    known: &Known,
    core: &Core,
    peers: bool,
    free: &dyn Fn(u64) -> bool,
) -> Option<(Piece, Vec<u64>)> {
    let pieces = &known.head.layout.pieces;
    let index = |block: u64| pieces.partition_point(|p| p.end <= block);
    let wanted = |piece: &Piece| -> Vec<u64> {
        let blocks =
            within(ranges, piece).flat_map(|r| r.start.max(piece.start)..r.end.min(piece.end).min(end));
        blocks.filter(|b| free(*b)).take(MAX_BLOCKS).collect()
    };
    let large =
        ranges.iter().map(|r| index(r.end.min(end)).saturating_sub(index(r.start)) + 1).sum::<usize>()
            > SMALL;
    if peers && large {
        for range in ranges.iter().rev() {
            let (from, to) = (index(range.start), index(range.end.min(end).saturating_sub(1)));
            for piece in (from..=to).rev().filter_map(|i| pieces.get(i)) {
                let blocks = wanted(piece);
                if !blocks.is_empty() {
                    return Some((*piece, blocks));
                }
            }
        }
        return None;
    }
    for range in ranges {
        // What is there already is skipped at once.
        let Ok(Some(first)) = core.first_missing(range.start, range.end.min(end)) else { continue };
        let to = index(range.end.min(end).saturating_sub(1));
        for piece in (index(first)..=to).filter_map(|i| pieces.get(i)) {
            let blocks = wanted(piece);
            if !blocks.is_empty() {
                return Some((*piece, blocks));
            }
        }
    }
    None
}

/// Those that have blocks of a piece.
fn within(ranges: &[Range<u64>], piece: &Piece) -> impl Iterator<Item = Range<u64>> {
    let first = ranges.partition_point(|r| r.end <= piece.start);
    let end = piece.end;
    ranges.iter().skip(first).take_while(move |r| r.start < end).cloned()
}

/// Sorted, and joined where they touch.
fn tidy(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.retain(|r| r.start < r.end);
    ranges.sort_unstable_by_key(|r| r.start);
    let mut out: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match out.last_mut().filter(|last| last.end >= range.start) {
            Some(last) => last.end = last.end.max(range.end),
            None => out.push(range),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::tidy;

    #[test]
    fn ranges_are_joined() {
        assert_eq!(tidy(vec![5..6, 1..3, 3..4, 9..9, 2..3]), vec![1..4, 5..6]);
    }
}
