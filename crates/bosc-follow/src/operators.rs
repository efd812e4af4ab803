//! What operators say, from wherever it can be had: their records in the DHT, and the files beside the heads of mirrors.
//!
//! ```text
//! keys ─┬─ a record of each key ───────────┐
//!       └─ bosc-statements of each mirror ─┴─ statements, each signed by the key it names ── bosc_policy::Seen
//! ```
//!
//! Invariants:
//! * Where a statement came from makes no difference: it is signed. A mirror can withhold one, and so can nodes of the DHT; neither
//!   can take back what was seen, nor make one up.
//! * All are asked at the same time. While nodes of the DHT answer, they are waited for however soon a mirror has answered: a mirror
//!   cannot stand in their way. Where none ever answered, mirrors are enough after [`SILENT`].
//! * Whatever is wrong with a mirror's file stops nothing, and is told apart ([`Heard::faults`]).
//! * Bounds: [`bosc_policy::MAX_SIGNED`] a record, [`bosc_policy::MAX_STATEMENTS_FILE`] a mirror.

use crate::error::FollowError;
use crate::mirror::{FaultKind, MirrorFault, Mirrors};
use crate::wait::Wait;
use bosc_format::crypto::PublicKey;
use bosc_node::{Node, RecordAnswer};
use bosc_policy::{STATEMENTS_FILE, Signed, Statements, StatementsError};
use std::time::{Duration, Instant};

/// How long a DHT of which no node ever answered is waited for where there is a mirror.
pub const SILENT: Duration = Duration::from_secs(3);

const _: () = assert!(bosc_policy::MAX_STATEMENTS_FILE as u64 == bosc_mirror::MAX_STATEMENTS);

/// What was heard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heard {
    /// Each signed by the key that it names, which may be a stranger's, and about any link: [`bosc_policy::Seen`] looks at that.
    pub statements: Vec<Signed>,
    /// Mirrors whose file could not be had, or is something else.
    pub faults: Vec<(String, MirrorFault)>,
    /// Whether nodes of the DHT answered for at least one key. Without keys: no.
    pub dht: bool,
    /// What the DHT answered about each key, in the order in which they were asked for.
    pub records: Vec<(PublicKey, Kept)>,
}

/// What the DHT keeps under a key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Kept {
    /// No node answered in time.
    #[default]
    NoAnswer,
    /// Nothing.
    Nothing,
    /// A record.
    Record {
        /// Its version.
        seq: u64,
        /// The statement in it; none: it is something else.
        statement: Option<Box<Signed>>,
    },
}

/// Asks the DHT for the records of these keys, and mirrors for what they have, for as long as `wait` says.
///
/// # Errors
/// [`FollowError::Stopped`].
pub fn ask(
    node: &Node,
    mirrors: Option<&Mirrors>,
    keys: &[PublicKey],
    wait: &mut Wait<'_>,
) -> Result<Heard, FollowError> {
    let mut heard = Heard::default();
    if keys.is_empty() {
        return Ok(heard);
    }
    let start = Instant::now();
    let mirrors = mirrors.filter(|mirrors| !mirrors.is_empty());
    let round = mirrors.map(Mirrors::ask_statements);
    let asked: Vec<_> = keys.iter().map(|key| (key, node.record(key))).collect();
    for (key, query) in asked {
        let answer = wait.run(query.signal(), |alarm| {
            Ok::<_, FollowError>(match query.answer() {
                // Both are looked at: the alarm wakes this look, and a datagram does not.
                None if mirrors.is_some()
                    && alarm.has_passed(start, SILENT)
                    && node.status().received == 0 =>
                {
                    Some(None)
                }
                answer => answer.map(Some),
            })
        })?;
        let kept = match answer {
            Some(Some(Ok(RecordAnswer::Found(found)))) => {
                heard.dht = true;
                found.map_or(Kept::Nothing, |record| {
                    // Anything else under the operator's key counts for nothing.
                    let statement = Signed::read(&record.value).ok().filter(|s| s.operator() == key);
                    Kept::Record { seq: record.seq, statement: statement.map(Box::new) }
                })
            }
            _ => Kept::NoAnswer,
        };
        if let Kept::Record { statement: Some(statement), .. } = &kept {
            heard.statements.push((**statement).clone());
        }
        heard.records.push((*key, kept));
    }
    let (Some(mirrors), Some(round)) = (mirrors, round) else { return Ok(heard) };
    let said = wait.run(node.signal(), |_| Ok::<_, FollowError>(mirrors.statements(round)))?;
    for mirror in said.into_iter().flatten() {
        match mirror.bytes.map(|bytes| (Statements::read(&bytes), bytes)) {
            Some((Ok(statements), _)) => heard.statements.extend(statements.iter().cloned()),
            Some((Err(e), bytes)) => heard.faults.push((mirror.name.clone(), fault(&e, &bytes))),
            None => {}
        }
        heard.faults.extend(mirror.fault.map(|fault| (mirror.name, fault)));
    }
    Ok(heard)
}

/// What is wrong with bytes that are not a file of statements.
fn fault(e: &StatementsError, bytes: &[u8]) -> MirrorFault {
    let kind = match e {
        StatementsError::Other => return MirrorFault::wrong(STATEMENTS_FILE, bytes, e),
        StatementsError::Newer(_) => FaultKind::Newer,
        StatementsError::Damaged => FaultKind::Damaged,
        StatementsError::Malformed(_) => FaultKind::Malformed,
    };
    MirrorFault::new(kind, STATEMENTS_FILE, e)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_file_is_told_apart() {
        let kind = |bytes: &[u8]| Statements::read(bytes).map_err(|e| fault(&e, bytes).kind);
        assert_eq!(kind(b"<html>"), Err(FaultKind::WebPage));
        assert_eq!(kind(b"404"), Err(FaultKind::WrongBytes));
        assert_eq!(kind(b"boscsays\x02"), Err(FaultKind::Newer));
        let whole = Statements::default().to_bytes();
        assert_eq!(kind(&whole), Ok(Statements::default()));
        assert_eq!(kind(&whole[..whole.len() - 1]), Err(FaultKind::Damaged));
    }
}
