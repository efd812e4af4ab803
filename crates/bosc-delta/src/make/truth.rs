//! Writes down what is there instead of what is expected.

use crate::Error;
use crate::coder::Encoder;
use crate::field::Field;
use crate::script::Script;
use crate::walk::Side;

/// Residuals beyond this are written as bytes.
const FARTHEST: i64 = 1 << 40;

pub(super) struct Truth<'a> {
    script: Script<Encoder>,
    new: &'a [u8],
    /// Position in the new file.
    pub(super) at: usize,
    run: u64,
}

impl<'a> Truth<'a> {
    pub(super) fn new(script: Script<Encoder>, new: &'a [u8]) -> Truth<'a> {
        Truth { script, new, at: 0, run: 0 }
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.script.run(self.run);
        self.script.coder.finish()
    }

    fn end_run(&mut self) {
        self.script.run(self.run);
        self.run = 0;
    }

    fn byte(&mut self, expected: u8, place: u8) {
        let last = |n: usize| self.at.checked_sub(n).and_then(|i| self.new.get(i)).copied().unwrap_or(0);
        let before = [last(1), last(2)];
        let byte = self.new.get(self.at).copied().unwrap_or(0);
        self.script.byte(expected, before, place, byte);
        self.at += 1;
    }
}

impl Side for Truth<'_> {
    fn plain(&mut self, old: &[u8]) -> Result<(), Error> {
        let mut rest = old;
        loop {
            let same = crate::common::common(rest, self.new.get(self.at..).unwrap_or(&[]));
            self.at += same;
            self.run += same as u64;
            let Some((expected, later)) = rest.get(same..).and_then(|r| r.split_first()) else {
                return Ok(());
            };
            self.end_run();
            self.byte(*expected, 0);
            rest = later;
        }
    }

    fn field(&mut self, field: &Field, guess: u64) -> Result<([u8; 8], Option<u64>), Error> {
        let len = field.kind.len();
        let expected = field.encode(guess);
        let mut bytes = [0; 8];
        let there =
            self.new.get(self.at..self.at + len).ok_or(Error::TooMuch("a field lies beyond the new file"))?;
        for (to, from) in bytes.iter_mut().zip(there) {
            *to = *from;
        }
        let same = |a: [u8; 8], b: [u8; 8]| a.get(..len) == b.get(..len);
        if same(expected, bytes) {
            self.run += 1;
            self.at += len;
            return Ok((expected, None));
        }
        self.end_run();
        let target = field.decode(bytes, guess);
        let residual = target.map(|t| t.wrapping_sub(guess) as i64);
        if let (Some(target), Some(residual)) = (target, residual)
            && residual.abs() < FARTHEST
            && same(field.encode(target), bytes)
        {
            self.script.residual(field.kind, Some(residual));
            self.at += len;
            return Ok((bytes, Some(target)));
        }
        self.script.residual(field.kind, None);
        for expected in expected.into_iter().take(len) {
            self.byte(expected, 1);
        }
        Ok((bytes, None))
    }
}
