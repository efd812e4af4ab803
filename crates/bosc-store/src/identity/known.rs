//! The identity of an open store: looked at when it is opened, renewed with what it signs.

use super::evidence::Copied;
use super::row::{Row, VERSION};
use crate::db::{self, Db, MetaRow};
use crate::disk::{Mark, Place};
use crate::error::{Error, Result};
use crate::random::random;
use redb::ReadableTable;
use std::time::{Duration, Instant};

/// Name of the row.
const ROW: &str = "identity";
/// How often the mark is renewed at most.
const RENEW: Duration = Duration::from_secs(60);

/// The identity of an open store. Empty where nothing can be told.
#[derive(Debug, Default)]
pub(crate) struct Identity {
    known: Option<Known>,
}

#[derive(Debug)]
struct Known {
    row: Row,
    /// What `MARK` is now.
    current: Option<Mark>,
    renewed: Option<Instant>,
}

/// What [`Identity::open`] found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Something differs that did not at the last opening: the database may be older than the files beside it.
    pub(crate) put_back: bool,
    /// To be written. Until it is, the next opening finds the same again.
    pub(crate) row: Option<MetaRow>,
}

/// A renewal of the mark on its way: the row goes into the transaction that signs.
#[derive(Debug)]
pub(crate) struct Renewal {
    next: Mark,
    row: Row,
}

impl Renewal {
    /// Puts the row into a transaction.
    pub(crate) fn write(&self, txn: &redb::WriteTransaction) -> Result<(), db::Fail> {
        txn.open_table(db::META)?.insert(ROW, self.row.encode().as_slice())?;
        Ok(())
    }
}

/// The row of a new store.
pub(crate) fn first_row(place: Option<&Place>) -> Option<(&'static str, Vec<u8>)> {
    place.map(|p| (ROW, Row::here(p).encode()))
}

impl Identity {
    /// Looks whether the store was copied. Nothing is written: what is to be is in the second part.
    pub(crate) fn open(place: Option<&Place>, db: &Db) -> Result<(Self, Found)> {
        let nothing = || Ok(Default::default());
        let Some(place) = place else { return nothing() };
        let (bytes, last) = db.read(|txn| {
            let row = txn.open_table(db::META)?.get(ROW)?.map(|v| v.value().to_vec());
            let last = txn.open_table(db::CORES)?.last()?.map_or(0, |(id, _)| id.value());
            Ok((row, last))
        })?;
        let current = place.mark().and_then(|(nonce, file)| Some(Mark { nonce: nonce?, file }));
        let kept = match &bytes {
            // What a later version wrote is not ours to judge.
            Some(bytes) if bytes.first() != Some(&VERSION) => return nothing(),
            Some(bytes) => {
                Some(Row::decode(bytes).map_err(|e| Error::corrupt(format!("the store's identity: {e}")))?)
            }
            None => None,
        };
        let evidence = kept.as_ref().and_then(|row| row.evidence(place));
        let mut found = Found { put_back: evidence.is_some(), row: None };
        let row = match (kept, evidence) {
            (Some(row), None) => row,
            (_, evidence) => {
                let mut row = Row::here(place);
                row.marks = [current, None];
                if let Some(evidence) = evidence {
                    let mut lineage = [0; 16];
                    random(&mut lineage)?;
                    row.lineage = Some(lineage);
                    row.copied = Some(Copied { evidence, first_own: last.saturating_add(1) });
                }
                found.row = Some((ROW, row.encode()));
                row
            }
        };
        Ok((Self { known: Some(Known { row, current, renewed: None }) }, found))
    }

    pub(crate) fn copied(&self) -> Option<Copied> {
        self.known.as_ref()?.row.copied
    }

    pub(crate) fn lineage(&self) -> Option<[u8; 16]> {
        self.known.as_ref()?.row.lineage
    }

    /// Makes the next mark, when it is time. What fails is tried with the next signature.
    pub(crate) fn renew(&mut self, place: Option<&Place>) -> Option<Renewal> {
        let (known, place) = (self.known.as_mut()?, place?);
        if known.renewed.is_some_and(|at| at.elapsed() < RENEW) {
            return None;
        }
        place.sync().ok()?;
        let next = place.make_mark().ok()?;
        let Row { lineage, copied, .. } = known.row;
        let row = Row { lineage, copied, marks: [known.current, Some(next)], ..Row::here(place) };
        Some(Renewal { next, row })
    }

    /// The transaction of a renewal is durable.
    pub(crate) fn renewed(&mut self, place: Option<&Place>, renewal: Renewal) {
        let (Some(known), Some(place)) = (self.known.as_mut(), place) else { return };
        known.row = renewal.row;
        known.renewed = Some(Instant::now());
        if place.put_mark().is_ok() {
            known.current = Some(renewal.next);
        }
    }

    /// The row without the copy, to be written.
    pub(crate) fn as_original(&self) -> Option<(&'static str, Vec<u8>)> {
        let row = Row { copied: None, ..self.known.as_ref()?.row.clone() };
        Some((ROW, row.encode()))
    }

    /// [`Identity::as_original`] is durable.
    pub(crate) fn set_original(&mut self) {
        if let Some(known) = &mut self.known {
            known.row.copied = None;
        }
    }
}
