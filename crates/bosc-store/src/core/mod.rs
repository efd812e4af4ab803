//! One core: what is known of it in `handle`, its blocks in `read`. Changing it by its own signer is in `write`, by what
//! peers send in `replicate`.

mod damage;
mod group;
mod handle;
mod read;
mod replicate;
mod write;

pub use damage::{Checked, Damage};
pub use group::ReadAhead;
pub use handle::{Core, CoreInfo};
pub use replicate::{Applied, ReorgSession};
