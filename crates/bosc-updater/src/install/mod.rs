//! Replaces the installed build by a staged one, atomically, and back.
//!
//! # Names
//!
//! For an application at `dir/App` (a file, a folder or a `.app`):
//!
//! | name | holds |
//! |---|---|
//! | `dir/App` | the application, always one whole build |
//! | `dir/App.prev` | the build before it, kept until the next install; `App.prev-2` and so on where that name is somebody else's |
//! | `dir/App.broken` | the last build that was rolled back, kept until the next install; `App.broken-2` and so on as well |
//! | `dir/App.added/<version>/` | what was added to the build of that version and could not come along; never removed, `App.added-2` and so on as well |
//! | `dir/.App.bosc/journal.json` | where the application stands, the version floor, the releases that were rolled back |
//! | `dir/.App.bosc/shipped-*` | the paths of builds that are folders, as they were installed |
//! | `dir/.App.bosc/LOCK` | locked while a call works |
//! | `dir/.App.bosc/staging/` | where sources put builds |
//! | `dir/.App.bosc/{incoming,outgoing,trash}` | builds that are changing places, and what is being removed |
//!
//! Everything lies beside the application: so it is on its file system, and every user and updater of one installation
//! finds the same journal. Who may write beside the application may write in the folder, nobody else (see `owner`). What is beside the
//! application under one of these names and is not what the journal says is left alone, and a folder `.App.bosc` that somebody made
//! for themselves is not used: another name is taken (`.App.bosc-2`).
//!
//! # How builds change places
//!
//! | system | file | folder, `.app` |
//! |---|---|---|
//! | Linux, macOS | one exchange (`renameat2`, `renamex_np`): *never without a build* | the same |
//! | the same, file system without exchange | second name or copy, then one replacing rename: *never without a build* | two renames: *journal* |
//! | other Unix | as above | two renames: *journal* |
//! | Windows | `ReplaceFile`, else two renames (a running `.exe` may be renamed): *journal* | two renames: *journal*; `Busy` while a program in it runs |
//! | iOS, Android | `Unsupported` | `Unsupported` |
//!
//! *Never without a build*: at every instant, power cut included, the path holds one whole build. *Journal*: a kill between
//! two renames leaves the path empty for as long as it takes until somebody calls: the process that watches, a `bosc
//! watch`, the build before it under its new name. What they find is the old build, whole, at `outgoing`, and they put it
//! back. A new build that fails in the second rename is undone by the same call.
//!
//! # States
//!
//! | journal says | at the path | `incoming` | `.prev` | what [`Installer::recover`] does |
//! |---|---|---|---|---|
//! | settled | installed build | garbage | kept build | removes garbage |
//! | settled | nothing | | of Perry's updater, killed between its renames | puts `.prev` back |
//! | installing | old | new | kept build | undone: removes `incoming`, settled |
//! | installing | nothing | new | kept build | `outgoing` back to the path, then as above |
//! | installing | new | old, or it is at `outgoing` | kept build, or nothing | finished: old becomes `.prev`, trial |
//! | trial | new | | old | nothing: the build is proving itself |
//! | trial | old | | | somebody else put it back: remembered as rolled back, settled |
//! | trial | nothing | | old | as rolling back |
//! | trial | neither | | | somebody installed another build: forgets the old one, settled |
//! | rolling back | new or nothing | nothing, or old | old, or nothing | old to `incoming`, changes places, settled |
//! | rolling back | old | new, or it is at `outgoing` | nothing | new becomes `.broken`, settled |
//!
//! `settled → installing → trial → settled` (healthy) or `trial → rolling back → settled` (rolled back). Which build lies where
//! is decided by what a rename carries along (inode and birth time; file index on Windows), and where that says nothing,
//! by its bytes. Each row leads to a row below or above it with less left to do, so a recovery may be killed as well.
//!
//! The journal changes before the disk does, is replaced as a whole, and is synced, as are the builds and every folder a
//! rename touches.
//!
//! # Invariants
//!
//! 1. A build is read again in full, after it got its owner and permissions, where nobody else can reach it, and before it moves to the
//!    application's place; nothing missing, nothing more.
//! 2. The one build that is returned to is the one the journal describes. Whatever else lies at `.prev` is never used, and never
//!    removed.
//! 3. While a build is on trial no other is installed: the build before it is the only one known to work.
//! 4. The floor rises in the write that makes a build healthy; a release enters the list of those rolled back in the write
//!    that begins to roll it back.
//! 5. A build is the release that it came from, whatever version its code says.
//! 6. A full disk keeps no build from being rolled back.
//!
//! # What was added
//!
//! Files that somebody put into the folder of an application are in the new build before it takes its place, and once more afterwards,
//! for what came meanwhile; and in the old one when that comes back. What a release has at the same path counts. Into a `.app`
//! nothing is put: its signature covers all that is in it. See `added`.
//!
//! # Files
//!
//! - `added/`: what was added to a build, and to which it is brought. `along`: when.
//! - `installer`: the calls, and how long each waits for another that is at work. `app`: the application they work on, room that is
//!   left on the disk. `known`: whether what lies there was put there by us, and not by somebody else.
//! - `admission`: whether a release may be installed: newer, not below the floor, and how long one that was rolled back waits.
//! - `types`: what goes in and comes out, and the health policy with its defaults. `place`: names on the disk, what may be replaced,
//!   whether a folder is to be trusted. `folder`: the one that is ours, how it is known, how many names are tried. `forget`: all of
//!   it goes with the application. `owner`: owners and permissions, set-user-id bits that are not kept.
//! - `session`: one call under the lock, after a recovery of what a kill left. `journal`: where the application stands: its format
//!   and bounds, how many rejected releases and forgiven starts, a damaged one put aside. `remember`: reads and writes what is kept:
//!   floor, rejected releases, news (`admission` judges).
//! - `apply`: a staged build goes in, proved again; a kind that does not fit is refused. `swap`: two builds change places: exchange,
//!   rename, what else each system has. `trial`: it proves itself, or goes back: starts that count, longer windows that it may ask
//!   for.
//! - `tree`: builds on disk: read, compared, copied, fingerprinted; how many entries, how deep, links that leave. `fs/`: every file
//!   operation. `errors`: its failures.
//! - `package`, `msix/`: applications that came in an MSIX package. `plain`: Perry's two paths without a journal, and how long
//!   another updater is waited for.

/// Hands the call over where the application came in an MSIX package.
macro_rules! package {
    ($installer:expr, $package:ident => $call:expr) => {
        #[cfg(feature = "msix")]
        if let Some($package) = &$installer.package {
            return $call;
        }
    };
}

mod added;
mod admission;
mod along;
mod app;
mod apply;
mod errors;
mod folder;
mod forget;
pub(crate) mod fs;
mod installer;
mod journal;
mod known;
#[cfg(feature = "msix")]
pub mod msix;
mod owner;
mod package;
mod place;
#[cfg(feature = "perry")]
pub(crate) mod plain;
mod remember;
mod session;
mod swap;
pub(crate) mod tree;
mod trial;
mod types;

pub use added::{Aside, Carried, MAX_ADDED, Shipped, Stayed};
#[cfg(feature = "_unpack")]
pub(crate) use errors::{integrity, io_error};
pub use forget::forget;
#[cfg(feature = "faults")]
pub use fs::{Op, faults};
pub use installer::Installer;
pub use known::InstalledMark;
pub use tree::{MAX_DEPTH, MAX_ENTRIES, MAX_PATH, contents_of, verify};
pub use types::{
    Admission, Build, Floor, HealthPolicy, Installed, Kind, Method, Options, Reason, Rejection, RolledBack,
    StartState, Started, Status,
};
