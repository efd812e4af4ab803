//! The datagrams of dht-rpc, version 3 (`dht-rpc/lib/io.js`).
//!
//! ```text
//! request  03 flags tid to [id] [token] command [target] [value]
//! reply    13 flags tid to [id] [token] [closer nodes] [error] [value]
//! ```
//!
//! `flags` and `command` are compact unsigned integers, `tid` is u16 little endian, `to` is the address the
//! datagram is sent to (so that the receiver learns how it is seen), ids, tokens and targets are 32 bytes.
//! Flags of a request: 1 id, 2 token, 4 internal command, 8 target, 16 value. Of a reply: 1 id, 2 token,
//! 4 closer nodes, 8 error, 16 value. An empty value reads as none. Bytes after the value are ignored, as
//! the JavaScript decoder ignores them.
//!
//! An id only counts when it is the hash of the address the datagram came from; any other is dropped here.

use crate::addr::{self, NodeId};
use bosc_format::codec::{DecodeError, Decoder, Encoder};
use bytes::Bytes;
use std::net::SocketAddrV4;

/// Proof that a node heard from an address before, needed to store anything.
pub type Token = [u8; 32];

/// First byte of a request.
pub const REQUEST: u8 = 0b0000_0011;
/// First byte of a reply.
pub const REPLY: u8 = 0b0001_0011;

/// Most closer nodes read from one reply; a node sends at most k = 20.
pub const MAX_CLOSER: usize = 32;

/// Whether a datagram belongs to the DHT. The sockets are shared with UDX (first byte 0xff) and with
/// holepunch probes (one byte, 0).
pub fn is_dht_datagram(bytes: &[u8]) -> bool {
    matches!(bytes, [REQUEST | REPLY, _, ..])
}

/// A request, as read from or written to a datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestMessage<'a> {
    /// Pairs the reply with the request.
    pub tid: u16,
    /// The address the sender sent this to.
    pub to: SocketAddrV4,
    /// The sender's id; absent when it is ephemeral.
    pub id: Option<NodeId>,
    /// A token the receiver gave the sender before.
    pub token: Option<Token>,
    /// Whether `command` is one of dht-rpc's own.
    pub internal: bool,
    /// What is asked.
    pub command: u64,
    /// The place in the id space the request is about.
    pub target: Option<NodeId>,
    /// The argument.
    pub value: Option<&'a [u8]>,
}

/// A reply, as read from or written to a datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyMessage<'a> {
    /// The request's.
    pub tid: u16,
    /// The address the sender saw the request come from.
    pub to: SocketAddrV4,
    /// The sender's id; absent when it is ephemeral.
    pub id: Option<NodeId>,
    /// Allows the receiver to store something at the sender.
    pub token: Option<Token>,
    /// Nodes close to the request's target.
    pub closer: Vec<SocketAddrV4>,
    /// 0, or why the request was refused.
    pub error: u64,
    /// The result.
    pub value: Option<&'a [u8]>,
}

/// One datagram of the DHT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message<'a> {
    /// A request.
    Request(RequestMessage<'a>),
    /// A reply.
    Reply(ReplyMessage<'a>),
}

fn checked_id(id: NodeId, from: SocketAddrV4) -> Option<NodeId> {
    (id == addr::node_id(from)).then_some(id)
}

/// Reads a datagram that came from `from`.
pub fn decode(bytes: &[u8], from: SocketAddrV4) -> Result<Message<'_>, DecodeError> {
    let mut d = Decoder::new(bytes);
    let kind = d.u8()?;
    if kind != REQUEST && kind != REPLY {
        return Err(DecodeError::Invalid("DHT datagram type"));
    }
    let flags = d.uint()?;
    let tid = d.u16()?;
    let to = addr::get_address(&mut d)?;
    let id = if flags & 1 != 0 { checked_id(d.fixed32()?, from) } else { None };
    let token = if flags & 2 != 0 { Some(d.fixed32()?) } else { None };
    if kind == REQUEST {
        let internal = flags & 4 != 0;
        let command = d.uint()?;
        let target = if flags & 8 != 0 { Some(d.fixed32()?) } else { None };
        let value = if flags & 16 != 0 { d.optional_buffer()? } else { None };
        return Ok(Message::Request(RequestMessage { tid, to, id, token, internal, command, target, value }));
    }
    let mut closer = Vec::new();
    if flags & 4 != 0 {
        let n = d.count(addr::ADDRESS_LEN)?;
        closer.reserve(n.min(MAX_CLOSER));
        for i in 0..n {
            let node = addr::get_address(&mut d)?;
            if i < MAX_CLOSER {
                closer.push(node);
            }
        }
    }
    let error = if flags & 8 != 0 { d.uint()? } else { 0 };
    let value = if flags & 16 != 0 { d.optional_buffer()? } else { None };
    Ok(Message::Reply(ReplyMessage { tid, to, id, token, closer, error, value }))
}

fn flag(on: bool, bit: u8) -> u8 {
    if on { bit } else { 0 }
}

fn put_optional(e: &mut Encoder, bytes: Option<&[u8; 32]>) {
    if let Some(b) = bytes {
        e.raw(b);
    }
}

impl RequestMessage<'_> {
    /// The datagram.
    pub fn encode(&self) -> Bytes {
        let mut e = Encoder::with_capacity(128 + self.value.map_or(0, <[u8]>::len));
        e.u8(REQUEST).u8(flag(self.id.is_some(), 1)
            | flag(self.token.is_some(), 2)
            | flag(self.internal, 4)
            | flag(self.target.is_some(), 8)
            | flag(self.value.is_some(), 16));
        e.u16(self.tid);
        addr::put_address(&mut e, self.to);
        put_optional(&mut e, self.id.as_ref());
        put_optional(&mut e, self.token.as_ref());
        e.uint(self.command);
        put_optional(&mut e, self.target.as_ref());
        if let Some(v) = self.value {
            e.buffer(v);
        }
        Bytes::from(e.finish())
    }
}

impl ReplyMessage<'_> {
    /// The datagram.
    pub fn encode(&self) -> Bytes {
        let room = 96 + self.closer.len() * addr::ADDRESS_LEN + self.value.map_or(0, <[u8]>::len);
        let mut e = Encoder::with_capacity(room);
        e.u8(REPLY).u8(flag(self.id.is_some(), 1)
            | flag(self.token.is_some(), 2)
            | flag(!self.closer.is_empty(), 4)
            | flag(self.error > 0, 8)
            | flag(self.value.is_some(), 16));
        e.u16(self.tid);
        addr::put_address(&mut e, self.to);
        put_optional(&mut e, self.id.as_ref());
        put_optional(&mut e, self.token.as_ref());
        if !self.closer.is_empty() {
            addr::put_addresses(&mut e, &self.closer);
        }
        if self.error > 0 {
            e.uint(self.error);
        }
        if let Some(v) = self.value {
            e.buffer(v);
        }
        Bytes::from(e.finish())
    }
}
