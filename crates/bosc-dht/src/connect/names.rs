//! What names a connection under way, and who waits for what.

/// Names an outgoing connection until it is made or failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectId(pub(super) u64);

/// A handshake message, by its hash.
pub(super) type Key = [u8; 32];

/// Which connection a puncher is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Side {
    Client(ConnectId),
    Server(Key),
}

/// Who waits for the reply to a request.
#[derive(Debug, Clone, Copy)]
pub(super) enum Asker {
    Client(ConnectId),
    Sample(Side),
}

/// Whom a stream id was given to.
#[derive(Debug, Clone, Copy)]
pub(super) enum StreamOwner {
    Client(ConnectId),
    Server(Key),
    /// A connection whose event was not taken yet.
    Made,
}

/// What is to be done at some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Timer {
    /// An outgoing connection waited long enough.
    Client(ConnectId),
    /// An incoming one did.
    Passive(Key),
    /// A holepunch round is to be answered.
    Abort(Key),
    /// The next probes are due.
    Punch(Side),
    /// The direct way was tried long enough alone.
    Relay(Side),
    /// A blind relay was waited for long enough.
    RelayOver(Side),
    /// An outgoing connection gave the other side time to see what NAT it is behind.
    Rounds(ConnectId),
    /// An answered handshake is forgotten.
    Clear(Key),
}
