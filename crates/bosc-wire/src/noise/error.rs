//! Why a handshake failed.

use thiserror::Error;

/// The longest handshake message, in bytes.
pub const MAX_MESSAGE: usize = 65_535;

/// Why a handshake failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NoiseError {
    /// A message was sent or received when it was the other side's turn, or after the end or an error.
    #[error("handshake step out of turn")]
    OutOfTurn,
    /// A message is shorter than its pattern says, or over [`MAX_MESSAGE`].
    #[error("handshake message has an invalid length")]
    Length,
    /// A key is not a point of the prime-order subgroup, or the shared secret would be the identity.
    #[error("invalid public key in handshake")]
    InvalidKey,
    /// A ciphertext was not made with the keys of this handshake.
    #[error("handshake message did not authenticate")]
    Decrypt,
    /// The pattern needs the static key of the other side beforehand and none was given.
    #[error("the remote public key is needed for this handshake")]
    MissingRemoteKey,
    /// The result was asked for before the last message.
    #[error("handshake is not finished")]
    Unfinished,
}
