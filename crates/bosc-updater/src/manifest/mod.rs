//! The signed JSON that a server offers over HTTPS: schema 1 and 2 of Perry's updater, with fields of ours.
//!
//! Nothing in here touches a network or the application. `crate::http` fetches; this module decides what a manifest says and
//! whether one of the application's keys signed it.
//!
//! | part | what it is |
//! |---|---|
//! | [`Manifest`], [`Asset`] | what a server offers one platform |
//! | [`verify`] | SHA-256, Ed25519 over the digest (1) or digest and version (2), and our binding to application and platform |
//! | [`url`] | what may be fetched |
//! | [`version`] | what is newer |
//!
//! # Files
//!
//! - `format`: what a manifest says: fields, schemas, how large it, its notes and rules may be. `json`: how it is written, and what
//!   is skipped unread. `delta`: patches that it names, how many. `verify`: digests and signatures, what each is over. `url`: which
//!   URLs may be fetched. `version`: what is newer. `time`: dates.

mod delta;
mod format;
mod json;
mod time;
pub mod url;
pub mod verify;
pub mod version;

pub use delta::{AssetDelta, MAX_DELTAS};
pub use format::{
    Asset, MAX_MANIFEST_LEN, MAX_NOTES_LEN, MAX_RULES_LEN, Manifest, Proof, Rules, Schema, platform_key,
};
pub use time::iso_8601;
