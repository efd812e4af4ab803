//! What `watch` says: each event with its line of JSON, its sentence, and what it is worth while nobody reads.

use super::errors::{code, hint};
use crate::plain::{Tone, sentence};
use crate::printer::{Printer, bytes};
use crate::screen::Worth;
use bosc_updater::health::WatchEvent;
use bosc_updater::source::{Head, Held, HeldBy};
use bosc_updater::{Event, UpdateError};
use semver::Version;
use serde::Serialize;
use std::time::UNIX_EPOCH;

/// One event. Tags and fields are a promise to programs: added to, never changed.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "tag", content = "data", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub(super) enum Said {
    Available {
        version: String,
        link: String,
        notes: Option<String>,
        size: Option<u64>,
        mandatory: bool,
        minimum_system: Option<String>,
    },
    Skipped {
        version: String,
    },
    UpToDate {
        /// Of the application that runs.
        version: String,
    },
    Scheduled {
        version: String,
        delay: f64,
    },
    Updating {
        version: String,
        link: String,
        notes: Option<String>,
    },
    Progress {
        bytes: u64,
        total: Option<u64>,
        received: u64,
        peers: usize,
    },
    UpdatingDelta {
        op: &'static str,
        key: String,
        bytes_removed: u64,
        bytes_added: u64,
    },
    Updated {
        version: String,
        link: String,
        notes: Option<String>,
        size: Option<u64>,
        received: u64,
        mandatory: bool,
        minimum_system: Option<String>,
    },
    Applied {
        version: String,
        previous: String,
        link: String,
        /// What of the build before could not be kept, a line each.
        not_kept: Vec<String>,
    },
    Healthy {
        trial: bool,
        /// Whether it is the one that was relaunched.
        #[serde(skip)]
        relaunched: bool,
    },
    Relaunching {
        seconds: f64,
    },
    Relaunched {
        pid: u32,
    },
    Again {
        reason: &'static str,
    },
    Closed {},
    RolledBack {
        version: String,
        restored: String,
        reason: &'static str,
        restart: bool,
        /// After `relaunch`: the process of the build that is back, if it could be started.
        #[serde(skip_serializing_if = "Option::is_none")]
        pid: Option<Option<u32>>,
    },
    LeftInPlace {
        reason: &'static str,
    },
    WhenEnded {},
    VersionMismatch {
        release: String,
        running: String,
    },
    JournalDamaged {
        aside: String,
    },
    NotInstalled {
        reason: String,
    },
    Held {
        version: String,
        /// `halt`, `share` or `stale`.
        by: &'static str,
        /// Of a halt: the operator's key.
        operator: Option<String>,
        /// Of a share: how far it goes, in hundredths of a percent.
        hundredths: Option<u16>,
    },
    Stale {
        /// When somebody said last what is the newest, seconds since 1970.
        last: Option<u64>,
        /// How old that may be, in seconds.
        limit: u64,
    },
    Recalled {
        version: String,
    },
    Conflict {
        link: String,
        key: String,
        fork: u64,
        length: u64,
        ours: SaidHead,
        theirs: SaidHead,
        peer: String,
    },
    Error {
        code: &'static str,
        message: String,
        hint: String,
        causes: Vec<String>,
        version: Option<String>,
        fatal: bool,
    },
}

/// One of two histories.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SaidHead {
    length: u64,
    tree_hash: String,
}

impl From<&Head> for SaidHead {
    fn from(h: &Head) -> Self {
        Self { length: h.length, tree_hash: h.tree_hash.clone() }
    }
}

impl From<&UpdateError> for Said {
    fn from(e: &UpdateError) -> Self {
        Self::Error {
            code: code(e.kind()),
            message: e.to_string(),
            hint: e.next_step().unwrap_or(hint(e.kind())).to_owned(),
            causes: e.causes(),
            version: e.version().map(Version::to_string),
            fatal: false,
        }
    }
}

/// Reason of an `again` of a program that ended as if another instance were running.
const ENDED_AT_ONCE: &str = "ended-at-once";

impl Said {
    /// What is said of an event of the updater.
    pub(super) fn of(event: &Event) -> Vec<Self> {
        vec![match event {
            Event::Available(u) => Self::Available {
                version: u.version().to_string(),
                link: u.link().to_owned(),
                notes: u.notes().map(str::to_owned),
                size: u.size(),
                mandatory: u.is_mandatory(),
                minimum_system: u.minimum_system().map(str::to_owned),
            },
            Event::Scheduled { version, delay, .. } => {
                Self::Scheduled { version: version.to_string(), delay: delay.as_secs_f64() }
            }
            Event::Updating { version, link, notes, .. } => {
                Self::Updating { version: version.to_string(), link: link.clone(), notes: notes.clone() }
            }
            Event::Progress(p) => {
                Self::Progress { bytes: p.bytes, total: p.total, received: p.received, peers: p.peers }
            }
            Event::Delta(changes) => {
                let one = |c: &bosc_updater::client::Change| Self::UpdatingDelta {
                    op: c.op.as_str(),
                    key: c.path.clone(),
                    bytes_removed: c.removed,
                    bytes_added: c.added,
                };
                return changes.iter().map(one).collect();
            }
            Event::Updated(u) => Self::Updated {
                version: u.version().to_string(),
                link: u.link().to_owned(),
                notes: u.notes().map(str::to_owned),
                size: u.size(),
                received: u.received(),
                mandatory: u.is_mandatory(),
                minimum_system: u.minimum_system().map(str::to_owned),
            },
            Event::Applied { version, previous, link, not_kept, .. } => Self::Applied {
                version: version.to_string(),
                previous: previous.to_string(),
                link: link.clone(),
                not_kept: not_kept.clone(),
            },
            Event::RolledBack { version, restored, reason, restart, .. } => Self::RolledBack {
                version: version.to_string(),
                restored: restored.to_string(),
                reason: reason.as_str(),
                restart: *restart,
                pid: None,
            },
            Event::VersionMismatch { release, running, .. } => {
                Self::VersionMismatch { release: release.to_string(), running: running.to_string() }
            }
            Event::JournalDamaged { aside, .. } => {
                Self::JournalDamaged { aside: aside.display().to_string() }
            }
            Event::NotInstalled { reason, .. } => Self::NotInstalled { reason: reason.clone() },
            Event::Held(held) => Self::held(held),
            Event::Stale(stale) => Self::Stale {
                last: stale.last.and_then(|at| Some(at.duration_since(UNIX_EPOCH).ok()?.as_secs())),
                limit: stale.limit.as_secs(),
            },
            Event::Recalled { version, .. } => Self::Recalled { version: version.to_string() },
            Event::Conflict(c) => Self::Conflict {
                link: c.link.clone(),
                key: c.key.clone(),
                fork: c.fork,
                length: c.length,
                ours: (&c.ours).into(),
                theirs: (&c.theirs).into(),
                peer: c.peer.clone(),
            },
            Event::SecondInstance(e) | Event::Error(e) => e.into(),
            _ => return Vec::new(),
        }]
    }

    fn held(held: &Held) -> Self {
        let (by, operator, hundredths) = match &held.by {
            HeldBy::Halt { operator, .. } => ("halt", Some(operator.clone()), None),
            HeldBy::Share { hundredths, .. } => ("share", None, Some(*hundredths)),
            _ => ("stale", None, None),
        };
        Self::Held { version: held.version.to_string(), by, operator, hundredths }
    }

    /// What is said while a relaunched build is watched.
    pub(super) fn of_watch(event: &WatchEvent) -> Option<Self> {
        Some(match event {
            WatchEvent::Started(pid) => Self::Relaunched { pid: *pid },
            WatchEvent::Again(reason) => Self::Again { reason: reason.as_str() },
            WatchEvent::EndedAtOnce => Self::Again { reason: ENDED_AT_ONCE },
            _ => return None,
        })
    }

    /// The sentence for a person, and its tone. `None`: it is for programs only.
    fn sentence(&self) -> Option<(Tone, String)> {
        Some(match self {
            Self::Available { version, .. } => {
                (Tone::Good, format!("version {version} is there; `download` fetches it"))
            }
            Self::UpToDate { version } => {
                (Tone::Plain, format!("nothing newer than version {version} is to be installed"))
            }
            Self::Skipped { version } => (Tone::Plain, format!("version {version} is skipped")),
            Self::Scheduled { version, delay } => {
                (Tone::Plain, format!("version {version} is there; it is fetched in {} s", delay.trunc()))
            }
            Self::Updating { version, .. } => (Tone::Plain, format!("updating to {version}")),
            Self::Progress { .. } | Self::UpdatingDelta { .. } => return None,
            Self::Updated { version, received, .. } => (
                Tone::Good,
                format!("version {version} is ready ({} received); `apply` installs it", bytes(*received)),
            ),
            Self::Applied { version, .. } => {
                (Tone::Good, format!("version {version} is installed; start it again"))
            }
            Self::Healthy { relaunched: false, .. } => (Tone::Good, "healthy".to_owned()),
            Self::Healthy { relaunched: true, .. } => (Tone::Good, "the new version works".to_owned()),
            Self::Relaunching { .. } => (
                Tone::Plain,
                "end the application now; the new version is started when it has ended".to_owned(),
            ),
            Self::Relaunched { .. } => (Tone::Plain, "started the new version".to_owned()),
            Self::Again { reason: ENDED_AT_ONCE } => (
                Tone::Warn,
                "the new version ended at once, as if another instance were running; it is started once more"
                    .to_owned(),
            ),
            Self::Again { .. } => (Tone::Warn, "the new version ended; it is started again".to_owned()),
            Self::Closed {} => (
                Tone::Plain,
                "the new version ended before it said that it is healthy; its next start decides".to_owned(),
            ),
            Self::RolledBack { version, restored, reason, pid, .. } => {
                let started = if pid.is_some() { " and was started" } else { "" };
                let text =
                    format!("version {version} did not work ({reason}); version {restored} is back{started}");
                (Tone::Warn, text)
            }
            Self::LeftInPlace { .. } => {
                (Tone::Warn, "the new version did not work and was left in place".to_owned())
            }
            Self::WhenEnded {} => (
                Tone::Good,
                "the system installs the update now that the application has ended; start it again"
                    .to_owned(),
            ),
            Self::VersionMismatch { release, running } => {
                (Tone::Warn, format!("the release says {release}, the running program {running}"))
            }
            Self::JournalDamaged { aside } => (
                Tone::Warn,
                format!(
                    "the updater's journal was damaged and lies in {aside} now: a build on trial stays, and there is no \
                     rolling back to the one before it"
                ),
            ),
            Self::NotInstalled { reason } => (Tone::Warn, format!("{reason}; nothing is updated")),
            Self::Held { version, by: "halt", .. } => {
                (Tone::Warn, format!("version {version} is halted by an operator and not installed"))
            }
            Self::Held { version, hundredths: Some(share), .. } => (
                Tone::Plain,
                format!(
                    "version {version} goes to {} %, and not to this installation yet",
                    f64::from(*share) / 100.0
                ),
            ),
            Self::Held { version, .. } => (
                Tone::Warn,
                format!("version {version} is not installed: nobody said lately that it is the newest"),
            ),
            Self::Stale { limit, .. } => (
                Tone::Warn,
                format!(
                    "STALE: nobody said within {limit} s what is the newest, so nothing is installed: tell the publisher"
                ),
            ),
            Self::Recalled { version } => (
                Tone::Warn,
                format!(
                    "version {version} is recalled, and there is no build to go back to: it stays until the next release"
                ),
            ),
            Self::Conflict { link, ours, theirs, peer, .. } => (
                Tone::Bad,
                format!(
                    "TWO HISTORIES of {link}: here length {}, at peer {peer} length {}; this one is followed further, \
                     nothing is taken from the other: tell the publisher",
                    ours.length, theirs.length
                ),
            ),
            Self::Error { message, .. } => (Tone::Bad, format!("error: {message}")),
        })
    }

    /// What goes first when nobody reads.
    fn worth(&self) -> Worth {
        match self {
            Self::Progress { .. } => Worth::Newest,
            Self::UpdatingDelta { .. } => Worth::Spare,
            _ => Worth::Keep,
        }
    }

    pub(super) fn print(&self, printer: &Printer) {
        let printer = printer.worth(self.worth());
        printer.event(self);
        if let Some((tone, text)) = self.sentence() {
            printer.say(tone, &sentence(&text));
        }
        match self {
            Self::Progress { bytes: here, total: Some(total), received, .. } => {
                let text = format!("{} of {}, {} received", bytes(*here), bytes(*total), bytes(*received));
                printer.detail(&text);
            }
            Self::Applied { not_kept, .. } => {
                let printer = printer.worth(Worth::Spare);
                for line in not_kept {
                    printer.say(Tone::Plain, &sentence(&format!("  not kept of {line}")));
                }
            }
            Self::Error { causes, hint, .. } => {
                let printer = printer.worth(Worth::Spare);
                for cause in causes {
                    printer.say(Tone::Plain, &sentence(&format!("  because: {cause}")));
                }
                printer.say(Tone::Plain, &sentence(&format!("  next: {hint}")));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
