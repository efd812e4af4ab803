//! What every command takes and gives: when to stop, where events go, how it ends.

use crate::error::CommandError;
use crate::event::Output;
pub use crate::event::{Event, Sink};

/// Tells a running command to stop, and wakes it. Cloned freely; once set it stays set.
pub use bosc_follow::Stop;

/// What a command ends with, or why it failed.
pub type Outcome = Result<Output, CommandError>;
