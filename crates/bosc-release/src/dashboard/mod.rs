//! `dashboard`: lines, releases, the ceremony, who has which version and what is wrong, as one page that is served over HTTP/1.1 by
//! the process that has the store.
//!
//! ```text
//! command ── looks at the followed drives ──▶ live ┐
//!    │ head changed, or time                       ├──▶ Snapshot ──▶ page (HTML) ──▶ server ──▶ browser
//!    └──▶ examine (a thread: history, costs,       │                                  ▲ events: "news N"
//!         policy, doctor) ──────────────────────── ┘
//! ```
//!
//! # Invariants
//!
//! 1. Nothing is signed, staged or changed from a browser: every request but the login reads, and what it reads is the last
//!    [`Snapshot`]. No request waits for the store, the network or the loop.
//! 2. What a drive, a peer or a file says is text: only literals of this program become markup ([`page::Html`]). Every such text is cut
//!    at a stated number of characters, lists at a stated number of rows; the page stays below 150 kB.
//! 3. Who has no cookie of this process sees nothing. It is given for the token of the first URL, or for the password, which are
//!    compared without telling where they differ. `Host` and `Origin` have to be this server's.
//! 4. Of peers only numbers are kept: how many had which version, for 90 days, in one file of the store.
//!
//! # State of a line
//!
//! ```text
//! opened ──first peer or own──▶ known ──examined──▶ shown ──head changed, or time is up──▶ examined again
//!    └── the store says no ──▶ failed: the others are shown, it says why
//! ```
//!
//! # Files
//!
//! - `command`: the loop, which lines are shown, how often what is looked at. `live`: what a followed drive says at one moment.
//!   `examine`: what takes time: history, costs, policy, doctor, their bounds.
//! - `ceremony`: who signed, what is missing, which files of a folder are read. `adoption`: versions over 90 days, the file of them.
//!   `snapshot`: all of it as plain data, how many of each and how long.
//! - `page/`: the data as HTML. `server/`: HTTP, and who gets in. `event`: what is reported.

mod adoption;
mod ceremony;
pub(crate) mod command;
pub mod event;
mod examine;
mod live;
pub mod page;
pub mod server;
pub mod snapshot;

use crate::keys::Passphrase;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

pub use adoption::FILE_NAME;
pub use snapshot::Snapshot;

/// `bosc dashboard`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dashboard {
    /// The links to show; none: the lines of `file`, or what this store writes.
    pub links: Vec<String>,
    /// Names of lines to show; none: all of the file.
    pub lines: Vec<String>,
    /// The file that declares lines; absolute. None: there is none.
    #[serde(default, with = "crate::wire_path")]
    pub file: Option<PathBuf>,
    /// Where the page is served: an address and a port; 0 takes a free one.
    pub addr: String,
    /// Who knows it gets in. None: who has the URL.
    #[serde(default)]
    pub password: Option<Passphrase>,
    /// A folder with requests and responses that are being collected; absolute.
    #[serde(default, with = "crate::wire_path")]
    pub ceremony: Option<PathBuf>,
}
