//! Reading messages that came together: blocks among them are hashed side by side before the first is looked at.

use super::messages::{Data, MessageType};
use super::peer::Peer;
use bosc_format::codec::DecodeError;
use bosc_format::proof::HashedProof;
use bytes::Bytes;

/// A message, read as far as it can be alone.
pub(super) struct Incoming {
    /// Length of the payload.
    pub(super) bytes: usize,
    pub(super) message: Message,
}

pub(super) enum Message {
    /// An answer to this request.
    Data(u64, Box<HashedProof>),
    Other(MessageType, Bytes),
    /// No number of ours.
    Unknown,
    Malformed(DecodeError),
}

/// Reads messages of `peer`. Only blocks that it was asked for are worth hashing; nothing is decided here.
pub(super) fn read(messages: Vec<(u32, Bytes)>, peer: &Peer) -> Vec<Incoming> {
    let mut proofs = Vec::new();
    let mut asked = Vec::new();
    let mut out: Vec<Incoming> = messages
        .into_iter()
        .enumerate()
        .map(|(at, (kind, payload))| {
            let bytes = payload.len();
            let message = match MessageType::from_number(kind) {
                None => Message::Unknown,
                Some(MessageType::Data) => match Data::decode(&payload) {
                    Ok(Data { request, proof }) if proof.block.is_some() && peer.was_asked(request) => {
                        proofs.push(proof);
                        asked.push((at, request));
                        Message::Unknown
                    }
                    Ok(Data { request, proof }) => Message::Data(request, Box::new(proof.into())),
                    Err(e) => Message::Malformed(e),
                },
                Some(kind) => Message::Other(kind, payload),
            };
            Incoming { bytes, message }
        })
        .collect();
    for ((at, request), proof) in asked.into_iter().zip(HashedProof::together(proofs)) {
        if let Some(incoming) = out.get_mut(at) {
            incoming.message = Message::Data(request, Box::new(proof));
        }
    }
    out
}
