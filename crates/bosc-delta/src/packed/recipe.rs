//! Levels in a patch.

use super::deflate::Parameters;
use super::level::{Level, Method, Pack, Unpack, most_inside};
use crate::Error;
use crate::coder::{Decoder, Model, context};
use crate::format::Numbers;
#[cfg(feature = "make")]
use crate::format::put;

/// Packages within packages that are opened.
pub(crate) const MOST_LEVELS: u64 = 3;
/// Bytes of a recipe before it is packed.
pub(crate) const MOST_RECIPE: u64 = 1 << 20;

/// How the insides come about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Recipe {
    /// The outermost first.
    pub(crate) levels: Vec<Level>,
}

const FIT: Error = Error::Damaged("its recipe does not fit the files");

impl Recipe {
    /// Reads a recipe of `levels` levels and `len` bytes, packed, for an old file and insides of these lengths.
    pub(crate) fn read(packed: &[u8], levels: u64, len: u64, lens: Lens) -> Result<Recipe, Error> {
        if levels == 0 || levels > MOST_LEVELS || len > MOST_RECIPE {
            return Err(Error::TooMuch("its recipe is too long"));
        }
        let mut raw = Vec::with_capacity(len as usize);
        let mut coder = Decoder::new(packed);
        let mut model = Model::new(16, 1);
        for _ in 0..len {
            let byte = model.byte(&mut coder, &contexts(&raw), 0, 0);
            raw.push(byte);
            if coder.overrun() {
                return Err(Error::Damaged("its recipe ends early"));
            }
        }
        let mut n = Numbers::new(&raw);
        let levels = (0..levels).map(|_| level(&mut n)).collect::<Result<Vec<_>, _>>()?;
        let recipe = Recipe { levels };
        recipe.check(lens)?;
        Ok(recipe)
    }

    fn check(&self, lens: Lens) -> Result<(), Error> {
        let mut len = lens.old;
        for (i, level) in self.levels.iter().enumerate() {
            let mut end = 0;
            for p in &level.old {
                if p.offset < end || p.unpacked == 0 || p.packed < p.method.header_len() {
                    return Err(FIT);
                }
                end = p.offset.checked_add(p.packed).filter(|end| *end <= len).ok_or(FIT)?;
            }
            len = level.inside_len(len).filter(|l| *l <= most_inside(lens.old)).ok_or(FIT)?;
            let few = |pieces: usize, len: u64| pieces as u64 <= 4096 + len / 256;
            if !few(level.old.len(), lens.inside_old) || !few(level.new.len(), lens.inside_new) {
                return Err(Error::TooMuch("its recipe has too many pieces"));
            }
            let innermost = i + 1 == self.levels.len();
            let mut end = 0;
            for p in &level.new {
                if p.offset < end || p.unpacked == 0 {
                    return Err(FIT);
                }
                end = p.offset.checked_add(p.unpacked).ok_or(FIT)?;
            }
            if innermost && end > lens.inside_new || end > most_inside(lens.new) {
                return Err(FIT);
            }
        }
        if len == lens.inside_old { Ok(()) } else { Err(FIT) }
    }

    /// Writes it: its length, and packed.
    #[cfg(feature = "make")]
    pub(crate) fn write(&self) -> (u64, Vec<u8>) {
        let mut raw = Vec::new();
        self.levels.iter().for_each(|l| put_level(&mut raw, l));
        let mut coder = crate::coder::Encoder::new();
        let mut model = Model::new(16, 1);
        for (i, byte) in raw.iter().enumerate() {
            model.byte(&mut coder, &contexts(raw.get(..i).unwrap_or(&[])), 0, *byte);
        }
        (raw.len() as u64, coder.finish())
    }
}

/// Lengths of the files and of their innermost insides.
#[derive(Clone, Copy)]
pub(crate) struct Lens {
    pub(crate) old: u64,
    pub(crate) new: u64,
    pub(crate) inside_old: u64,
    pub(crate) inside_new: u64,
}

fn contexts(before: &[u8]) -> [u32; 4] {
    let mut last = before.iter().rev().map(|b| u64::from(*b));
    let mut next = || last.next().unwrap_or(0);
    let (a, b, c, d) = (next(), next(), next(), next());
    [context(&[1]), context(&[2, a]), context(&[3, a, b]), context(&[4, a, b, c, d])]
}

fn level(n: &mut Numbers<'_>) -> Result<Level, Error> {
    let count = n.number()?;
    let mut old = Vec::new();
    let gaps = column(n, count)?;
    let unpacked = column(n, count)?;
    let packed = column(n, count)?;
    let mut end = 0u64;
    for ((gap, unpacked), packed) in gaps.into_iter().zip(unpacked).zip(packed) {
        let [method] = n.bytes()?;
        let offset = end.checked_add(gap).ok_or(FIT)?;
        end = offset.checked_add(packed).ok_or(FIT)?;
        old.push(Unpack { offset, packed, unpacked, method: method_of(method)? });
    }
    let count = n.number()?;
    let mut new = Vec::new();
    let gaps = column(n, count)?;
    let unpacked = column(n, count)?;
    let mut end = 0u64;
    for (gap, unpacked) in gaps.into_iter().zip(unpacked) {
        let [method, a, b] = n.bytes()?;
        let offset = end.checked_add(gap).ok_or(FIT)?;
        end = offset.checked_add(unpacked).ok_or(FIT)?;
        let parameters =
            Parameters::from_bytes([a, b]).ok_or(Error::Damaged("its recipe packs in an unknown way"))?;
        new.push(Pack { offset, unpacked, method: method_of(method)?, parameters });
    }
    Ok(Level { old, new })
}

fn column(n: &mut Numbers<'_>, count: u64) -> Result<Vec<u64>, Error> {
    // Ends with the bytes if it is too long.
    (0..count).map(|_| n.number()).collect()
}

fn method_of(number: u8) -> Result<Method, Error> {
    match number {
        0 => Ok(Method::Deflate),
        1 => Ok(Method::Zlib),
        _ => Err(Error::Damaged("its recipe packs in an unknown way")),
    }
}

#[cfg(feature = "make")]
fn put_level(out: &mut Vec<u8>, level: &Level) {
    put(out, level.old.len() as u64);
    let mut end = 0;
    for p in &level.old {
        put(out, p.offset - end);
        end = p.offset + p.packed;
    }
    level.old.iter().for_each(|p| put(out, p.unpacked));
    level.old.iter().for_each(|p| put(out, p.packed));
    level.old.iter().for_each(|p| out.push(p.method as u8));
    put(out, level.new.len() as u64);
    let mut end = 0;
    for p in &level.new {
        put(out, p.offset - end);
        end = p.offset + p.unpacked;
    }
    level.new.iter().for_each(|p| put(out, p.unpacked));
    for p in &level.new {
        let [a, b] = p.parameters.to_bytes();
        out.extend_from_slice(&[p.method as u8, a, b]);
    }
}
