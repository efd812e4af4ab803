//! Bytes and numbers as bits.

use super::{Coder, Model};

impl<const N: usize> Model<N> {
    /// A byte, from its highest bit.
    pub(crate) fn byte<C: Coder>(
        &mut self,
        coder: &mut C,
        contexts: &[u32; N],
        selector: usize,
        byte: u8,
    ) -> u8 {
        let mut node = 1u32;
        for shift in (0..8).rev() {
            let bit = self.bit(coder, contexts, node, selector, byte >> shift & 1 == 1);
            node = node << 1 | u32::from(bit);
        }
        node as u8
    }

    /// A number below 2^62: how many bits it has, then its bits below the highest.
    pub(crate) fn number<C: Coder>(
        &mut self,
        coder: &mut C,
        contexts: &[u32; N],
        selector: usize,
        value: u64,
    ) -> u64 {
        let class = 64 - value.leading_zeros();
        let mut node = 1u32;
        for shift in (0..6).rev() {
            let bit = self.bit(coder, contexts, node, selector, class >> shift & 1 == 1);
            node = node << 1 | u32::from(bit);
        }
        let class = node & 63;
        if class < 2 {
            return u64::from(class);
        }
        let mut out = 1u64;
        for shift in (0..class - 1).rev() {
            // The highest bits tell numbers apart; all of them do if a context knows the number already.
            let node = 64 + class + ((out as u32) << 6).wrapping_mul(3);
            let bit = self.bit(coder, contexts, node, selector, value >> shift & 1 == 1);
            out = out << 1 | u64::from(bit);
        }
        out
    }
}

/// A signed number as an unsigned one: 0, -1, 1, -2.
pub(crate) fn zigzag(v: i64) -> u64 {
    (v << 1 ^ v >> 63) as u64
}

/// What [`zigzag`] made.
pub(crate) fn unzigzag(v: u64) -> i64 {
    (v >> 1) as i64 ^ -((v & 1) as i64)
}
