//! What travels inside a handshake's Noise messages and inside holepunch rounds (`noisePayload` and
//! `holepunchPayload` of `hyperdht/lib/messages.js`).

use crate::addr::{self, ADDRESS_LEN};
use crate::event::Relay;
use bosc_format::codec::{DecodeError, Decoder, Encoder};
use bosc_format::crypto::PublicKey;
use std::net::SocketAddrV4;

/// The version of the payload this crate speaks. Others are answered, not understood.
pub const VERSION: u64 = 1;

/// Bytes of an IPv6 address with its port.
const ADDRESS6_LEN: usize = 18;

/// What a peer knows of the firewall it is behind.
pub mod firewall {
    /// Nothing yet.
    pub const UNKNOWN: u64 = 0;
    /// Anybody can reach it.
    pub const OPEN: u64 = 1;
    /// Its NAT gives it the same port towards everybody.
    pub const CONSISTENT: u64 = 2;
    /// Its NAT gives it another port towards everybody.
    pub const RANDOM: u64 = 3;
}

/// What went wrong, as peers tell each other.
pub mod error {
    /// Nothing.
    pub const NONE: u64 = 0;
    /// The sender gives up.
    pub const ABORTED: u64 = 1;
    /// The sender speaks another version.
    pub const VERSION_MISMATCH: u64 = 2;
    /// The sender is busy with other holepunches.
    pub const TRY_LATER: u64 = 3;
}

/// How the listening peer can be holepunched.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HolepunchInfo {
    /// Names the handshake in holepunch rounds.
    pub id: u64,
    /// Relays the rounds can go through, and the listening peer as each sees it.
    pub relays: Vec<Relay>,
}

/// The UDX stream to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UdxInfo {
    /// Version, 1.
    pub version: u64,
    /// Whether the socket may be used for later connections.
    pub reusable_socket: bool,
    /// The sender's stream id: packets to the sender carry it.
    pub id: u32,
    /// The sender's first sequence number.
    pub seq: u64,
}

/// A blind relay the connection may go through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelayThrough {
    /// Version, 1.
    pub version: u64,
    /// The relay's key.
    pub public_key: PublicKey,
    /// Names the pairing there.
    pub token: [u8; 32],
}

/// The payload of a handshake message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoisePayload {
    /// [`VERSION`]; with any other, nothing else is set.
    pub version: u64,
    /// One of [`error`].
    pub error: u64,
    /// One of [`firewall`].
    pub firewall: u64,
    /// How the sender can be holepunched.
    pub holepunch: Option<HolepunchInfo>,
    /// Where the sender may be reached: its address as others see it first, if it is open, then those in its
    /// local network.
    pub addresses4: Vec<SocketAddrV4>,
    /// The UDX stream. A peer without is refused.
    pub udx: Option<UdxInfo>,
    /// The version of the secret stream.
    pub secret_stream: Option<u64>,
    /// The relay the sender would go through.
    pub relay_through: Option<RelayThrough>,
    /// Nodes that relay handshakes to the sender, for the next time.
    pub relay_addresses: Vec<SocketAddrV4>,
}

impl Default for NoisePayload {
    fn default() -> Self {
        Self {
            version: VERSION,
            error: error::NONE,
            firewall: firewall::UNKNOWN,
            holepunch: None,
            addresses4: Vec::new(),
            udx: None,
            secret_stream: None,
            relay_through: None,
            relay_addresses: Vec::new(),
        }
    }
}

impl NoisePayload {
    /// The payload's bytes, in version 1.
    pub fn encode(&self) -> Vec<u8> {
        let flags = u64::from(self.holepunch.is_some())
            | u64::from(!self.addresses4.is_empty()) << 1
            | u64::from(self.udx.is_some()) << 3
            | u64::from(self.secret_stream.is_some()) << 4
            | u64::from(self.relay_through.is_some()) << 5
            | u64::from(!self.relay_addresses.is_empty()) << 6;
        let mut e = Encoder::with_capacity(128);
        e.uint(VERSION).uint(flags).uint(self.error).uint(self.firewall);
        if let Some(h) = &self.holepunch {
            e.uint(h.id).uint(h.relays.len() as u64);
            for r in &h.relays {
                addr::put_address(&mut e, r.relay_address);
                addr::put_address(&mut e, r.peer_address);
            }
        }
        if !self.addresses4.is_empty() {
            addr::put_addresses(&mut e, &self.addresses4);
        }
        if let Some(u) = &self.udx {
            e.uint(u.version).uint(u64::from(u.reusable_socket)).uint(u64::from(u.id)).uint(u.seq);
        }
        if let Some(version) = self.secret_stream {
            e.uint(version);
        }
        if let Some(r) = &self.relay_through {
            e.uint(r.version).uint(0).raw(&r.public_key).raw(&r.token);
        }
        if !self.relay_addresses.is_empty() {
            addr::put_addresses(&mut e, &self.relay_addresses);
        }
        e.finish()
    }

    /// Reads a payload. One of another version comes back with nothing but its version. IPv6 addresses are
    /// skipped: the DHT does not use them.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut d = Decoder::new(bytes);
        let version = d.uint()?;
        if version != VERSION {
            return Ok(Self { version, ..Self::default() });
        }
        let flags = d.uint()?;
        let has = |bit: u32| flags >> bit & 1 != 0;
        let mut p = Self { error: d.uint()?, firewall: d.uint()?, ..Self::default() };
        if has(0) {
            p.holepunch = Some(HolepunchInfo { id: d.uint()?, relays: d.list(2 * ADDRESS_LEN, get_relay)? });
        }
        if has(1) {
            p.addresses4 = addr::get_addresses(&mut d)?;
        }
        if has(2) {
            let n = d.count(ADDRESS6_LEN)?;
            d.raw(n.saturating_mul(ADDRESS6_LEN))?;
        }
        if has(3) {
            let version = d.uint()?;
            let reusable_socket = d.uint()? & 1 != 0;
            let id = u32::try_from(d.uint()?).map_err(|_| DecodeError::Invalid("stream id"))?;
            p.udx = Some(UdxInfo { version, reusable_socket, id, seq: d.uint()? });
        }
        if has(4) {
            p.secret_stream = Some(d.uint()?);
        }
        if has(5) {
            let version = d.uint()?;
            d.uint()?;
            p.relay_through = Some(RelayThrough { version, public_key: d.fixed32()?, token: d.fixed32()? });
        }
        if has(6) {
            p.relay_addresses = addr::get_addresses(&mut d)?;
        }
        Ok(p)
    }
}

fn get_relay(d: &mut Decoder<'_>) -> Result<Relay, DecodeError> {
    Ok(Relay { relay_address: addr::get_address(d)?, peer_address: addr::get_address(d)? })
}

/// The payload of a holepunch round, sealed by [`super::SecurePayload`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HolepunchPayload {
    /// One of [`error`].
    pub error: u64,
    /// One of [`firewall`].
    pub firewall: u64,
    /// Counts the rounds of one connection.
    pub round: u64,
    /// The sender has a connection already.
    pub connected: bool,
    /// The sender is punching.
    pub punching: bool,
    /// The sender's addresses as others see them.
    pub addresses: Option<Vec<SocketAddrV4>>,
    /// Where the sender has opened a session to.
    pub remote_address: Option<SocketAddrV4>,
    /// To be shown back, to prove the address it was sent to.
    pub token: Option<[u8; 32]>,
    /// A token shown back.
    pub remote_token: Option<[u8; 32]>,
}

impl HolepunchPayload {
    /// The payload's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let flags = u64::from(self.connected)
            | u64::from(self.punching) << 1
            | u64::from(self.addresses.is_some()) << 2
            | u64::from(self.remote_address.is_some()) << 3
            | u64::from(self.token.is_some()) << 4
            | u64::from(self.remote_token.is_some()) << 5;
        let mut e = Encoder::with_capacity(96);
        e.uint(flags).uint(self.error).uint(self.firewall).uint(self.round);
        if let Some(list) = &self.addresses {
            addr::put_addresses(&mut e, list);
        }
        if let Some(a) = self.remote_address {
            addr::put_address(&mut e, a);
        }
        for token in [&self.token, &self.remote_token].into_iter().flatten() {
            e.raw(token);
        }
        e.finish()
    }

    /// Reads a payload.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut d = Decoder::new(bytes);
        let flags = d.uint()?;
        let has = |bit: u32| flags >> bit & 1 != 0;
        Ok(Self {
            error: d.uint()?,
            firewall: d.uint()?,
            round: d.uint()?,
            connected: has(0),
            punching: has(1),
            addresses: if has(2) { Some(addr::get_addresses(&mut d)?) } else { None },
            remote_address: if has(3) { Some(addr::get_address(&mut d)?) } else { None },
            token: if has(4) { Some(d.fixed32()?) } else { None },
            remote_token: if has(5) { Some(d.fixed32()?) } else { None },
        })
    }
}
