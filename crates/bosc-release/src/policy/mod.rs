//! `policy`: the rules that a quorum signs with a release (`/release.json`), and what operators say within them.
//!
//! What the file means, and what follows from it for a client, is in `bosc-policy`; here is what people see of it, and how they
//! write it. What an operator says is made in [`crate::operator`].
//!
//! # Invariants
//!
//! 1. Of what the DHT answers only what an operator of the policy signed about this link counts; everything else is named, and
//!    changes nothing.
//! 2. A folder or link with a file that clients cannot obey is refused before anything of it is written ([`of_folder`],
//!    [`check`](mod@check)): they would install nothing from then on.
//! 3. Fields that are not known stay as they are, where they are.
//!
//! # Files
//!
//! - `command`: `policy show` and `policy check` of a link, a folder, a manifest. `look`: what is known of a link's rules now, whose
//!   words count, how long operators are asked.
//! - `folder`: the file of a folder. `edit`: `policy set`. `check`: what is wrong with a file, or should be looked at.
//! - `request`: what is asked for. `event`: events, and results. `shown`: rules as data. `span`: times in words.

pub mod check;
pub(crate) mod command;
pub mod edit;
pub mod event;
mod folder;
pub(crate) mod look;
mod request;
pub mod shown;
pub mod span;

pub use bosc_policy::{InvalidShare, Right, Share};
pub use command::{check_folder, check_manifest, show_folder, show_manifest};
pub(crate) use folder::{bytes_of as bytes_of_folder, bytes_of_file, not_read};
pub use folder::{of_folder, tell_folder};
pub use request::PolicyOfLink;
