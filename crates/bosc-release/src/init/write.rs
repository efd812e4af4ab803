//! The planned files onto the disk: each the old one or the new one at every instant, and only where what is there is what was
//! shown.

use super::plan::{Plan, PlannedFile};
use super::read::{inside, text};
use crate::error::{CommandError, ErrorKind};
use crate::output_file::{OutputFile, OutputKind, alone};
use crate::publish::snapshot::write_shared;
use bosc_files::{Dir, Durability, Replace};
use std::path::Path;

impl Plan {
    /// Fails as [`Plan::write`] would for what is there now. Nothing stays written.
    ///
    /// # Errors
    /// `ERR_EXISTS`, `ERR_UNWRITABLE`.
    pub fn check(&self, dir: &Path) -> Result<(), CommandError> {
        for planned in &self.files {
            let path = dir.join(&planned.file);
            if std::fs::symlink_metadata(&path).is_ok_and(|m| m.is_symlink()) && !path.exists() {
                return Err(CommandError::new(
                    ErrorKind::Input,
                    "ERR_EXISTS",
                    format!("{} is a link that leads nowhere", path.display()),
                )
                .hint("remove it, or make what it leads to"));
            }
            inside(dir, &path)?;
            let there = path.ancestors().skip(1).find(|p| p.symlink_metadata().is_ok());
            if let Some(file) = there.filter(|p| !p.is_dir()) {
                return Err(CommandError::new(
                    ErrorKind::Input,
                    "ERR_EXISTS",
                    format!("{} cannot be written: {} is not a folder", path.display(), file.display()),
                )
                .hint("move that file away, or leave the workflow out with `--ci none`"));
            }
            let kind = if planned.old.is_some() { OutputKind::Edited } else { OutputKind::Plain };
            OutputFile::new(&path, kind).check()?;
            let real = std::fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
            let above = real.ancestors().skip(1).find(|p| p.is_dir()).unwrap_or(dir);
            // A file that is begun and not ended leaves nothing.
            Dir::open(above)
                .and_then(|folder| Replace::new(Durability::Process).begin(&folder, "bosc-init"))
                .map_err(|e| unwritable(&path, e))?;
        }
        Ok(())
    }

    /// Writes them all. Killed, each is the old one or the new one, and the same command goes on.
    ///
    /// # Errors
    /// As [`Plan::check`]; `ERR_EXISTS` also when somebody wrote one since it was shown.
    pub fn write(&self, dir: &Path) -> Result<(), CommandError> {
        let _alone = alone(&dir.join(crate::publish::project_file::FILE_NAME))?;
        for planned in &self.files {
            unchanged(dir, planned)?;
        }
        self.check(dir)?;
        for planned in &self.files {
            let path = dir.join(&planned.file);
            write_shared(&path, planned.new.as_bytes()).map_err(|e| unwritable(&path, e))?;
        }
        Ok(())
    }
}

fn unchanged(dir: &Path, planned: &PlannedFile) -> Result<(), CommandError> {
    if text(dir, &planned.file)? == planned.old {
        return Ok(());
    }
    Err(CommandError::new(
        ErrorKind::Input,
        "ERR_EXISTS",
        format!("{} was changed since it was shown; nothing was written", planned.file),
    )
    .hint("run `bosc init` again"))
}

fn unwritable(path: &Path, e: std::io::Error) -> CommandError {
    CommandError::unwritable(
        format!("{} could not be written", path.display()),
        e,
        "check the permissions of the folder, then run `bosc init` again; what was written stays",
    )
}
