//! `versions`: every version in a drive's history.
//!
//! A version of a drive is a length at which a batch ended; a length inside a batch shows half of a stage. Each is told
//! with the SemVer of the package.json it had, so that a line of the output is a length that `stage --truncate`,
//! `dump --checkout` or `provision` takes, and what a client there would see.

use super::Versions;
use super::event::{VersionsEvent, VersionsShown};
use crate::command::{Sink, Stop};
use crate::engine::Engine;
use crate::engine::drive::parse_link;
use crate::engine::follow::reading;
use crate::engine::open::{Opened, PACKAGE_MAX};
use crate::error::{CommandError, ErrorKind};
use bosc_drive::bee::Bee;
use bosc_drive::blobs::BlobId;
use bosc_drive::drive::{EntryValue, FILES_PREFIX};
use bosc_follow::Fetch;
use bosc_format::link::{PearLink, Version};
use serde_json::Value;
use std::collections::VecDeque;
use std::time::Duration;

/// Most versions told.
pub(crate) const MAX_VERSIONS: usize = 10_000;

/// A version of a drive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HistoryVersion {
    /// Length of the db core.
    pub(crate) length: u64,
    /// Entries written and deleted since the version before.
    pub(crate) put: u64,
    pub(super) deleted: u64,
    /// Content of its package.json.
    pub(crate) package: Option<BlobId>,
}

/// How long content may be waited for once some was found to be gone: what is old is often gone together.
const AFTER_GONE: Duration = Duration::from_millis(500);

/// A package.json that was looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Read {
    /// What it says; nothing when there is none.
    Said(Said),
    /// There is one, and neither this store nor a peer has its content any more.
    Gone,
}

impl Read {
    /// What it says, as far as that is known.
    pub(crate) fn said(&self) -> Said {
        match self {
            Self::Said(said) => said.clone(),
            Self::Gone => Said::default(),
        }
    }
}

/// What a package.json says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) version: Option<String>,
    pub(crate) upgrade: Option<String>,
    pub(crate) product_name: Option<String>,
    pub(crate) name: Option<String>,
}

impl Engine {
    pub(crate) fn versions(
        &self,
        request: &Versions,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<VersionsShown, CommandError> {
        let link = parse_link(&request.link)?;
        let timeout = Duration::from_millis(request.timeout_ms);
        let opened = self.open_fresh(&link, timeout, stop)?;
        let head = opened.drive.db.head();
        let until = link.version.map_or(head.length, |v| v.length).min(head.length);
        let max = request.max.clamp(1, MAX_VERSIONS);
        let (all, total) = self.drive_versions(&opened, until, max, timeout, stop)?;
        let mut last: Option<(Option<BlobId>, Read)> = None;
        let mut patience = timeout;
        for version in &all {
            let read = match &last {
                Some((package, read)) if *package == version.package => read.clone(),
                _ => self.read_package(&opened, version.package, &mut patience, stop)?,
            };
            let gone = read == Read::Gone;
            let said = read.said();
            // The oldest line shown may repeat what a version before it had.
            let new = last.as_ref().is_none_or(|(_, before)| before.said().version != said.version);
            let at = PearLink {
                version: Some(Version { fork: head.fork, length: version.length }),
                ..PearLink::new(*opened.drive.key())
            };
            sink.tell(VersionsEvent::Version {
                length: version.length,
                fork: head.fork,
                verlink: at.to_string(),
                semver: said.version.clone(),
                released: new && said.version.is_some(),
                put: version.put,
                deleted: version.deleted,
                upgrade: said.upgrade.clone(),
                gone,
            });
            last = Some((version.package, read));
        }
        Ok(VersionsShown {
            link: opened.drive.plain_link(),
            length: head.length,
            fork: head.fork,
            shown: all.len(),
            versions: total,
        })
    }

    /// The newest `max` versions up to length `until`, oldest first, and how many there are.
    pub(crate) fn drive_versions(
        &self,
        opened: &Opened,
        until: u64,
        max: usize,
        timeout: Duration,
        stop: &Stop,
    ) -> Result<(VecDeque<HistoryVersion>, u64), CommandError> {
        let mut out = VecDeque::new();
        let mut total = 0;
        let mut now = HistoryVersion { length: 0, put: 0, deleted: 0, package: None };
        if until < 2 {
            return Ok((out, 0));
        }
        let package_key = [FILES_PREFIX, b"/package.json"].concat();
        let mut history = Bee::checkout(opened.entries(), until).versions();
        while let Some(step) = reading(opened.db(), timeout, stop).next(&mut history)? {
            let (ends_batch, step) = (step.ends_batch, step.entry);
            if step.deleted {
                now.deleted += 1;
            } else {
                now.put += 1;
            }
            if step.entry.key == package_key {
                let value = step.entry.value.as_deref().filter(|_| !step.deleted);
                now.package =
                    value.and_then(|v| EntryValue::decode(step.entry.seq, v).ok()).and_then(|v| v.blob);
            }
            if ends_batch {
                now.length = step.entry.seq.saturating_add(1);
                total += 1;
                if out.len() >= max {
                    out.pop_front();
                }
                out.push_back(now.clone());
                (now.put, now.deleted) = (0, 0);
            }
        }
        Ok((out, total))
    }

    /// The package.json of a version. `patience`: how long its content may be waited for, which gets shorter when some is gone.
    pub(crate) fn read_package(
        &self,
        opened: &Opened,
        package: Option<BlobId>,
        patience: &mut Duration,
        stop: &Stop,
    ) -> Result<Read, CommandError> {
        match self.said(opened, package, *patience, stop) {
            Ok(said) => Ok(Read::Said(said)),
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::Network) => {
                *patience = (*patience).min(AFTER_GONE);
                Ok(Read::Gone)
            }
            Err(e) => Err(e),
        }
    }

    /// What the package.json of a version says; nothing when there is none or it is none.
    pub(crate) fn said(
        &self,
        opened: &Opened,
        package: Option<BlobId>,
        timeout: Duration,
        stop: &Stop,
    ) -> Result<Said, CommandError> {
        let Some(blob) = package else { return Ok(Said::default()) };
        let bytes = self.read_file(opened, blob, PACKAGE_MAX, timeout, stop)?.unwrap_or_default();
        Ok(said(&serde_json::from_slice(&bytes).unwrap_or(Value::Null)))
    }
}

/// What a package.json says.
pub(crate) fn said(json: &Value) -> Said {
    let text = |k: &str| json.get(k).and_then(Value::as_str).map(str::to_owned);
    Said {
        version: text("version"),
        upgrade: text("upgrade"),
        product_name: text("productName"),
        name: text("name"),
    }
}
