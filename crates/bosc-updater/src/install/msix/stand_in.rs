//! A stand-in for Windows, for tests where there is none: not in a program that does not ask for the feature `faults`.
//!
//! While it is set, a program in a folder `WindowsApps/<full name>` counts as one that came in a package, on every system; its
//! packages are handed to a function of the test. What only Windows can do stays untested: that it takes the package.

use super::command::{Command, Failure, Runner};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Takes a package, or says why not.
type System = dyn Fn(&Path) -> Result<(), String> + Send + Sync;

#[derive(Clone)]
struct StandIn(Arc<System>);

impl fmt::Debug for StandIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StandIn")
    }
}

static SET: Mutex<Option<(PathBuf, StandIn)>> = Mutex::new(None);

fn set_to(to: Option<(PathBuf, StandIn)>) {
    *SET.lock().unwrap_or_else(PoisonError::into_inner) = to;
}

/// Plays Windows in this process: `local` is the user's folder for data (`%LOCALAPPDATA%`), `system` is given every package.
pub fn set(local: impl Into<PathBuf>, system: impl Fn(&Path) -> Result<(), String> + Send + Sync + 'static) {
    set_to(Some((local.into(), StandIn(Arc::new(system)))));
}

/// Ends the play.
pub fn unset() {
    set_to(None);
}

pub(crate) fn is_set() -> bool {
    SET.lock().unwrap_or_else(PoisonError::into_inner).is_some()
}

pub(super) fn get() -> Option<(PathBuf, Box<dyn Runner>)> {
    let set = SET.lock().unwrap_or_else(PoisonError::into_inner).clone();
    set.map(|(local, stand_in)| (local, Box::new(stand_in) as Box<dyn Runner>))
}

impl Runner for StandIn {
    fn run(&self, command: &Command) -> Result<(), Failure> {
        (self.0)(Path::new(&command.set.1)).map_err(Failure::Refused)
    }
}
