//! One core: reading it, and changing it by its own signer or by what peers send.
//!
//! # Files
//!
//! - `handle`: what is known of a core (head, keys, what is here, a caller's own bytes), and what every change begins with. `read`:
//!   its blocks, and proofs for peers. `group`: several blocks at once, and how many are lent.
//! - `write`: changes by its own signer: append, a signature from elsewhere, truncate; blocks given up, a core removed. `replicate`:
//!   changes by what peers send: proved, another fork, what is a conflict. `damage`: blocks whose bytes on disk are not what was
//!   stored: who sees them, how they come again, how many a check names.

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
