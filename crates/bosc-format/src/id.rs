//! Keys as people write them: z-base-32 (52 characters) or hex (64).

use data_encoding::{Encoding, HEXLOWER_PERMISSIVE, Specification};
use std::sync::LazyLock;
use thiserror::Error;

/// The z-base-32 alphabet, lower case only.
pub const Z32_ALPHABET: &str = "ybndrfg8ejkmcpqxot1uwisza345h769";

static Z32: LazyLock<Option<Encoding>> = LazyLock::new(|| {
    let mut spec = Specification::new();
    spec.symbols.push_str(Z32_ALPHABET);
    // JavaScript's z32 drops the bits left over after the last whole byte without looking at them.
    spec.check_trailing_bits = false;
    spec.encoding().ok()
});

/// A text is not a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a key is 52 characters of z-base-32 or 64 of hex")]
pub struct InvalidId;

/// A 32-byte key as 52 characters of z-base-32.
pub fn encode(key: &[u8; 32]) -> String {
    encode_bytes(key)
}

/// Any bytes as z-base-32, without padding.
pub fn encode_bytes(bytes: &[u8]) -> String {
    Z32.as_ref().map(|z| z.encode(bytes)).unwrap_or_default()
}

/// Any z-base-32 text as bytes.
pub fn decode_bytes(text: &str) -> Result<Vec<u8>, InvalidId> {
    Z32.as_ref().ok_or(InvalidId)?.decode(text.as_bytes()).map_err(|_| InvalidId)
}

/// A key from 52 characters of z-base-32 or 64 of hex (either case).
pub fn decode(text: &str) -> Result<[u8; 32], InvalidId> {
    let bytes = match text.len() {
        52 => decode_bytes(text)?,
        64 => HEXLOWER_PERMISSIVE.decode(text.as_bytes()).map_err(|_| InvalidId)?,
        _ => return Err(InvalidId),
    };
    bytes.try_into().map_err(|_| InvalidId)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_of_a_key_are_the_same_key() {
        let key = decode("5db4ysm3yq3e47ehpafznb5zmahe7tpd37ujzze6x5nbznhxp33y").unwrap();
        assert_eq!(
            data_encoding::HEXLOWER.encode(&key),
            "d8c3a0597903b28d751c6e0b7107775e388ec5a3cf669bdd1e7ec41b8b8f6e72"
        );
        assert_eq!(decode(&data_encoding::HEXUPPER.encode(&key)), Ok(key));
        assert_eq!(encode(&key), "5db4ysm3yq3e47ehpafznb5zmahe7tpd37ujzze6x5nbznhxp33y");
        assert_eq!(decode("5DB4ysm3yq3e47ehpafznb5zmahe7tpd37ujzze6x5nbznhxp33y"), Err(InvalidId));
    }
}
