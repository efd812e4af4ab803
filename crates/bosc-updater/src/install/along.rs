//! What was added to the application comes along when builds change places.

use super::added::{Aside, Carried, Carry, Shipped};
use super::errors::{At, io_error};
use super::fs;
use super::installer::Installer;
use super::journal::{Piece, Put};
use super::session::Session;
use super::types::Kind;
use crate::error::{ErrorKind, UpdateError};
use crate::release::Contents;
use bosc_files::Dir;
use std::io;
use std::path::Path;
use std::time::SystemTime;

impl Installer {
    /// Another installer put the build there that is at the target, and says what it consists of: whatever else comes to lie in the
    /// folder was added, and survives updates. Without it, that is what is there when this updater first works. Nothing for a file
    /// or a package.
    ///
    /// # Errors
    /// `Busy`, `Disk`, `Permission`.
    pub fn installed_with(&self, shipped: &Shipped, now: SystemTime) -> Result<(), UpdateError> {
        package!(self, _p => Ok(()));
        if !self.app.is_folder() {
            return Ok(());
        }
        let mut session = self.session(now)?;
        let target = self.target();
        let identity = fs::identity(target).at("look at", target)?;
        let folder = &self.app.place.folder;
        session.journal.put = shipped.keep(folder)?.map(|shipped| Put { identity, shipped });
        session.write()
    }
}

impl Installer {
    /// Remembers what lies in the folder of the application, where that is not known: the first time that this updater sees the build.
    /// Whatever comes to lie in it later was added, and survives updates. Nothing for a file or a package.
    ///
    /// # Errors
    /// `Busy`, `Disk`, `Permission`.
    pub fn note_installed(&self, now: SystemTime) -> Result<(), UpdateError> {
        package!(self, _p => Ok(()));
        if !self.app.is_folder() {
            return Ok(());
        }
        let (journal, target) = (self.journal()?, self.target());
        let identity = fs::identity(target).at("look at", target)?;
        if journal.flight.is_some() || journal.knows(&identity) {
            return Ok(());
        }
        // A session looks by itself.
        self.session(now).map(drop)
    }

    /// What the folder of the application was installed with, as far as that is known.
    pub fn shipped(&self) -> Option<Shipped> {
        let journal = self.journal().ok()?;
        let identity = fs::identity(self.target()).ok()?;
        Shipped::read(&self.app.place.folder, journal.list_of(&identity)?)
    }
}

impl super::app::App {
    fn is_folder(&self) -> bool {
        matches!(self.kind, Kind::Directory | Kind::Bundle)
    }
}

impl Session<'_> {
    /// Remembers what lies in a build that somebody else put there, the first time that it is seen. Not being able to is no reason to
    /// stop.
    pub(crate) fn note_put(&mut self) {
        let target = &self.place().target;
        if !self.app.is_folder() || self.journal.flight.is_some() {
            return;
        }
        let Ok(identity) = fs::identity(target) else { return };
        if self.journal.knows(&identity) {
            return;
        }
        let Ok(Some(found)) = Shipped::found_at(target) else { return };
        if let Ok(Some(shipped)) = found.keep(&self.place().folder) {
            self.journal.put = Some(Put { identity, shipped });
            let _ = self.write();
        }
    }

    /// The list of a build that somebody else put at the application's path.
    pub(crate) fn list_put(&self, identity: &str) -> Option<String> {
        let put = self.journal.put.as_ref().filter(|put| put.identity == identity);
        put.map(|put| put.shipped.clone())
    }

    /// Keeps the list of a build that is to come.
    pub(crate) fn keep_list(&self, contents: &Contents) -> Result<Option<String>, UpdateError> {
        if self.app.is_folder() { Shipped::of(contents).keep(&self.place().folder) } else { Ok(None) }
    }

    /// Brings what was added to one build to the other. Safe to repeat. A line for each thing that did not come along.
    pub(crate) fn take_along(
        &self,
        (from, from_at): (&Piece, &Path),
        (to, to_at): (&Piece, &Path),
        moves: bool,
    ) -> Result<Vec<String>, UpdateError> {
        let place = self.place();
        let list = |piece: &Piece| Shipped::read(&place.folder, piece.shipped.as_deref()?);
        let (Some(shipped), Some(ships)) = (list(from), list(to)) else { return Ok(Vec::new()) };
        let Some(name) = place.target.file_name() else { return Ok(Vec::new()) };
        let carry = || -> io::Result<Carried> {
            let aside = Aside::new(Dir::open(&place.parent)?, name, &from.version.to_string());
            let sealed = self.app.kind == Kind::Bundle;
            let carry = Carry { from: &shipped, to: &ships, aside, sealed, moves, done: Carried::default() };
            carry.all(&Dir::open(from_at)?, &Dir::open(to_at)?)
        };
        match carry() {
            Ok(carried) => Ok(carried.lines),
            Err(e) if e.kind() == io::ErrorKind::Other => Err(UpdateError::new(
                ErrorKind::Refused,
                format!("what was added to {} cannot be taken along: {e}", place.target.display()),
            )
            .hint("Move it to a folder outside of the application, and update again.")),
            Err(e) => Err(io_error("take along what was added to", &place.target, e)),
        }
    }

    /// Takes what was brought off again.
    pub(crate) fn take_off(&self, contents: &Contents, incoming: &Path) {
        if self.app.is_folder() {
            let _ = Dir::open(incoming).and_then(|dir| Shipped::of(contents).strip(&dir));
        }
    }
}
