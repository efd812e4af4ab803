//! What somebody added to the folder of an application: neither removed with it nor lost when another build takes its place. `bosc
//! install` and the updater decide it here, both from the list of what was installed.
//!
//! Invariants:
//! * Removed is only what was installed, by its path in the folder, and folders that are empty then.
//! * What was added is in the new build before that takes the application's place, so that a kill loses nothing of it; the old build
//!   keeps it as well (a second name of the same file).
//! * What the new build has at the same path counts. What was added there is kept aside, and reported.
//!
//! # Files
//!
//! - `shipped`: what was installed, what stays when it goes, and how much may be added. `carry`: bringing it to another build, by a
//!   second name or a copy. `aside`: the folder for what cannot come along. `list`: the list on the disk.

mod aside;
mod carry;
mod list;
mod shipped;

pub use aside::Aside;
pub use carry::Carried;
pub(crate) use carry::Carry;
pub use shipped::{MAX_ADDED, Shipped, Stayed};
