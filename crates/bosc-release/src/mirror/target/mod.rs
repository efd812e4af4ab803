//! Where a mirror is written: the few things that a folder, a web server and a bucket have in common.
//!
//! # Files
//!
//! - `place`: what all have in common. `folder`: its lock, how long another run is waited for. `bucket`: S3, Google, Azure, WebDAV:
//!   credentials, time, answers. `reason`: what a service said, without secrets.

#[cfg(feature = "buckets")]
mod bucket;
mod folder;
mod place;
#[cfg(feature = "buckets")]
mod reason;

pub(crate) use place::{Kept, Target};

use crate::error::CommandError;
use crate::output_file::check_output_folder;
use place::bad;
use std::path::Path;

/// Whether a target is a folder on this machine.
pub(crate) fn is_folder(target: &str) -> bool {
    !target.contains("://")
}

/// The place that a target names. Nothing is written or asked yet. A folder is in no store.
pub(crate) fn open(target: &str) -> Result<Box<dyn Target>, CommandError> {
    if target.is_empty() {
        return Err(bad(target));
    }
    if is_folder(target) {
        check_output_folder(Path::new(target), &[])?;
        return Ok(Box::new(folder::Folder::new(Path::new(target))?));
    }
    #[cfg(feature = "buckets")]
    if let Some(bucket) = bucket::Bucket::open(target)? {
        return Ok(Box::new(bucket));
    }
    Err(bad(target))
}
