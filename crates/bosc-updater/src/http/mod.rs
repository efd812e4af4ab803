//! Releases from an HTTPS manifest in Perry's format.
//!
//! # What is believed
//!
//! Nothing that the server says. A signature of one of the application's keys over the digest the manifest claims is checked
//! before a byte of the artifact is asked for; then the digest is a promise that the bytes have to keep. TLS, sizes, ETags
//! and ranges only decide how soon a bad answer is noticed.
//!
//! # From check to staged
//!
//! ```text
//!  check:  GET manifest ─▶ schema allowed? ─▶ entry signed? ─▶ newer? ─▶ Release
//!            304: the manifest of the last check
//!  fetch:  lock ─▶ room? ─▶ ┌▶ part on disk = whole? ──────────────▶ digest ─▶ signature ─▶ unpack ─▶ Staged
//!                           │  GET, Range from the part's end          │ wrong and resumed: from zero, once
//!                           │   200: from zero   206: append           │ wrong: refused, part removed
//!                           └── cut, slow, 5xx: wait, go on  ◀─────────┘
//! ```
//!
//! Before that, a patch and a file of this disk make the whole where that takes fewer bytes (`delta`); whatever goes wrong there, the
//! way above follows in the same fetch.
//!
//! # Bounds
//!
//! | what | bound |
//! |---|---|
//! | manifest | 1 MiB, [`HttpOptions::manifest_timeout`] |
//! | artifact | `size` of the manifest, and [`HttpOptions::max_artifact`] in any case |
//! | memory | one block of 64 KiB and ureq's two buffers of 128 KiB, whatever the size |
//! | time | to connect, for each read, in all |
//! | redirects | [`HttpOptions::max_redirects`], each checked; never to http, never from elsewhere to this machine |
//! | bytes a second | [`HttpOptions::max_rate`]; at least those of [`HttpOptions::slow_after`] |
//! | tries without 64 KiB of progress | [`HttpOptions::tries`], with back-off |
//!
//! # In the staging folder
//!
//! `http-<32 hex>.part` while it comes, `.json` beside it (URL and ETag), `.new` for another answer until it is known to be the better
//! one, `.made` for what a patch makes (which is a download of its own beside it), `.build` when proved, `.d` for what was unpacked, `.lock` while somebody fetches. `.d` goes when it is not installed in this run: it
//! can be made anew. What belongs to another release is removed at the next fetch, and all of it when a check finds nothing newer.
//!
//! # Files
//!
//! - `source`: check and fetch: which manifest's offer is taken, older signature formats and unbound releases refused, an archive or
//!   the build itself. `rules`: what the rules of a manifest let this client do, rules that were taken out. `endpoints`: what several
//!   addresses said. `options`: what it is made with, time-outs, sizes and tries with their defaults. `state`: what was seen,
//!   remembered between runs: only stricter, a damaged file.
//! - `agent`: one GET, with its redirects, time in all, and back-off between tries. `download`: one artifact, in as many answers as
//!   it takes: ranges, what is taken over the network at most, an answer that is too long or a page. `pace`: how fast. `least`: how
//!   slow. `staging`: its files. `delta`: the artifact from a patch, when one pays, the longest.
//! - `template`: `{{current_version}}`, `{{target}}`, `{{arch}}` in a URL. `identity`: headers and a client certificate, each for one
//!   server. `proxy`: which proxy, by which variables, and hosts without one. `roots`: whose certificates: built in, the system's, a
//!   company's.
//! - `sniff`: which system a program is for. `mirror`: a drive's mirror on a web server: time and bounds.

mod agent;
#[cfg(feature = "deltas")]
mod delta;
mod download;
mod endpoints;
mod identity;
mod least;
#[cfg(feature = "p2p")]
mod mirror;
mod options;
mod pace;
mod proxy;
mod roots;
mod rules;
mod sniff;
mod source;
mod staging;
mod state;
mod template;

#[doc(hidden)]
pub use agent::is_tls_error;
pub use identity::{ClientCertificate, Header};
#[cfg(feature = "p2p")]
pub use mirror::MirrorServer;
pub use options::{HttpOptions, Room};
pub use proxy::Proxies;
pub use roots::Roots;
pub use rules::{Published, published};
pub use source::{CancelHandle, HttpSource};
