//! The journal: one small JSON file that says where the application stands, replaced as a whole at every change.
//!
//! State, floor and rejected releases are in one file so that they change together: a build that is being rolled back is
//! on the list of rejected releases in the same instant, and the floor rises in the instant a build becomes healthy.

use super::errors::{At, io_error};
use super::fs;
use super::fs::Owner;
use super::tree;
use super::types::{Build, Reason, Status};
use crate::error::{ErrorKind, UpdateError};
use crate::release::{ReleaseId, newer};
use bosc_files::{Dir, Durability, Replace};
use semver::Version;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Bytes that a journal may have. With every list full it has less than 32 KiB.
pub(crate) const MAX_BYTES: u64 = 128 * 1024;
/// Rejected releases that are remembered.
pub(crate) const MAX_REJECTED: usize = 32;
/// Bytes of a version in text.
pub(crate) const MAX_VERSION: usize = 256;
/// Starts that are forgiven because the person closed the application before it was healthy. A build that always ends
/// in good order without ever saying that it is healthy must not stay for ever.
const FORGIVEN: u32 = 8;
/// The version of this format. A program that finds a newer one leaves everything alone.
const FORMAT: u32 = 1;

/// Where the application stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    /// No update is on its way.
    #[default]
    Settled,
    /// The builds are about to change places, or just did.
    Installing,
    /// The new build is in place and has not said that it is healthy.
    Trial,
    /// The old build is about to return, or just did.
    RollingBack,
}

/// One build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Piece {
    pub(crate) version: Version,
    #[serde(default, with = "hex", skip_serializing_if = "Option::is_none")]
    pub(crate) release: Option<[u8; 32]>,
    /// [`tree::fingerprint`] of it; `None` when it could not be read in full.
    #[serde(default, with = "hex", skip_serializing_if = "Option::is_none")]
    pub(crate) contents: Option<[u8; 32]>,
    /// [`fs::identity`] of its root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) identity: Option<String>,
    /// Where it is kept beside the application, as a number of [`super::place::Place::kept`]; 1 in old journals.
    #[serde(default = "first_slot", skip_serializing_if = "is_first_slot")]
    pub(crate) slot: u32,
    /// The version its code said when it started, where that is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) says: Option<Version>,
    /// The list of what it was installed with ([`super::added::Shipped`]), where it is a folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) shipped: Option<String>,
}

/// What a folder was installed with, whoever put it there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Put {
    /// As [`Piece::identity`].
    pub(crate) identity: String,
    /// As [`Piece::shipped`].
    pub(crate) shipped: String,
}

fn first_slot() -> u32 {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_first_slot(slot: &u32) -> bool {
    *slot == 1
}

impl Piece {
    pub(crate) fn build(&self) -> Build {
        Build { version: self.version.clone(), release: self.release.map(ReleaseId) }
    }

    /// Whether this build is what lies at `path`. What a rename carries along decides quickly; where a file system does not
    /// keep it, the bytes do.
    pub(crate) fn is_at(&self, path: &Path) -> Result<bool, UpdateError> {
        if fs::look(path).at("look at", path)?.is_none() {
            return Ok(false);
        }
        let there = fs::identity(path).at("look at", path)?;
        if self.identity.as_ref() == Some(&there) {
            return Ok(true);
        }
        let Some(contents) = self.contents else { return Ok(false) };
        match tree::contents_of(path) {
            Ok(found) => Ok(tree::fingerprint(&found) == contents),
            Err(e) if e.kind() == ErrorKind::Integrity => Ok(false),
            Err(e) => Err(e),
        }
    }
}

/// An update on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Flight {
    /// Names this attempt, so that nobody speaks for another one.
    pub(crate) generation: u64,
    pub(crate) new: Piece,
    pub(crate) old: Piece,
    pub(crate) since_ms: u64,
    /// Starts of the new build.
    #[serde(default)]
    pub(crate) starts: u32,
    /// Starts that do not count, because the person closed the application.
    #[serde(default)]
    pub(crate) forgiven: u32,
    /// The last start that was forgiven.
    #[serde(default)]
    pub(crate) forgiven_start: u32,
    /// The system's start in which the last start was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) boot: Option<String>,
    /// Until when the build needs, as it said itself.
    #[serde(default)]
    pub(crate) until_ms: u64,
    /// How often it said so.
    #[serde(default)]
    pub(crate) extended: u32,
    /// A person asked for a version below what was here.
    #[serde(default)]
    pub(crate) downgrade: bool,
    /// Why it is rolled back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

impl Flight {
    /// An update that begins.
    pub(crate) fn new(generation: u64, new: Piece, old: Piece, now: SystemTime) -> Self {
        Self {
            generation,
            new,
            old,
            since_ms: millis(now),
            starts: 0,
            forgiven: 0,
            forgiven_start: 0,
            boot: None,
            until_ms: 0,
            extended: 0,
            downgrade: false,
            reason: None,
        }
    }

    pub(crate) fn reason(&self) -> Reason {
        self.reason.as_deref().and_then(Reason::parse).unwrap_or(Reason::Asked)
    }

    /// Starts that count.
    pub(crate) fn counted(&self) -> u32 {
        self.starts.saturating_sub(self.forgiven)
    }

    /// Forgives the last start, once. `false` when there is none to forgive.
    pub(crate) fn forgive(&mut self) -> bool {
        if self.starts == 0 || self.forgiven_start == self.starts || self.forgiven >= FORGIVEN {
            return false;
        }
        self.forgiven += 1;
        self.forgiven_start = self.starts;
        true
    }
}

/// A build that was rolled back and not reported yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct News {
    pub(crate) bad: Piece,
    pub(crate) restored: Piece,
    pub(crate) reason: String,
}

/// A release that was rolled back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rejected {
    pub(crate) version: Version,
    #[serde(default, with = "hex", skip_serializing_if = "Option::is_none")]
    pub(crate) release: Option<[u8; 32]>,
    pub(crate) times: u32,
    pub(crate) last_ms: u64,
    pub(crate) reason: String,
    /// The attempt it came from: the same attempt is not counted twice.
    #[serde(default)]
    pub(crate) generation: u64,
}

/// All that is remembered of an application.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Journal {
    format: u32,
    pub(crate) state: State,
    /// In every state but `Settled`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) flight: Option<Flight>,
    /// The build at the application's path, as far as this updater put it there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) current: Option<Piece>,
    /// The build that may be returned to, at `<target>.prev`. Whatever else is there is never used, and never removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) kept: Option<Piece>,
    /// The build that was rolled back last, at `<target>.broken`. Whatever else is there is never removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) broken: Option<Piece>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) news: Option<News>,
    /// The build at the application's path, as far as this updater did not put it there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) put: Option<Put>,
    /// The newest version that said it is healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) floor: Option<Version>,
    /// The newest manifest schema seen with a good signature.
    #[serde(default)]
    pub(crate) schema: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) rejected: Vec<Rejected>,
    /// The attempt that last became healthy.
    #[serde(default)]
    pub(crate) healthy: u64,
    /// Attempts so far.
    #[serde(default)]
    pub(crate) generation: u64,
    /// The journal before this one was damaged, which was not reported yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) lost: bool,
}

/// Under this name a damaged journal is put aside.
pub(crate) const DAMAGED: &str = "journal.damaged";

impl Journal {
    /// Where the application stands.
    pub(crate) fn status(&self) -> Status {
        match &self.flight {
            Some(flight) => Status::Trial {
                new: flight.new.build(),
                old: flight.old.build(),
                starts: flight.counted(),
                since: time(flight.since_ms),
            },
            None => Status::Settled { previous: self.kept.as_ref().map(Piece::build) },
        }
    }

    /// Reads it. A missing one is an empty one. A damaged one is put aside as `journal.damaged` and read as empty when
    /// `mend`: whoever could write garbage there could have removed it, and an application without an updater is worse.
    pub(crate) fn read(folder: &Path, mend: bool) -> Result<Self, UpdateError> {
        let path = folder.join("journal.json");
        let empty = || Self { format: FORMAT, ..Self::default() };
        if fs::look(&path).at("look at", &path)?.is_none() {
            return Ok(empty());
        }
        let bytes = match read_bounded(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::InvalidInput => Vec::new(),
            Err(e) => return Err(io_error("read", &path, e)),
        };
        match Self::parse(&bytes) {
            Ok(journal) => Ok(journal),
            Err(Unreadable::Newer(format)) => Err(UpdateError::new(
                ErrorKind::Refused,
                format!("{} has format {format}; this program reads format {FORMAT}", path.display()),
            )
            .hint("a newer updater wrote it: start the newer version of the application")),
            Err(Unreadable::Damaged) => {
                if mend {
                    let aside = folder.join(DAMAGED);
                    tree::remove(&aside)?;
                    fs::rename(&path, &aside, Duration::ZERO).at("put aside", &path)?;
                }
                Ok(Self { lost: true, ..empty() })
            }
        }
    }

    /// Reads the text of a journal; every bound and every promise between its fields is checked.
    fn parse(bytes: &[u8]) -> Result<Self, Unreadable> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        if bytes.len() as u64 > MAX_BYTES {
            return Err(Unreadable::Damaged);
        }
        let head: Head = serde_json::from_slice(bytes).map_err(|_| Unreadable::Damaged)?;
        if head.format > FORMAT {
            return Err(Unreadable::Newer(head.format));
        }
        let journal: Self = serde_json::from_slice(bytes).map_err(|_| Unreadable::Damaged)?;
        let whole = (journal.state == State::Settled) == journal.flight.is_none()
            && journal.rejected.len() <= MAX_REJECTED;
        if whole { Ok(journal) } else { Err(Unreadable::Damaged) }
    }

    /// Writes it: a new file, synced, takes the place of the old one, and the folder is synced.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), UpdateError> {
        let path = folder.join("journal.json");
        let mut text = serde_json::to_vec_pretty(self)
            .map_err(|e| UpdateError::new(ErrorKind::Disk, "cannot write the journal").because(e))?;
        text.push(b'\n');
        let dir = Dir::open(folder).at("open", folder)?;
        let meta = dir.own_metadata().at("look at", folder)?;
        let how = Replace::new(Durability::Disk).private().temporary_name("journal.new");
        let mut new = how.begin(&dir, "journal.json").at("make", &path)?;
        new.write(&text).at("write", &path)?;
        // Elsewhere than on Unix the folder's permissions are the file's.
        let mode = if cfg!(unix) { meta.mode & 0o664 | 0o600 } else { 0o600 };
        let owner = Owner { uid: meta.uid, gid: meta.gid, mode };
        fs::give_open(new.file(), &path, owner, !0o020).at("set the owner of", &path)?;
        new.commit().at("write", &path)
    }

    /// The next attempt's number.
    pub(crate) fn next_generation(&mut self, now: SystemTime) -> u64 {
        // Time keeps numbers apart when a journal was lost.
        self.generation = self.generation.saturating_add(1).max(millis(now));
        self.generation
    }

    /// The new build works: it is the one to return to from now on, and nothing older comes back.
    pub(crate) fn proved(&mut self, flight: Flight) {
        let version = flight.new.version.clone();
        if flight.downgrade || self.floor.as_ref().is_none_or(|floor| newer(&version, floor)) {
            self.floor = Some(version.clone());
        }
        self.rejected.retain(|rejected| newer(&rejected.version, &version));
        self.state = State::Settled;
        self.flight = None;
        self.healthy = flight.generation;
        self.current = Some(flight.new);
        self.kept = Some(flight.old);
    }

    /// The list of the build with this identity that is at the application's path.
    pub(crate) fn list_of(&self, identity: &str) -> Option<&str> {
        let is_it = |piece: &&Piece| piece.identity.as_deref() == Some(identity);
        let flight = self.flight.iter().flat_map(|flight| [&flight.new, &flight.old]);
        let pieces = flight.chain(&self.current).filter(is_it);
        let put = self.put.as_ref().filter(|put| put.identity == identity);
        pieces.filter_map(|piece| piece.shipped.as_deref()).chain(put.map(|put| put.shipped.as_str())).next()
    }

    /// The builds that this updater put at the application's path, the one on trial included.
    pub(crate) fn placed(&self) -> impl Iterator<Item = &Piece> {
        self.flight.iter().map(|flight| &flight.new).chain(&self.current)
    }

    /// Whether it is known what that build was installed with.
    pub(crate) fn knows(&self, identity: &str) -> bool {
        self.list_of(identity).is_some()
    }

    /// The lists that it names.
    pub(crate) fn lists(&self) -> BTreeSet<&str> {
        let flight = self.flight.iter().flat_map(|flight| [&flight.new, &flight.old]);
        let kept = [&self.current, &self.kept, &self.broken].into_iter().flatten();
        let pieces = flight.chain(kept).filter_map(|piece| piece.shipped.as_deref());
        pieces.chain(self.put.iter().map(|put| put.shipped.as_str())).collect()
    }

    /// Remembers that a build was rolled back.
    pub(crate) fn reject(&mut self, piece: &Piece, reason: &str, generation: u64, now: SystemTime) {
        let last_ms = millis(now);
        let same = |r: &Rejected| {
            r.version == piece.version
                && (r.release == piece.release || r.release.is_none() || piece.release.is_none())
        };
        if let Some(position) = self.rejected.iter().position(same) {
            let mut known = self.rejected.remove(position);
            if known.generation != generation {
                known.times = known.times.saturating_add(1);
                known.last_ms = last_ms;
                known.generation = generation;
            }
            known.release = piece.release.or(known.release);
            known.reason = reason.to_owned();
            self.rejected.push(known);
            return;
        }
        if self.rejected.len() >= MAX_REJECTED {
            self.rejected.remove(0);
        }
        self.rejected.push(Rejected {
            version: piece.version.clone(),
            release: piece.release,
            times: 1,
            last_ms,
            reason: reason.to_owned(),
            generation,
        });
    }
}

enum Unreadable {
    Newer(u32),
    Damaged,
}

fn read_bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Milliseconds since 1970.
pub(crate) fn millis(now: SystemTime) -> u64 {
    now.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// The time of so many milliseconds since 1970; a time no clock can show becomes 1970.
pub(crate) fn time(ms: u64) -> SystemTime {
    UNIX_EPOCH.checked_add(Duration::from_millis(ms)).unwrap_or(UNIX_EPOCH)
}

/// 32 bytes as hex, or nothing.
mod hex {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    #[allow(clippy::ref_option)]
    pub(super) fn serialize<S: Serializer>(bytes: &Option<[u8; 32]>, to: S) -> Result<S::Ok, S::Error> {
        match bytes {
            Some(bytes) => to.serialize_str(&data_encoding::HEXLOWER.encode(bytes)),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<[u8; 32]>, D::Error> {
        let Some(text) = Option::<String>::deserialize(from)? else { return Ok(None) };
        let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes()).map_err(D::Error::custom)?;
        bytes.try_into().map(Some).map_err(|_| D::Error::custom("not 32 bytes"))
    }
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
