//! The policy of a drive (`/release.json`), as far as it is here.

use crate::cores::DriveCores;
use crate::source::CoreSource;
use bosc_drive::blobs::BlobReader;
use bosc_drive::drive::Drive;
use bosc_policy::{FILE, MAX_POLICY, Policy};

/// The policy of the newest head. Nobody is asked for anything: `None` when there is none, when a block of it is not here, and when it
/// cannot be read. Who decides by it what to install reads it as every other file, and knows the difference.
pub fn policy_here(cores: &DriveCores) -> Option<Policy> {
    let db = CoreSource::new(&cores.db);
    let entry = Drive::checkout(db.clone(), cores.db.length()).entry_follow(FILE).ok()??;
    let (id, blobs) = (entry.value.blob?, cores.blobs().ok()??);
    let mut bytes = Vec::new();
    for part in BlobReader::new(db.contents(&blobs), id) {
        bytes.extend_from_slice(&part.ok()?);
        if bytes.len() > MAX_POLICY {
            return None;
        }
    }
    Policy::read(&bytes).ok()
}
