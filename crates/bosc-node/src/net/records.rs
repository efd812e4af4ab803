//! Mutable records of the DHT: one small value under a public key, signed by its owner, kept by the nodes closest to the key's hash.
//!
//! ```text
//!   get ── walks to the key ──> the highest seq that was found, verified │ none
//!   put ── walks to the key ──> kept by at least one node │ refused: one of that seq, or of a higher one, is there
//!      │
//!      └── the question is dropped, the node rests or ends ──> no answer, or `Ended`
//! ```
//!
//! Invariants:
//! * What is answered was verified against the key that was asked for: the DHT drops everything else.
//! * A record has [`MAX_RECORD`] bytes at most: what is longer does not fit into a datagram, and nobody keeps it.
//! * Questions hold up neither a rest nor the end of a node: they are answered with [`RecordError::Ended`].
//! * A question that nobody waits for is given up.

use super::machine::NetMachine;
use crate::record::{
    MAX_RECORD, Record, RecordAnswer, RecordError, RecordQuestion, RecordResult, RecordTicket,
};
use bosc_dht::{MutableGetOptions, QueryDone, QueryError, QueryId, QueryOptions, error_code};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Questions on their way, and answers that nobody took yet.
#[derive(Debug, Default)]
pub(super) struct Records {
    open: BTreeMap<RecordTicket, (QueryId, bool)>,
    answers: VecDeque<(RecordTicket, RecordResult)>,
}

impl NetMachine {
    /// Asks a question about a record; its answer comes from [`NetMachine::poll_record`], under the same ticket.
    pub fn ask_record(&mut self, ticket: RecordTicket, question: RecordQuestion, now: Duration) {
        let resting = self.resting().is_some() || self.closing.is_some();
        let fits = |value: &Bytes| (1..=MAX_RECORD).contains(&value.len());
        let (started, puts) = match question {
            _ if resting => return self.answer_record(ticket, Err(RecordError::Ended)),
            RecordQuestion::Put(record) if !fits(record.value()) => {
                return self.answer_record(ticket, Err(RecordError::Size));
            }
            RecordQuestion::Get(key) => {
                (self.dht.mutable_get(&key, &MutableGetOptions::default(), now), false)
            }
            RecordQuestion::Keep(key) => {
                let options = MutableGetOptions { refresh: true, ..MutableGetOptions::default() };
                (self.dht.mutable_get(&key, &options, now), false)
            }
            RecordQuestion::Put(record) => {
                let options = QueryOptions::default();
                (self.dht.mutable_put_signed(record.key(), record.signed(), &options, now), true)
            }
        };
        match started {
            Ok(query) => {
                self.records.open.insert(ticket, (query, puts));
            }
            Err(_) => self.answer_record(ticket, Err(RecordError::Busy)),
        }
    }

    /// Nobody waits for this answer any more.
    pub fn drop_record(&mut self, ticket: RecordTicket, now: Duration) {
        if let Some((query, _)) = self.records.open.remove(&ticket) {
            self.dht.cancel_query(query, now);
        }
        self.records.answers.retain(|(t, _)| *t != ticket);
    }

    /// The next answer.
    pub fn poll_record(&mut self) -> Option<(RecordTicket, RecordResult)> {
        self.records.answers.pop_front()
    }

    /// Answers all questions: the node rests or ends.
    pub(super) fn end_records(&mut self, now: Duration) {
        for (ticket, (query, _)) in std::mem::take(&mut self.records.open) {
            self.answer_record(ticket, Err(RecordError::Ended));
            self.dht.cancel_query(query, now);
        }
    }

    fn answer_record(&mut self, ticket: RecordTicket, result: RecordResult) {
        self.records.answers.push_back((ticket, result));
    }

    /// A query is over: whether it was one about a record.
    pub(super) fn record_done(&mut self, done: &QueryDone) -> bool {
        let open = self.records.open.iter().find(|(_, (query, _))| *query == done.query);
        let Some((ticket, puts)) = open.map(|(ticket, (_, puts))| (*ticket, *puts)) else { return false };
        self.records.open.remove(&ticket);
        let result = match &done.result {
            Ok(()) if puts => Ok(RecordAnswer::Kept(done.committed)),
            Ok(()) => match &done.mutable {
                None if done.successes == 0 => Err(RecordError::Nobody),
                found => {
                    let record = found.as_ref().map(|r| Record { seq: r.seq, value: r.value.clone() });
                    Ok(RecordAnswer::Found(record.filter(|r| r.value.len() <= MAX_RECORD)))
                }
            },
            Err(QueryError::CommitRefused(error_code::SEQ_REUSED)) => Err(RecordError::Taken),
            Err(QueryError::CommitRefused(error_code::SEQ_TOO_LOW)) => Err(RecordError::Newer),
            Err(QueryError::Cancelled) => Err(RecordError::Ended),
            Err(_) => Err(RecordError::Nobody),
        };
        self.answer_record(ticket, result);
        true
    }
}
