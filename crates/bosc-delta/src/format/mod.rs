//! A patch's bytes. Drawn in docs/formats.md.
//!
//! - Here: the header, versions, where the parts are, how many copies.
//! - `numbers`: whole numbers in bytes. `tables`: layouts, derived ranges and anchors, and how many of each.

mod numbers;
mod tables;

pub(crate) use numbers::Numbers;
#[cfg(feature = "make")]
pub(crate) use numbers::{put, put_signed};
use tables::MOST_TABLES;
pub(crate) use tables::Tables;

use crate::extract;
use crate::packed::{Lens, MOST_LEVELS, MOST_RECIPE, Recipe, most_inside};
use crate::{Error, MAX_FILE};

const MAGIC: &[u8; 7] = b"boscdlt";
/// The version of the format of a patch between files as they are.
pub(crate) const VERSION: u8 = 1;
/// The version of the format of a patch between the insides of files.
pub(crate) const VERSION_INSIDE: u8 = 2;
/// Copies that a patch may have.
pub(crate) const MOST_COPIES: u64 = 1 << 20;
/// How the new bytes are packed. The numbers are in patches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Packing {
    /// By the models of `literals`.
    Models = 0,
    /// LZMA.
    Lzma = 1,
    /// Not at all.
    Raw = 2,
}

/// The header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) extractor: u8,
    pub(crate) old_len: u64,
    pub(crate) new_len: u64,
    pub(crate) old_hash: [u8; 32],
    pub(crate) new_hash: [u8; 32],
    pub(crate) tables_len: u64,
    pub(crate) copies: u64,
    pub(crate) extra_len: u64,
    pub(crate) packing: Packing,
    /// If the patch is between the insides of the files: everything from the tables on is about those.
    pub(crate) inside: Option<Inside>,
}

/// What the header says of insides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Inside {
    pub(crate) levels: u64,
    pub(crate) recipe_len: u64,
    pub(crate) old_len: u64,
    pub(crate) new_len: u64,
}

impl Header {
    /// Lengths of what the copies are between.
    pub(crate) fn lens(&self) -> (u64, u64) {
        self.inside.map_or((self.old_len, self.new_len), |i| (i.old_len, i.new_len))
    }

    /// The version of its format.
    pub(crate) fn version(&self) -> u8 {
        if self.inside.is_some() { VERSION_INSIDE } else { VERSION }
    }
}

/// A patch, taken apart.
#[derive(Debug)]
pub(crate) struct Parts<'a> {
    pub(crate) header: Header,
    /// Packed; nothing if the patch is between the files as they are.
    pub(crate) recipe: &'a [u8],
    /// Packed.
    pub(crate) tables: &'a [u8],
    pub(crate) script: &'a [u8],
    pub(crate) extra: &'a [u8],
}

impl<'a> Parts<'a> {
    /// Takes a patch apart.
    pub(crate) fn read(patch: &'a [u8]) -> Result<Parts<'a>, Error> {
        let mut n = Numbers::new(patch);
        if n.bytes::<7>().map_err(|_| Error::NotAPatch)? != *MAGIC {
            return Err(Error::NotAPatch);
        }
        let [format, extractor] = n.bytes::<2>()?;
        if ![VERSION, VERSION_INSIDE].contains(&format)
            || ![extract::VERSION, extract::VERSION_PLACED].contains(&extractor)
        {
            return Err(Error::Version { format, extractor });
        }
        let (old_len, new_len) = (n.number()?, n.number()?);
        for len in [old_len, new_len] {
            if len > MAX_FILE {
                return Err(Error::TooLong(len));
            }
        }
        let (old_hash, new_hash) = (n.bytes::<32>()?, n.bytes::<32>()?);
        let (inside, recipe) = if format == VERSION { (None, 0) } else { inside(&mut n, old_len, new_len)? };
        let (_, body_len) = inside.map_or((old_len, new_len), |i: Inside| (i.old_len, i.new_len));
        let (tables_len, tables) = (n.number()?, n.number()?);
        let (copies, script) = (n.number()?, n.number()?);
        let extra_len = n.number()?;
        let [packing] = n.bytes::<1>()?;
        let packing = match packing {
            0 => Packing::Models,
            1 => Packing::Lzma,
            2 => Packing::Raw,
            _ => return Err(Error::Damaged("its new bytes are packed in an unknown way")),
        };
        if tables_len > MOST_TABLES || copies > MOST_COPIES {
            return Err(Error::TooMuch("its tables or copies are too many"));
        }
        if extra_len > body_len || copies > body_len {
            return Err(Error::Damaged("it has more than its result"));
        }
        let header = Header {
            extractor,
            old_len,
            new_len,
            old_hash,
            new_hash,
            tables_len,
            copies,
            extra_len,
            packing,
            inside,
        };
        let recipe = n.slice(recipe)?;
        let parts =
            Parts { header, recipe, tables: n.slice(tables)?, script: n.slice(script)?, extra: n.rest() };
        Ok(parts)
    }

    /// How the insides come about; nothing if the patch is between the files as they are.
    pub(crate) fn recipe(&self) -> Result<Recipe, Error> {
        let h = &self.header;
        let Some(i) = h.inside else { return Ok(Recipe::default()) };
        let lens = Lens { old: h.old_len, new: h.new_len, inside_old: i.old_len, inside_new: i.new_len };
        Recipe::read(self.recipe, i.levels, i.recipe_len, lens)
    }

    /// Puts a patch together.
    #[cfg(feature = "make")]
    pub(crate) fn write(&self) -> Vec<u8> {
        let h = &self.header;
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&[h.version(), h.extractor]);
        put(&mut out, h.old_len);
        put(&mut out, h.new_len);
        out.extend_from_slice(&h.old_hash);
        out.extend_from_slice(&h.new_hash);
        if let Some(i) = h.inside {
            for n in [i.levels, i.recipe_len, self.recipe.len() as u64, i.old_len, i.new_len] {
                put(&mut out, n);
            }
        }
        for n in [h.tables_len, self.tables.len() as u64, h.copies, self.script.len() as u64, h.extra_len] {
            put(&mut out, n);
        }
        out.push(h.packing as u8);
        for part in [self.recipe, self.tables, self.script, self.extra] {
            out.extend_from_slice(part);
        }
        out
    }
}

/// What a header says of insides, and how long the recipe is.
fn inside(n: &mut Numbers<'_>, old_len: u64, new_len: u64) -> Result<(Option<Inside>, u64), Error> {
    let (levels, recipe_len, recipe) = (n.number()?, n.number()?, n.number()?);
    let inside = Inside { levels, recipe_len, old_len: n.number()?, new_len: n.number()? };
    if levels == 0 || levels > MOST_LEVELS || recipe_len > MOST_RECIPE {
        return Err(Error::TooMuch("its recipe is too long"));
    }
    if inside.old_len > most_inside(old_len) || inside.new_len > most_inside(new_len) {
        return Err(Error::TooMuch("there is too much inside"));
    }
    Ok((Some(inside), recipe))
}
