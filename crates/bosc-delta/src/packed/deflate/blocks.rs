//! Blocks of symbols: where they end, which code they have, their bits.

use super::parameters::Parameters;
use super::tables::{CODE_EXTRA, CODE_ORDER, DISTANCE_EXTRA, LENGTH_EXTRA, distance_code, length_code};
use super::trees::{Costs, MOST, Tree, codes};

const END: usize = 256;

/// A literal (distance 0) or a repetition: its length less 3.
type Symbol = (u16, u8);

pub(super) struct Blocks {
    gzip: bool,
    heuristic: bool,
    /// A block has no more symbols.
    most: usize,
    symbols: Vec<Symbol>,
    repeats: usize,
    literals: Tree,
    distances: Tree,
    lengths: Tree,
    fixed: ([u8; MOST], [u16; MOST]),
    bits: u64,
    used: u32,
    out: Vec<u8>,
    /// Where the block began in the window; before it, if it was slid out.
    start: i64,
}

fn fixed() -> ([u8; MOST], [u16; MOST]) {
    let mut lens = [8u8; MOST];
    for (i, len) in lens.iter_mut().enumerate() {
        *len = match i {
            0..144 => 8,
            144..256 => 9,
            256..280 => 7,
            _ => 8,
        };
    }
    (lens, codes(&lens))
}

impl Blocks {
    pub(super) fn new(p: Parameters) -> Blocks {
        let most = if p.gzip { 0x8000 } else { 1 << (p.memory + 6) };
        let mut blocks = Blocks {
            gzip: p.gzip,
            heuristic: p.gzip && p.level > 2,
            most: most - 1,
            symbols: Vec::with_capacity(most),
            repeats: 0,
            literals: Tree::new(286, 15),
            distances: Tree::new(30, 15),
            lengths: Tree::new(19, 7),
            fixed: fixed(),
            bits: 0,
            used: 0,
            out: Vec::new(),
            start: 0,
        };
        blocks.begin();
        blocks
    }

    pub(super) fn reset(&mut self) {
        self.begin();
        (self.bits, self.used, self.start) = (0, 0, 0);
        self.out.clear();
    }

    fn begin(&mut self) {
        self.symbols.clear();
        self.repeats = 0;
        self.literals.clear();
        self.distances.clear();
        self.lengths.clear();
        self.literals.count(END, 1);
    }

    pub(super) fn out(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// The window moved on.
    pub(super) fn slide(&mut self, by: usize) {
        self.start -= by as i64;
    }

    /// Adds a byte; whether the block is full. `at`: where the packer is in the window.
    pub(super) fn literal(&mut self, byte: u8, at: usize) -> bool {
        self.symbols.push((0, byte));
        self.literals.count(usize::from(byte), 1);
        self.full(at)
    }

    /// Adds a repetition; whether the block is full.
    pub(super) fn repeat(&mut self, distance: usize, len: usize, at: usize) -> bool {
        let (distance, len) = (distance as u16, (len - 3) as u8);
        self.symbols.push((distance, len));
        self.repeats += 1;
        self.literals.count(usize::from(length_code(len).0) + END + 1, 1);
        self.distances.count(usize::from(distance_code(distance.wrapping_sub(1)).0), 1);
        self.full(at)
    }

    fn full(&self, at: usize) -> bool {
        let count = self.symbols.len();
        if self.heuristic && count.is_multiple_of(4096) {
            // Ends early where the block packs well so far.
            let bits = (0..30).zip(DISTANCE_EXTRA).map(|(code, extra)| {
                u64::from(self.distances.counts.get(code).copied().unwrap_or(0)) * (5 + u64::from(extra))
            });
            let packed = (count as u64 * 8 + bits.sum::<u64>()) >> 3;
            let seen = (at as i64 - self.start) as u64;
            if self.repeats < count / 2 && packed < seen / 2 {
                return true;
            }
        }
        count == self.most || self.gzip && self.repeats == self.most + 1
    }

    fn put(&mut self, value: u16, len: u8) {
        self.bits |= u64::from(value) << self.used;
        self.used += u32::from(len);
        while self.used >= 8 {
            self.out.push(self.bits as u8);
            self.bits >>= 8;
            self.used -= 8;
        }
    }

    /// Up to the next whole byte.
    fn align(&mut self) {
        if self.used > 0 {
            self.put(0, 8 - self.used as u8);
        }
    }

    /// Everything was flushed.
    pub(super) fn finish(&mut self) {
        self.align();
    }

    /// Ends the block at `at` of the window.
    pub(super) fn flush(&mut self, window: &[u8], at: usize, last: bool) {
        let of_literals = Costs { extra: &LENGTH_EXTRA, from: END + 1, fixed: Some(&self.fixed.0) };
        let a = self.literals.build(&of_literals);
        let of_distances = Costs { extra: &DISTANCE_EXTRA, from: 0, fixed: Some(&[5; 30]) };
        let b = self.distances.build(&of_distances);
        for tree in [&self.literals, &self.distances] {
            runs(tree, |symbol, _, _| self.lengths.count(symbol, 1));
        }
        let c = self.lengths.build(&Costs { extra: &CODE_EXTRA, from: 0, fixed: None });
        let mut codes = CODE_ORDER.len();
        while codes > 4 && CODE_ORDER.get(codes - 1).is_some_and(|s| self.lengths.len(usize::from(*s)) == 0) {
            codes -= 1;
        }
        let own = a.0 + b.0 + c.0 + 3 * codes as i64 + 14;
        let fixed = a.1 + b.1;
        let (own, fixed) = ((own + 10) >> 3, (fixed + 10) >> 3);
        let stored = at as i64 - self.start;
        let bytes = usize::try_from(self.start).ok().and_then(|from| window.get(from..at));
        let end = u16::from(last);
        match bytes {
            Some(bytes) if stored + 4 <= own.min(fixed) => {
                self.put(end, 3);
                self.align();
                let len = bytes.len() as u16;
                self.out.extend_from_slice(&len.to_le_bytes());
                self.out.extend_from_slice(&(!len).to_le_bytes());
                self.out.extend_from_slice(bytes);
            }
            _ if fixed <= own => {
                self.put(2 | end, 3);
                self.symbols(true);
            }
            _ => {
                self.put(4 | end, 3);
                self.trees(codes);
                self.symbols(false);
            }
        }
        self.begin();
        self.start = at as i64;
    }

    /// The codes of a block.
    fn trees(&mut self, codes: usize) {
        self.put((self.literals.highest + 1 - 257) as u16, 5);
        self.put(self.distances.highest as u16, 5);
        self.put((codes - 4) as u16, 4);
        for symbol in CODE_ORDER.iter().take(codes) {
            self.put(u16::from(self.lengths.len(usize::from(*symbol))), 3);
        }
        let mut seen = Vec::with_capacity(320);
        for tree in [&self.literals, &self.distances] {
            runs(tree, |symbol, extra, len| seen.push((symbol, extra, len)));
        }
        for (symbol, extra, len) in seen {
            let (code, code_len) = self.lengths.code(symbol);
            self.put(code, code_len);
            self.put(extra, len);
        }
    }

    fn symbols(&mut self, fixed: bool) {
        let symbols = std::mem::take(&mut self.symbols);
        for &(distance, value) in &symbols {
            if distance == 0 {
                self.symbol(usize::from(value), fixed);
                continue;
            }
            let (code, base) = length_code(value);
            self.symbol(usize::from(code) + END + 1, fixed);
            if code != 28 {
                let extra = LENGTH_EXTRA.get(usize::from(code)).copied().unwrap_or(0);
                self.put(u16::from(value - base), extra);
            }
            let distance = distance - 1;
            let (code, base) = distance_code(distance);
            if fixed {
                self.put(code.reverse_bits() >> 11, 5);
            } else {
                let (bits, len) = self.distances.code(usize::from(code));
                self.put(bits, len);
            }
            let extra = DISTANCE_EXTRA.get(usize::from(code)).copied().unwrap_or(0);
            self.put(distance - base, extra);
        }
        self.symbol(END, fixed);
        self.symbols = symbols;
    }

    fn symbol(&mut self, symbol: usize, fixed: bool) {
        let (code, len) = if fixed {
            let lens = &self.fixed;
            (lens.1.get(symbol).copied().unwrap_or(0), lens.0.get(symbol).copied().unwrap_or(0))
        } else {
            self.literals.code(symbol)
        };
        self.put(code, len);
    }
}

/// The lengths of a tree in runs: symbol, extra bits, how many of them.
fn runs(tree: &Tree, mut emit: impl FnMut(usize, u16, u8)) {
    let mut before = None;
    let mut at = 0;
    while at <= tree.highest {
        let len = tree.len(at);
        // Those that are the same as the last take runs of 3 to 6, others one that is new first, and zeros up to 138.
        let most = match (len, before) {
            (0, _) => 138,
            (len, Some(last)) if len == last => 6,
            _ => 7,
        };
        let mut count = 1;
        while count < most && at + count <= tree.highest && tree.len(at + count) == len {
            count += 1;
        }
        let symbol = usize::from(len);
        at += count;
        let same = before == Some(len);
        let least = if len == 0 || same { 3 } else { 4 };
        if count < least {
            (0..count).for_each(|_| emit(symbol, 0, 0));
        } else if len != 0 {
            if !same {
                emit(symbol, 0, 0);
                count -= 1;
            }
            emit(16, count as u16 - 3, 2);
        } else if count <= 10 {
            emit(17, count as u16 - 3, 3);
        } else {
            emit(18, count as u16 - 11, 7);
        }
        before = Some(len);
    }
}
