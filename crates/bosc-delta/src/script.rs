//! What a patch says, symbol by symbol: copies, how far the expectation holds, and what is there instead.

use crate::coder::{Coder, Model, context, unzigzag, zigzag};
use crate::field::Kind;
use crate::map::Copy;

/// The symbols' models, over one direction of the coder.
pub(crate) struct Script<C: Coder> {
    pub(crate) coder: C,
    copies: Model<3>,
    runs: Model<3>,
    bytes: Model<5>,
    residuals: Model<5>,
    state: State,
}

#[derive(Default)]
struct State {
    gap: u64,
    len: u64,
    skip: u64,
    run: u64,
    run_before: u64,
    /// What was missed last: 0 a byte, otherwise a kind + 1.
    missed: u64,
    difference: u8,
    /// The last residual of each kind.
    last: [i64; 16],
    before: i64,
}

fn class(v: u64) -> u64 {
    u64::from(64 - v.leading_zeros())
}

impl<C: Coder> Script<C> {
    pub(crate) fn new(coder: C) -> Script<C> {
        Script {
            coder,
            copies: Model::new(16, 3),
            runs: Model::new(16, 17),
            bytes: Model::new(18, 8),
            residuals: Model::new(17, 17),
            state: State::default(),
        }
    }

    /// A copy: what is before it in the new file, its length, and how far it is in the old file from the end of the one before.
    pub(crate) fn copy(&mut self, gap: u64, len: u64, skip: i64) -> (u64, u64, i64) {
        let s = &mut self.state;
        let contexts =
            [context(&[1]), context(&[1, class(s.gap)]), context(&[1, class(s.len), class(s.skip)])];
        let gap = self.copies.number(&mut self.coder, &contexts, 0, gap);
        let contexts = [context(&[2]), context(&[2, class(gap)]), context(&[2, class(s.len), class(s.skip)])];
        let len = self.copies.number(&mut self.coder, &contexts, 1, len);
        let contexts = [context(&[3, class(gap)]), context(&[3, gap, class(len)]), context(&[3, s.skip])];
        let skip = self.copies.number(&mut self.coder, &contexts, 2, zigzag(skip));
        (s.gap, s.len, s.skip) = (gap, len, skip);
        (gap, len, unzigzag(skip))
    }

    /// How many fields and bytes are as expected before the next that is not.
    pub(crate) fn run(&mut self, run: u64) -> u64 {
        let s = &mut self.state;
        let contexts = [
            context(&[s.missed]),
            context(&[s.missed, s.run.min(40), class(s.run)]),
            context(&[s.missed, class(s.run), class(s.run_before), 1]),
        ];
        let run = self.runs.number(&mut self.coder, &contexts, s.missed as usize, run);
        (s.run_before, s.run) = (s.run, run);
        run
    }

    /// A byte that is not `expected`. `before`: the bytes before it.
    pub(crate) fn byte(&mut self, expected: u8, before: [u8; 2], place: u8, byte: u8) -> u8 {
        let s = &mut self.state;
        let near = s.run.min(3) + 4 * u64::from(place > 0);
        let [b1, b2] = before.map(u64::from);
        let e = u64::from(expected);
        let contexts = [
            context(&[1, e, near]),
            context(&[2, e, b1]),
            context(&[3, b1, b2, near]),
            context(&[4, e, u64::from(s.difference)]),
            context(&[5, e, b1, b2]),
        ];
        let byte = self.bytes.byte(&mut self.coder, &contexts, near as usize, byte);
        s.difference = byte.wrapping_sub(expected);
        s.missed = 0;
        byte
    }

    /// How far a field's target is from the expected one; none if its bytes cannot be told so.
    pub(crate) fn residual(&mut self, kind: Kind, residual: Option<i64>) -> Option<i64> {
        let s = &mut self.state;
        let k = kind as u64;
        let last = s.last.get(k as usize).copied().unwrap_or(0);
        let (l, b) = (last as u64, s.before as u64);
        let contexts = [
            context(&[1, k]),
            context(&[2, k, l]),
            context(&[3, k, s.missed, b]),
            context(&[4, k, l, b]),
            context(&[5, class(zigzag(last)), k, s.run.min(3)]),
        ];
        // 0: bytes follow. 1: as the last of its kind.
        let symbol = match residual {
            None => 0,
            Some(r) if r == last => 1,
            Some(r) => zigzag(r).saturating_add(1),
        };
        let symbol = self.residuals.number(&mut self.coder, &contexts, k as usize, symbol);
        s.missed = k + 1;
        let residual = match symbol {
            0 => return None,
            1 => last,
            z => unzigzag(z - 1),
        };
        s.before = residual;
        if let Some(last) = s.last.get_mut(k as usize) {
            *last = residual;
        }
        Some(residual)
    }
}

/// Copies, in order of the new file.
pub(crate) struct Copies {
    /// End of the copy before, in the new file and in the old.
    new: u64,
    old: u64,
}

impl Copies {
    pub(crate) fn new() -> Copies {
        Copies { new: 0, old: 0 }
    }

    /// The next one: written as it is given, or read. None if it does not lie within the files.
    pub(crate) fn next<C: Coder>(
        &mut self,
        script: &mut Script<C>,
        copy: Copy,
        lens: (u64, u64),
    ) -> Option<Copy> {
        let gap = u64::from(copy.new).wrapping_sub(self.new);
        let skip = i64::from(copy.old).wrapping_sub(self.old as i64);
        let (gap, len, skip) = script.copy(gap, u64::from(copy.len), skip);
        let new = self.new.checked_add(gap)?;
        let old = self.old.checked_add_signed(skip)?;
        self.new = new.checked_add(len)?;
        self.old = old.checked_add(len)?;
        if self.old > lens.0 || self.new > lens.1 || len == 0 {
            return None;
        }
        Some(Copy {
            old: u32::try_from(old).ok()?,
            new: u32::try_from(new).ok()?,
            len: u32::try_from(len).ok()?,
        })
    }
}
