//! Who brings the bytes of a mirror: a web server or a folder. Sans format: paths and ranges in, bytes out.

use super::fault::MirrorFault;
use bytes::Bytes;
use std::ops::Range;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask<'a> {
    /// Below the mirror's address: `/` between names, each of letters, digits, `-` and `.`.
    pub path: &'a str,
    /// These bytes of it; `None`: all.
    pub range: Option<Range<u64>>,
    /// Most bytes that are taken, whatever comes.
    pub max: u64,
    /// It may change: nothing between may answer with an older one. With the mark of what is here, if something is.
    pub head: Option<Option<&'a str>>,
}

/// What came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The whole object, and what it is recognised by the next time.
    Whole(Bytes, Option<String>),
    /// The range that was asked for.
    Part(Bytes),
    /// It is what is here.
    Unchanged,
}

/// A mirror's address, and how it is reached.
pub trait Carrier: Send + Sync + std::fmt::Debug {
    /// As it is shown: no password or token is in it.
    fn name(&self) -> String;

    /// A connection, for one thread. Nothing is sent yet.
    fn connect(&self) -> Box<dyn Connection + '_>;

    /// Ends what runs on all connections, and everything that begins later.
    fn cancel(&self);
}

/// A connection to a mirror.
pub trait Connection {
    /// Gets an object, or a part of it.
    ///
    /// # Errors
    /// What is wrong with the mirror.
    fn get(&mut self, ask: &Ask<'_>) -> Result<Answer, MirrorFault>;
}
