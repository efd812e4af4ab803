//! An application that updates itself: over a `pear://` link, from peers, or from an HTTPS server.
//!
//! It owns the application's place on the disk while builds change in it, the journal of that, and what was seen of a source. It
//! never ends the application, never installs what was not proved, and asks no person.
//!
//! # In fifteen lines
//!
//! ```no_run,edition2021
//! # struct Window; impl Window { fn run_until_closed(self) {} } fn open_window() -> Window { Window }
#![doc = include_str!("doc/first.rs")]
//! ```
//!
//! That is safe as it stands. An update is looked for at once and whenever there is news, downloaded quietly, proved by the link's
//! key, and put in place when the application quits. Whatever keeps that from working (no network, a damaged cache, a second
//! instance, `cargo run`) never keeps the application from running. A new build that does not work is rolled back, and not offered again.
//!
//! To ask a person first, and restart at once:
//!
//! ```no_run,edition2021
//! # fn ask(_: &str) -> bool { true } fn tell(_: &str) {}
#![doc = include_str!("doc/ask.rs")]
//! ```
//!
//! Step by step, as a menu entry does it:
//!
//! ```no_run,edition2021
//! # fn ask(_: &str) -> bool { true } fn tell(_: &str) {} fn close_the_window() {} fn show_progress(_: u64, _: Option<u64>) {}
#![doc = include_str!("doc/manual.rs")]
//! ```
//!
//! Over HTTPS only the source differs: `UpdateSource::https("https://example.com/demo/latest.json", PublicKey::base64("…"))`.
//! `bosc updater keygen` makes the key, `bosc updater manifest` the JSON and the artifacts, from the same deployment directory that
//! `bosc stage` takes. A folder application comes in a `.tar.gz`, `.tar.zst` or `.zip`. What a server may ask for (headers and tokens, a
//! client certificate, a company's certificate authority, a proxy, several URLs, who asks) is on [`UpdateSource`]; each secret is for the one
//! server it was given for. The environment's proxies and the system's certificate authorities are used by default.
//!
//! # What an application sees
//!
//! ```text
//!                      UpdaterBuilder::start, first thing in main
//!                        │                              │
//!        Started::RolledBack(FailedBuild)      Started::Running(Updater)
//!          restart, return from main                    │
//!                                                       ▼
//!     ┌──────────────────────────────────────────▶  at rest  ◀───────── quiet: no wake-up until a check is due,
//!     │                                               │   ▲              the link reports news, or a call comes
//!     │             news, check, the hourly look      ▼   │ nothing newer, or an error: again later
//!     │                                            checking
//!     │                                               │ a newer release
//!     │               Event::Available  ◀─ asked to ──┤
//!     │                     │              ask        ▼
//!     │                     └──── download ────▶ downloading ── Event::Updating, Progress
//!     │                                               │
//!     │  a newer one comes                            ▼
//!     └─────────────────────────────────────── downloaded, proved: Event::Updated(Update)
//!                                                     │ quit, restart, Update::apply
//!                                                     ▼
//!                                               in place: Event::Applied. The next start is on trial:
//!                                                     │
//!               Updater::mark_healthy ◀───────────────┴──────────────▶ it crashes, cannot start, says nothing
//!               the floor rises, settled                               rolled back: Event::RolledBack
//! ```
//!
//! With automatic downloads off, nothing comes that was not asked for; [`Update::skip`] is for a person who does not want a version at
//! all. [`Update::is_mandatory`] and [`Update::minimum_system`] say what the publisher thinks.
//!
//! In every state: [`Updater::quit`] ends, [`Updater::pause`] stops the network, a second instance only waits
//! ([`Event::SecondInstance`]) and takes over when the first one has ended, and an error is an [`Event::Error`] with what to do next.
//!
//! Promises of this API:
//!
//! 1. [`UpdaterBuilder::start`] cannot fail, and no failure of the updater ends the application. Only [`Started::RolledBack`] asks it
//!    to end, because a build that does not work runs.
//! 2. Nothing has to be listened to, waited for or answered: whoever drops an answer still gets what was asked for.
//! 3. What a person agreed to is what is installed, or nothing: an [`Update`] names one release.
//! 4. Every wait is one of two forms of the same thing: `.wait()` blocks, `.await` works on any executor, none is needed.
//! 5. At rest the updater does not wake: its thread sleeps until something is due or somebody calls.
//! 6. No type of another crate is in a signature, but [`semver::Version`]; enums that may grow are `#[non_exhaustive]`, [`Started`]
//!    is not.
//!
//! # Three rules
//!
//! 1. **Start the updater before anything that can fail.** It counts the starts of a build on trial. When nobody watches (an update
//!    that was put in place at the last quit, a power cut), three starts may end unhealthy; the fourth rolls the build back. What cannot
//!    even reach `start` (a library is missing) is seen by the process that watches a [`Updater::restart`], and by nobody after a
//!    `quit`: try your builds with `bosc updater smoke` before you ship.
//! 2. **Say that you are healthy when you are**, not at the first line of `main`: the window is drawn, the settings are read.
//!    Never make it depend on the network: whoever cuts that would have every update rolled back. Saying it raises the floor: nothing
//!    older is taken afterwards. Say [`Updater::starting`] while a migration takes longer than the health window.
//! 3. **Keep data out of the application's own folder.** It is exchanged as a whole; what people added to it comes along (not into a
//!    `.app`), what they changed in it does not.
//!
//! # What can go wrong, and where it is reported
//!
//! Answers and [`Event::Error`] carry an [`UpdateError`]: a kind, a text, the causes, and what to do next. Being offline is not an error. A
//! damaged cache of the updater is put aside and fetched again; even if opening it aborted the last
//! start (`panic = "abort"`): a marker written beforehand records that. What can be tried again is, later and later;
//! [`Updater::check`] does not wait. A full disk is seen before the download ([`ErrorKind::NoSpace`]), a folder this user may not
//! write to when the updater starts ([`ErrorKind::Permission`]): install per user, or let the installer's own updater do it.
//! [`ErrorKind::Integrity`] means that somebody sent what nobody signed.
//!
//! # Without Rust
//!
//! `bosc watch` is this client as a child process: commands in, lines of JSON out. `examples/node` and `examples/python` use it.
//!
//! # Features
//!
//! | feature | brings |
//! |---|---|
//! | `http` (default) | updates from an HTTPS manifest |
//! | `p2p` | updates from a `pear://` link |
//! | `archives` (default) | builds packed as `.tar.gz` (`tar-gz`), `.tar.zst` (`tar-zst`) and `.zip` (`zip`), one by one or together |
//! | `deltas` (default) | updates made of patches and what is installed, where that takes fewer bytes |
//! | `msix` (default) | applications that Windows installed from an MSIX package |
//! | `perry` (default) | Perry's updater by its own names, and its sentinel |
//! | `stream` | [`Events`] is a `futures_core::Stream` |
//!
//! On iOS and Android everything compiles, and installing is a no-op that says so ([`ErrorKind::Unsupported`]).
//!
//! # The lower level
//!
//! The modules hold what the top is made of, for processes that update another program (`bosc watch` is one) and for tests. They may
//! change more often.
//!
//! - [`client`]: the rest of the client: [`client::this_app`], [`client::data_folder`].
//! - [`source`]: where releases come from. A source finds a [`release::Release`], fetches it into a staging folder and proves it
//!   against the key it was made with, down to the last byte. `http` and `p2p` are the two there are.
//! - [`release`]: what passes from a source to the installer: [`release::Staged`], a folder entry together with its proven
//!   [`release::Contents`].
//! - [`install`]: replaces the installed build by a staged one, atomically, and back.
//! - [`health`]: starts builds and watches a new one until it is healthy.
//! - [`archive`]: builds inside `.tar.gz`, `.tar.zst` and `.zip`.
//! - [`plist`]: a text of a property list, as a `.app` has one.
//! - [`manifest`]: the signed JSON that an HTTPS server offers.
//! - `perry`: Perry's updater under its own names: an application that uses it moves over line by line.
//!
//! # Invariants
//!
//! 1. Nothing is installed whose bytes do not equal its [`release::Contents`] at the moment of the install.
//! 2. At every instant the application's path holds one whole build, old or new.
//! 3. A build that does not become healthy is replaced by the one before it and not offered again.
//! 4. No downgrade that no person asked for: not below the installed version, the newest healthy version, what was seen of the same
//!    source, or a manifest schema seen before.
//! 5. What lies beside the application and is not ours, as the journal knows it, is never removed or replaced.
//! 6. What is made belongs to who could replace the application anyway, and nobody else can write to it, whatever the umask is.
#![cfg_attr(not(test), warn(unused_crate_dependencies))]

// Patches come with a release: without a source there are none.
#[cfg(all(feature = "deltas", not(any(feature = "http", feature = "p2p"))))]
use bosc_delta as _;

pub mod archive;
#[cfg(all(feature = "deltas", any(feature = "http", feature = "p2p")))]
mod base_file;
pub mod client;
pub mod error;
mod files;
pub mod health;
#[cfg(feature = "http")]
pub mod http;
pub mod install;
pub mod manifest;
#[cfg(feature = "p2p")]
pub mod p2p;
#[cfg(feature = "perry")]
pub mod perry;
pub mod plist;
pub mod release;
#[cfg(any(feature = "http", feature = "p2p"))]
mod rules;
#[doc(hidden)]
pub mod secrets;
pub mod source;
mod this_process;

pub use client::{
    AppliedUpdate, Event, Events, FailedBuild, Pending, PublicKey, Started, Update, UpdateSource, Updater,
    UpdaterBuilder,
};
pub use error::{ErrorKind, UpdateError};
pub use health::{Outcome, Program};
pub use source::Progress;

/// The version of the package that this is written in, as its `Cargo.toml` says: a [`semver::Version`].
#[macro_export]
macro_rules! package_version {
    () => {
        $crate::client::cargo_version(::core::env!("CARGO_PKG_VERSION"))
    };
}
