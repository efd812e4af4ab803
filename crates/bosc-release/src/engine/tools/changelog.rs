//! `changelog`: what a link's `/CHANGELOG.md` says.

use super::super::Engine;
use super::super::drive::{CoreSource, parse_link};
use super::super::wait::fetching;
use crate::command::{Outcome, Sink, Stop};
use crate::tools::Changelog;
use crate::tools::changelog::{MAX_CHANGELOG, tell};
use bosc_drive::drive::Drive;
use std::time::Duration;

impl Engine {
    pub(super) fn changelog(&self, request: &Changelog, sink: &mut dyn Sink, stop: &Stop) -> Outcome {
        let link = parse_link(&request.link)?;
        let timeout = Duration::from_millis(request.timeout_ms);
        let opened = self.open_fresh(&link, timeout, stop)?;
        let length = link.version.map_or(opened.drive.db.length(), |v| v.length);
        let mut bytes = None;
        if length > 0 {
            let drive = Drive::checkout(CoreSource::new(&opened.drive.db), length);
            let entry = fetching(opened.db.as_ref(), timeout, stop, || drive.entry_follow("/CHANGELOG.md"))?;
            if let Some(blob) = entry.and_then(|e| e.value.blob) {
                bytes = self.read_file(&opened, blob, MAX_CHANGELOG, timeout, stop)?;
            }
        }
        tell(&bytes.unwrap_or_default(), &request.select, sink)
    }
}
