//! Starts builds, and watches a new one until it is healthy.
//!
//! # The watch
//!
//! The process that installed runs the old code and stays until the new build has proved itself. Nothing of it depends on
//! the new build being able to run: what cannot start, lacks a library, aborts before `main` or ends in a loop is seen from
//! outside.
//!
//! | what happens to the new build | what the watch does |
//! |---|---|
//! | says that it is healthy ([`Installer::mark_healthy`](crate::install::Installer::mark_healthy)) | [`Outcome::Healthy`] |
//! | the system cannot start it | rolls it back at once: another attempt would end the same way |
//! | ends with an error or a signal | starts it again while the policy allows (`threshold - 1` starts), then rolls it back |
//! | ends with exit code 0 within three seconds, with nothing of it running | starts it once more: the old program may have been about to end |
//! | is ended by somebody (SIGTERM, SIGHUP, SIGINT; Ctrl+C, a closed console, a logout) | [`Outcome::Closed`]: no fault of its own, and the start is not counted (up to eight times) |
//! | says that it needs longer ([`Installer::starting`](crate::install::Installer::starting)) | waits a window more from then |
//! | ends with exit code 0 | keeps waiting: a launcher ends so while the application goes on. At the end of the window [`Outcome::Closed`]: the person closed it; not health, not a failure, and the start is not counted (up to eight times) |
//! | rolls itself back at its start ([`Installer::started`](crate::install::Installer::started)) | starts the old build |
//! | runs, but says nothing to the end of the window and half as long again (1 to 30 s) | rolls it back and ends it |
//!
//! "Rolls back" is decided under the application's lock against the journal: a build that says it is healthy in the same
//! moment stays. The old build is then started with the same arguments. Where no process watches any more (power cut), the
//! journal counts the starts and does the same at the next one ([`Installer::started`](crate::install::Installer::started)); a build that cannot even reach that
//! call needs a watcher from outside, as `bosc watch` is.
//!
//! # Files
//!
//! - `watch`: the process that installed watches what it installed: the window, a program that ends at once, starts again, rolls
//!   back. `outcome`: what it reports, and how it ends.
//! - `launch`: starts the application as a process of its own, and ends it. `program`: how: arguments, folder, environment. `bundle`:
//!   the program inside a macOS bundle. `desktop`: the environment without an AppImage's additions.

mod bundle;
mod desktop;
mod launch;
mod outcome;
mod program;
mod watch;

#[doc(hidden)]
pub use launch::end_started;
pub use launch::{can_start, executable_of as executable, relaunch};
pub use outcome::{Outcome, WatchEvent};
pub use program::Program;
pub(crate) use watch::on_trial;
pub use watch::watch;
