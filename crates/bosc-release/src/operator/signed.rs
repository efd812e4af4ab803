//! A statement as the record that the DHT keeps: signed twice, as a statement for whoever reads it and as a record for the nodes.
//!
//! ```text
//! 1            the version of this format
//! 32           the operator's public key
//! 64           signature of the record
//! uint         the record's version, which is the statement's counter
//! buffer       the signed statement, at most 960 bytes
//! ```

use crate::error::{CommandError, ErrorKind};
use bosc_format::codec::{DecodeError, Decoder, Encoder};
use bosc_format::crypto::KeyPair;
use bosc_format::id;
use bosc_node::SignedRecord;
use bosc_policy::{Signed, Statement, StatementError};
use bytes::Bytes;

/// Most bytes of such a record.
pub(crate) const MAX_BYTES: u64 = 2_048;
const FORMAT: u8 = 1;

/// A record and the statement in it: both signatures are right, and both are of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spoken {
    pub(crate) record: SignedRecord,
    pub(crate) statement: Signed,
}

/// Signs a statement.
///
/// # Errors
/// It says too much.
pub fn sign(statement: &Statement, key: &KeyPair) -> Result<Spoken, StatementError> {
    let signed = Signed::new(statement, key)?;
    let value = Bytes::copy_from_slice(signed.as_bytes());
    Ok(Spoken { record: SignedRecord::sign(key, statement.counter, value), statement: signed })
}

pub(crate) fn to_bytes(spoken: &Spoken) -> Vec<u8> {
    let record = &spoken.record;
    let mut out = Encoder::new();
    out.u8(FORMAT).raw(record.key()).raw(record.signature()).uint(record.seq()).buffer(record.value());
    out.finish()
}

pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Spoken, DecodeError> {
    let mut from = Decoder::new(bytes);
    if from.u8()? != FORMAT {
        return Err(DecodeError::Invalid("format of a record"));
    }
    let (key, signature, seq) = (from.fixed32()?, from.fixed::<64>()?, from.uint()?);
    let value = Bytes::copy_from_slice(from.buffer()?);
    from.finish()?;
    let statement = Signed::read(&value).map_err(|_| DecodeError::Invalid("statement"))?;
    let record = SignedRecord::from_parts(key, seq, value, signature);
    let record = record.ok_or(DecodeError::Invalid("signature of a record"))?;
    if *statement.operator() != key || statement.statement().counter != seq {
        return Err(DecodeError::Invalid("record of a statement"));
    }
    Ok(Spoken { record, statement })
}

/// It as text, for the process that has the store open.
pub fn to_text(spoken: &Spoken) -> String {
    id::encode_bytes(&to_bytes(spoken))
}

pub(crate) fn from_text(text: &str) -> Result<Spoken, CommandError> {
    let wrong = || {
        CommandError::new(
            ErrorKind::Integrity,
            "ERR_INTEGRITY",
            "what was signed is not a statement of an operator",
        )
        .hint("run the command again")
    };
    if text.len() as u64 > 2 * MAX_BYTES {
        return Err(wrong());
    }
    let bytes = id::decode_bytes(text).map_err(|e| wrong().because(e))?;
    from_bytes(&bytes).map_err(|e| wrong().because(e))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_was_signed_is_read_again_and_nothing_else() {
        let key = KeyPair::from_seed(&[3; 32]);
        let statement = Statement { link: [9; 32], counter: 300, time: 5, newest: None, versions: vec![] };
        let spoken = sign(&statement, &key).unwrap();
        let bytes = to_bytes(&spoken);
        assert!(bytes.len() as u64 <= MAX_BYTES);
        assert_eq!(from_bytes(&bytes).unwrap(), spoken);
        assert_eq!(from_text(&to_text(&spoken)).unwrap(), spoken);
        for at in 0..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 1;
            assert!(from_bytes(&other).is_err(), "byte {at}");
            assert!(from_bytes(&bytes[..at]).is_err(), "cut at {at}");
        }
        // A record of another version than the statement's counter.
        let record = SignedRecord::sign(&key, 301, spoken.record.value().clone());
        let other = Spoken { record, ..spoken };
        assert!(from_bytes(&to_bytes(&other)).is_err());
    }
}
