//! A drive whose content is that of a request, and small files in it, wherever they are: here or at peers.

use super::peers::{AskedDrive, STALL};
use crate::command::Stop;
use crate::engine::Engine;
use crate::engine::drive::{CoreSource, DriveCores};
use crate::engine::follow::reading;
use crate::engine::open::PACKAGE_MAX;
use crate::error::CommandError;
use bosc_drive::blobs::BlobReader;
use bosc_drive::drive::Drive;
use bosc_follow::{Fetch, FollowedCore};
use bosc_store::Core;
use serde_json::Value;

/// A source whose content is the request's.
pub(super) struct Content {
    pub(super) drive: DriveCores,
    pub(super) db: Option<FollowedCore>,
    pub(super) blobs: Option<(Core, Option<FollowedCore>)>,
    /// Peers are asked as long as this lives.
    pub(super) _side: Option<AskedDrive>,
}

impl Content {
    /// A drive that is followed.
    pub(super) fn followed(drive: &DriveCores, db: &FollowedCore, blobs: &FollowedCore) -> Self {
        let blobs = Some((blobs.core().clone(), Some(blobs.clone())));
        Self { drive: drive.clone(), db: Some(db.clone()), blobs, _side: None }
    }
}

impl Engine {
    /// package.json at a length.
    pub(super) fn package_of(&self, content: &Content, length: u64, stop: &Stop) -> PackageFound {
        match self.file_of(content, "/package.json", PACKAGE_MAX, length, stop) {
            FileFound::None => PackageFound::None,
            FileFound::Broken => PackageFound::Broken,
            FileFound::Unknown => PackageFound::Unknown,
            FileFound::Read(bytes) => match serde_json::from_slice::<Value>(&bytes) {
                Ok(package) if package.is_object() => PackageFound::Read(package),
                _ => PackageFound::Broken,
            },
        }
    }

    /// A small file at a length.
    pub(super) fn file_of(
        &self,
        content: &Content,
        path: &str,
        max: usize,
        length: u64,
        stop: &Stop,
    ) -> FileFound {
        let read = || -> Result<FileFound, CommandError> {
            let source = CoreSource::cut(&content.drive.db, length);
            let drive = Drive::checkout(source, length);
            let entry = reading(content.db.as_ref(), STALL, stop).read(|| drive.entry_follow(path))?;
            let Some(entry) = entry else { return Ok(FileFound::None) };
            let (Some(blob), Some((core, live))) = (entry.value.blob, &content.blobs) else {
                return Ok(FileFound::Broken);
            };
            let mut reader = BlobReader::new(CoreSource::new(&content.drive.db).contents(core), blob);
            let mut bytes = Vec::new();
            while let Some(part) = reading(live.as_ref(), STALL, stop).next(&mut reader)? {
                bytes.extend_from_slice(&part);
                if bytes.len() > max {
                    return Ok(FileFound::Broken);
                }
            }
            Ok(FileFound::Read(bytes))
        };
        read().unwrap_or(FileFound::Unknown)
    }
}

/// A small file of a release.
pub(super) enum FileFound {
    Read(Vec<u8>),
    /// The drive has none.
    None,
    /// It is no file, or too large.
    Broken,
    /// It could not be had.
    Unknown,
}

/// A release's package.json.
pub(super) enum PackageFound {
    Read(Value),
    /// The drive has none.
    None,
    /// It is not JSON, or too large.
    Broken,
    /// It could not be had.
    Unknown,
}

impl PackageFound {
    pub(super) fn read(self) -> Value {
        if let Self::Read(package) = self { package } else { Value::Null }
    }
}
