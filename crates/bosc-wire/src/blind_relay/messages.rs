//! The messages of the channel, as npm `blind-relay` 1.6 encodes them.

use bosc_format::codec::{DecodeError, Decoder, Encoder};

/// Names a pairing. Random; whoever knows it can take a half of it.
pub type Token = [u8; 32];

/// "I am this half of the pairing, on this stream." The relay's answer has the same shape, with its own stream's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// Which half: that of the peer whose relay it is.
    pub is_initiator: bool,
    /// Names the pairing.
    pub token: Token,
    /// UDX stream id of the sender: packets to the sender carry it.
    pub id: u32,
    /// Its first sequence number.
    pub seq: u64,
}

/// "It is over."
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unpair {
    /// Names the pairing.
    pub token: Token,
}

/// A message of the channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// Number 0.
    Pair(Pair),
    /// Number 1.
    Unpair(Unpair),
}

impl Message {
    /// The number of its type on the channel.
    pub fn ty(&self) -> u32 {
        match self {
            Self::Pair(_) => 0,
            Self::Unpair(_) => 1,
        }
    }

    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::with_capacity(48);
        match self {
            Self::Pair(p) => {
                e.u8(u8::from(p.is_initiator)).raw(&p.token).uint(u64::from(p.id)).uint(p.seq);
            }
            Self::Unpair(u) => {
                e.u8(0).raw(&u.token);
            }
        }
        e.finish()
    }

    /// Reads a message of type `ty`; none for a type that does not exist. Unknown flags and bytes behind it are ignored, as in npm.
    ///
    /// # Errors
    /// When it is shorter than it has to be, or a stream id has more than 32 bits.
    pub fn decode(ty: u32, bytes: &[u8]) -> Result<Option<Self>, DecodeError> {
        let mut d = Decoder::new(bytes);
        match ty {
            0 => {
                let flags = d.u8()?;
                let token = d.fixed32()?;
                let id = u32::try_from(d.uint()?).map_err(|_| DecodeError::TooLarge("stream id"))?;
                Ok(Some(Self::Pair(Pair { is_initiator: flags & 1 != 0, token, id, seq: d.uint()? })))
            }
            1 => {
                d.u8()?;
                Ok(Some(Self::Unpair(Unpair { token: d.fixed32()? })))
            }
            _ => Ok(None),
        }
    }
}
