//! Records of the DHT, as callers and the thread of the sockets speak of them: questions, answers, and where an answer is put.

use crate::signal::Signal;
use bosc_dht::MutableRecord;
use bosc_format::crypto::{KeyPair, PublicKey};
use bytes::Bytes;
use std::sync::{Arc, Mutex, PoisonError};

/// Most bytes of a record's value.
pub const MAX_RECORD: usize = 1000;

/// A value that its owner signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its version: a higher one replaces a lower one.
    pub seq: u64,
    /// At most [`MAX_RECORD`] bytes; never empty.
    pub value: Bytes,
}

/// A record as its owner signs it. Whoever has it can put it into the DHT, again and again, without the owner's secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedRecord {
    key: PublicKey,
    signed: MutableRecord,
}

impl SignedRecord {
    /// Signs a record.
    pub fn sign(key_pair: &KeyPair, seq: u64, value: Bytes) -> Self {
        Self { key: key_pair.public(), signed: MutableRecord::sign(key_pair, seq, value) }
    }

    /// One that was signed before. `None`: the key did not sign this.
    pub fn from_parts(key: PublicKey, seq: u64, value: Bytes, signature: [u8; 64]) -> Option<Self> {
        let signed = MutableRecord { seq, value, signature };
        signed.verify(&key).then_some(Self { key, signed })
    }

    /// Whose it is.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Its version.
    pub fn seq(&self) -> u64 {
        self.signed.seq
    }

    /// Its value.
    pub fn value(&self) -> &Bytes {
        &self.signed.value
    }

    /// Over version and value.
    pub fn signature(&self) -> &[u8; 64] {
        &self.signed.signature
    }

    pub(crate) fn signed(&self) -> &MutableRecord {
        &self.signed
    }
}

/// What became of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordAnswer {
    /// What was found: the record of the highest version. `None`: the nodes that answered keep none.
    Found(Option<Record>),
    /// So many nodes keep it.
    Kept(usize),
}

/// Why a question has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The value is empty, or longer than [`MAX_RECORD`] bytes.
    #[error("a record has 1 to {MAX_RECORD} bytes")]
    Size,
    /// A node keeps a record of this version, with another value.
    #[error("the DHT keeps another record of this version")]
    Taken,
    /// A node keeps a record of a higher version.
    #[error("the DHT keeps a record of a higher version")]
    Newer,
    /// No node of the DHT answered.
    #[error("no node of the DHT answered")]
    Nobody,
    /// Too many questions are open.
    #[error("too many questions to the DHT are open")]
    Busy,
    /// The node rests, or has ended.
    #[error("the node rests or has ended")]
    Ended,
}

/// What becomes of a question, or why nothing does.
pub type RecordResult = Result<RecordAnswer, RecordError>;

/// Names a question.
pub type RecordTicket = u64;

/// A question.
#[derive(Debug, Clone)]
pub enum RecordQuestion {
    /// The newest record under this key.
    Get(PublicKey),
    /// The same, and have the nodes that are closest now keep it for two days more.
    Keep(PublicKey),
    /// Keep this.
    Put(Box<SignedRecord>),
}

/// Where the answer to a question is put.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    result: Mutex<Option<RecordResult>>,
    pub(crate) signal: Signal,
}

impl Slot {
    pub(crate) fn get(&self) -> Option<RecordResult> {
        self.result.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, result: RecordResult) {
        self.result.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(result);
        self.signal.raise();
    }
}

/// The caller's end of a slot, held by the thread of the sockets. Dropped without an answer, it answers that the node has ended.
#[derive(Debug)]
pub(crate) struct Asker(pub(crate) Arc<Slot>);

impl Asker {
    pub(crate) fn answer(self, result: RecordResult) {
        self.0.set(result);
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        self.0.set(Err(RecordError::Ended));
    }
}
