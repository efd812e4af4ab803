//! A key that stands alone.

use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD, HEXLOWER_PERMISSIVE};
use zeroize::Zeroizing;

/// The bytes of a key that stands alone: 32 or 64 of them in hex or base64.
pub(super) fn bare_key(word: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let bytes = match word.len() {
        64 | 128 => HEXLOWER_PERMISSIVE.decode(word).or_else(|_| BASE64.decode(word)).ok()?,
        43 | 86 => BASE64URL_NOPAD.decode(word).or_else(|_| BASE64_NOPAD.decode(word)).ok()?,
        44 | 88 => BASE64.decode(word).or_else(|_| BASE64URL.decode(word)).ok()?,
        _ => return None,
    };
    matches!(bytes.len(), 32 | 64).then(|| Zeroizing::new(bytes))
}
