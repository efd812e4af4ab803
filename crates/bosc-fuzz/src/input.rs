//! Numbers and steps out of a fuzzer's bytes.

/// Reads from the front; gives zeros and empty slices when nothing is left.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    /// All of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// What is left.
    pub fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// At most `n` bytes.
    pub fn take(&mut self, n: usize) -> &'a [u8] {
        let (head, tail) = self.0.split_at(n.min(self.0.len()));
        self.0 = tail;
        head
    }

    fn number(&mut self, n: usize) -> u64 {
        self.take(n).iter().rev().fold(0, |v, b| v << 8 | u64::from(*b))
    }

    /// One byte.
    pub fn u8(&mut self) -> u8 {
        self.number(1) as u8
    }

    /// Two bytes, little endian.
    pub fn u16(&mut self) -> u16 {
        self.number(2) as u16
    }

    /// Four bytes, little endian.
    pub fn u32(&mut self) -> u32 {
        self.number(4) as u32
    }

    /// Eight bytes, little endian.
    pub fn u64(&mut self) -> u64 {
        self.number(8)
    }

    /// The next step: a byte that says what to do, a length (u16 little endian) and so many bytes, or those that are
    /// left.
    pub fn step(&mut self) -> Option<(u8, &'a [u8])> {
        if self.is_empty() {
            return None;
        }
        let op = self.u8();
        let len = self.u16();
        Some((op, self.take(usize::from(len))))
    }
}

/// Appends a step as [`Input::step`] reads it. Bytes beyond 65,535 are left out.
pub fn push_step(out: &mut Vec<u8>, op: u8, bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(usize::from(u16::MAX))];
    out.push(op);
    out.extend_from_slice(&(bytes.len() as u16).to_le_bytes());
    out.extend_from_slice(bytes);
}
