//! One core: reading it, and changing it by its own signer or by what peers send.
//!
//! # Files
//!
//! - `handle`: what is known of a core, and what every change begins with. `read`: its blocks, and proofs for peers.
//!   `group`: several blocks at once.
//! - `write`: changes by its own signer. `replicate`: changes by what peers send. `damage`: blocks whose bytes on disk are
//!   not what was stored.

mod damage;
mod group;
mod handle;
mod read;
mod replicate;
mod write;

pub use damage::{Checked, Damage};
pub use group::{AsItComes, ReadAhead};
pub use handle::{Core, CoreInfo};
pub use replicate::{Applied, ReorgSession};
