//! What a peer says to a blind peer, a peer that keeps others' cores available without being able to read more of them than
//! anybody else: npm `blind-peer-muxer` 1.2, file `spec/hyperschema/index.js`, as `blind-peering` 2.0 and `blind-peer` 3.8 use it.
//!
//! ```text
//!   client: opens the protomux channel PROTOCOL, without id and handshake ──▶ blind peer: opens its own, or rejects it
//!           message 0, `Cores`: "keep these"                              ──▶ opens a replication channel for each, and downloads it
//! ```
//!
//! There is no answer: a blind peer that keeps a core replicates it on the same connection, and one that does not want to closes the
//! channel. What it keeps is proved block by block against the core's key, as with any peer.
//!
//! # Invariants
//!
//! * A message names at most [`MAX_CORES`] cores; one that claims more is an error before memory is taken for them.
//! * Unknown flags and bytes behind a message are ignored, as npm does.

use bosc_format::codec::{DecodeError, Decoder, Encoder};
use bosc_format::crypto::CoreKey;

/// Name of the channel.
pub const PROTOCOL: &str = "blind-peer";
/// Number of the only message.
pub const CORES: u32 = 0;
/// Most cores in one message. `blind-peering` sends a few dozen at most.
pub const MAX_CORES: usize = 256;

const REFERRER: u64 = 1;
const PRIORITY: u64 = 2;
const ANNOUNCE: u64 = 4;

/// A core to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish {
    /// Its key.
    pub key: CoreKey,
    /// How many blocks the client has of it.
    pub length: u64,
}

/// "Keep these cores."
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cores {
    /// A core that these belong to.
    pub referrer: Option<CoreKey>,
    /// What is cleared last has the greatest one: 0 or 1, more is for operators.
    pub priority: u64,
    /// Announce them, so that others find the blind peer by their topics. Blind peers do that for clients they trust.
    pub announce: bool,
    /// Which.
    pub cores: Vec<Wish>,
}

impl Cores {
    /// Its bytes. Of more than [`MAX_CORES`] cores the first ones.
    pub fn encode(&self) -> Vec<u8> {
        let cores = self.cores.get(..MAX_CORES).unwrap_or(&self.cores);
        let mut e = Encoder::with_capacity(64 + cores.len() * 41);
        let mut flags = if self.announce { ANNOUNCE } else { 0 };
        flags |= if self.referrer.is_some() { REFERRER } else { 0 };
        flags |= if self.priority > 0 { PRIORITY } else { 0 };
        e.uint(flags);
        if let Some(referrer) = &self.referrer {
            e.raw(referrer);
        }
        if self.priority > 0 {
            e.uint(self.priority);
        }
        e.uint(cores.len() as u64);
        for Wish { key, length } in cores {
            e.raw(key).uint(*length);
        }
        e.finish()
    }

    /// Reads it.
    ///
    /// # Errors
    /// When it is shorter than it has to be, or names more than [`MAX_CORES`] cores.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut d = Decoder::new(bytes);
        let flags = d.uint()?;
        let referrer = if flags & REFERRER != 0 { Some(d.fixed32()?) } else { None };
        let priority = if flags & PRIORITY != 0 { d.uint()? } else { 0 };
        let count = usize::try_from(d.uint()?).ok().filter(|n| *n <= MAX_CORES);
        let count = count.ok_or(DecodeError::TooLarge("number of cores"))?;
        let mut cores = Vec::new();
        for _ in 0..count {
            cores.push(Wish { key: d.fixed32()?, length: d.uint()? });
        }
        Ok(Self { referrer, priority, announce: flags & ANNOUNCE != 0, cores })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    /// Made by `encode('@blind-peer/cores', ...)` of npm blind-peer-muxer 1.2.0.
    #[test]
    fn bytes_are_those_of_npm() {
        let wish = |n: u8, length| Wish { key: [n; 32], length };
        let small = Cores { cores: vec![wish(1, 5)], ..Cores::default() };
        assert_eq!(hex(&small.encode()), format!("0001{}05", "01".repeat(32)));
        let full = Cores {
            referrer: Some([9; 32]),
            priority: 1,
            announce: true,
            cores: vec![wish(2, 300), wish(3, 0)],
        };
        let expected = format!("07{}0102{}fd2c01{}00", "09".repeat(32), "02".repeat(32), "03".repeat(32));
        assert_eq!(hex(&full.encode()), expected);
        for message in [small, full] {
            assert_eq!(Cores::decode(&message.encode()), Ok(message));
        }
    }

    #[test]
    fn what_claims_more_than_it_has_takes_no_memory_and_is_an_error() {
        let mut e = Encoder::with_capacity(16);
        e.uint(0).uint(u64::MAX);
        assert_eq!(Cores::decode(&e.finish()), Err(DecodeError::TooLarge("number of cores")));
        let whole = Cores { cores: vec![Wish { key: [1; 32], length: 5 }; 3], ..Cores::default() }.encode();
        for end in 0..whole.len() {
            assert!(Cores::decode(&whole[..end]).is_err(), "{end}");
        }
        let many = Cores { cores: vec![Wish { key: [1; 32], length: 5 }; 999], ..Cores::default() };
        assert_eq!(Cores::decode(&many.encode()).unwrap().cores.len(), MAX_CORES);
    }
}
