//! The updater as an application uses it; its public items are at the top of the crate, and its state machine is described there.
//!
//! One thread does the work. Every answer and every event can be waited for by a thread (`wait`, `recv`) or awaited by
//! any executor ([`Pending`] and [`Events::recv_async`] are plain futures): no runtime is needed or started for it.
//! The thread sleeps until something is due or somebody calls: it has no tick.
//!
//! - `updater`: the handle. `lower`: the steps that it is made of. `builder` and `update_source`: what it is made from.
//! - `start`: what a start of the application finds.
//! - `policy`: when to look, what to take, when to fetch: a state machine without a clock.
//! - `driver`: the thread; it owns the source, which `source` opens. `desk`: what it has staged, and who waits for it.
//! - `running`: what the handles share. `interrupt`: how the thread is let go from what it waits for.
//! - `update`: a release that may be downloaded and applied, and the commands that the thread takes.
//! - `skipped`: the version that the person does not want. `device`: the name of this device.
//! - `reply` and `events`: answers and events. `this_app`: which application the running program is.
//!
//! What is public here and not at the top of the crate is the lower level, for processes that update another program.

mod builder;
mod desk;
mod device;
mod diff;
mod driver;
mod event;
mod events;
mod interrupt;
mod lock;
mod lower;
mod options;
#[doc(hidden)]
pub mod policy;
mod reply;
mod running;
#[cfg(feature = "perry")]
mod sentinel;
#[cfg(not(feature = "perry"))]
#[path = "no_sentinel.rs"]
mod sentinel;
mod skipped;
mod source;
mod start;
mod this_app;
mod update;
mod update_source;
mod updater;

pub use builder::UpdaterBuilder;
pub use diff::{Change, ChangeOp};
pub use event::Event;
pub use events::Events;
#[doc(hidden)]
pub use options::cargo_version;
pub use options::data_folder;
pub use reply::Pending;
pub use start::{FailedBuild, Started};
pub use this_app::{this_app, why_no_app};
pub use update::{AppliedUpdate, Update};
pub use update_source::{PublicKey, UpdateSource};
pub use updater::Updater;
