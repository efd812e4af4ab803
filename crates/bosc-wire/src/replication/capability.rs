//! Who may replicate a core: whoever knows its key. Both sides of a channel prove it with a hash over the key,
//! keyed with the hash of the connection's handshake, so that a capability seen once is of no use on another
//! connection (npm `hypercore`, `lib/caps.js`).

use super::messages::Handshake;
use bosc_format::codec::DecodeError;
use bosc_format::crypto::{CoreKey, DiscoveryKey, Hash, discovery_key, keyed_hash, namespace};

/// Name of the protocol in the multiplexer. The channel's id is the core's discovery key.
pub const PROTOCOL: &str = "hypercore/alpha";
/// Other name under which old peers open the same channel.
pub const PROTOCOL_ALIAS: &str = "hypercore";

/// The channel's id: [`discovery_key`] of the core.
pub fn channel_id(key: &CoreKey) -> DiscoveryKey {
    discovery_key(key)
}

/// The capability sent by the side that opened (`initiator`) or accepted the connection. `handshake_hash` is the
/// 64-byte hash of the finished Noise handshake.
pub fn capability(initiator: bool, key: &CoreKey, handshake_hash: &[u8]) -> Hash {
    let n = if initiator { 1 } else { 2 };
    keyed_hash(handshake_hash, &[&namespace("hypercore", n), key])
}

/// What we send as the channel's handshake.
pub fn local_handshake(initiator: bool, key: &CoreKey, handshake_hash: &[u8]) -> Vec<u8> {
    Handshake { seeks: true, capability: capability(initiator, key, handshake_hash) }.encode()
}

/// Whether the remote's channel handshake proves that it knows the key. `initiator` says which side *we* are.
/// An error or `false` means: close the channel, do not add the peer.
pub fn verify_remote_handshake(
    initiator: bool,
    key: &CoreKey,
    handshake_hash: &[u8],
    handshake: &[u8],
) -> Result<bool, DecodeError> {
    let got = Handshake::decode(handshake)?.capability;
    let expected = capability(!initiator, key, handshake_hash);
    // No early exit: the time taken tells nothing about where the two differ.
    Ok(got.iter().zip(expected.iter()).fold(0, |acc, (a, b)| acc | (a ^ b)) == 0)
}
