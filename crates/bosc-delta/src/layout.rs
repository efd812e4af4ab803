//! Where a file's bytes lie in memory, and which of them hold references. A patch carries both for the old file.
//!
//! Addresses here are relative to the lowest one of their image, with the number of the image (a universal Mach-O holds
//! several) from bit 48. A place that is nowhere in memory is its position in the file, with bit 63.

/// Marks a position in the file.
pub(crate) const RAW: u64 = 1 << 63;
/// From here on, bits of an address are the number of its image.
pub(crate) const IMAGE_SHIFT: u32 = 48;

/// Bytes of the file in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Segment {
    pub(crate) address: u64,
    pub(crate) offset: u64,
    pub(crate) file_len: u64,
    pub(crate) memory_len: u64,
}

/// How references are found in a region. The numbers are in patches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum RegionKind {
    /// Nothing is looked for.
    Nothing = 0,
    X86 = 1,
    Arm64 = 2,
    /// Addresses in place, of 64 bits, aligned.
    Pointers = 3,
    /// Data with jump tables of x86; `a` = 1 if there are pointers as well.
    Constants = 4,
    /// ELF relocations with addends.
    Rela = 5,
    /// ELF symbols; `a`: where their names start.
    Symbols = 6,
    /// Frames of C++ exceptions; `a` = 1 for fields of 64 bits, as in Mach-O.
    EhFrame = 7,
    /// Addresses of 32 bits, relative to `a`; `b`: where they start within.
    Relative = 8,
    /// Data of Mach-O: chained pointers or plain ones.
    MachoData = 9,
    /// Go's function table; `a`: position of its module data + 1, `b`: position of its type links + 1.
    Go = 10,
    /// Symbols of Mach-O; `a`: where their names start.
    Nlist = 11,
    /// Numbers of 32 bits that move together, such as indexes into a table that grew.
    Counts = 12,
    /// Compact unwinding of Mach-O.
    Unwind = 13,
    /// x86 code with jump tables between its functions, as in Mach-O.
    X86Tables = 14,
}

impl RegionKind {
    pub(crate) fn from_number(n: u8) -> Option<RegionKind> {
        use RegionKind::*;
        let all = [
            Nothing, X86, Arm64, Pointers, Constants, Rela, Symbols, EhFrame, Relative, MachoData, Go, Nlist,
            Counts, Unwind, X86Tables,
        ];
        all.get(usize::from(n)).copied()
    }

    pub(crate) fn is_code(self) -> bool {
        matches!(self, RegionKind::X86 | RegionKind::Arm64 | RegionKind::X86Tables)
    }
}

/// A part of the old file with references of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Region {
    pub(crate) kind: RegionKind,
    pub(crate) offset: u64,
    pub(crate) len: u64,
    /// Address of its first byte.
    pub(crate) address: u64,
    pub(crate) a: u64,
    pub(crate) b: u64,
}

impl Region {
    pub(crate) fn end(&self) -> u64 {
        self.offset.saturating_add(self.len)
    }
}

/// A file's layout.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Layout {
    /// The lowest address of each image.
    pub(crate) images: Vec<u64>,
    pub(crate) segments: Vec<Segment>,
    /// In order of their offsets, none over another.
    pub(crate) regions: Vec<Region>,
    /// Parts that are walked as a whole; they may lie over regions.
    pub(crate) walks: Vec<Region>,
    /// Whether programs may begin anywhere in the file, not only at whole pages: version 2 of the extractor.
    pub(crate) placed: bool,
}

impl Layout {
    /// The address of a position.
    pub(crate) fn address(&self, offset: u64) -> u64 {
        for s in &self.segments {
            let within = offset.wrapping_sub(s.offset);
            if within < s.file_len {
                return s.address.wrapping_add(within);
            }
        }
        offset | RAW
    }

    /// The position of an address, if it is in the file.
    pub(crate) fn offset(&self, address: u64) -> Option<u64> {
        if address & RAW != 0 {
            return Some(address & !RAW);
        }
        for s in &self.segments {
            let within = address.wrapping_sub(s.address);
            if within < s.file_len {
                return s.offset.checked_add(within);
            }
        }
        None
    }

    /// Whether something lies at an address.
    pub(crate) fn covers(&self, address: u64) -> bool {
        self.segments.iter().any(|s| address.wrapping_sub(s.address) < s.memory_len.max(s.file_len))
    }

    /// The segment, by its number, that an address is in.
    pub(crate) fn segment_of(&self, address: u64) -> Option<usize> {
        self.segments.iter().position(|s| address.wrapping_sub(s.address) < s.memory_len.max(s.file_len))
    }

    /// The lowest real address of the image that `address` is in.
    pub(crate) fn image_base(&self, address: u64) -> u64 {
        self.images.get(image_of(address)).copied().unwrap_or(0)
    }

    /// The relative address of a real one that was found at `place`, if something lies there.
    pub(crate) fn pointer(&self, value: u64, place: u64) -> Option<u64> {
        let within = value.wrapping_sub(self.image_base(place));
        if within >> IMAGE_SHIFT != 0 || place & RAW != 0 {
            return None;
        }
        let address = place & !(u64::MAX >> (64 - IMAGE_SHIFT)) | within;
        self.covers(address).then_some(address)
    }
}

/// The number of the image that an address is in.
pub(crate) fn image_of(address: u64) -> usize {
    (address >> IMAGE_SHIFT & 0x7fff) as usize
}

/// An address without its image.
pub(crate) fn plain(address: u64) -> u64 {
    address & (u64::MAX >> (64 - IMAGE_SHIFT))
}
