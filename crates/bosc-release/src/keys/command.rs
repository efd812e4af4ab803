//! `keys export`, `keys backup`, `keys import`: write keys from store to store, through an encrypted file.
//!
//! An exported link is marked shared before its file exists; an imported one is pending until the first `stage` has
//! seen the newest version (see `engine/shared.rs`). A backup marks nothing here, as it is for the
//! day this store is gone; but one with `--shared`, which others write with, marks all links and the store.

use super::backup::{BackupError, Contents, LinkKey, MAX_FILE, MAX_LINKS, PrimaryKey};
use super::event::{KeyFileKind, KeysEvent, KeysExported, KeysImported};
use super::existing::refuse_existing;
use super::{KeysExport, KeysImport, backup, forms};
use crate::command::Sink;
use crate::engine::Engine;
use crate::engine::drive::{DriveCores, parse_whole_link};
use crate::engine::errors::{not_writable, store_error};
use crate::engine::folders::SHARED_PRIMARY;
use crate::engine::shared::SharedKey;
use crate::error::{CommandError, ErrorKind};
use crate::output_file::OutputKind;
use bosc_files::{Durability, Replace};
use bosc_format::crypto::KeyPair;
use bosc_format::id;
use bosc_format::link::{PearLink, Version};
use bosc_format::manifest::Manifest;
use bosc_store::Core;
use std::io::Read;
use std::path::Path;
use zeroize::{Zeroize, Zeroizing};

/// Shortest passphrase a file is encrypted under, in characters. Files travel; they can be guessed at leisure.
const MIN_PASSPHRASE: usize = 8;

impl Engine {
    pub(crate) fn keys_export(
        &self,
        request: &KeysExport,
        sink: &mut dyn Sink,
    ) -> Result<KeysExported, CommandError> {
        let passphrase = request.passphrase.expose();
        if forms::visible(passphrase) < MIN_PASSPHRASE {
            return Err(CommandError::input("the passphrase has fewer than 8 characters that can be seen")
                .hint("choose a longer one: whoever has the file can try as long as they like"));
        }
        let kind = if request.link.is_some() { OutputKind::LinkKey } else { OutputKind::Backup };
        refuse_existing(&request.file, request.force, kind, None)?;
        let (contents, link) = match &request.link {
            Some(text) => {
                let link = parse_whole_link(text)?;
                let drive = self.open_drive(&link)?;
                let key = self.link_key(&drive)?;
                let known = SharedKey {
                    fork: key.fork,
                    length: key.length,
                    blobs_length: key.blobs_length,
                    seed: None,
                };
                known.keep(&drive.db)?;
                let version = Version { fork: key.fork, length: key.length };
                let named = PearLink { version: Some(version), ..PearLink::new(*drive.key()) };
                (Contents { primary: None, links: vec![key] }, Some(named))
            }
            None => {
                let all = self.all_keys()?;
                if request.shared {
                    self.mark_shared(&all)?;
                }
                (all, None)
            }
        };
        let text = backup::seal(&contents, link.as_ref(), passphrase).map_err(file_error)?;
        write_private(&request.file, text.as_bytes(), request.force)?;
        for key in &contents.links {
            sink.tell(KeysEvent::Exported {
                link: format!("pear://{}", key.key),
                length: key.length,
                fork: key.fork,
            });
        }
        Ok(KeysExported {
            file: request.file.clone(),
            kind: if link.is_some() { KeyFileKind::Link } else { KeyFileKind::Backup },
            links: contents.links.len(),
            verlink: link.map(|l| l.to_string()),
        })
    }

    /// From now on peers are asked for the newest version before anything is written: of each link, and of those that are made
    /// later of the same primary key. Before the file exists that lets others write.
    fn mark_shared(&self, all: &Contents) -> Result<(), CommandError> {
        let mark = self.dir.join(SHARED_PRIMARY);
        Replace::new(Durability::Disk).private().write(&mark, b"").map_err(|e| {
            CommandError::unwritable(
                format!("cannot write {}", mark.display()),
                e,
                "check the store's folder",
            )
        })?;
        for key in &all.links {
            let link = PearLink::parse(&format!("pear://{}", key.key))
                .map_err(|e| CommandError::failed("a link of the store cannot be read").because(e))?;
            let known =
                SharedKey { fork: key.fork, length: key.length, blobs_length: key.blobs_length, seed: None };
            known.keep(&self.open_drive(&link)?.db)?;
        }
        Ok(())
    }

    fn link_key(&self, drive: &DriveCores) -> Result<LinkKey, CommandError> {
        let pair = drive.db.key_pair().filter(|_| drive.db.writable());
        let Some(pair) = pair else {
            return Err(match SharedKey::of(&drive.db)? {
                Some(row) if row.seed.is_some() => CommandError::new(
                    ErrorKind::Permission,
                    "ERR_PERMISSION_REQUIRED",
                    "the link's key was imported here and has not been used yet",
                )
                .hint("copy the key file it came with, or stage once and export again"),
                _ => not_writable()
                    .hint("export the key on the machine, and with the store, that made the link"),
            });
        };
        let mut seed = pair.seed();
        let text = id::encode(&seed);
        seed.zeroize();
        let head = drive.db.head();
        Ok(LinkKey {
            key: id::encode(drive.key()),
            seed: text,
            fork: head.fork,
            length: head.length,
            blobs_length: drive.blobs()?.as_ref().map_or(0, Core::length),
        })
    }

    fn all_keys(&self) -> Result<Contents, CommandError> {
        let blobs = self.blobs_of_drives()?;
        let mut links = Vec::new();
        for info in self.store.cores().map_err(store_error)? {
            if blobs.contains_key(&info.key) {
                continue;
            }
            let Some(db) = self.store.get_core(&info.key).map_err(store_error)? else { continue };
            if !db.writable() {
                continue;
            }
            if links.len() == MAX_LINKS {
                return Err(CommandError::failed("the store writes more than 10,000 links")
                    .hint("export the ones that matter one by one with `bosc keys export`"));
            }
            links.push(self.link_key(&self.drive_of(db))?);
        }
        let primary = PrimaryKey(id::encode(&self.store.primary_key()));
        Ok(Contents { primary: Some(primary), links })
    }

    pub(crate) fn keys_import(
        &self,
        request: &KeysImport,
        sink: &mut dyn Sink,
    ) -> Result<KeysImported, CommandError> {
        let text = read(&request.file)?;
        let contents = backup::open(&text, request.passphrase.expose()).map_err(file_error)?;
        if let Some(primary) = &contents.primary {
            let mut key = id::decode(&primary.0).map_err(|_| damaged())?;
            let set = self.store.set_primary_key(&key);
            key.zeroize();
            set.map_err(|e| {
                CommandError::new(
                    ErrorKind::Input,
                    "ERR_STORE_IN_USE",
                    "a backup can only be restored into a new store: this one has keys of its own",
                )
                .because(e)
                .hint("name a folder that does not exist yet with `--store DIR`")
            })?;
        }
        // All are read before the first is kept: a damaged file imports nothing.
        let keys = contents.links.iter().map(checked).collect::<Result<Vec<_>, _>>()?;
        let mut imported = 0u64;
        for (link, (key, manifest)) in contents.links.iter().zip(keys) {
            let drive = DriveCores::open(&self.store, &key)?;
            let had = drive.db.writable();
            if !had {
                if let Some(manifest) = manifest {
                    drive.db.set_manifest(manifest).map_err(store_error)?;
                }
                let row = SharedKey {
                    fork: link.fork,
                    length: link.length,
                    blobs_length: link.blobs_length,
                    seed: Some(link.seed.clone()),
                };
                row.keep(&drive.db)?;
                imported += 1;
            }
            let version = Version { fork: link.fork, length: link.length };
            let named = PearLink { version: Some(version), ..PearLink::new(key) };
            sink.tell(KeysEvent::Imported {
                link: drive.plain_link(),
                verlink: named.to_string(),
                length: link.length,
                fork: link.fork,
                already_writable: had,
            });
        }
        self.store.flush().map_err(store_error)?;
        Ok(KeysImported {
            kind: if contents.primary.is_some() { KeyFileKind::Backup } else { KeyFileKind::Link },
            links: contents.links.len(),
            imported,
        })
    }
}

/// The key of the link and, unless it is of the old kind without one, its manifest. Checks that the seed is its key's.
fn checked(link: &LinkKey) -> Result<([u8; 32], Option<Manifest>), CommandError> {
    let key = id::decode(&link.key).map_err(|_| damaged())?;
    let seed = Zeroizing::new(id::decode(&link.seed).map_err(|_| damaged())?);
    let public = KeyPair::from_seed(&seed).public();
    let manifest = Manifest::single(public);
    if manifest.key() == key {
        Ok((key, Some(manifest)))
    } else if public == key {
        Ok((key, None))
    } else {
        Err(damaged())
    }
}

fn damaged() -> CommandError {
    CommandError::new(
        ErrorKind::Integrity,
        "ERR_INVALID_KEY_FILE",
        "the key file holds a key that is not its link's",
    )
    .hint("export it again on the machine that has the key")
}

fn file_error(e: BackupError) -> CommandError {
    let (kind, code, hint) = match &e {
        BackupError::Wrong => {
            (ErrorKind::Permission, "ERR_PASSPHRASE", "check the passphrase, then the file")
        }
        BackupError::Newer => (ErrorKind::Input, "ERR_INVALID_KEY_FILE", "update Bosc and import it again"),
        BackupError::Failed(_) => {
            (ErrorKind::Failed, "ERR_OPERATION_FAILED", "free some memory and try again")
        }
        _ => (
            ErrorKind::Input,
            "ERR_INVALID_KEY_FILE",
            "give the file that `bosc keys export` or `backup` wrote",
        ),
    };
    CommandError::new(kind, code, format!("the key file cannot be used: {e}")).hint(hint)
}

fn read(file: &Path) -> Result<String, CommandError> {
    let io = |e| {
        CommandError::new(ErrorKind::Input, "ERR_INVALID_INPUT", format!("cannot read {}", file.display()))
            .because(e)
            .hint("give the file that `bosc keys export` or `bosc keys backup` wrote")
    };
    let mut bytes = Vec::new();
    bosc_files::open_plain(file)
        .map_err(io)?
        .take(MAX_FILE as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(io)?;
    String::from_utf8(bytes).map_err(|_| file_error(BackupError::Malformed("it is not text")))
}

/// Writes a file that only its owner can ever read, whole or not at all.
fn write_private(file: &Path, bytes: &[u8], force: bool) -> Result<(), CommandError> {
    let io = |e: std::io::Error| {
        CommandError::unwritable(format!("cannot write {}", file.display()), e, "choose another file")
    };
    let how = Replace::new(Durability::Disk).private();
    let how = if force { how.follow_links() } else { how.only_new() };
    how.write(file, bytes).map_err(io)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn key_files_are_private_and_replace_nothing_unasked() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("k");
        write_private(&file, b"one", false).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert!(write_private(&file, b"two", false).is_err());
        assert_eq!(std::fs::read(&file).unwrap(), b"one");
        write_private(&file, b"two", true).unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
    }
}
