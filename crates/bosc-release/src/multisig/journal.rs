//! The journal of commits: what was begun from this store, and how far it got.
//!
//! One row of the store's user data holds all records as JSON, so that the row that says "written" is put down in the
//! same transaction as the signed heads it speaks of. A record never goes back a phase for the same request.
//!
//! ```text
//! (nothing) -> begun -> written -> committed
//!   begun      every check passed; the signatures are kept, so the commit can be finished without them being given
//!   written    both signed heads are on this disk: the release exists and can never be taken back
//!   committed  enough peers hold a full copy
//! ```

use bosc_format::crypto::{CoreKey, Hash};
use serde::{Deserialize, Serialize};

/// Name of the row.
pub const ROW: &str = "multisig";
/// Most records kept; the oldest finished ones go first.
const RECORDS_MAX: usize = 1024;

/// How far a commit got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Checked; nothing is written yet.
    Begun,
    /// The signed heads are on this disk.
    Written,
    /// Enough peers have it.
    Committed,
}

/// The last commit of one link from this store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The link's key, z-base-32.
    pub key: String,
    /// The source's key, z-base-32.
    pub source: String,
    /// The request, as text.
    pub request: String,
    /// The responses that count, as text.
    pub responses: Vec<String>,
    /// Length of the db core the request asks for.
    pub length: u64,
    /// Its tree hash, z-base-32.
    pub tree_hash: String,
    /// Length of the blobs core.
    pub blobs_length: u64,
    /// How far it got.
    pub phase: Phase,
    /// Whether it is the link's first release.
    pub first_commit: bool,
    /// When it began, in seconds since 1970.
    pub began: u64,
    /// When this record last changed, in seconds since 1970.
    pub updated: u64,
    /// The longest db core that was ever committed to this link from here, with its tree hash.
    pub last: Option<(u64, String)>,
}

/// All records.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    /// One a link.
    pub records: Vec<Record>,
}

impl Journal {
    /// Reads the row. A row of a newer version keeps its unknown fields out of sight, nothing worse.
    ///
    /// # Errors
    /// When it is not what this module writes.
    pub fn decode(bytes: Option<&[u8]>) -> Result<Self, serde_json::Error> {
        bytes.map_or_else(|| Ok(Self::default()), serde_json::from_slice)
    }

    /// The bytes of the row.
    ///
    /// # Errors
    /// None in practice.
    pub fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }

    /// The record of a link.
    pub fn get(&self, key: &CoreKey) -> Option<&Record> {
        let key = bosc_format::id::encode(key);
        self.records.iter().find(|r| r.key == key)
    }

    /// Puts a record in place of the link's last one.
    pub fn put(&mut self, record: Record) {
        self.records.retain(|r| r.key != record.key);
        self.records.push(record);
        while self.records.len() > RECORDS_MAX {
            let finished = self.records.iter().position(|r| r.phase == Phase::Committed).unwrap_or(0);
            self.records.remove(finished);
        }
    }
}

impl Record {
    /// Whether it is about the request with this db core.
    pub fn is_for(&self, request: &str) -> bool {
        self.request == request
    }

    /// What was committed last, when this record says so.
    pub fn committed(&self) -> Option<(u64, &str)> {
        self.last.as_ref().map(|(length, hash)| (*length, hash.as_str()))
    }

    /// The hash as the text the record keeps.
    pub fn hash_text(hash: &Hash) -> String {
        bosc_format::id::encode(hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(key: u8, phase: Phase) -> Record {
        Record {
            key: bosc_format::id::encode(&[key; 32]),
            source: String::new(),
            request: "r".into(),
            responses: vec!["a".into()],
            length: 5,
            tree_hash: String::new(),
            blobs_length: 4,
            phase,
            first_commit: true,
            began: 1,
            updated: 2,
            last: Some((5, "h".into())),
        }
    }

    #[test]
    fn a_journal_survives_the_disk_and_keeps_one_record_a_link() {
        let mut j = Journal::default();
        j.put(record(1, Phase::Begun));
        j.put(record(2, Phase::Committed));
        j.put(record(1, Phase::Written));
        let back = Journal::decode(Some(&j.encode().unwrap())).unwrap();
        assert_eq!(back, j);
        assert_eq!(back.records.len(), 2);
        assert_eq!(back.get(&[1; 32]).unwrap().phase, Phase::Written);
        assert!(Journal::decode(None).unwrap().records.is_empty());
        assert!(Journal::decode(Some(b"garbage")).is_err());
    }

    #[test]
    fn what_is_unfinished_is_kept_longest() {
        let mut j = Journal::default();
        j.put(record(0, Phase::Begun));
        for i in 0..RECORDS_MAX {
            let mut r = record(0, Phase::Committed);
            r.key = i.to_string();
            j.put(r);
        }
        assert_eq!(j.records.len(), RECORDS_MAX);
        assert!(j.get(&[0; 32]).is_some());
    }
}
