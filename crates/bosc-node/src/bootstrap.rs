//! The nodes of the DHT that a peer knows at its start, as people write them.

use crate::PUBLIC_BOOTSTRAP;
use std::net::{SocketAddr, SocketAddrV4, ToSocketAddrs};

/// Why a node knows nobody to start with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BootstrapError {
    /// The text could never be an address: a slip of the hand.
    #[error("not a DHT node: {text:?}")]
    NotANode {
        /// As it was given.
        text: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// No name resolves at the moment; this is the last of them.
    #[error("the DHT node {text:?} cannot be found")]
    NotFound {
        /// As it was given.
        text: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// Something was given, and only separators.
    #[error("no DHT node was given")]
    NoneGiven,
    /// Names resolve, and none to IPv4.
    #[error("none of the bootstrap nodes has an IPv4 address")]
    NoAddress,
}

/// Resolves `host:port` texts to IPv4 addresses; none given means the public network. A name that does not resolve is
/// passed over while another one does; empty texts and spaces around them do not count.
///
/// # Errors
/// See [`BootstrapError`].
pub fn resolve(nodes: &[String]) -> Result<Vec<SocketAddrV4>, BootstrapError> {
    if nodes.is_empty() {
        return Ok(PUBLIC_BOOTSTRAP.to_vec());
    }
    let mut out = Vec::new();
    let mut failed = None;
    for text in nodes.iter().map(|t| t.trim()).filter(|t| !t.is_empty()) {
        // npm hyperdht writes nodes as `address@name:port`.
        let plain = text.split_once('@').map_or(text.to_owned(), |(address, rest)| {
            format!("{address}:{}", rest.rsplit_once(':').map_or("", |(_, port)| port))
        });
        match plain.to_socket_addrs() {
            Ok(found) => {
                out.extend(found.filter_map(|a| if let SocketAddr::V4(a) = a { Some(a) } else { None }));
            }
            Err(source) if source.kind() == std::io::ErrorKind::InvalidInput => {
                return Err(BootstrapError::NotANode { text: text.to_owned(), source });
            }
            // A name server's bad day.
            Err(source) => failed = Some((text, source)),
        }
    }
    match failed {
        _ if !out.is_empty() => Ok(out),
        Some((text, source)) => Err(BootstrapError::NotFound { text: text.to_owned(), source }),
        None if nodes.iter().all(|t| t.trim().is_empty()) => Err(BootstrapError::NoneGiven),
        None => Err(BootstrapError::NoAddress),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(nodes: &[&str]) -> Result<Vec<SocketAddrV4>, BootstrapError> {
        resolve(&nodes.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn what_resolves_is_taken_and_the_rest_passed_over() {
        let there = SocketAddrV4::new([127, 0, 0, 1].into(), 49737);
        assert_eq!(of(&[" 127.0.0.1:49737 ", ""]).unwrap(), [there]);
        assert_eq!(of(&["127.0.0.1@name.invalid:49737"]).unwrap(), [there]);
        assert_eq!(of(&["name.invalid:1", "127.0.0.1:49737"]).unwrap(), [there]);
        assert_eq!(of(&[]).unwrap(), PUBLIC_BOOTSTRAP);
        assert!(
            matches!(of(&["name.invalid:1"]), Err(BootstrapError::NotFound { text, .. }) if text == "name.invalid:1")
        );
        assert!(matches!(of(&["127.0.0.1", "127.0.0.1:1"]), Err(BootstrapError::NotANode { .. })));
        assert!(matches!(of(&["", " "]), Err(BootstrapError::NoneGiven)));
        assert!(matches!(of(&["[::1]:1"]), Err(BootstrapError::NoAddress)));
    }
}
