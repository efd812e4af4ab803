//! What a packer is told.

/// What the packer was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parameters {
    /// 1 to 9.
    pub(crate) level: u8,
    /// How much memory zlib was allowed: 1 to 9, most often 8.
    pub(crate) memory: u8,
    /// Whether blocks end as in gzip and Info-ZIP.
    pub(crate) gzip: bool,
}

impl Parameters {
    /// Two bytes of a recipe.
    pub(crate) fn from_bytes([level, rest]: [u8; 2]) -> Option<Parameters> {
        let p = Parameters { level, memory: rest & 15, gzip: rest & 16 != 0 };
        ((1..=9).contains(&p.level) && (1..=9).contains(&p.memory) && rest < 32).then_some(p)
    }

    #[cfg(feature = "make")]
    pub(crate) fn to_bytes(self) -> [u8; 2] {
        [self.level, self.memory | u8::from(self.gzip) << 4]
    }
}
