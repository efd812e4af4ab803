//! A stretch of a file in memory.

/// Bytes of the file from a position on.
#[derive(Clone, Copy)]
pub(super) struct Window<'a> {
    pub(super) start: u64,
    pub(super) bytes: &'a [u8],
}

impl<'a> Window<'a> {
    fn get<const N: usize>(&self, at: u64) -> Option<[u8; N]> {
        let at = usize::try_from(at.checked_sub(self.start)?).ok()?;
        self.bytes.get(at..at.checked_add(N)?)?.try_into().ok()
    }

    pub(super) fn u8(&self, at: u64) -> Option<u8> {
        self.get::<1>(at).map(|[b]| b)
    }

    pub(super) fn u32(&self, at: u64) -> Option<u32> {
        self.get(at).map(u32::from_le_bytes)
    }

    pub(super) fn u64(&self, at: u64) -> Option<u64> {
        self.get(at).map(u64::from_le_bytes)
    }

    /// What follows a position.
    pub(super) fn from(&self, at: u64) -> &'a [u8] {
        let at = at.checked_sub(self.start).and_then(|at| usize::try_from(at).ok());
        at.and_then(|at| self.bytes.get(at..)).unwrap_or(&[])
    }
}
