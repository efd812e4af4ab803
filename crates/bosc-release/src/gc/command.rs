//! `gc`: disk space back. Nothing that exists only here goes without being told to; nothing that another command of
//! this process has in use goes at all.

use super::event::{GcDone, GcEvent, Kept};
use super::{Gc, GcWhat};
use crate::command::Sink;
use crate::engine::Engine;
use crate::engine::drive::parse_whole_link;
use crate::engine::errors::{not_writable, store_error};
use crate::error::{CommandError, ErrorKind};
use crate::multisig::journal::Phase;
use bosc_files::Dir;
use bosc_format::id;
use bosc_format::link::PearLink;
use bosc_store::Core;

/// What was found to go.
#[derive(Default)]
struct Freed {
    blocks: u64,
    bytes: u64,
}

impl Engine {
    pub(crate) fn gc(&self, request: &Gc, sink: &mut dyn Sink) -> Result<GcDone, CommandError> {
        if request.dry_run {
            sink.tell(GcEvent::Dry);
        }
        let mut freed = Freed::default();
        let before = self.store.stats().segment_bytes;
        match request.what {
            GcWhat::Cores => self.gc_link(request, &mut freed, sink)?,
            GcWhat::Downloads => self.gc_downloads(request, &mut freed, sink)?,
            GcWhat::StageIndex => self.gc_index(request, &mut freed, sink)?,
            GcWhat::Store => {}
        }
        let mut disk = 0;
        if !request.dry_run && request.what != GcWhat::StageIndex {
            // Segments in which nothing lives any more went while blocks were cleared.
            let collected = self.store.gc().map_err(store_error)?.freed_bytes;
            disk = collected.max(before.saturating_sub(self.store.stats().segment_bytes));
        } else if request.what == GcWhat::Store {
            let stats = self.store.stats();
            freed.bytes = stats.segment_bytes.saturating_sub(stats.live_bytes);
        }
        Ok(GcDone { dry_run: request.dry_run, blocks: freed.blocks, bytes: freed.bytes, disk_bytes: disk })
    }

    fn gc_link(&self, request: &Gc, freed: &mut Freed, sink: &mut dyn Sink) -> Result<(), CommandError> {
        let text = request.link.as_deref().ok_or_else(|| {
            CommandError::input("no link was given").hint("name the link whose blocks are to go")
        })?;
        let link = parse_whole_link(text)?;
        let drive = self.open_drive(&link)?;
        let shown = drive.plain_link();
        if drive.db.writable() && !request.force {
            return Err(CommandError::new(
                ErrorKind::Permission,
                "ERR_PERMISSION_REQUIRED",
                "this store writes to the link: its blocks may be nowhere else",
            )
            .hint("make sure that peers hold full copies (`bosc doctor <link>`), then add --force"));
        }
        let unfinished = self.journal()?.get(drive.db.key()).is_some_and(|r| r.phase != Phase::Committed);
        if unfinished && !request.force {
            return Err(CommandError::new(
                ErrorKind::Permission,
                "ERR_PERMISSION_REQUIRED",
                "a commit to the link is not finished: its release may be nowhere else",
            )
            .hint("finish it with `bosc multisig commit` (`bosc multisig status` shows which), then go on, or add --force"));
        }
        if self.in_use(drive.db.discovery_key()) {
            return Err(CommandError::failed("the link is being seeded or fetched here right now")
                .hint("end that command first"));
        }
        if self.is_installed_from(drive.key())? && !request.force {
            return Err(CommandError::new(
                ErrorKind::Permission,
                "ERR_PERMISSION_REQUIRED",
                "an application was installed from the link, and this store keeps it for others",
            )
            .hint("uninstall it with `bosc install --uninstall <link>` first, or add --force"));
        }
        if drive.db.writable() && drive.db.key_pair().is_none() {
            return Err(not_writable());
        }
        let blobs = drive.blobs()?;
        for core in [Some(&drive.db), blobs.as_ref()].into_iter().flatten() {
            let (blocks, _) = clear(core, request.dry_run, freed)?;
            sink.tell(GcEvent::Cores {
                link: shown.clone(),
                core: id::encode(core.key()),
                content: blobs.as_ref().is_some_and(|b| b.key() == core.key()),
                skipped: blocks == 0,
                reason: None,
                blocks,
            });
        }
        Ok(())
    }

    fn gc_downloads(&self, request: &Gc, freed: &mut Freed, sink: &mut dyn Sink) -> Result<(), CommandError> {
        let blobs = self.blobs_of_drives()?;
        for info in self.store.cores().map_err(store_error)? {
            let drive = blobs.get(&info.key).unwrap_or(&info.key);
            let Some(core) = self.store.get_core(&info.key).map_err(store_error)? else { continue };
            // What is damaged was here: it is lost to nobody but this disk, and peers may not have it.
            let damaged = core.count_damaged().map_err(store_error)?;
            let whole = info.blocks >= info.length;
            if info.blocks == 0 || whole || core.writable() || info.has_key_pair {
                continue;
            }
            let topic = bosc_format::crypto::discovery_key(drive);
            let kept = if self.in_use(&topic) {
                Some(Kept::InUse)
            } else if self.is_installed_from(drive)? && !request.force {
                Some(Kept::InstalledFrom)
            } else if damaged > 0 && !request.force {
                Some(Kept::Damaged)
            } else {
                None
            };
            let blocks = match kept {
                Some(_) => 0,
                None => clear(&core, request.dry_run, freed)?.0,
            };
            sink.tell(GcEvent::Cores {
                link: PearLink::new(*drive).to_string(),
                core: id::encode(&info.key),
                content: blobs.contains_key(&info.key),
                skipped: kept.is_some(),
                reason: Some(kept),
                blocks,
            });
        }
        Ok(())
    }

    fn gc_index(&self, request: &Gc, freed: &mut Freed, sink: &mut dyn Sink) -> Result<(), CommandError> {
        let folder = self.dir.join(crate::stage::command::INDEX_FOLDER);
        let dir = match Dir::open(&folder) {
            Ok(dir) => dir,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(unreadable(&folder, e)),
        };
        // A staging in progress writes its index at its end.
        let _alone = self.staging.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for name in dir.list().map_err(|e| unreadable(&folder, e))? {
            // Indexes are called as their links, and what a killed process left as temporary files are. Nothing else is ours.
            let ours = name.to_str().is_some_and(|n| {
                id::decode(n.split('.').next().unwrap_or_default()).is_ok()
                    || (n.starts_with(".bosc-") && n.ends_with(".tmp"))
            });
            let path = folder.join(&name);
            let Some(size) = dir.metadata(&name).ok().filter(|m| ours && m.is_file()).map(|m| m.len) else {
                continue;
            };
            if !request.dry_run {
                dir.remove_file(&name).map_err(|e| unreadable(&path, e))?;
            }
            freed.bytes += size;
            sink.tell(GcEvent::Removed { file: path, bytes: size });
        }
        Ok(())
    }
}

fn unreadable(path: &std::path::Path, e: std::io::Error) -> CommandError {
    CommandError::new(ErrorKind::Permission, "ERR_UNWRITABLE", format!("cannot remove {}", path.display()))
        .because(e)
        .hint("check the permissions of the store's folder")
}

/// Clears a core's blocks. How many there were, and their bytes.
fn clear(core: &Core, dry_run: bool, freed: &mut Freed) -> Result<(u64, u64), CommandError> {
    let info = core.info();
    if !dry_run && info.blocks > 0 {
        core.clear(0, info.length).map_err(store_error)?;
    }
    freed.blocks += info.blocks;
    freed.bytes += info.block_bytes;
    Ok((info.blocks, info.block_bytes))
}
