//! The updater as an application uses it; its public items are at the top of the crate, and its state machine is described there.
//!
//! One thread does the work. Every answer and every event can be waited for by a thread (`wait`, `recv`) or awaited by
//! any executor ([`Pending`] and [`Events::recv_async`] are plain futures): no runtime is needed or started for it.
//! The thread sleeps until something is due or somebody calls: it has no tick.
//!
//! What is public here and not at the top of the crate is the lower level, for processes that update another program.
//!
//! # Files
//!
//! - `updater`: the handle. `lower`: the steps that it is made of. `builder` and `update_source`: what it is made from, settings and
//!   their defaults; whom the application believes, servers, tokens, proxies, relays and mirrors; `options`: the same in one value,
//!   and the folder of this user's data.
//! - `start`: what a start of the application finds, a build that was rolled back, starting the restored one. `this_app`: which
//!   application the running program is, and what is none. `damage`: a journal that was damaged.
//! - `policy/`: when to look, what to take, when to fetch, the delay, back-off after errors: a state machine without a clock.
//! - `driver`: the thread; it owns the source, which `source` opens; one instance for a user's folder, a folder without its program
//!   that is not put in place. `desk`: what it has staged, who waits for it, a release that is refused or was superseded. `guided`:
//!   what the rules of a link change: what is ready and may not be installed any more. `diff`: how a fetched build differs from the
//!   installed one.
//! - `running`: what the handles share, and the grace after a start. `interrupt`: ends a wait of the thread. `lock`: taking a lock.
//! - `update`: a release that may be downloaded, skipped and applied, and the commands that the thread takes.
//! - `reply` and `events`: answers and events that can be waited for, and how many may wait. `event`: what the events are.
//! - `skipped`: the version that the person does not want, and a damaged file of it. `device`: the user's folder, and the name of
//!   this device in it.
//! - `sentinel`: Perry's sentinel; `no_sentinel` without the feature `perry`.

mod builder;
mod damage;
mod desk;
pub(crate) mod device;
mod diff;
mod driver;
mod event;
mod events;
mod guided;
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
