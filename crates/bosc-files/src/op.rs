//! What is done to a file or folder.

/// What a call does, for the faults of tests.
#[cfg_attr(not(feature = "faults"), allow(dead_code, unreachable_pub))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// Looks.
    Look,
    /// Reads bytes.
    Read,
    /// Makes a file, folder or link.
    Make,
    /// Writes bytes.
    Write,
    /// Waits until the disk has it.
    Sync,
    /// Gives something another name.
    Rename,
    /// Lets two names change places.
    Exchange,
    /// Removes a name.
    Remove,
    /// Changes permissions.
    Mode,
    /// Takes a lock.
    Lock,
}
