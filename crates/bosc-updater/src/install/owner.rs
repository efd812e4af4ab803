//! Whose an installation is. What is made for it belongs to those who could replace the application anyway, and to nobody else:
//! root leaves no files of its own in somebody's installation, a group that shares one goes on sharing it, and no umask matters.
//! A set-user-id or set-group-id bit of the build before is not kept, and reported ([`Installed::not_kept`](super::Installed)).
//!
//! | | owner | group | mode |
//! |---|---|---|---|
//! | state folder | that of the folder the application is in; where everybody makes names (`/tmp`), that of the application | the same | that folder's, never writable for all; 0700 where everybody makes names |
//! | `LOCK`, `RUNNING` | the state folder's | the same | 0600, 0660 for a group: who may not write cannot hold them |
//! | staging | the state folder's | the same | 0700 |
//! | a new build | that of the one it replaces | the same | of an entry that the old one had, too: its mode, without what makes it writable for all or run as another user; of a new one: readable for those who could read the old build, writable for its group if that was |

use super::errors::{At, integrity};
use super::fs::{self, Metadata, Owner};
use crate::error::UpdateError;
use std::path::Path;

/// No mode: this user may not give things to that group.
const NOT_GIVEN: u32 = u32::MAX;

impl Owner {
    /// What the state folder is to have.
    pub(crate) fn of_state(parent: &Metadata, target: Option<&Metadata>) -> Self {
        let parent = Self::of(parent);
        match target.map(Self::of) {
            Some(target) if parent.is_sticky() => Self { mode: 0o700, ..target },
            None if parent.is_sticky() => Self { uid: fs::me(), gid: parent.gid, mode: 0o700 },
            _ => Self { mode: parent.mode & 0o775 | 0o700, ..parent },
        }
    }

    /// Only owners remove what is in such a folder, and everybody makes names in it.
    pub(crate) fn is_sticky(self) -> bool {
        self.mode & 0o1000 != 0
    }

    pub(crate) fn is_open_to_all(self) -> bool {
        self.mode & 0o002 != 0
    }

    /// The permissions of a lock file in a folder like this.
    pub(crate) fn lock(self) -> Self {
        Self { mode: if self.mode & 0o020 == 0 { 0o600 } else { 0o660 }, ..self }
    }

    /// For this owner alone.
    pub(crate) fn private(self) -> Self {
        Self { mode: 0o700, ..self }
    }

    /// Whether what belongs to `uid` may be taken for our own: it is this user's, or root works for its owner.
    pub(crate) fn trusts(self, uid: u32) -> bool {
        let me = fs::me();
        uid == me || (me == 0 && uid == self.uid)
    }

    /// Gives what this user made at a path to this owner and group, as far as the system lets this user, and sets the mode.
    pub(crate) fn apply(self, path: &Path) -> Result<(), UpdateError> {
        let Some(found) = fs::look(path).at("look at", path)? else { return Ok(()) };
        let mode = self.give(path, &found)?.narrow(self.mode);
        if Self::of(&found).mode & 0o7777 != mode && !found.file_type().is_symlink() {
            fs::set_mode(path, &found, mode).at("set the permissions of", path)?;
        }
        Ok(())
    }

    /// What this user cannot give to a group, another one is not to write to.
    fn narrow(self, mode: u32) -> u32 {
        if self.mode == NOT_GIVEN { mode & !0o020 } else { mode }
    }

    /// What came of it: [`NOT_GIVEN`] as mode when it still has another group.
    fn give(self, path: &Path, found: &Metadata) -> Result<Self, UpdateError> {
        let there = Self::of(found);
        let (other_user, other_group) = (there.uid != self.uid, there.gid != self.gid);
        if (other_user && fs::me() == 0) || other_group {
            let uid = (fs::me() == 0).then_some(self.uid);
            // File systems without owners, and groups that this user is not in. What matters was checked before.
            fs::give(path, found, uid, self.gid).at("set the owner of", path)?;
            let after = fs::look(path).at("look at", path)?;
            if other_group && after.is_none_or(|found| Self::of(&found).gid != self.gid) {
                return Ok(Self { mode: NOT_GIVEN, ..self });
            }
        }
        Ok(self)
    }

    /// Gives one entry of a new build the owner and the permissions it has as the successor of a build like this. Refuses what
    /// somebody else made: they could still write to it.
    /// `old` is the entry of that name in the build before; its own permissions are kept, or narrowed. What of them could not be kept.
    pub(crate) fn succeed(
        self,
        path: &Path,
        found: &Metadata,
        program: bool,
        old: Option<&Metadata>,
    ) -> Result<Option<&'static str>, UpdateError> {
        if !self.trusts(fs::owner_of(found).0) {
            return Err(integrity(format!("{} belongs to another user", path.display())));
        }
        let given = self.give(path, found)?;
        if found.file_type().is_symlink() {
            return Ok(None);
        }
        let old =
            old.filter(|old| old.is_dir() == found.is_dir() && !old.file_type().is_symlink()).map(Self::of);
        let mut mode = old.map_or(self.succeeding(program), |old| old.kept(program));
        if found.is_dir() {
            // What is made in a folder like this is its group's; and its owner has to get in.
            mode |= old.map_or(self.mode, |old| old.mode) & 0o2000 | 0o700;
        }
        fs::set_mode(path, found, given.narrow(mode)).at("set the permissions of", path)?;
        // A release that nobody looked at is not to run as somebody else.
        Ok(old
            .filter(|old| !found.is_dir() && old.mode & 0o6000 != 0)
            .map(|_| "its set-user-id or set-group-id bit"))
    }

    /// The permissions of an entry whose predecessor had these.
    fn kept(self, program: bool) -> u32 {
        let run = match self.mode & 0o111 {
            _ if !program => 0,
            0 => (self.mode & 0o444) >> 2 | 0o100,
            run => run | 0o100,
        };
        self.mode & 0o664 | 0o400 | run
    }

    fn succeeding(self, program: bool) -> u32 {
        let mut mode = if program { 0o755 } else { 0o644 };
        if self.mode & 0o004 == 0 {
            mode &= 0o770;
        }
        if self.mode & 0o040 == 0 {
            mode &= 0o707;
        }
        if self.mode & 0o020 != 0 {
            mode |= 0o020;
        }
        mode
    }
}

#[cfg(test)]
mod tests {
    use super::Owner;

    #[test]
    fn permissions_follow_those_of_the_build_before() {
        let of = |mode: u32, program: bool| Owner { uid: 1, gid: 1, mode }.succeeding(program);
        for (old, file, program) in [
            (0o755, 0o644, 0o755),
            (0o644, 0o644, 0o755),
            (0o775, 0o664, 0o775),
            (0o2770, 0o660, 0o770),
            (0o750, 0o640, 0o750),
            (0o700, 0o600, 0o700),
            (0o777, 0o664, 0o775),
        ] {
            assert_eq!((of(old, false), of(old, true)), (file, program), "{old:o}");
        }
        let of = |mode: u32, program: bool| Owner { uid: 1, gid: 1, mode }.kept(program);
        for (old, file, program) in [
            (0o755, 0o644, 0o755),
            (0o644, 0o644, 0o755),
            (0o600, 0o600, 0o700),
            (0o640, 0o640, 0o750),
            (0o700, 0o600, 0o700),
            (0o711, 0o600, 0o711),
            (0o555, 0o444, 0o555),
            (0o4755, 0o644, 0o755),
            (0o777, 0o664, 0o775),
            (0o000, 0o400, 0o500),
        ] {
            assert_eq!((of(old, false), of(old, true)), (file, program), "{old:o}");
        }
        let lock = |mode: u32| Owner { uid: 1, gid: 1, mode }.lock().mode;
        assert_eq!((lock(0o755), lock(0o775)), (0o600, 0o660));
    }
}
