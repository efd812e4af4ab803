//! `seed`, and whoever else makes a drive available: what is told on the way.

use serde::{Deserialize, Serialize};

/// What happens while a drive is seeded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "tag", content = "data", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum SeedEvent {
    /// It begins.
    Seeding {
        /// The drive's key.
        key: String,
        /// Its link.
        link: String,
    },
    /// Others can find it.
    Announced,
    /// No DHT node answers.
    Offline {
        /// Those that were tried.
        tried: Option<Vec<String>>,
    },
    /// One answers again.
    Online {
        /// None.
        tried: Option<Vec<String>>,
    },
    /// The key of the blobs core is known.
    Key(String),
    /// A peer came: its public key.
    PeerAdd(String),
    /// A peer went: its public key.
    PeerRemove(String),
    /// A peer holds a full copy: its public key.
    PeerSync(String),
    /// How it stands.
    Stats(Box<SeedStats>),
    /// Blocks here are damaged. They are not given to others and are fetched again.
    Damaged(Rot),
    /// Blocks that were damaged are here again.
    Repaired(Rot),
    /// A file of links was read.
    Links {
        /// The file.
        file: String,
        /// How many links are seeded now.
        links: usize,
        /// How many of them are new.
        added: usize,
        /// How many are not seeded any more.
        removed: usize,
        /// How many lines are no links.
        bad: usize,
    },
    /// A line of a file of links that is none; the others are seeded.
    BadLine {
        /// The file.
        file: String,
        /// The line, from 1.
        line: u64,
        /// Its beginning.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// A file of links could not be read again; what was seeded is.
    LinksUnreadable {
        /// The file.
        file: String,
        /// Why.
        why: String,
    },
    /// The link is seeded no more: the file of links does not name it any more.
    Removed,
    /// One of many links cannot be seeded; the others are.
    Failed {
        /// The code of the error.
        code: String,
        /// Its message.
        message: String,
        /// What to do.
        hint: String,
    },
    /// Nothing is fetched of the link: all of it does not fit into what may be kept. What is here is seeded.
    DiskLimit {
        /// Bytes of all its blocks.
        needed_bytes: u64,
        /// What may be kept of all links.
        limit_bytes: u64,
    },
    /// It fits now, and is fetched.
    DiskRoom,
    /// Metrics and health are served over HTTP.
    Metrics {
        /// Where: an address and a port.
        address: String,
        /// Only this machine reaches it.
        loopback: bool,
    },
    /// This seeder is a blind relay as well.
    RelayFor {
        /// The relay's key.
        key: String,
        /// Everyone may use it, not only peers that share a link with it.
        anyone: bool,
    },
    /// The router leads an address of its own to this seeder, and peers reach it there; or it does no longer.
    PortMapping {
        /// The address from outside; none any more.
        address: Option<String>,
        /// How it was got; none any more.
        by: Option<MappingBy>,
    },
    /// A blind peer that was asked to keep the links available: how it stands has changed.
    BlindPeer {
        /// Its public key.
        key: String,
        /// How it stands.
        state: BlindPeerIs,
    },
    /// Who is connected, those that got most first, and which version each has.
    Peers {
        /// Fork of the version here.
        fork: u64,
        /// Its length.
        length: u64,
        /// At most 1000 peers.
        peers: Vec<PeerRow>,
        /// How many are left out.
        more: usize,
        /// How this node can be reached, where nothing else says it: while `publish` draws a table.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        network: Option<Reachable>,
    },
    /// How many peers hold a full copy; reported by commands that wait for that when it changes, and each second while something is
    /// sent.
    Copies {
        /// Peers that hold a full copy.
        full: usize,
        /// How many have to.
        wanted: usize,
        /// Peers that are there.
        peers: usize,
        /// Length of the db.
        length: u64,
        /// Bytes given to others, of both cores.
        uploaded_bytes: u64,
    },
}

/// How a port of the router was got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MappingBy {
    /// Port Control Protocol, RFC 6887.
    Pcp,
    /// NAT Port Mapping Protocol, RFC 6886.
    NatPmp,
    /// UPnP Internet Gateway Device.
    Upnp,
}

impl From<bosc_node::MappedBy> for MappingBy {
    fn from(by: bosc_node::MappedBy) -> Self {
        match by {
            bosc_node::MappedBy::Pcp => Self::Pcp,
            bosc_node::MappedBy::NatPmp => Self::NatPmp,
            bosc_node::MappedBy::Upnp => Self::Upnp,
        }
    }
}

impl std::fmt::Display for MappingBy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Pcp => "PCP",
            Self::NatPmp => "NAT-PMP",
            Self::Upnp => "UPnP",
        })
    }
}

/// How a blind peer stands that was asked to keep links available.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BlindPeerIs {
    /// It is not connected; that is tried again and again.
    Away,
    /// It is connected and was asked.
    Asked,
    /// It does not keep cores for this key, or for anyone.
    Refused,
    /// It holds all of what is here.
    Whole,
}

/// A peer that has the link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PeerRow {
    /// Its public key.
    pub key: String,
    /// Where its packets go and come from: its own address, or that of the relay between; none when it is just leaving.
    pub address: Option<String>,
    /// Whether a blind relay is between.
    pub relayed: bool,
    /// Fork of the version it has.
    pub fork: u64,
    /// Length of the version it has.
    pub length: u64,
    /// It holds everything that is here.
    pub full: bool,
    /// Length of the content it knows of, in blocks.
    pub content_length: u64,
    /// How many blocks of it the peer holds from the first on.
    pub content_held: u64,
    /// Bytes of blocks that were sent to it on this connection.
    pub sent_bytes: u64,
}

/// An event of one of several links.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfLink {
    /// The link. In its JSON line it stands beside `tag` and `data`.
    pub link: String,
    /// What happened.
    #[serde(flatten)]
    pub event: SeedEvent,
}

/// How a drive that is seeded stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SeedStats {
    /// Peers that have the db.
    pub peers: usize,
    /// The drive's key.
    pub drive_key: String,
    /// Length of the db.
    pub drive_length: u64,
    /// Its fork.
    pub drive_fork: u64,
    /// Its bytes.
    pub drive_byte_length: u64,
    /// All of it is here.
    pub drive_synced: bool,
    /// Length of the blobs core.
    pub blobs_length: u64,
    /// Its bytes.
    pub blobs_byte_length: u64,
    /// All of it is here, and it is long enough for the db's files.
    pub blobs_synced: bool,
    /// The db's discovery key.
    pub discovery_key: String,
    /// The blobs core's key, or `pending`.
    pub content_key: String,
    /// The link that names the version that is here.
    pub verlink: String,
    /// This node's public key.
    pub whoami: String,
    /// Others cannot reach this node without help.
    pub firewalled: bool,
    /// How its router gives out ports.
    pub nat_type: NatType,
    /// Peers that hold all of both cores.
    pub full_copies: usize,
    /// What was given to others.
    pub upload: Traffic,
    /// What came from others.
    pub download: Traffic,
    /// What all of the node's sockets carried.
    pub network: NetworkTraffic,
    /// Peers that are connected, of any drive.
    pub connections: usize,
    /// How the background check stands.
    pub scrub: ScrubStats,
    /// Other histories of the link that were met.
    pub conflicts: usize,
}

/// How a node can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reachable {
    /// Others cannot reach it without help.
    pub firewalled: bool,
    /// How its router gives out ports.
    pub nat_type: NatType,
}

/// How a router gives out ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum NatType {
    /// Another one for each destination.
    Random,
    /// The same for all.
    Consistent,
}

/// Blocks of a drive that were sent or received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Traffic {
    /// Their bytes.
    pub total_bytes: u64,
    /// Their number.
    pub total_blocks: u64,
    /// Bytes a second since the last time this was told.
    pub speed: u64,
}

/// Datagrams that were sent and received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkTraffic {
    /// Bytes received.
    pub received_bytes: u64,
    /// Bytes sent.
    pub sent_bytes: u64,
}

/// How the background check of what is here stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScrubStats {
    /// Bytes read in this pass.
    pub checked_bytes: u64,
    /// Bytes that are here.
    pub total_bytes: u64,
    /// Blocks found damaged.
    pub damaged: u64,
    /// Of them, those that are here again.
    pub repaired: u64,
    /// Blocks that could not be read in this pass.
    pub unreadable: u64,
    /// Passes that ended.
    pub passes: u64,
}

/// Damage of a core.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rot {
    /// The core's key.
    pub core: String,
    /// It is the blobs core.
    pub content: bool,
    /// How many blocks this is about.
    pub blocks: u64,
    /// How many damaged blocks are still missing.
    pub missing: u64,
}

#[cfg(test)]
mod tests;
