//! `gc`: disk space back. Nothing that exists only here goes without being told to; nothing that another command of
//! this process has in use goes at all.

use super::super::drive::parse_link;
use super::super::{Engine, not_writable, store_error};
use crate::command::{Outcome, Sink};
use crate::error::{CommandError, ErrorKind};
use crate::multisig::record::Phase;
use crate::tools::{Gc, GcWhat};
use bosc_format::id;
use bosc_format::link::PearLink;
use bosc_store::Core;
use serde_json::{Value, json};

/// What was found to go.
#[derive(Default)]
struct Freed {
    blocks: u64,
    bytes: u64,
}

impl Engine {
    pub(super) fn gc(&self, request: &Gc, sink: &mut dyn Sink) -> Outcome {
        if request.dry_run {
            sink.event("dry", Value::Null);
        }
        let mut freed = Freed::default();
        match request.what {
            GcWhat::Cores => self.gc_link(request, &mut freed, sink)?,
            GcWhat::Downloads => self.gc_downloads(request, &mut freed, sink)?,
            GcWhat::StageIndex => self.gc_index(request, &mut freed, sink)?,
            GcWhat::Store => {}
        }
        let mut disk = 0;
        if !request.dry_run && request.what != GcWhat::StageIndex {
            disk = self.store.gc().map_err(store_error)?.freed_bytes;
        } else if request.what == GcWhat::Store {
            let stats = self.store.stats();
            freed.bytes = stats.segment_bytes.saturating_sub(stats.live_bytes);
        }
        Ok(json!({
            "dryRun": request.dry_run, "blocks": freed.blocks, "bytes": freed.bytes, "diskBytes": disk,
        }))
    }

    fn gc_link(&self, request: &Gc, freed: &mut Freed, sink: &mut dyn Sink) -> Result<(), CommandError> {
        let text = request.link.as_deref().ok_or_else(|| {
            CommandError::input("no link was given").hint("name the link whose blocks are to go")
        })?;
        let link = parse_link(text)?;
        let drive = self.open_drive(&link)?;
        let shown = drive.plain_link();
        if drive.db.writable() && !request.force {
            return Err(CommandError::new(
                ErrorKind::Permission,
                "ERR_PERMISSION_REQUIRED",
                "this store writes to the link: its blocks may be nowhere else",
            )
            .hint("make sure that others have all of it (`bosc doctor <link>`), then add --force"));
        }
        let unfinished = self.journal()?.get(drive.db.key()).is_some_and(|r| r.phase != Phase::Committed);
        if unfinished && !request.force {
            return Err(CommandError::new(
                ErrorKind::Permission,
                "ERR_PERMISSION_REQUIRED",
                "a commit to the link is not finished: its release may be nowhere else",
            )
            .hint("finish it with `bosc multisig commit` (`bosc multisig status` tells which), then go on, or add --force"));
        }
        if self.in_use(drive.db.discovery_key()) {
            return Err(CommandError::failed("the link is being seeded or fetched here right now")
                .hint("end that command first"));
        }
        if self.receipt(drive.key())?.is_some() && !request.force {
            return Err(CommandError::new(
                ErrorKind::Permission,
                "ERR_PERMISSION_REQUIRED",
                "an application was installed from the link, and this store keeps it for others",
            )
            .hint("take it away with `bosc install --uninstall <link>` first, or add --force"));
        }
        if drive.db.writable() && drive.db.key_pair().is_none() {
            return Err(not_writable());
        }
        let blobs = drive.blobs(self)?;
        for core in [Some(&drive.db), blobs.as_ref()].into_iter().flatten() {
            let (blocks, _) = clear(core, request.dry_run, freed)?;
            sink.event(
                "cores",
                json!({
                    "link": shown,
                    "core": id::encode(core.key()),
                    "content": blobs.as_ref().is_some_and(|b| b.key() == core.key()),
                    "skipped": blocks == 0,
                    "blocks": blocks,
                }),
            );
        }
        Ok(())
    }

    fn gc_downloads(&self, request: &Gc, freed: &mut Freed, sink: &mut dyn Sink) -> Result<(), CommandError> {
        let blobs = self.blobs_of_drives()?;
        for info in self.store.cores().map_err(store_error)? {
            let drive = blobs.get(&info.key).unwrap_or(&info.key);
            let Some(core) = self.store.get_core(&info.key).map_err(store_error)? else { continue };
            let whole = info.blocks >= info.length;
            if info.blocks == 0 || whole || core.writable() || info.has_key_pair {
                continue;
            }
            let topic = bosc_format::crypto::discovery_key(drive);
            let kept = if self.in_use(&topic) {
                Some("in use")
            } else if self.receipt(drive)?.is_some() && !request.force {
                Some("installed from")
            } else {
                None
            };
            let blocks = match kept {
                Some(_) => 0,
                None => clear(&core, request.dry_run, freed)?.0,
            };
            sink.event(
                "cores",
                json!({
                    "link": PearLink::new(*drive).to_string(),
                    "core": id::encode(&info.key),
                    "content": blobs.contains_key(&info.key),
                    "skipped": kept.is_some(),
                    "reason": kept,
                    "blocks": blocks,
                }),
            );
        }
        Ok(())
    }

    fn gc_index(&self, request: &Gc, freed: &mut Freed, sink: &mut dyn Sink) -> Result<(), CommandError> {
        let folder = self.dir.join(super::super::stage::INDEX_FOLDER);
        let items = match std::fs::read_dir(&folder) {
            Ok(items) => items,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(unreadable(&folder, e)),
        };
        // A staging in progress writes its index at its end.
        let _alone = self.staging.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for item in items {
            let path = item.map_err(|e| unreadable(&folder, e))?.path();
            let size = std::fs::metadata(&path).map_or(0, |m| m.len());
            if !request.dry_run {
                std::fs::remove_file(&path).map_err(|e| unreadable(&path, e))?;
            }
            freed.bytes += size;
            sink.event("removed", json!({ "file": path, "bytes": size }));
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
