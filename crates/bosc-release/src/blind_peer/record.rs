//! What is remembered of a core that is kept for others.
//!
//! # Format
//!
//! Bytes of the core's own in the store (`Core::set_user_data`), under [`NAME`]; they are gone with the core:
//!
//! ```text
//! 1          version
//! 1 byte     flags: 1 announced, 2 asked for by a client that is allowed by name
//! 1 byte     priority: 0 or 1
//! 3 bytes    the network (/24) of the client that asked first
//! 8 bytes    seconds since 1970 when somebody wanted it last (big endian)
//! ```
//!
//! A core without them, or with others, is none of the blind peer's: it is neither counted nor cleared.

/// Name in the store.
pub(super) const NAME: &str = "bosc-blind-peer";
const VERSION: u8 = 1;
const ANNOUNCED: u8 = 1;
const TRUSTED: u8 = 2;

/// See the module.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) announce: bool,
    pub(super) trusted: bool,
    pub(super) priority: u8,
    pub(super) network: [u8; 3],
    pub(super) wanted: u64,
}

impl Record {
    pub(super) fn encode(&self) -> Vec<u8> {
        let flags = u8::from(self.announce) * ANNOUNCED + u8::from(self.trusted) * TRUSTED;
        let [a, b, c] = self.network;
        let mut out = vec![VERSION, flags, self.priority, a, b, c];
        out.extend_from_slice(&self.wanted.to_be_bytes());
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let [VERSION, flags, priority, a, b, c, wanted @ ..] = bytes else { return None };
        Some(Self {
            announce: flags & ANNOUNCED != 0,
            trusted: flags & TRUSTED != 0,
            priority: (*priority).min(1),
            network: [*a, *b, *c],
            wanted: u64::from_be_bytes(wanted.try_into().ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let record =
            Record { announce: true, trusted: false, priority: 1, network: [10, 0, 7], wanted: 1 << 40 };
        let bytes = record.encode();
        assert_eq!(Record::decode(&bytes), Some(record));
        let other = Record { trusted: true, ..Record::default() };
        assert_eq!(Record::decode(&other.encode()), Some(other));
        for end in 0..bytes.len() {
            assert_eq!(Record::decode(&bytes[..end]), None);
        }
        assert_eq!(Record::decode(&[bytes, vec![0]].concat()), None);
    }
}
