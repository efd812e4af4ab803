//! What is wrong with a mirror. Each kind is told apart, because a publisher has something else to do about each.

use bosc_mirror::HeadError;
use std::fmt;

/// Bytes of a reason that are kept.
const MAX_WHY: usize = 300;

/// Kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum FaultKind {
    /// No connection, or it broke off.
    Unreachable,
    /// It was too slow, or did not answer.
    Slow,
    /// It answers that it cannot now: 429, 5xx.
    Busy,
    /// It refuses: another status.
    Refused,
    /// An object is not there.
    Missing,
    /// More came than the object has: it never ends, or is something else.
    TooLong,
    /// Less or more came than was promised.
    WrongLength,
    /// A web page came: a login, an error, a captive portal.
    WebPage,
    /// It leads to an address that is not taken, such as one without TLS.
    Redirect,
    /// There is no mirror at this address.
    NotAMirror,
    /// The head was cut off or changed on its way.
    Damaged,
    /// A newer program made it.
    Newer,
    /// It is the mirror of another drive.
    OtherDrive,
    /// Its head is not signed as the link demands.
    NotSigned,
    /// It has another history, signed by the same key.
    OtherHistory,
    /// An object is not the drive's.
    WrongBytes,
    /// It contradicts itself.
    Malformed,
    /// A folder or file cannot be read.
    Unreadable,
    /// It does not have what was asked for, and says so.
    Partial,
}

impl FaultKind {
    /// Whether it may be over soon by itself.
    pub fn may_pass(self) -> bool {
        matches!(self, Self::Unreachable | Self::Slow | Self::Busy | Self::Missing | Self::Unreadable)
    }
}

/// What is wrong with a mirror.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct MirrorFault {
    /// What kind of fault.
    pub kind: FaultKind,
    /// The object.
    pub object: String,
    /// What exactly, as a clause.
    pub why: String,
}

impl fmt::Display for MirrorFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.object, self.why)
    }
}

impl MirrorFault {
    /// A fault of an object.
    pub fn new(kind: FaultKind, object: &str, why: impl fmt::Display) -> Self {
        let mut why = why.to_string();
        if why.len() > MAX_WHY {
            let end = (0..=MAX_WHY).rev().find(|i| why.is_char_boundary(*i)).unwrap_or(0);
            why.truncate(end);
        }
        Self { kind, object: object.to_owned(), why }
    }

    /// Bytes came that are not the object. What they are instead is looked at.
    pub fn wrong(object: &str, bytes: &[u8], why: impl fmt::Display) -> Self {
        if is_web_page(bytes) {
            return Self::new(FaultKind::WebPage, object, "a web page came instead of it");
        }
        Self::new(FaultKind::WrongBytes, object, why)
    }

    pub(super) fn of_head(e: &HeadError, bytes: &[u8]) -> Self {
        let kind = match e {
            HeadError::NotAHead if is_web_page(bytes) => {
                return Self::new(FaultKind::WebPage, bosc_mirror::HEAD, "a web page came instead of it");
            }
            HeadError::NotAHead => FaultKind::NotAMirror,
            HeadError::Newer(_) => FaultKind::Newer,
            HeadError::Damaged => FaultKind::Damaged,
            _ => FaultKind::Malformed,
        };
        Self::new(kind, bosc_mirror::HEAD, e)
    }
}

/// Whether bytes begin as a web page does.
fn is_web_page(bytes: &[u8]) -> bool {
    let start = bytes.trim_ascii_start();
    let start = start.strip_prefix("\u{feff}".as_bytes()).unwrap_or(start);
    let begins = |tag: &[u8]| start.get(..tag.len()).is_some_and(|s| s.eq_ignore_ascii_case(tag));
    [&b"<!doctype"[..], b"<html", b"<head", b"<?xml", b"<!--"].into_iter().any(begins)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_web_page_is_told_from_other_bytes() {
        assert_eq!(MirrorFault::wrong("x", b"\n <!DOCTYPE html>", "no").kind, FaultKind::WebPage);
        assert_eq!(MirrorFault::wrong("x", b"<HTML>", "no").kind, FaultKind::WebPage);
        assert_eq!(MirrorFault::wrong("x", b"boscmirr", "no").kind, FaultKind::WrongBytes);
        assert_eq!(MirrorFault::of_head(&HeadError::NotAHead, b"404").kind, FaultKind::NotAMirror);
    }

    #[test]
    fn a_reason_is_bounded() {
        assert!(MirrorFault::new(FaultKind::Slow, "x", "é".repeat(400)).why.len() <= MAX_WHY);
    }
}
