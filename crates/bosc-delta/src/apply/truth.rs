//! What the patch says is there instead of what was expected.

use super::output::Output;
use crate::Error;
use crate::coder::Decoder;
use crate::field::Field;
use crate::script::Script;
use crate::walk::Side;

const SHORT: Error = Error::Damaged("its script ends early");

pub(super) struct Truth<'a, 'b, 'c> {
    script: Script<Decoder<'a>>,
    output: &'b mut Output<'c>,
    /// Fields and bytes that are as expected from here.
    run: u64,
}

impl<'a, 'b, 'c> Truth<'a, 'b, 'c> {
    pub(super) fn new(script: Script<Decoder<'a>>, output: &'b mut Output<'c>) -> Result<Self, Error> {
        let mut truth = Truth { script, output, run: 0 };
        truth.next_run()?;
        Ok(truth)
    }

    pub(super) fn position(&self) -> u64 {
        self.output.position()
    }

    pub(super) fn output(&mut self) -> &mut Output<'c> {
        self.output
    }

    fn next_run(&mut self) -> Result<(), Error> {
        self.run = self.script.run(0);
        if self.script.coder.overrun() { Err(SHORT) } else { Ok(()) }
    }

    /// One byte that is not as expected.
    fn byte(&mut self, expected: u8, place: u8) -> Result<u8, Error> {
        let byte = self.script.byte(expected, self.output.last(), place, 0);
        self.output.push(&[byte])?;
        Ok(byte)
    }

    /// That the script ends here.
    pub(super) fn finish(self) -> Result<(), Error> {
        if self.run == 0 && self.script.coder.spent() {
            return Ok(());
        }
        Err(Error::Damaged("its script goes on"))
    }
}

impl Side for Truth<'_, '_, '_> {
    fn plain(&mut self, mut old: &[u8]) -> Result<(), Error> {
        loop {
            let same = (old.len() as u64).min(self.run);
            let (now, later) = old.split_at(same as usize);
            self.output.push(now)?;
            self.run -= same;
            let Some((expected, rest)) = later.split_first() else { return Ok(()) };
            self.byte(*expected, 0)?;
            old = rest;
            self.next_run()?;
        }
    }

    fn field(&mut self, field: &Field, guess: u64) -> Result<([u8; 8], Option<u64>), Error> {
        let len = field.kind.len();
        let expected = field.encode(guess);
        if self.run > 0 {
            self.run -= 1;
            self.output.push(expected.get(..len).unwrap_or(&[]))?;
            return Ok((expected, None));
        }
        let (bytes, target) = match self.script.residual(field.kind, None) {
            Some(residual) => {
                let target = guess.wrapping_add(residual as u64);
                let bytes = field.encode(target);
                self.output.push(bytes.get(..len).unwrap_or(&[]))?;
                (bytes, Some(target))
            }
            None => {
                let mut bytes = [0; 8];
                for (byte, expected) in bytes.iter_mut().zip(expected).take(len) {
                    *byte = self.byte(expected, 1)?;
                }
                (bytes, None)
            }
        };
        self.next_run()?;
        Ok((bytes, target))
    }
}
