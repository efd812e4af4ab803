//! How far a release goes, and who is in it.

use bosc_format::crypto::hash;
use semver::Version;
use thiserror::Error;

/// A part of all installations, in hundredths of a percent: 0 to 10,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Share(u16);

/// A text or number is no share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a share is 0 to 100 percent, with at most two decimals")]
pub struct InvalidShare;

impl Share {
    /// Nobody.
    pub const NONE: Self = Self(0);
    /// Everybody.
    pub const ALL: Self = Self(10_000);

    /// From hundredths of a percent.
    ///
    /// # Errors
    /// It is above 10,000.
    pub fn from_hundredths(hundredths: u64) -> Result<Self, InvalidShare> {
        u16::try_from(hundredths).ok().filter(|h| *h <= Self::ALL.0).map(Self).ok_or(InvalidShare)
    }

    /// In hundredths of a percent.
    pub fn hundredths(self) -> u16 {
        self.0
    }

    /// Nobody.
    pub fn is_none(self) -> bool {
        self == Self::NONE
    }

    /// Everybody.
    pub fn is_all(self) -> bool {
        self == Self::ALL
    }

    /// Whether an installation is among those that this share of a version reaches.
    pub fn reaches(self, installation: &Installation, version: &Version) -> bool {
        installation.place(version) < self.0
    }
}

/// `10`, `10%`, `0.5 %`.
impl std::str::FromStr for Share {
    type Err = InvalidShare;

    fn from_str(text: &str) -> Result<Self, InvalidShare> {
        let text = text.trim();
        let text = text.strip_suffix('%').map_or(text, str::trim_end);
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |s: &str, most: usize| {
            let fits = (1..=most).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_digit());
            if fits { s.parse::<u64>().map_err(|_| InvalidShare) } else { Err(InvalidShare) }
        };
        let part = digits(part, 2)? * if part.len() == 1 { 10 } else { 1 };
        Self::from_hundredths(digits(whole, 3)? * 100 + part)
    }
}

impl std::fmt::Display for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.0 / 100, self.0 % 100) {
            (whole, 0) => write!(f, "{whole} %"),
            (whole, part) if part % 10 == 0 => write!(f, "{whole}.{} %", part / 10),
            (whole, part) => write!(f, "{whole}.{part:02} %"),
        }
    }
}

/// 32 random bytes that a client makes once and shows to nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct Installation([u8; 32]);

impl Installation {
    /// From what was made and kept.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its place in a version, 0 to 9,999: a [`Share`] above it reaches it. `BLAKE2b-256("bosc rollout" || installation || version)`, its
    /// first 8 bytes as a little-endian number, modulo 10,000. What follows a `+` in the version does not count.
    fn place(&self, version: &Version) -> u16 {
        let version = Version { build: semver::BuildMetadata::EMPTY, ..version.clone() };
        let hash = hash(&[b"bosc rollout", &self.0, version.to_string().as_bytes()]);
        let first = hash.first_chunk::<8>().copied().unwrap_or_default();
        // Below 10,000.
        u16::try_from(u64::from_le_bytes(first) % u64::from(Share::ALL.0)).unwrap_or(u16::MAX)
    }
}

impl std::fmt::Debug for Installation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Installation(..)")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn a_share_as_text() {
        for (text, hundredths) in [
            ("0", 0),
            ("10%", 1_000),
            (" 10 % ", 1_000),
            ("0.5", 50),
            ("0.05%", 5),
            ("100", 10_000),
            ("33.33", 3_333),
        ] {
            assert_eq!(text.parse::<Share>().unwrap().hundredths(), hundredths, "{text}");
        }
        for text in ["", "%", "-1", "101", "100.01", "1.234", "1e2", "ten", "+5", "1.", ".5", "1.-1", "0010"]
        {
            assert!(text.parse::<Share>().is_err(), "{text}");
        }
        for text in ["0 %", "10 %", "0.5 %", "0.05 %", "100 %", "33.33 %", "99.9 %"] {
            assert_eq!(text.parse::<Share>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_share_reaches_its_part_and_keeps_those_it_reached() {
        let version = Version::new(1, 2, 3);
        let all: Vec<_> = (0..20_000u64).map(|i| Installation::new(hash(&[&i.to_le_bytes()]))).collect();
        let mut before = 0;
        for percent in [0, 1, 10, 50, 99, 100] {
            let share = Share::from_hundredths(percent * 100).unwrap();
            let reached = all.iter().filter(|i| share.reaches(i, &version)).count() as u64;
            let expected = 20_000 * percent / 100;
            assert!(reached.abs_diff(expected) <= 400, "{percent} %: {reached}");
            let lower = Share::from_hundredths(before).unwrap();
            assert!(all.iter().all(|i| !lower.reaches(i, &version) || share.reaches(i, &version)));
            before = percent * 100;
        }
        assert!(all.iter().all(|i| Share::ALL.reaches(i, &version) && !Share::NONE.reaches(i, &version)));
        // Who is first in one version is not first in the next.
        let tenth = Share::from_hundredths(1_000).unwrap();
        let both =
            all.iter().filter(|i| tenth.reaches(i, &version) && tenth.reaches(i, &Version::new(1, 2, 4)));
        assert!(both.count() < 400);
    }

    #[test]
    fn a_place_does_not_change() {
        let installation = Installation::new([7; 32]);
        assert_eq!(
            installation.place(&Version::new(1, 0, 0)),
            installation.place(&"1.0.0+5".parse().unwrap())
        );
        assert_eq!(installation.place(&Version::new(1, 0, 0)), PLACE);
        assert_eq!(format!("{installation:?}"), "Installation(..)");
    }

    /// Computed with another BLAKE2b. Another place would move everybody.
    const PLACE: u16 = 8_653;
}
