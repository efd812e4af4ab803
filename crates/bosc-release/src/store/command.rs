//! `store check` and `store repair`: is what is here what was stored, and what of it can be had again.
//!
//! `check` reads every block and compares it with its tree, then every checksum of the database. What it finds damaged
//! counts as not here from then on (see `bosc-store`, `core/damage.rs`), so that a running `seed` fetches it. `repair`
//! checks, and then asks peers for what is damaged, until all of it is here or nobody delivers for so long. Neither
//! signs, cuts back or removes anything.

use super::event::{Checked, DatabaseState, StoreChecked, StoreEvent, StoreRepaired};
use super::{StoreCheck, StoreRepair};
use crate::command::{Sink, Stop};
use crate::doctor::event::RotSeen;
use crate::engine::Engine;
use crate::engine::drive::parse_whole_link;
use crate::engine::errors::{DAMAGED_HINT, store_error};
use crate::engine::follow::stopped;
use crate::error::{CommandError, ErrorKind};
use bosc_follow::{FollowError, Topic, Wait, wait_for};
use bosc_format::crypto::{CoreKey, discovery_key};
use bosc_format::id;
use bosc_format::link::PearLink;
use bosc_node::{Download, LiveCore, Node};
use bosc_store::Core;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes looked at between two looks at whether to stop.
const STEP_BYTES: u64 = 8 << 20;
/// Most blocks named of a core.
const MAX_NAMED: usize = 100;
/// Blocks asked for at once.
const MAX_WANTED: usize = 65_536;

/// A core to look at.
struct CoreToCheck {
    core: Core,
    /// The drive it belongs to.
    drive: CoreKey,
    content: bool,
}

/// What was found in one core.
#[derive(Default)]
struct BlocksFound {
    blocks: u64,
    bytes: u64,
    damaged: u64,
    unreadable: Vec<u64>,
    restored: u64,
}

impl Engine {
    pub(crate) fn store_check(
        &self,
        request: &StoreCheck,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<StoreChecked, CommandError> {
        let began = Instant::now();
        let mut all = BlocksFound::default();
        let (mut cores, mut damaged_cores) = (0u64, 0u64);
        for part in self.parts(request.link.as_deref())? {
            let found = check(&part, sink, stop)?;
            cores += 1;
            damaged_cores += u64::from(found.damaged > 0 || !found.unreadable.is_empty());
            all.blocks += found.blocks;
            all.bytes += found.bytes;
            all.damaged += found.damaged;
            all.unreadable.extend(found.unreadable);
        }
        self.store.flush().map_err(store_error)?;
        let seconds = began.elapsed().as_secs_f64();
        self.check_database(sink)?;
        let unreadable = all.unreadable.len() as u64;
        if all.damaged + unreadable > 0 {
            return Err(damaged(format!(
                "{} of {} blocks are damaged, in {damaged_cores} of {cores} cores{}",
                all.damaged + unreadable,
                all.damaged + unreadable + all.blocks,
                if unreadable > 0 { " (the disk fails to read some)" } else { "" }
            ))
            .hint(
                "nothing damaged is given to others. `bosc store repair` fetches it from peers, and so does a running \
                 `bosc seed` by itself",
            ));
        }
        Ok(StoreChecked {
            cores,
            blocks: all.blocks,
            bytes: all.bytes,
            damaged: 0,
            seconds,
            unnamed_bytes: self.store.stats().unnamed_bytes,
        })
    }

    /// Reads the database.
    fn check_database(&self, sink: &mut dyn Sink) -> Result<(), CommandError> {
        let whole = self.store.check_database();
        let state = match &whole {
            Ok(true) => DatabaseState::Ok,
            Ok(false) => DatabaseState::Mended,
            Err(_) => DatabaseState::Damaged,
        };
        sink.tell(StoreEvent::Database { state });
        match whole {
            Ok(_) => Ok(()),
            Err(e) if e.kind() == bosc_store::ErrorKind::Corrupt => {
                Err(damaged(e.to_string()).hint(format!(
                    "save the keys now, while they can be read: `bosc keys backup FILE`. Then: {DAMAGED_HINT}"
                )))
            }
            Err(e) => Err(store_error(e)),
        }
    }

    pub(crate) fn store_repair(
        &self,
        request: &StoreRepair,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<StoreRepaired, CommandError> {
        let parts = self.parts(request.link.as_deref())?;
        let mut broken = Vec::new();
        let mut blocks = 0u64;
        for part in parts {
            let found = check(&part, sink, stop)?;
            // Who repairs says that what cannot be read is to be fetched.
            part.core.give_up_unreadable(&found.unreadable).map_err(store_error)?;
            let count = part.core.damaged_blocks(MAX_WANTED).map_err(store_error)?.len() as u64;
            if count > 0 {
                blocks += count;
                broken.push((part, count));
            }
        }
        self.store.flush().map_err(store_error)?;
        let mut missing = 0u64;
        if !broken.is_empty() {
            let node = self.node()?;
            let repair =
                Repair { engine: self, node: &node, timeout: Duration::from_millis(request.timeout_ms) };
            let result = repair.run(&broken, stop);
            let flushed = node.flush();
            result?;
            flushed.map_err(|why| damaged(format!("what was fetched could not be stored: {why}")))?;
            for (part, count) in &broken {
                let left = part.core.damaged_blocks(MAX_WANTED).map_err(store_error)?;
                missing += left.len() as u64;
                sink.tell(StoreEvent::Repaired {
                    link: PearLink::new(part.drive).to_string(),
                    core: id::encode(part.core.key()),
                    content: part.content,
                    writable: part.core.writable(),
                    blocks: count.saturating_sub(left.len() as u64),
                    missing: left.len(),
                    missing_blocks: left.into_iter().take(MAX_NAMED).collect(),
                });
            }
        }
        if missing > 0 {
            return Err(damaged(format!("{missing} of {blocks} damaged blocks were not fetched: no peer delivered them"))
                .hint(
                    "run `bosc seed <link>` on a machine that has the link and repair again, or put the folder's `data` \
                     back from a backup; what was fetched is kept. If this was the only copy, old versions with these \
                     blocks are lost: stage the folder again for a new one",
                ));
        }
        Ok(StoreRepaired { blocks, missing: 0 })
    }

    /// The cores of a link, or all of the store.
    fn parts(&self, link: Option<&str>) -> Result<Vec<CoreToCheck>, CommandError> {
        if let Some(text) = link {
            let link = parse_whole_link(text)?;
            let drive = self.open_drive(&link)?;
            if drive.db.length() == 0 {
                return Err(CommandError::not_found("this store has nothing of the link")
                    .hint("see what it has with `bosc cores`"));
            }
            let blobs = drive.blobs()?;
            let mut parts = vec![CoreToCheck { core: drive.db, drive: link.key, content: false }];
            parts.extend(blobs.map(|core| CoreToCheck { core, drive: link.key, content: true }));
            return Ok(parts);
        }
        let blobs: BTreeMap<CoreKey, CoreKey> = self.blobs_of_drives()?;
        let mut parts = Vec::new();
        for info in self.store.cores().map_err(store_error)? {
            let Some(core) = self.store.get_core(&info.key).map_err(store_error)? else { continue };
            let drive = blobs.get(&info.key).copied();
            parts.push(CoreToCheck { core, drive: drive.unwrap_or(info.key), content: drive.is_some() });
        }
        Ok(parts)
    }
}

fn damaged(message: String) -> CommandError {
    CommandError::new(ErrorKind::Store, "ERR_STORE_DAMAGED", message)
}

/// Reads a core and tells what was found.
fn check(part: &CoreToCheck, sink: &mut dyn Sink, stop: &Stop) -> Result<BlocksFound, CommandError> {
    let mut all = BlocksFound::default();
    let mut next = Some(0);
    while let Some(at) = next {
        if stop.is_stopped() {
            return Err(stopped());
        }
        let found = part.core.check_blocks(at, STEP_BYTES).map_err(store_error)?;
        all.blocks += found.blocks;
        all.bytes += found.bytes;
        all.damaged += found.damaged_count;
        all.restored += found.restored;
        all.unreadable.extend(found.unreadable);
        next = found.next;
    }
    let named = part.core.damaged_blocks(MAX_NAMED).map_err(store_error)?;
    sink.tell(StoreEvent::Checked(Box::new(Checked {
        link: PearLink::new(part.drive).to_string(),
        core: id::encode(part.core.key()),
        content: part.content,
        writable: part.core.writable(),
        length: part.core.length(),
        blocks: all.blocks,
        bytes: all.bytes,
        damaged: all.damaged,
        damaged_blocks: named,
        unreadable: all.unreadable.len(),
        restored: all.restored,
    })));
    Ok(all)
}

/// Fetching what is damaged.
struct Repair<'a> {
    engine: &'a Engine,
    node: &'a Arc<Node>,
    timeout: Duration,
}

impl Repair<'_> {
    /// Returns when nothing is damaged any more, or nobody delivered anything for the time there is.
    fn run(&self, broken: &[(CoreToCheck, u64)], stop: &Stop) -> Result<(), CommandError> {
        let mut topics: Vec<Topic> = Vec::new();
        let mut live: Vec<(LiveCore, Vec<u64>)> = Vec::new();
        let mut downloads = Vec::new();
        for (part, _) in broken {
            let topic = discovery_key(&part.drive);
            if !topics.iter().any(|t| *t.id() == topic) {
                topics.push(self.engine.topics.join(self.node, topic, false));
            }
            let core = self.node.attach(&part.core);
            let wanted = part.core.damaged_blocks(MAX_WANTED).map_err(store_error)?;
            downloads.push(core.download(Download::list(wanted.clone())));
            live.push((core, wanted));
        }
        // Less is missing: the time starts anew.
        let mut wait = Wait::new(stop).stall(self.timeout);
        wait_for(self.node, &topics, &mut wait, |alarm| {
            let mut missing = 0;
            for (core, wanted) in &mut live {
                wanted.retain(|b| !core.core().has(*b).unwrap_or(false));
                missing += wanted.len();
                if let Some(why) = core.status().failed {
                    return Err(FollowError::NotStored(why));
                }
            }
            alarm.came(missing as u64);
            Ok((missing == 0).then_some(()))
        })?;
        Ok(())
    }
}

/// What the doctor is told of damage: blocks that are damaged, bytes looked at, and bytes there are.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RotCount {
    pub(crate) damaged: u64,
    pub(crate) checked: u64,
    pub(crate) total: u64,
}

impl RotCount {
    /// Looks at cores for as long as there is time.
    pub(crate) fn look(cores: &[&Core], patience: Duration, stop: &Stop) -> Result<Self, CommandError> {
        let began = Instant::now();
        let mut rot = Self::default();
        for core in cores {
            rot.total += core.info().block_bytes;
            let mut next = Some(0);
            while let Some(at) = next.filter(|_| began.elapsed() < patience) {
                if stop.is_stopped() {
                    return Err(stopped());
                }
                let found = core.check_blocks(at, STEP_BYTES).map_err(store_error)?;
                rot.checked += found.bytes;
                next = found.next;
            }
            rot.damaged += core.count_damaged().map_err(store_error)?;
        }
        Ok(rot)
    }

    pub(crate) fn told(self) -> RotSeen {
        RotSeen { damaged: self.damaged, checked_bytes: self.checked, total_bytes: self.total }
    }
}
