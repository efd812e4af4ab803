//! A patch from two files.
//!
//! # Files
//!
//! - Here: the order of things. `read`: layouts from headers of executables. `labels`: images without what moves. `suffix`,
//!   `matching`: what is nearly the same, the shortest match.
//! - `inside`: what is packed in both (zip, gzip, squashfs), and programs anywhere. `truth`: what is written down. `pack`: new bytes,
//!   packed, and the patch that needs no base.

mod inside;
mod labels;
mod matching;
mod pack;
mod read;
mod suffix;
mod truth;

use crate::coder::Encoder;
use crate::extract::{self, Extractor};
use crate::field::Kind;
use crate::format::{Header, Inside, MOST_COPIES, Parts, Tables};
use crate::hash::hash;
use crate::layout::{Layout, RAW};
use crate::map::{Copy, Map};
use crate::packed::Recipe;
use crate::script::{Copies, Script};
use crate::walk::{Translator, Walk};
use crate::{Error, MAX_FILE, apply};
use read::Structure;
use suffix::{Seeds, Suffixes};
use truth::Truth;

/// How a patch is made.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct MakeOptions {
    /// Whether executables are understood (the default), or files are bytes and nothing else.
    pub executables: bool,
    /// Whether packages that pack what they hold are opened (the default).
    pub packages: bool,
}

impl Default for MakeOptions {
    fn default() -> MakeOptions {
        MakeOptions { executables: true, packages: true }
    }
}

impl MakeOptions {
    /// Files are bytes and nothing else.
    #[must_use]
    pub fn without_executables(mut self) -> MakeOptions {
        self.executables = false;
        self
    }

    /// Packages stay as they are.
    #[must_use]
    pub fn without_packages(mut self) -> MakeOptions {
        self.packages = false;
        self
    }
}

/// Bytes of the new file that are matched with one index of the old one.
const WINDOW: usize = 160 << 20;

/// Places of targets in a shorter file are found by all its suffixes: that is quick enough, and best.
const SEEDED: usize = 4 << 20;

/// Makes the patch that turns `old` into `new`: the same one for the same files and the same version of this crate, on every
/// machine. It was applied once before this returns.
///
/// Takes about seven bytes of memory for a byte of the larger file beside the files themselves, and less for a byte of files over
/// 160 MiB.
///
/// # Errors
/// A file over [`MAX_FILE`]; no memory.
pub fn make(old: &[u8], new: &[u8], options: &MakeOptions) -> Result<Vec<u8>, Error> {
    for len in [old.len() as u64, new.len() as u64] {
        if len > MAX_FILE {
            return Err(Error::TooLong(len));
        }
    }
    let mut best = None;
    if !old.is_empty() && !new.is_empty() {
        best = checked(old, (old, new), None, (old, new), options)?;
        if options.packages
            && let Some(inside) = inside::insides(old, new)
        {
            let packed = checked(old, (&inside.old, &inside.new), Some(&inside.recipe), (old, new), options)?;
            best = match (best, packed) {
                (Some(a), Some(b)) => Some(if b.len() < a.len() { b } else { a }),
                (a, b) => a.or(b),
            };
        }
    }
    pack::smaller(best, old, new)
}

/// A patch between files or their insides that was applied; none if there is none.
fn checked(
    base: &[u8],
    of: (&[u8], &[u8]),
    recipe: Option<&Recipe>,
    files: (&[u8], &[u8]),
    options: &MakeOptions,
) -> Result<Option<Vec<u8>>, Error> {
    let structures = if options.executables { inside::structures(of.0, of.1) } else { Default::default() };
    let known = !structures.0.layout.regions.is_empty();
    let patch = delta(of, &structures, recipe, files)?;
    if apply(base, &patch, std::io::sink()).is_ok() {
        return Ok(Some(patch));
    }
    if !known {
        return Ok(None);
    }
    // Work out of proportion, or something that no patch can say.
    let plain = delta(of, &Default::default(), recipe, files)?;
    Ok(apply(base, &plain, std::io::sink()).is_ok().then_some(plain))
}

/// A patch from `old` to `new`, which are `files` or, by a recipe, what is inside of them.
fn delta(
    (old, new): (&[u8], &[u8]),
    (of_old, of_new): &(Structure, Structure),
    recipe: Option<&Recipe>,
    files: (&[u8], &[u8]),
) -> Result<Vec<u8>, Error> {
    let mut tables = tables(of_old, of_new);
    let new_holes: Vec<(u64, u64)> = tables.derived.iter().map(|d| (d.offset, d.len)).collect();
    let (copies, bases) = match_files((old, of_old, &tables.holes), (new, of_new, &new_holes))?;
    let map = Map::new(&copies);
    anchors(&mut tables, (of_old, of_new), &map, bases);
    // Derived ranges are zeros on both sides.
    let mut masked = std::borrow::Cow::Borrowed(new);
    for (at, len) in new_holes {
        if let Some(hole) = masked.to_mut().get_mut(at as usize..(at + len) as usize) {
            hole.fill(0);
        }
    }
    let lens = (old.len() as u64, new.len() as u64);
    let mut script = Script::new(Encoder::new());
    let (mut place, mut extra) = (Copies::new(), Vec::new());
    let mut end = 0;
    for copy in &copies {
        place.next(&mut script, *copy, lens).ok_or(Error::TooMuch("a copy lies beyond the files"))?;
        extra.extend_from_slice(masked.get(end..copy.new as usize).unwrap_or(&[]));
        end = (copy.new + copy.len) as usize;
    }
    extra.extend_from_slice(masked.get(end..).unwrap_or(&[]));
    let extractor = Extractor::new(old, &tables.old, &tables.holes, u64::MAX)?;
    let mut walk = Walk::new(extractor, map, &tables.old, &tables.new, &tables.anchors);
    let mut truth = Truth::new(script, &masked);
    for copy in &copies {
        truth.at = copy.new as usize;
        walk.copy(*copy, &mut truth)?;
    }
    drop(walk);
    let script = truth.finish();
    drop(masked);
    let (tables_len, packed) = tables.write();
    let (packing, packed_extra) = pack::extra(&extra)?;
    let (inside, packed_recipe) = match recipe {
        None => (None, Vec::new()),
        Some(recipe) => {
            let (recipe_len, packed) = recipe.write();
            let levels = recipe.levels.len() as u64;
            (Some(Inside { levels, recipe_len, old_len: lens.0, new_len: lens.1 }), packed)
        }
    };
    let header = Header {
        extractor: if tables.old.placed { extract::VERSION_PLACED } else { extract::VERSION },
        old_len: files.0.len() as u64,
        new_len: files.1.len() as u64,
        old_hash: hash(files.0),
        new_hash: hash(files.1),
        tables_len,
        copies: copies.len() as u64,
        extra_len: extra.len() as u64,
        packing,
        inside,
    };
    Ok(Parts { header, recipe: &packed_recipe, tables: &packed, script: &script, extra: &packed_extra }
        .write())
}

/// What travels of both structures.
fn tables(old: &Structure, new: &Structure) -> Tables {
    Tables {
        old: old.layout.clone(),
        new: Layout {
            images: new.layout.images.clone(),
            segments: new.layout.segments.clone(),
            ..Layout::default()
        },
        holes: old.derived.iter().map(|(d, _)| (d.offset, d.len)).collect(),
        derived: new.derived.iter().filter(|(_, holds)| *holds).map(|(d, _)| *d).collect(),
        anchors: Vec::new(),
    }
}

type Side<'a> = (&'a [u8], &'a Structure, &'a [(u64, u64)]);
type Bases = Vec<(Kind, u64)>;

/// What is nearly the same in both; and what the files' walked references are relative to.
fn match_files(old: Side<'_>, new: Side<'_>) -> Result<(Vec<Copy>, (Bases, Bases)), Error> {
    let mut of_old = Extractor::new(old.0, &old.1.layout, old.2, u64::MAX)?;
    let mut of_new = Extractor::new(new.0, &new.1.layout, new.2, u64::MAX)?;
    let bases = (of_old.bases(), of_new.bases());
    let known = !old.1.layout.regions.is_empty() && !new.1.layout.regions.is_empty();
    if !known {
        return Ok((matched(old.0, new.0, true)?, bases));
    }
    // First by what is at a target, then by where the first round found that targets went.
    let first = {
        let label = |extractor: &mut Extractor<'_, [u8]>, side: Side<'_>| {
            let masked = labels::labelled(extractor, side.0.len(), |_| 0)?;
            let layout = &side.1.layout;
            let mut out =
                labels::labelled(extractor, side.0.len(), |r| labels::content(&masked, layout, r.target))?;
            fill(&mut out, side.1, |t| labels::content(&masked, layout, t));
            Ok::<_, Error>(out)
        };
        matched(&label(&mut of_old, old)?, &label(&mut of_new, new)?, false)?
    };
    let map = Map::new(&first);
    drop(first);
    let translator = Translator { map: &map, old: &old.1.layout, new: &new.1.layout };
    let mut a = labels::labelled(&mut of_old, old.0.len(), |r| labels::hashed(translator.plain(r.target)))?;
    fill(&mut a, old.1, |t| labels::hashed(translator.plain(t)));
    let mut b = labels::labelled(&mut of_new, new.0.len(), |r| labels::hashed(r.target))?;
    fill(&mut b, new.1, labels::hashed);
    Ok((matched(&a, &b, true)?, bases))
}

/// Labels what the loader will fill.
fn fill(image: &mut [u8], structure: &Structure, label: impl Fn(u64) -> u32) {
    for (at, target) in &structure.filled {
        if let Some(bytes) = image.get_mut(*at as usize..).and_then(|b| b.first_chunk_mut::<4>()) {
            *bytes = label(*target).to_le_bytes();
        }
    }
}

/// Stretches of two images, by windows: the best ones, or those that are quickly found.
fn matched(old: &[u8], new: &[u8], best: bool) -> Result<Vec<Copy>, Error> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < new.len() {
        let to = new.len().min(at + WINDOW);
        // The same place of the old file, and an eighth around it.
        let from = at.saturating_sub(WINDOW / 8).min(old.len().saturating_sub(WINDOW + WINDOW / 4));
        let window = old.get(from..old.len().min(to + WINDOW / 8)).unwrap_or(&[]);
        let (window, part) = ((window, from as u32), (new.get(at..to).unwrap_or(&[]), at as u32));
        if best || window.0.len() < SEEDED {
            let suffixes = Suffixes::new(window.0).ok_or(Error::TooMuch("there is not enough memory"))?;
            matching::stretches(&suffixes, window, part, &mut out);
        } else {
            matching::stretches(&Seeds::new(window.0), window, part, &mut out);
        }
        at = to;
    }
    if out.len() as u64 > MOST_COPIES {
        // The shortest save the least.
        let mut lens: Vec<u32> = out.iter().map(|c| c.len).collect();
        lens.sort_unstable();
        let least = lens.get(out.len() - MOST_COPIES as usize).copied().unwrap_or(0);
        out.retain(|c| c.len > least);
    }
    Ok(out)
}

/// Notes the places that many references lean on, where the map does not know them.
fn anchors(tables: &mut Tables, of: (&Structure, &Structure), map: &Map, bases: (Bases, Bases)) {
    let Tables { old, new, .. } = &*tables;
    let translator = Translator { map, old, new };
    let mut found: Vec<(u64, u64)> = Vec::new();
    if bases.0.len() == bases.1.len() {
        let pairs = bases.0.iter().zip(&bases.1).filter(|(a, b)| a.0 == b.0 && a.0 != Kind::Count);
        found.extend(pairs.map(|(a, b)| (a.1, b.1)));
    }
    for (name, address) in &of.0.names {
        found.extend(of.1.names.iter().find(|n| n.0 == *name).map(|n| (*address, n.1)));
    }
    let regions = of.0.layout.regions.iter().filter(|r| r.a & RAW != 0);
    for (a, b) in regions.zip(of.1.layout.regions.iter().filter(|r| r.a & RAW != 0)) {
        found.push((a.a, b.a));
    }
    found.sort_unstable();
    found.dedup_by_key(|f| f.0);
    found.retain(|(from, to)| translator.plain(*from) != *to);
    found.truncate(1000);
    tables.anchors = found;
}
