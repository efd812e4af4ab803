//! Which NAT this machine is behind, whom holepunching reaches from here, and what to do. Information, no finding: it says nothing
//! of the link and changes no exit code.
//!
//! | kind | what was seen | open peers | behind one port | behind a random port |
//! |---|---|---|---|---|
//! | `open` | nodes that were asked to reached our socket | yes | yes | yes |
//! | `consistent` | nodes see one address, and do not reach it unasked | yes | yes | yes, by trying many ports |
//! | `random` | nodes see one host and different ports | yes | yes, by trying many ports | no |
//! | `blocked` | nothing was ever received | no | no | no |
//! | `unknown` | fewer than three nodes said where they see us, or they do not agree | | | |
//!
//! A consistent NAT may let in anybody it has a port for, the hosts we wrote to, or those hosts and ports: from inside they look
//! alike, and HyperDHT does not tell them apart either.

use crate::seed::event::MappingBy;
use bosc_node::NetStatus;
use serde::{Deserialize, Serialize};

/// Samples that say something.
const ENOUGH: usize = 3;

/// What is between this machine and the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NatKind {
    /// Nothing that keeps peers out.
    Open,
    /// One port for all peers; those that were not written to are kept out.
    Consistent,
    /// Another port for each peer.
    Random,
    /// No UDP gets through, or there is no network.
    Blocked,
    /// Not known yet.
    Unknown,
}

/// Whom a direct connection from here can reach, by what they are behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reaches {
    /// Peers that are open.
    pub open: bool,
    /// Peers behind a NAT that keeps one port.
    pub consistent: bool,
    /// Peers behind a NAT that gives every peer another port.
    pub random: bool,
}

/// A port of the router that leads here, as it says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappingSeen {
    /// The address from outside.
    pub address: String,
    /// How it was got.
    pub by: MappingBy,
    /// DHT nodes came through.
    pub reached: bool,
}

/// The network as this machine sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NatSeen {
    /// What is in between.
    pub nat: NatKind,
    /// Our address as others see it; without a port where they see different ones.
    pub address: Option<String>,
    /// How many nodes said so, at most 16.
    pub samples: usize,
    /// Whom a direct connection can reach; none where that is not known.
    pub reaches: Option<Reaches>,
    /// The port of the router that leads here, if it was asked for one and gave it.
    pub mapping: Option<MappingSeen>,
    /// In words.
    pub message: String,
    /// What to do; none when nothing has to be done.
    pub next: Option<String>,
}

/// Whether a port of the router would be of use.
pub(crate) fn is_behind(status: &NetStatus) -> bool {
    matches!(kind_of(status), NatKind::Consistent | NatKind::Random)
        && status.nat_host.is_some_and(bosc_node::is_public)
}

fn kind_of(status: &NetStatus) -> NatKind {
    match (status.nat_host, status.nat_port) {
        _ if status.received == 0 => NatKind::Blocked,
        _ if status.address.is_some() && !status.firewalled => NatKind::Open,
        _ if status.nat_samples < ENOUGH => NatKind::Unknown,
        (Some(_), 0) => NatKind::Random,
        (Some(_), _) => NatKind::Consistent,
        (None, _) => NatKind::Unknown,
    }
}

/// Judges what a node has seen.
pub(crate) fn judge(status: &NetStatus) -> NatSeen {
    let (host, port) = (status.nat_host, status.nat_port);
    let kind = kind_of(status);
    let address = match (host, port) {
        (Some(host), 0) => Some(host.to_string()),
        (Some(host), port) => Some(format!("{host}:{port}")),
        (None, _) => None,
    };
    let reaches = match kind {
        NatKind::Open | NatKind::Consistent => Some(Reaches { open: true, consistent: true, random: true }),
        NatKind::Random => Some(Reaches { open: true, consistent: true, random: false }),
        NatKind::Blocked => Some(Reaches { open: false, consistent: false, random: false }),
        NatKind::Unknown => None,
    };
    let (mut message, mut next) = words(kind, status.nat_samples);
    let mapping = status.mapping.map(|m| MappingSeen {
        address: m.address.to_string(),
        by: m.by.into(),
        reached: m.proved,
    });
    if is_behind(status) {
        let (of_router, enough) = router_words(mapping.as_ref(), status.mapping_known);
        message.push_str(&of_router);
        if enough {
            next = "";
        }
    }
    let next = (!next.is_empty()).then(|| next.to_owned());
    NatSeen { nat: kind, address, samples: status.nat_samples, reaches, mapping, message, next }
}

/// What is said of the router, and whether nothing has to be done.
fn router_words(mapping: Option<&MappingSeen>, asked: bool) -> (String, bool) {
    match mapping {
        Some(m) if m.reached => (
            format!("; the router leads {} to a seeder here ({}), where all peers reach it", m.address, m.by),
            true,
        ),
        Some(m) => (
            format!(
                "; the router says ({}) that it leads {} here, but DHT nodes do not get through",
                m.by, m.address
            ),
            false,
        ),
        None if asked => (
            "; the router gives no port: it does not answer to PCP, NAT-PMP and UPnP, or refuses".into(),
            false,
        ),
        None => (String::new(), false),
    }
}

fn words(kind: NatKind, samples: usize) -> (String, &'static str) {
    match kind {
        NatKind::Open => ("peers reach this machine directly".into(), ""),
        NatKind::Consistent => (
            "behind a NAT or firewall that keeps one port: holepunching works with open peers and those behind a NAT".into(),
            "",
        ),
        NatKind::Random => (
            "behind a NAT that gives every peer another port: holepunching works with open peers and those behind a NAT that \
             keeps one port, not with those behind another such NAT"
                .into(),
            "turn on UPnP or NAT-PMP in the router, give this machine a public UDP port, or name a relay with `--relay KEY`: `bosc relay` on a machine with a public address \
             is one",
        ),
        NatKind::Blocked => (
            "no DHT node answers: UDP is blocked, or this machine is offline".into(),
            "let UDP out of this network; over HTTPS the updater works without it",
        ),
        NatKind::Unknown => (
            format!("which NAT this machine is behind is not known: {samples} DHT nodes said how they see it, {ENOUGH} that agree are needed"),
            "run it again with a longer `--timeout`, or with more `--bootstrap` nodes on a private network",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, SocketAddrV4};

    fn status(host: Option<Ipv4Addr>, port: u16, samples: usize) -> NetStatus {
        let (nat_host, nat_port, nat_samples) = (host, port, samples);
        NetStatus {
            received: 1000,
            firewalled: true,
            nat_host,
            nat_port,
            nat_samples,
            ..NetStatus::default()
        }
    }

    const HOST: Ipv4Addr = Ipv4Addr::new(5, 9, 0, 7);

    #[test]
    fn each_kind_is_told_with_whom_it_reaches_and_what_to_do() {
        let open = NetStatus {
            firewalled: false,
            address: Some(SocketAddrV4::new(HOST, 49_737)),
            ..status(Some(HOST), 49_737, 3)
        };
        let rows = [
            (open, NatKind::Open, Some("5.9.0.7:49737"), Some((true, true)), false),
            (
                status(Some(HOST), 4000, 5),
                NatKind::Consistent,
                Some("5.9.0.7:4000"),
                Some((true, true)),
                false,
            ),
            (status(Some(HOST), 0, 5), NatKind::Random, Some("5.9.0.7"), Some((true, false)), true),
            (
                NetStatus { received: 0, ..status(None, 0, 0) },
                NatKind::Blocked,
                None,
                Some((false, false)),
                true,
            ),
            (status(Some(HOST), 4000, 2), NatKind::Unknown, Some("5.9.0.7:4000"), None, true),
            (status(None, 0, 9), NatKind::Unknown, None, None, true),
        ];
        for (status, kind, address, reaches, next) in rows {
            let seen = judge(&status);
            assert_eq!(seen.nat, kind);
            assert_eq!(seen.address.as_deref(), address, "{kind:?}");
            assert_eq!(seen.reaches.map(|r| (r.consistent, r.random)), reaches, "{kind:?}");
            assert_eq!(seen.next.is_some(), next, "{kind:?}");
        }
    }
}
