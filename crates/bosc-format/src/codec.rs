//! Compact encoding, the byte format of every Hypercore message and record (npm `compact-encoding`).
//!
//! Unsigned integers take 1 byte up to 0xfc, then `fd`+u16le, `fe`+u32le, `ff`+u64le. The JavaScript decoder
//! accepts longer forms than needed and so does this one; the encoder writes the shortest.

use thiserror::Error;

/// Why bytes could not be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The input ended before the value did.
    #[error("input ended before the value did")]
    Truncated,
    /// A value is outside what the format allows; the text names it.
    #[error("invalid {0}")]
    Invalid(&'static str),
    /// A length or count is larger than this implementation takes; the text names it.
    #[error("{0} is over its bound")]
    TooLarge(&'static str),
    /// Bytes are left where the format says none may be.
    #[error("bytes left over after the value")]
    Trailing,
}

/// Reads values from the front of a byte slice. Every read checks what is left; none panics or allocates more
/// than the input holds.
#[derive(Debug, Clone)]
pub struct Decoder<'a> {
    rest: &'a [u8],
}

impl<'a> Decoder<'a> {
    /// Starts at the first byte of `input`.
    pub fn new(input: &'a [u8]) -> Self {
        Self { rest: input }
    }

    /// The bytes not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether all bytes were read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Fails unless all bytes were read.
    pub fn finish(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::Trailing) }
    }

    /// The next `n` bytes as they are.
    pub fn raw(&mut self, n: usize) -> Result<&'a [u8], DecodeError> {
        let (head, tail) = self.rest.split_at_checked(n).ok_or(DecodeError::Truncated)?;
        self.rest = tail;
        Ok(head)
    }

    /// Exactly `N` bytes.
    pub fn fixed<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, tail) = self.rest.split_first_chunk::<N>().ok_or(DecodeError::Truncated)?;
        self.rest = tail;
        Ok(*head)
    }

    /// 32 raw bytes: a key or a hash.
    pub fn fixed32(&mut self) -> Result<[u8; 32], DecodeError> {
        self.fixed::<32>()
    }

    /// One raw byte.
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        let [b] = self.fixed::<1>()?;
        Ok(b)
    }

    /// Two bytes, little endian.
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        Ok(u16::from_le_bytes(self.fixed()?))
    }

    /// Four bytes, little endian.
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_le_bytes(self.fixed()?))
    }

    /// Eight bytes, little endian.
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        Ok(u64::from_le_bytes(self.fixed()?))
    }

    /// A variable-length unsigned integer.
    pub fn uint(&mut self) -> Result<u64, DecodeError> {
        match self.u8()? {
            0xfd => Ok(u64::from(self.u16()?)),
            0xfe => Ok(u64::from(self.u32()?)),
            0xff => self.u64(),
            small => Ok(u64::from(small)),
        }
    }

    /// A variable-length integer that must fit a `usize` and be at most `max`.
    pub fn uint_max(&mut self, max: usize, what: &'static str) -> Result<usize, DecodeError> {
        let n = usize::try_from(self.uint()?).map_err(|_| DecodeError::TooLarge(what))?;
        if n > max { Err(DecodeError::TooLarge(what)) } else { Ok(n) }
    }

    /// Length-prefixed bytes.
    pub fn buffer(&mut self) -> Result<&'a [u8], DecodeError> {
        let n = usize::try_from(self.uint()?).map_err(|_| DecodeError::Truncated)?;
        self.raw(n)
    }

    /// Length-prefixed bytes where length 0 means "none" (`c.buffer` decodes empty as null in JavaScript).
    pub fn optional_buffer(&mut self) -> Result<Option<&'a [u8]>, DecodeError> {
        let b = self.buffer()?;
        Ok(if b.is_empty() { None } else { Some(b) })
    }

    /// Length-prefixed UTF-8.
    pub fn string(&mut self) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.buffer()?).map_err(|_| DecodeError::Invalid("UTF-8 string"))
    }

    /// A count for a following list whose items take at least `min_item` bytes each: refused when the rest
    /// cannot hold so many, so that a count never makes us reserve memory the sender did not pay for.
    pub fn count(&mut self, min_item: usize) -> Result<usize, DecodeError> {
        let n = usize::try_from(self.uint()?).map_err(|_| DecodeError::Truncated)?;
        if n.checked_mul(min_item.max(1)).is_none_or(|bytes| bytes > self.rest.len()) {
            return Err(DecodeError::Truncated);
        }
        Ok(n)
    }

    /// A counted list of items decoded one by one; `min_item` as for [`Decoder::count`].
    pub fn list<T>(
        &mut self,
        min_item: usize,
        mut item: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let n = self.count(min_item)?;
        let mut out = Vec::with_capacity(n);
        for _ in 0..n {
            out.push(item(self)?);
        }
        Ok(out)
    }
}

/// Appends values to a growing byte vector.
#[derive(Debug, Default, Clone)]
pub struct Encoder {
    out: Vec<u8>,
}

impl Encoder {
    /// An empty encoder.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty encoder with room for `n` bytes.
    pub fn with_capacity(n: usize) -> Self {
        Self { out: Vec::with_capacity(n) }
    }

    /// The bytes written so far.
    pub fn as_slice(&self) -> &[u8] {
        &self.out
    }

    /// How many bytes were written so far.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// The bytes written.
    pub fn finish(self) -> Vec<u8> {
        self.out
    }

    /// Bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.out.extend_from_slice(bytes);
        self
    }

    /// One byte.
    pub fn u8(&mut self, v: u8) -> &mut Self {
        self.out.push(v);
        self
    }

    /// Two bytes, little endian.
    pub fn u16(&mut self, v: u16) -> &mut Self {
        self.raw(&v.to_le_bytes())
    }

    /// Four bytes, little endian.
    pub fn u32(&mut self, v: u32) -> &mut Self {
        self.raw(&v.to_le_bytes())
    }

    /// Eight bytes, little endian.
    pub fn u64(&mut self, v: u64) -> &mut Self {
        self.raw(&v.to_le_bytes())
    }

    /// A variable-length unsigned integer in its shortest form.
    pub fn uint(&mut self, v: u64) -> &mut Self {
        if v <= 0xfc {
            self.u8(v as u8)
        } else if v <= 0xffff {
            self.u8(0xfd).u16(v as u16)
        } else if v <= 0xffff_ffff {
            self.u8(0xfe).u32(v as u32)
        } else {
            self.u8(0xff).u64(v)
        }
    }

    /// Length-prefixed bytes.
    pub fn buffer(&mut self, bytes: &[u8]) -> &mut Self {
        self.uint(bytes.len() as u64).raw(bytes)
    }

    /// Length-prefixed UTF-8.
    pub fn string(&mut self, s: &str) -> &mut Self {
        self.buffer(s.as_bytes())
    }
}

/// How many bytes [`Encoder::uint`] takes for `v`: 1, 3, 5 or 9.
pub fn uint_len(v: u64) -> usize {
    match v {
        0..=0xfc => 1,
        0xfd..=0xffff => 3,
        0x1_0000..=0xffff_ffff => 5,
        _ => 9,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uint_takes_the_shortest_form_and_comes_back() {
        for v in [0, 1, 0xfc, 0xfd, 0xff, 0xffff, 0x1_0000, 0xffff_ffff, 0x1_0000_0000, u64::MAX] {
            let mut e = Encoder::new();
            e.uint(v);
            assert_eq!(e.len(), uint_len(v), "{v}");
            let bytes = e.finish();
            let mut d = Decoder::new(&bytes);
            assert_eq!(d.uint(), Ok(v));
            assert_eq!(d.finish(), Ok(()));
        }
    }

    #[test]
    fn a_count_the_input_cannot_hold_is_refused_before_memory_is_taken() {
        let mut e = Encoder::new();
        e.uint(u64::MAX / 2).raw(&[0; 8]);
        let bytes = e.finish();
        assert_eq!(Decoder::new(&bytes).list(32, Decoder::fixed32), Err(DecodeError::Truncated));
        assert_eq!(Decoder::new(&bytes).buffer(), Err(DecodeError::Truncated));
    }
}
