//! The hash of files: BLAKE2b with 32 bytes.

use blake2b_simd::{Params, State};

pub(crate) fn hasher() -> State {
    Params::new().hash_length(32).to_state()
}

pub(crate) fn digest(state: &State) -> [u8; 32] {
    let mut out = [0; 32];
    for (to, from) in out.iter_mut().zip(state.finalize().as_bytes()) {
        *to = *from;
    }
    out
}

/// Of bytes that are there whole.
#[cfg(feature = "make")]
pub(crate) fn hash(bytes: &[u8]) -> [u8; 32] {
    let mut hasher = hasher();
    hasher.update(bytes);
    digest(&hasher)
}
