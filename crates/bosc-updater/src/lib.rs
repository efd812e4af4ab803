//! The client of an application that updates itself.
//!
//! # Parts
//!
//! - [`source`]: where releases come from. A source finds a [`Release`], fetches it into a staging folder and proves it
//!   against the key it was made with, down to the last byte. `http` and `p2p` are the two there are.
//! - [`release`]: what passes from a source to the installer: [`Staged`], a folder entry together with its proven
//!   [`Contents`].
//! - [`install`]: puts a staged build in the place of the installed one, atomically, and back.
//! - [`health`]: starts builds and watches a new one until it is healthy.
//! - `archive`: builds inside `.tar.gz`, `.tar.zst` and `.zip` (feature `archives`).
//! - [`perry`]: the formats and the lifecycle of Perry's updater, without a network.
//! - `client`: the policy in between: when to look, what is newer, what was taken back before.
//!
//! # A guide
//!
//! ## The dozen lines
//!
//! ```no_run
//! use bosc_updater::client::{Event, Updater, UpdaterOptions, this_app};
//! use bosc_updater::health::Program;
//!
//! # fn data_folder() -> std::path::PathBuf { unimplemented!() }
//! # fn ask(_: &str) -> bool { true }
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let options = UpdaterOptions::new(
//!     data_folder(), this_app(), "Demo", env!("CARGO_PKG_VERSION").parse()?,
//!     "pear://nw4bt9ok4skpuyyhkjwatqryo4ko8mhbyzhwc4zmc3dstudouxwo",
//! );
//! let (updater, events) = Updater::start(options)?;   // first thing in main
//! // ... the application starts; its window is up, its data is read:
//! updater.mark_healthy().wait()?;
//! while let Some(event) = events.recv() {             // a thread, or `events.next().await`
//!     if let Event::Updated { version, .. } = event
//!         && ask(&format!("Version {version} is ready. Restart?"))
//!     {
//!         updater.apply_update().wait()?;
//!         updater.relaunch_and_watch(&Program::default(), &mut |_| true)?;
//!         break;                                       // and end the program
//!     }
//! }
//! # Ok(()) }
//! ```
//!
//! What happens in them: the updater looks for a release at once and whenever there is news; fetches one that is strictly
//! newer in SemVer's order, for this platform, proved by the link's key; and says [`client::Event::Updated`] when it lies beside
//! the application, whole. Nothing changes until [`client::Updater::apply_update`], which exchanges the builds in one step.
//! [`client::Updater::relaunch_and_watch`] starts the new one and stays until that one has called
//! [`client::Updater::mark_healthy`]; if it crashes, cannot start or says nothing within [`install::HealthPolicy::window`], the
//! old build is put back, started, and the release is not offered again.
//!
//! ## Three rules
//!
//! 1. **Start the updater before anything that can fail.** [`client::Updater::start`] counts the starts of a build on trial. When
//!    the power went before the watcher could act, this count takes the build back; then [`client::Updater::started`] says
//!    [`install::StartState::TakenBack`]: call [`client::Updater::relaunch`] and exit.
//! 2. **Say that you are healthy when you are**, not at the first line of `main`: the window is drawn, the settings are read.
//!    Never make it depend on the network: whoever cuts that would have every update taken back. Saying it raises the floor: nothing older is taken afterwards.
//! 3. **Keep data out of the application's own folder.** It is exchanged as a whole.
//!
//! ## Over HTTPS
//!
//! ```no_run
//! # use bosc_updater::client::{UpdaterOptions, this_app};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let data_folder = "/";
//! let mut options = UpdaterOptions::new(
//!     data_folder, this_app(), "Demo", "1.0.0".parse()?, "https://example.com/demo/latest.json",
//! );
//! options.public_keys = vec!["A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=".into()];
//! options.manifest_app = Some("demo".into());
//! # Ok(()) }
//! ```
//!
//! `bosc updater keygen` makes the key, `bosc updater manifest` the JSON and the artifacts, from the same deployment directory that
//! `bosc stage` takes. The rest is the same: one client, one behaviour. A folder application comes in a `.tar.gz`, `.tar.zst` or
//! `.zip`.
//!
//! ## What can go wrong, and who is told
//!
//! Calls and [`client::Event::Error`] carry an [`ErrorKind`], a text, and what to do next. Being offline is no error. What can be
//! tried again is, later and later; [`client::Updater::check_now`] does not wait. A full disk is seen before the download
//! ([`ErrorKind::NoSpace`]), a folder this user may not write to when the updater starts ([`ErrorKind::Permission`]): install per
//! user, or let the installer's own updater do it. [`ErrorKind::Integrity`] means that somebody sent what nobody signed.
//!
//! ## Without Rust
//!
//! `bosc watch` is this client as a child process: words in, lines of JSON out. `examples/node` and `examples/python` use it.
//!
//! ## Before you ship
//!
//! `bosc updater smoke --old … --new …` does all of the above to your own two builds in a temporary folder, then breaks one.
//!
//! ## Features
//!
//! | feature | brings |
//! |---|---|
//! | `http` (default) | updates from an HTTPS manifest |
//! | `p2p` | updates from a `pear://` link |
//! | `archives` | `.tar.gz`, `.tar.zst`, `.zip`; part of `http` |
//!
//! On iOS and Android everything compiles, and installing is a no-op that says so ([`ErrorKind::Unsupported`]).
//!
//! # Invariants
//!
//! 1. Nothing is installed whose bytes do not equal its [`Contents`] at the moment of the install.
//! 2. At every instant the application's path holds one whole build, old or new.
//! 3. A build that does not become healthy is replaced by the one before it and not offered again.
//! 4. No downgrade: not below the installed version, the newest healthy version, or a manifest schema seen before.

#[cfg(feature = "archives")]
pub mod archive;
pub mod client;
pub mod error;
pub mod health;
#[cfg(feature = "http")]
pub mod http;
pub mod install;
#[cfg(feature = "p2p")]
pub mod p2p;
pub mod perry;
pub mod release;
pub mod source;

pub use error::{ErrorKind, UpdateError};
pub use release::{Contents, Entry, EntryKind, Release, ReleaseId, Staged};
pub use source::{Progress, Source};
