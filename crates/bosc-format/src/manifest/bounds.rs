//! How much of a manifest is taken.

/// The most signers a manifest may have here.
pub const MAX_SIGNERS: usize = 1024;
/// The most linked cores a manifest may have here.
pub const MAX_LINKED: usize = 1024;
/// The most bytes of user data a manifest may have here.
pub const MAX_USER_DATA: usize = 64 * 1024;
/// The most bytes a head's signature may have here: room for [`MAX_SIGNERS`] and thousands of patch nodes. What it is
/// must not be compared: bytes that say nothing can be added to a multi-signature.
pub const MAX_SIGNATURE: usize = 256 * 1024;
