//! `changelog`: what a link's `/CHANGELOG.md` says.

use super::event::ChangelogShown;
use super::{Changelog, MAX_CHANGELOG, Select, tell};
use crate::command::{Sink, Stop};
use crate::dump::command::no_files;
use crate::engine::Engine;
use crate::engine::drive::parse_link;
use crate::engine::follow::reading;
use crate::engine::open::Opened;
use crate::error::CommandError;
use bosc_drive::drive::Drive;
use bosc_follow::Fetch;
use std::time::Duration;

impl Engine {
    pub(crate) fn changelog(
        &self,
        request: &Changelog,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<ChangelogShown, CommandError> {
        let link = parse_link(&request.link)?;
        let timeout = Duration::from_millis(request.timeout_ms);
        let opened = self.open_fresh(&link, timeout, stop)?;
        let length = link.version.map_or(opened.drive.db.length(), |v| v.length);
        if length <= 1 {
            return Err(no_files(length));
        }
        self.changelog_at(&opened, length, &request.select, timeout, sink, stop)
    }

    /// Tells what the CHANGELOG.md of one version says.
    pub(crate) fn changelog_at(
        &self,
        opened: &Opened,
        length: u64,
        select: &Select,
        timeout: Duration,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<ChangelogShown, CommandError> {
        let mut bytes = None;
        let drive = Drive::checkout(opened.entries(), length);
        let entry = reading(opened.db(), timeout, stop).read(|| drive.entry_follow("/CHANGELOG.md"))?;
        if let Some(blob) = entry.and_then(|e| e.value.blob) {
            bytes = self.read_file(opened, blob, MAX_CHANGELOG, timeout, stop)?;
        }
        tell(&bytes.unwrap_or_default(), select, sink)
    }
}
