//! An arithmetic coder with adaptive models, whole numbers only: the same on every machine.
//!
//! Models are written once for both directions: a [`Coder`] is given the bit and returns it (making), or returns the bit
//! that it reads (applying).
//!
//! - `range`: bits of a known probability into bytes and back.
//! - `model`: what a bit probably is: several contexts, mixed.
//! - `symbols`: bytes and numbers as bits.

mod model;
mod range;
mod symbols;

pub(crate) use model::Model;
#[cfg(feature = "make")]
pub(crate) use range::Encoder;
pub(crate) use range::{Coder, Decoder};
pub(crate) use symbols::{unzigzag, zigzag};

/// Mixes numbers into a context.
pub(crate) fn context(parts: &[u64]) -> u32 {
    let mut h = 0x9e37_79b9_7f4a_7c15u64;
    for part in parts {
        h = (h ^ part).wrapping_mul(0xff51_afd7_ed55_8ccd);
        h ^= h >> 32;
    }
    h as u32
}
