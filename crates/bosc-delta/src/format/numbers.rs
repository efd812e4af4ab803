//! Whole numbers in bytes: seven bits a byte, lowest first, the eighth says that more follow.

use crate::Error;
use crate::coder::unzigzag;

/// Reads numbers.
pub(crate) struct Numbers<'a> {
    rest: &'a [u8],
}

const SHORT: Error = Error::Damaged("it ends early");

impl<'a> Numbers<'a> {
    pub(crate) fn new(rest: &'a [u8]) -> Numbers<'a> {
        Numbers { rest }
    }

    pub(crate) fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (first, rest) = self.rest.split_first_chunk().ok_or(SHORT)?;
        self.rest = rest;
        Ok(*first)
    }

    pub(crate) fn slice(&mut self, len: u64) -> Result<&'a [u8], Error> {
        let len = usize::try_from(len).map_err(|_| SHORT)?;
        let (first, rest) = self.rest.split_at_checked(len).ok_or(SHORT)?;
        self.rest = rest;
        Ok(first)
    }

    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    pub(crate) fn number(&mut self) -> Result<u64, Error> {
        let mut out = 0u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.bytes()?;
            let low = u64::from(byte & 127);
            if shift == 63 && low > 1 {
                break;
            }
            out |= low << shift;
            if byte < 128 {
                return Ok(out);
            }
        }
        Err(Error::Damaged("a number is too long"))
    }

    pub(crate) fn signed(&mut self) -> Result<i64, Error> {
        Ok(unzigzag(self.number()?))
    }
}

/// Writes a number.
#[cfg(feature = "make")]
pub(crate) fn put(out: &mut Vec<u8>, mut v: u64) {
    while v >= 128 {
        out.push(v as u8 | 128);
        v >>= 7;
    }
    out.push(v as u8);
}

/// Writes a signed number.
#[cfg(feature = "make")]
pub(crate) fn put_signed(out: &mut Vec<u8>, v: i64) {
    put(out, crate::coder::zigzag(v));
}
