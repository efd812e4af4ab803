//! Who wants the result of a request.

use crate::addr::NodeId;
use crate::{ListenId, QueryId};
use std::net::SocketAddrV4;

/// Who wants the result of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Owner {
    /// The layer above.
    User,
    /// Nobody.
    Nobody,
    /// A step of a query's walk.
    Visit(QueryId),
    /// A query takes an old announce off.
    Unannounce(QueryId),
    /// A query stores.
    Commit(QueryId),
    /// Is this node of the table still there? It was last heard at this count.
    Check { node: NodeId, heard: u64 },
    /// If this node of the table is gone, another one gets its place.
    Swap { node: NodeId, heard: u64, other: SocketAddrV4 },
    /// Can our server socket be reached? Asked of one node while bootstrapping.
    QuickNat,
    /// The same, asked of several.
    Probe,
    /// Can it be reached at this port, which a router maps?
    Mapping(u16),
    /// An announce of a listening key pair.
    Announce(ListenId),
    /// A relay is kept open.
    KeepOpen(ListenId),
    /// The first half of an unannounce: get a token.
    FindRecord(ListenId),
    /// The second half.
    DropRecord(ListenId),
    /// Does somebody who asks for a large value receive at the address it asks from?
    Receives(u64),
}
