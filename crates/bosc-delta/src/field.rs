//! A reference: a field of some bytes that stands for an address.

use crate::layout::plain;
#[cfg(feature = "make")]
use crate::layout::{IMAGE_SHIFT, RAW};

/// How a field stands for its target. The numbers are contexts of the coder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Kind {
    /// x86: from the end of the instruction; a branch.
    Branch = 0,
    /// x86: likewise, data.
    Data = 1,
    /// A real address of 64 bits.
    Absolute = 2,
    /// 32 bits from the reference's base.
    FromBase = 3,
    /// 32 bits from the field itself.
    FromHere = 4,
    /// 32 bits back from the field.
    Back = 5,
    /// arm64 `b` and `bl`.
    ArmBranch = 6,
    /// arm64 `adrp`: the page.
    ArmPage = 7,
    /// arm64: the lower 12 bits.
    ArmLow = 8,
    /// x86 jump table: 32 bits from its start.
    Jump = 9,
    /// Mach-O chained pointer: the lower 36 bits.
    Chained = 10,
    /// A number that moves as its neighbours did. The base says which neighbours.
    Count = 11,
    /// 64 bits from the field itself.
    FromHere64 = 12,
    /// The lower 24 bits, from the base.
    FromBase24 = 13,
}

impl Kind {
    /// Its length in bytes.
    pub(crate) fn len(self) -> usize {
        match self {
            Kind::Absolute | Kind::Chained | Kind::FromHere64 => 8,
            _ => 4,
        }
    }
}

/// A reference in the old file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reference {
    /// Position in the file.
    pub(crate) offset: u64,
    pub(crate) kind: Kind,
    /// Bytes from the field to the end of the instruction, or the scale of arm64's lower bits.
    pub(crate) tail: u8,
    /// Its target's address; for a count nothing.
    pub(crate) target: u64,
    /// What it is relative to, where the kind says so.
    pub(crate) base: u64,
}

impl Reference {
    pub(crate) fn end(&self) -> u64 {
        self.offset.saturating_add(self.kind.len() as u64)
    }
}

/// Sign-extends the lowest `bits`.
pub(crate) fn signed(v: u32, bits: u32) -> i64 {
    i64::from(((v << (32 - bits)) as i32) >> (32 - bits))
}

const LOW36: u64 = 0xf_ffff_ffff;

/// A field of the new file, whose place and base are known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    pub(crate) kind: Kind,
    pub(crate) tail: u8,
    /// Its address in the new file.
    pub(crate) here: u64,
    /// The new base.
    pub(crate) base: u64,
    /// The lowest real address of the image that the target is in.
    pub(crate) image: u64,
    /// Its bytes in the old file: they hold what is not the address.
    pub(crate) old: [u8; 8],
}

impl Field {
    fn word(&self) -> u32 {
        low(self.old)
    }

    /// The bytes of the field for a target. Only `kind.len()` of them count.
    pub(crate) fn encode(&self, target: u64) -> [u8; 8] {
        let word = self.word();
        let t = target as u32;
        let here = self.here as u32;
        let v = match self.kind {
            Kind::Branch | Kind::Data => t.wrapping_sub(here).wrapping_sub(u32::from(self.tail)),
            Kind::FromHere => t.wrapping_sub(here),
            Kind::Back => here.wrapping_sub(t),
            Kind::FromBase | Kind::Jump => t.wrapping_sub(self.base as u32),
            Kind::FromBase24 => word & 0xff00_0000 | t.wrapping_sub(self.base as u32) & 0xff_ffff,
            Kind::Count => t,
            Kind::ArmBranch => word & 0xfc00_0000 | (t.wrapping_sub(here) as i32 >> 2) as u32 & 0x3ff_ffff,
            Kind::ArmPage => {
                let pages = (plain(target) as i64 >> 12).wrapping_sub(plain(self.here) as i64 >> 12) as u32;
                word & 0x9f00_001f | (pages & 3) << 29 | (pages >> 2 & 0x7_ffff) << 5
            }
            Kind::ArmLow => word & !(0xfff << 10) | ((t & 0xfff) >> self.tail) << 10,
            Kind::Absolute => return self.image.wrapping_add(plain(target)).to_le_bytes(),
            Kind::Chained => {
                return (u64::from_le_bytes(self.old) & !LOW36 | plain(target) & LOW36).to_le_bytes();
            }
            Kind::FromHere64 => return target.wrapping_sub(self.here).to_le_bytes(),
        };
        wide(v)
    }

    /// The target that bytes stand for, if they can. Near `guess` where the bytes do not say everything.
    #[cfg(feature = "make")]
    pub(crate) fn decode(&self, bytes: [u8; 8], guess: u64) -> Option<u64> {
        let (x, word) = (low(bytes), self.word());
        let here = self.here;
        let whole = u64::from_le_bytes(bytes);
        let image = guess & !(u64::MAX >> (64 - IMAGE_SHIFT));
        let near = |v: u32| guess.wrapping_add(i64::from(v.wrapping_sub(guess as u32) as i32) as u64);
        Some(match self.kind {
            Kind::Branch | Kind::Data => near(x.wrapping_add(here as u32).wrapping_add(u32::from(self.tail))),
            Kind::FromHere => near(x.wrapping_add(here as u32)),
            Kind::Back => near((here as u32).wrapping_sub(x)),
            Kind::FromBase | Kind::Jump => near(x.wrapping_add(self.base as u32)),
            Kind::FromBase24 if word >> 24 == x >> 24 => {
                let v = (x & 0xff_ffff).wrapping_add(self.base as u32);
                near(guess as u32 & 0xff00_0000 | v & 0xff_ffff)
            }
            Kind::Count => near(x),
            Kind::ArmBranch if word & 0xfc00_0000 == x & 0xfc00_0000 => {
                near((here as u32).wrapping_add((signed(x & 0x3ff_ffff, 26) * 4) as u32))
            }
            Kind::ArmPage if word & 0x9f00_001f == x & 0x9f00_001f => {
                let pages = signed(x >> 29 & 3 | (x >> 5 & 0x7_ffff) << 2, 21);
                let page = (plain(here) as i64 >> 12).wrapping_add(pages);
                image | plain((page << 12) as u64 | guess & 0xfff)
            }
            Kind::ArmLow if word & !(0xfff << 10) == x & !(0xfff << 10) => {
                let kept = guess & ((1 << self.tail) - 1);
                guess & !0xfff | u64::from((x >> 10 & 0xfff) << self.tail) & 0xfff | kept
            }
            Kind::Absolute => {
                let within = whole.wrapping_sub(self.image);
                if within >> IMAGE_SHIFT != 0 || guess & RAW != 0 {
                    return None;
                }
                image | within
            }
            Kind::Chained if whole & !LOW36 == u64::from_le_bytes(self.old) & !LOW36 && guess & RAW == 0 => {
                image | whole & LOW36
            }
            Kind::FromHere64 => whole.wrapping_add(here),
            _ => return None,
        })
    }
}

fn low(bytes: [u8; 8]) -> u32 {
    u64::from_le_bytes(bytes) as u32
}

fn wide(v: u32) -> [u8; 8] {
    u64::from(v).to_le_bytes()
}
