//! Keys, signatures and manifests for applications that update themselves over HTTPS.
//!
//! What is written is Perry's, byte for byte where that can be: a key pair, a signature's envelope, a manifest of schema 2.
//! [`compose`] is what the original leaves to its user: a whole manifest, with its artifacts, from a deployment directory.
//!
//! # Files
//!
//! - `compose`: a whole manifest: platforms, artifacts, its order of writes. `artifact`: names of what is written, and how. `pack`: a
//!   folder into `.tar.gz`, the same bytes everywhere; links that leave. `sign`: one artifact. `deltas`: patches from earlier
//!   artifacts: from how many, when one pays. `words`: which texts a client can use. `rules`: those that a manifest has.
//! - `keypair`: the key that signs, its file, and the variable that may hold it. `keygen`: writing one into a file, and keeping one
//!   that is there. `event/`: what is told.

mod artifact;
pub mod compose;
mod deltas;
pub(crate) mod event;
mod keygen;
pub mod keypair;
pub mod pack;
mod rules;
pub mod sign;
pub(crate) mod words;

pub use event::{ComposedManifest, DeltaEntry, Envelope, PlatformEntry, RulesEntry, UpdaterEvent};

#[cfg(test)]
mod tests;
