//! What an update costs who has an older version: for each version from which the drive has deltas, and each platform.
//!
//! ```text
//! operations of the db, newest first ── builds' files that changed ── package.json of an older version: its costs
//!                                                                     (patches that start from it; else new blocks)
//! ```
//!
//! # Invariants
//!
//! 1. Nothing fails for want of it: what cannot be read is not told, or said to be known in part.
//! 2. A size counts as proved if the block map is here and the tree has every block with the size that the map says. Everything else is
//!    what the publisher says; nobody signed that it is true.
//! 3. Bounded: [`MAX_DELTAS`] deltas, [`MAX_OPERATIONS`] operations, [`MAX_MAPS`] block maps of a version.
//!
//! Stage and provision write a release's files in the order of their keys, so what was written after an older package.json changed after
//! that version, and its content has no block below that package.json's. Proofs, maps and entries are not counted.

use crate::command::{Sink, Stop};
use crate::engine::drive::CoreSource;
use crate::engine::follow::reading;
use crate::engine::open::{Opened, PACKAGE_MAX};
use crate::error::{CommandError, ErrorKind};
use crate::event::LinkEvent;
use crate::event::link::{CostBasis, UpdateCost};
use crate::versions::command::said;
use bosc_drive::BlockSource;
use bosc_drive::bee::Bee;
use bosc_drive::blobs::{BlobId, BlobReader, BlockRef, load_map};
use bosc_drive::deltas::{self, AboutDelta, Leg};
use bosc_drive::drive::{Drive, EntryValue, FILES_PREFIX};
use bosc_follow::{Fetch, FollowedCore};
use bosc_store::Core;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Most deltas looked at.
const MAX_DELTAS: usize = 4096;
/// Most operations of the db looked at.
const MAX_OPERATIONS: u64 = 20_000;
/// Most block maps looked at for one version.
const MAX_MAPS: usize = 4096;
/// Most blocks of a content without a map.
const MAX_RUN: u64 = 65_536;
/// Operations asked for together.
const AHEAD: u64 = 256;
/// How long a block may be waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// A drive at one length, and whom to ask for what is not here.
pub(crate) struct CostsOf<'a> {
    pub(crate) db: CoreSource,
    pub(crate) length: u64,
    pub(crate) followed: Option<&'a FollowedCore>,
    pub(crate) blobs: Option<(Core, Option<&'a FollowedCore>)>,
    pub(crate) stop: &'a Stop,
}

/// A patch in the drive.
#[derive(Debug, Clone, Copy)]
struct Patch {
    said: u64,
    blob: BlobId,
}

/// Patches of a file, and the version that the base of each was in.
#[derive(Debug, Default)]
struct Legs {
    legs: Vec<Leg<Patch>>,
    from: Vec<Option<String>>,
}

/// Bytes, and whether they are proved.
#[derive(Debug, Clone, Copy)]
struct Size {
    bytes: u64,
    proved: bool,
}

/// Patches by the file they lead to, one after another, and the version they start from.
type Patches = BTreeMap<(String, String), Vec<Patch>>;

impl<'a> CostsOf<'a> {
    /// Of a drive that is all in this store, as far as it is read.
    pub(crate) fn stored(db: &Core, blobs: &Core, length: u64, stop: &'a Stop) -> Self {
        let blobs = Some((blobs.clone(), None));
        Self { db: CoreSource::cut(db, length), length, followed: None, blobs, stop }
    }

    /// Of one that was opened.
    pub(crate) fn opened(opened: &'a Opened, length: u64, stop: &'a Stop) -> Result<Self, CommandError> {
        let followed = opened.blobs()?;
        let blobs = opened.drive.blobs()?.map(|core| (core, followed));
        Ok(Self { db: opened.entries(), length, followed: opened.db(), blobs, stop })
    }

    /// Tells what updates cost.
    pub(crate) fn tell(&self, sink: &mut dyn Sink) -> Result<(), CommandError> {
        self.find()?.into_iter().for_each(|cost| sink.tell(LinkEvent::UpdateCost(cost)));
        Ok(())
    }

    /// What updates cost, by platform, from the newest version to the oldest. Nothing where it cannot be read.
    pub(crate) fn find(&self) -> Result<Vec<UpdateCost>, CommandError> {
        match self.look() {
            Err(e) if e.kind() == ErrorKind::Interrupted => Err(e),
            Err(_) => Ok(Vec::new()),
            Ok(mut costs) => {
                // Of a platform, they are in order.
                costs.sort_by(|a, b| a.platform.cmp(&b.platform));
                Ok(costs)
            }
        }
    }

    fn look(&self) -> Result<Vec<UpdateCost>, CommandError> {
        let patches = self.patches()?;
        let mut wanted: BTreeSet<&str> = patches.keys().map(|(_, from)| from.as_str()).collect();
        let bee = Bee::checkout(self.db.clone(), self.length);
        let mut changed: BTreeMap<String, Option<BlobId>> = BTreeMap::new();
        let (mut costs, mut is_present) = (Vec::new(), true);
        let oldest = self.length.saturating_sub(MAX_OPERATIONS).max(1);
        for seq in (oldest..self.length).rev() {
            if wanted.is_empty() {
                break;
            }
            let ahead =
                || (seq.saturating_sub(AHEAD).max(1)..seq).rev().filter(|s| !self.db.has(*s)).collect();
            let entry = reading(self.followed, PATIENCE, self.stop)
                .read(|| bee.get_by_seq(seq).map_err(|e| (e, ahead())))?;
            let Some(key) = entry.key.strip_prefix(FILES_PREFIX).and_then(|k| std::str::from_utf8(k).ok())
            else {
                continue;
            };
            let value = entry.value.as_deref().map(|v| EntryValue::decode(seq, v)).transpose()?;
            let blob = value.and_then(|v| v.blob);
            if platform_of(key).is_some() {
                changed.entry(key.to_owned()).or_insert(blob);
            } else if let Some(blob) = blob.filter(|_| key == "/package.json")
                && !std::mem::take(&mut is_present)
                && let Some(version) = self.version(blob)
                && wanted.remove(version.as_str())
            {
                let known = blob.block_offset.saturating_add(blob.block_length);
                costs.extend(self.costs(&patches, &version, Some(known), &changed));
            }
        }
        for version in wanted {
            costs.extend(self.costs(&patches, version, None, &changed));
        }
        Ok(costs)
    }

    /// The deltas of the drive that say from which version they start.
    fn patches(&self) -> Result<Patches, CommandError> {
        let mut list = Drive::checkout(self.db.clone(), self.length).list(deltas::FOLDER)?;
        let mut found: BTreeMap<String, Legs> = BTreeMap::new();
        let mut count = 0;
        while let Some(entry) = reading(self.followed, PATIENCE, self.stop).next(&mut list)? {
            count += 1;
            if count > MAX_DELTAS {
                break;
            }
            let (file, base, result) = match (deltas::parse(&entry.key), deltas::parse_hop(&entry.key)) {
                (Some((file, base)), _) => (file, base, None),
                (_, Some((file, base, result))) => (file, base, Some(result)),
                _ => continue,
            };
            let about = AboutDelta::of_metadata(&entry.value.metadata);
            if let (Some(said), Some(blob)) = (about.size, entry.value.blob) {
                let of = found.entry(file).or_default();
                of.legs.push(Leg { base, result, size: said, patch: Patch { said, blob } });
                of.from.push(about.from);
            }
        }
        let mut out = Patches::new();
        for (file, Legs { legs, from }) in found {
            let ways = deltas::routes(&legs);
            // Of two contents of one version, the one from which a delta starts counts.
            let mut order: Vec<(&Leg<Patch>, &Option<String>)> = legs.iter().zip(&from).collect();
            order.sort_by_key(|(leg, _)| leg.result.is_none());
            for (leg, from) in order {
                let (Some(from), Some((_, way))) = (from, ways.get(&leg.base)) else { continue };
                let patches = way.iter().filter_map(|at| legs.get(*at)).map(|leg| leg.patch).collect();
                out.insert((file.clone(), from.clone()), patches);
            }
        }
        Ok(out)
    }

    /// The version that a package.json says.
    fn version(&self, blob: BlobId) -> Option<String> {
        let (core, followed) = self.blobs.as_ref()?;
        let mut reader = BlobReader::range(self.db.contents(core), blob, 0..PACKAGE_MAX as u64 + 1);
        let mut bytes = Vec::new();
        while let Some(part) = reading(*followed, PATIENCE, self.stop).next(&mut reader).ok()? {
            bytes.extend_from_slice(&part);
        }
        said(&serde_json::from_slice(&bytes).ok()?).version
    }

    /// What an update from a version costs each platform that changed since; the content of that version has no block from `known` on.
    fn costs(
        &self,
        patches: &Patches,
        version: &str,
        known: Option<u64>,
        changed: &BTreeMap<String, Option<BlobId>>,
    ) -> Vec<UpdateCost> {
        let mut out: BTreeMap<&str, UpdateCost> = BTreeMap::new();
        let mut maps = 0;
        for (key, blob) in changed {
            let (Some(platform), Some(blob)) = (platform_of(key), blob) else { continue };
            let patch = patches.get(&(key.clone(), version.to_owned()));
            // Which files changed since is not known: only those that have a patch are.
            if known.is_none() && patch.is_none() {
                continue;
            }
            maps += 1;
            let plain = known.filter(|_| maps <= MAX_MAPS).and_then(|known| self.blocks(*blob, known));
            let patch = patch.map(|patches| self.patches_cost(patches));
            let size = match (patch, plain) {
                (Some(patch), Some(plain)) if plain.bytes < patch.bytes => Some(plain),
                (Some(patch), _) => Some(patch),
                (None, plain) => plain,
            };
            let cost = out.entry(platform).or_insert_with(|| UpdateCost {
                platform: platform.to_owned(),
                from: version.to_owned(),
                bytes: 0,
                without: Some(0),
                basis: if known.is_some() { CostBasis::Proved } else { CostBasis::Partly },
            });
            cost.bytes = cost.bytes.saturating_add(size.map_or(0, |s| s.bytes));
            cost.without = cost.without.zip(plain).map(|(sum, plain)| sum.saturating_add(plain.bytes));
            cost.basis = cost.basis.max(match size {
                None => CostBasis::Partly,
                Some(size) if !size.proved => CostBasis::Publisher,
                Some(_) => CostBasis::Proved,
            });
        }
        out.into_values().collect()
    }

    fn patches_cost(&self, patches: &[Patch]) -> Size {
        patches.iter().fold(Size { bytes: 0, proved: true }, |all, patch| {
            let one = self.patch(patch);
            Size { bytes: all.bytes.saturating_add(one.bytes), proved: all.proved && one.proved }
        })
    }

    fn patch(&self, patch: &Patch) -> Size {
        match self.content(patch.blob) {
            Some(content) if self.is_proved(&content) => Size { bytes: sum(&content), proved: true },
            _ => Size { bytes: patch.said, proved: false },
        }
    }

    /// Bytes of the content's blocks from `known` on, at most; `None` when they are not known.
    fn blocks(&self, blob: BlobId, known: u64) -> Option<Size> {
        let mut content = self.content(blob)?;
        content.retain(|r| r.index >= known);
        content.sort_unstable_by_key(|r| r.index);
        content.dedup_by_key(|r| r.index);
        Some(Size { bytes: sum(&content), proved: self.is_proved(&content) })
    }

    /// The blocks of a content, with the sizes that its map says, or the tree.
    fn content(&self, blob: BlobId) -> Option<Vec<BlockRef>> {
        let (core, followed) = self.blobs.as_ref()?;
        if blob.block_map {
            let source = self.db.contents(core);
            return reading(*followed, PATIENCE, self.stop).read(|| load_map(&source, &blob)).ok();
        }
        let end = blob.block_offset.checked_add(blob.block_length.min(MAX_RUN))?;
        let mut refs = Vec::new();
        for index in blob.block_offset..end {
            refs.push(BlockRef { index, byte_length: self.leaf_size(index)? });
        }
        (sum(&refs) == blob.byte_length).then_some(refs)
    }

    /// Whether the tree has these blocks with these sizes.
    fn is_proved(&self, content: &[BlockRef]) -> bool {
        content.iter().all(|r| self.leaf_size(r.index) == Some(r.byte_length))
    }

    /// The size of a block, if the tree has it here.
    fn leaf_size(&self, index: u64) -> Option<u64> {
        let (core, _) = self.blobs.as_ref()?;
        Some(core.node(index.saturating_mul(2)).ok()??.size)
    }
}

fn sum(content: &[BlockRef]) -> u64 {
    content.iter().fold(0, |n, r| n.saturating_add(r.byte_length))
}

/// The platform of a build's file.
fn platform_of(key: &str) -> Option<&str> {
    let (platform, rest) = key.strip_prefix("/by-arch/")?.split_once('/')?;
    rest.starts_with("app/").then_some(platform)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use bosc_drive::drive::DriveBatch;
    use bosc_store::{CreateOptions, Options, Store};
    use bytes::Bytes;

    const DEMO: &str = "/by-arch/linux-x64/app/Demo";

    /// A drive that is put together by hand.
    struct Made {
        db: Core,
        blobs: Core,
        _store: Store,
    }

    impl Made {
        fn new() -> Self {
            let store = Store::memory(Options::default()).unwrap();
            let core = |name: &str| store.create_core(CreateOptions::named(name)).unwrap();
            Self { db: core("db"), blobs: core("blobs"), _store: store }
        }

        /// One batch: contents in the order of their keys, with what is said of them.
        fn release(&self, files: &[(&str, &[u8], Option<AboutDelta>)]) {
            let mut batch = DriveBatch::new(CoreSource::new(&self.db));
            for (key, content, about) in files {
                let head = self.blobs.head();
                let blob = BlobId {
                    block_offset: head.length,
                    byte_offset: head.byte_length,
                    block_length: 1,
                    byte_length: content.len() as u64,
                    block_map: false,
                };
                self.blobs.append(&[Bytes::copy_from_slice(content)]).unwrap();
                let metadata = about.as_ref().map(AboutDelta::to_metadata).unwrap_or_default();
                batch.put(key, &EntryValue { metadata, ..EntryValue::file(blob, false) }).unwrap();
            }
            let blocks: Vec<Bytes> = batch.into_blocks().into_iter().map(Bytes::from).collect();
            self.db.append(&blocks).unwrap();
        }

        fn costs(&self, with_blobs: bool) -> Vec<(String, u64, Option<u64>, CostBasis)> {
            let stop = Stop::new();
            let mut of = CostsOf::stored(&self.db, &self.blobs, self.db.length(), &stop);
            of.blobs = of.blobs.filter(|_| with_blobs);
            let costs = of.find().unwrap().into_iter();
            costs.map(|c| (format!("{} {}", c.platform, c.from), c.bytes, c.without, c.basis)).collect()
        }
    }

    fn package(version: &str) -> Vec<u8> {
        format!(r#"{{"version":"{version}"}}"#).into_bytes()
    }

    /// What the maker of a patch says: its size, and from where it starts.
    fn said(size: u64, from: &str) -> Option<AboutDelta> {
        Some(AboutDelta { size: Some(size), from: Some(from.into()), blob: None })
    }

    #[test]
    fn the_tree_decides_where_it_is_here_and_else_the_publisher_is_named() {
        let made = Made::new();
        let first = package("1.0.0");
        made.release(&[
            (DEMO, &[1; 1000], None),
            ("/by-arch/linux-x64/app/kept", &[2; 500], None),
            ("/package.json", &first, None),
        ]);
        assert_eq!(made.costs(true), []);
        let (key, other) = (deltas::key_of(DEMO, &[7; 32]).unwrap(), deltas::key_of(DEMO, &[8; 32]).unwrap());
        let second = package("1.0.1");
        made.release(&[
            (DEMO, &[3; 2000], None),
            ("/by-arch/linux-x64/app/text", &[4; 40], None),
            ("/by-arch/win32-x64/app/Demo.exe", &[5; 70], None),
            // Says less than it has, and starts from a version that this drive never had.
            (&key, &[6; 300], said(5, "1.0.0")),
            (&other, &[6; 301], said(6, "0.9.0")),
            ("/package.json", &second, None),
        ]);
        assert_eq!(
            made.costs(true),
            [
                ("linux-x64 1.0.0".to_owned(), 340, Some(2040), CostBasis::Proved),
                ("linux-x64 0.9.0".to_owned(), 301, None, CostBasis::Partly),
                ("win32-x64 1.0.0".to_owned(), 70, Some(70), CostBasis::Proved),
            ]
        );
        // Without the contents, versions are not known: each patch is what its entry says.
        let said: Vec<u64> = made.costs(false).iter().map(|c| c.1).collect();
        assert_eq!(said, [6, 5]);
        assert!(made.costs(false).iter().all(|c| c.2.is_none() && c.3 == CostBasis::Partly));
    }

    #[test]
    fn what_no_patch_is_worth_is_told_as_blocks() {
        let made = Made::new();
        let (first, second) = (package("1.0.0"), package("1.0.1"));
        made.release(&[(DEMO, &[1; 100], None), ("/package.json", &first, None)]);
        let key = deltas::key_of(DEMO, &[7; 32]).unwrap();
        made.release(&[
            (DEMO, &[2; 200], None),
            (&key, &[3; 900], said(900, "1.0.0")),
            ("/package.json", &second, None),
        ]);
        let blocks = ("linux-x64 1.0.0".to_owned(), 200, Some(200), CostBasis::Proved);
        assert_eq!(made.costs(true), [blocks]);
    }
}
