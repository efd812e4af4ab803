//! Numbers at positions of a file.

/// A file's bytes.
#[derive(Clone, Copy)]
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(super) fn slice(self, at: u64, len: u64) -> Option<&'a [u8]> {
        let at = usize::try_from(at).ok()?;
        self.0.get(at..at.checked_add(usize::try_from(len).ok()?)?)
    }

    fn get<const N: usize>(self, at: u64) -> Option<[u8; N]> {
        self.slice(at, N as u64)?.try_into().ok()
    }

    pub(super) fn u16(self, at: u64) -> Option<u16> {
        self.get(at).map(u16::from_le_bytes)
    }

    pub(super) fn u32(self, at: u64) -> Option<u32> {
        self.get(at).map(u32::from_le_bytes)
    }

    /// A big-endian word.
    pub(super) fn big(self, at: u64) -> Option<u64> {
        self.get(at).map(|b| u64::from(u32::from_be_bytes(b)))
    }

    /// A word, widened.
    pub(super) fn word(self, at: u64) -> Option<u64> {
        self.u32(at).map(u64::from)
    }

    pub(super) fn u64(self, at: u64) -> Option<u64> {
        self.get(at).map(u64::from_le_bytes)
    }

    /// A name that ends with a zero or after `most` bytes.
    pub(super) fn name(self, at: u64, most: u64) -> String {
        let bytes = usize::try_from(at).ok().and_then(|at| self.0.get(at..)).unwrap_or(&[]);
        let bytes = bytes.iter().take(most as usize).take_while(|b| **b != 0).copied().collect::<Vec<u8>>();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}
