//! Keys, signatures and manifests for applications that update themselves over HTTPS.
//!
//! What is written is Perry's, byte for byte where that can be: a key pair, a signature's envelope, a manifest of schema 2.
//! [`compose`] is what the original leaves to its user: a whole manifest, with its artifacts, from a deployment directory.
//!
//! # Files
//!
//! - `compose`: a whole manifest. `artifact`: names of what is written, and how. `pack`: a folder into `.tar.gz`. `sign`: one
//!   artifact. `deltas`: patches from earlier artifacts. `words`: which texts a client can use. `rules`: those that a manifest has.
//! - `keypair`: the key that signs. `keygen`: writing one into a file. `event/`: what is told.

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
