//! `delta`: patches between two files, alone, for whoever wants them without a link; and what making one takes, for all
//! commands that make them.
//!
//! # Invariants
//!
//! 1. A file is written whole and proved, or not at all: a patch was applied once before it is there, and a result has the
//!    hash that its patch promises.
//! 2. Memory: of `make` and `bench`, see [`memory`], asked for before the files are read; of `apply`, the patch and some tens of
//!    MiB; the old and the new file never are whole in it. Files have at most 4 GiB.
//!
//! # Files
//!
//! - `command`: the four commands. `bench`: what others make of the same files, how they are started.
//! - `work`: a patch made on a thread of its own, and the memory it takes. `input`: files that are read, and their size. `event`:
//!   what is told.

mod bench;
mod command;
pub(crate) mod event;
mod input;
mod work;

pub use command::{Apply, Bench, Inspect, Make, apply, bench, inspect, make};
pub use event::{AppliedDelta, DeltaEvent, DeltaInspected, DeltaMeasured, MadeDelta, Tried};
pub use work::memory;
pub(crate) use work::{NotMade, has_memory, patch};
