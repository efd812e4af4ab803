//! A staged build becomes the installed one.

use super::errors::{At, busy, integrity};
use super::fs;
use super::fs::Owner;
use super::journal::{Flight, MAX_VERSION, Piece, State};
use super::package;
use super::session::Session;
use super::swap::{swap, take_in};
use super::tree;
use super::types::{Admission, Installed, Kind, Method};
use crate::error::{ErrorKind, UpdateError};
use crate::release::{Contents, EntryKind, Release, Staged};
use semver::Version;
use std::path::Path;

impl Session<'_> {
    pub(crate) fn install(&mut self, staged: &Staged) -> Result<Installed, UpdateError> {
        package::refuse_as_file(staged)?;
        self.refuse(&staged.release)?;
        self.check_kind(&staged.path, &staged.contents)?;
        let old = self.describe_installed()?;
        let mut not_kept = self.bring_in(staged)?;

        let place = self.place();
        let incoming = place.incoming();
        let new = Piece {
            version: staged.release.version.clone(),
            release: Some(staged.release.id.0),
            contents: Some(tree::fingerprint(&staged.contents)),
            identity: Some(fs::identity(&incoming).at("look at", &incoming)?),
            slot: 1,
            says: None,
            shipped: self.keep_list(&staged.contents)?,
        };
        match self.take_along((&old, &place.target), (&new, &incoming), false) {
            Ok(lines) => not_kept.extend(lines),
            Err(e) => {
                self.hand_back(staged);
                return Err(e);
            }
        }
        let mut flight = Flight::new(self.journal.next_generation(self.now), new, old, self.now);
        flight.downgrade = self.app.options.downgrade;
        self.journal.flight = Some(flight.clone());
        self.journal.state = State::Installing;
        let swapped = self.write().and_then(|()| swap(place, self.patience()));
        let method = match swapped {
            Ok(method) => method,
            Err(e) => return self.give_up(staged, &flight, e),
        };
        // From here on the new build is in place. What is left to do is finished by whoever comes next if it fails now.
        let _ = self.installed();
        not_kept.append(&mut self.notes);
        Ok(Installed { not_kept, ..self.installation(&flight, method) })
    }

    /// The builds did not change places, or did and the call failed afterwards.
    fn give_up(
        &mut self,
        staged: &Staged,
        flight: &Flight,
        error: UpdateError,
    ) -> Result<Installed, UpdateError> {
        let place = self.place();
        if flight.new.is_at(&place.target).unwrap_or(false) {
            let _ = self.installed();
            return Ok(self.installation(flight, Method::Renames));
        }
        // The caller may try again with what it staged.
        if flight.new.is_at(&place.incoming()).unwrap_or(false) {
            self.hand_back(staged);
        }
        self.journal.flight = None;
        self.journal.state = State::Settled;
        // When this cannot be written either, the next call undoes what the journal says.
        let _ = self.write();
        Err(error)
    }

    /// The build that did not come into place goes back to where it was staged, without what was added to the one before.
    fn hand_back(&self, staged: &Staged) {
        let incoming = self.place().incoming();
        self.take_off(&staged.contents, &incoming);
        let _ = fs::rename(&incoming, &staged.path, self.patience());
    }

    fn installation(&self, flight: &Flight, method: Method) -> Installed {
        Installed {
            new: flight.new.build(),
            old: flight.old.build(),
            backup: self.app.backup(),
            method,
            not_kept: Vec::new(),
        }
    }

    /// Refuses a release that may not be installed now.
    fn refuse(&self, release: &Release) -> Result<(), UpdateError> {
        admitted(&release.version, || self.app.admission(&self.journal, release, self.now))
    }

    /// A file takes the place of a file, a folder that of a folder.
    fn check_kind(&self, staged: &Path, contents: &Contents) -> Result<(), UpdateError> {
        tree::check_contents(contents)?;
        let place = self.place();
        place.is_there()?;
        let kind = self.app.kind;
        let file = matches!(contents.entries.first().map(|e| &e.kind), Some(EntryKind::File { .. }));
        if file != (kind == Kind::File) {
            let (is, should) = if file { ("file", "folder") } else { ("folder", "file") };
            return Err(UpdateError::new(
                ErrorKind::Refused,
                format!("the release is a {is} and {} is a {should}", place.target.display()),
            )
            .hint("release the kind that is installed, or install the new kind by hand once"));
        }
        if file && contents.entries.len() != 1 {
            return Err(integrity("the release is a single file and lists more entries".into()));
        }
        if staged.starts_with(&place.target) || place.target.starts_with(staged) {
            return Err(UpdateError::new(
                ErrorKind::Input,
                "the staged build and the installed one lie inside each other",
            )
            .hint("stage in Installer::staging()"));
        }
        if fs::look(staged).at("look at", staged)?.is_none() {
            return Err(UpdateError::new(
                ErrorKind::Input,
                format!("there is nothing at {}", staged.display()),
            )
            .hint("fetch the release again"));
        }
        Ok(())
    }

    /// What is known of the installed build, so that it is recognised when it is to come back.
    fn describe_installed(&self) -> Result<Piece, UpdateError> {
        let target = &self.place().target;
        let identity = fs::identity(target).at("look at", target)?;
        if let Some(current) = &self.journal.current
            && current.identity.as_ref() == Some(&identity)
        {
            let shipped = current.shipped.clone().or_else(|| self.list_put(&identity));
            return Ok(Piece { shipped, ..current.clone() });
        }
        // An application may hold things that a release cannot, or that this user cannot read. Its identity is enough.
        let contents = tree::known_fingerprint(target);
        let version = self.app.options.version.clone();
        let shipped = self.list_put(&identity);
        Ok(Piece { version, release: None, contents, identity: Some(identity), slot: 1, says: None, shipped })
    }

    /// Brings the staged build into a folder that only those can write to who may replace the application, and proves it there:
    /// as a copy where it lies on another file system, or where somebody else has a hand in it.
    fn bring_in(&self, staged: &Staged) -> Result<Vec<String>, UpdateError> {
        let place = self.place();
        let incoming = place.incoming();
        let found = fs::look(&place.target).at("look at", &place.target)?;
        let before = found.as_ref().map_or(place.owner()?, Owner::of);
        let prove = || {
            let not_kept =
                tree::settle(&incoming, &staged.contents, before, found.as_ref().map(|_| &*place.target))?;
            tree::verify(&incoming, &staged.contents).map(|()| not_kept)
        };
        if tree::is_ours(&staged.path, &staged.contents, before)?
            && take_in(place, &staged.path, self.patience())?
        {
            return prove().inspect_err(|_| {
                // The caller may try again with what it staged.
                let _ = fs::rename(&incoming, &staged.path, self.patience());
            });
        }
        let bytes = staged.contents.entries.iter().fold(0u64, |sum, entry| match entry.kind {
            EntryKind::File { size, .. } => sum.saturating_add(size),
            _ => sum,
        });
        let copied = self.app.room_for(bytes).and_then(|()| {
            tree::copy(&staged.path, &incoming, &staged.contents)?;
            let not_kept = prove()?;
            fs::sync_dir(&place.folder).at("sync", &place.folder).map(|()| not_kept)
        });
        match copied {
            Ok(not_kept) => {
                // The copy is what counts from here on.
                let _ = tree::remove(&staged.path);
                Ok(not_kept)
            }
            Err(e) => {
                let _ = place.discard(&incoming);
                Err(e)
            }
        }
    }
}

/// `Ok` when the version can be kept in a journal and its release is admitted; else why not.
pub(crate) fn admitted(
    version: &Version,
    admission: impl FnOnce() -> Result<Admission, UpdateError>,
) -> Result<(), UpdateError> {
    if version.to_string().len() > MAX_VERSION {
        return Err(UpdateError::new(
            ErrorKind::Refused,
            format!("the version is longer than {MAX_VERSION} bytes"),
        )
        .hint("release it under a shorter version"));
    }
    match admission()? {
        Admission::Admitted => Ok(()),
        Admission::OnTrial => Err(busy(
            "the installed build has not reported yet that it is healthy",
            "try again once it has, or once it was rolled back",
        )),
        Admission::NotNewer => Err(UpdateError::new(
            ErrorKind::Refused,
            format!("{version} is not newer than what is installed"),
        )
        .hint("release the change under a higher version, or ask for the downgrade")),
        Admission::BelowFloor(floor) => Err(UpdateError::new(
            ErrorKind::Refused,
            format!("{version} is older than {floor}, which worked here"),
        )
        .hint("release the change under a higher version, or ask for the downgrade")),
        Admission::Rejected { times, .. } => Err(UpdateError::new(
            ErrorKind::Refused,
            format!("{version} was rolled back here before ({times}x)"),
        )
        .hint("release the fix under a higher version; this one is tried again after its back-off")),
    }
}
