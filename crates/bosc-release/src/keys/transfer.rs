//! One encrypted signing key as a line of text that can be carried to another machine.
//!
//! `boscsigningkey1` followed by z-base-32 of `name | encrypted key (version 1)`, both with their lengths. The key is
//! encrypted as on disk; the text is as safe as its passphrase is good.

use super::keyring::{check_name, key_error, private_from};
use super::signing_key::EncryptedKey;
use crate::error::CommandError;
use bosc_format::codec::{Decoder, Encoder};
use bosc_format::id;

const PREFIX: &str = "boscsigningkey1";

/// A key on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    /// The name it had. `None` when the text was a bare key file.
    pub name: Option<String>,
    /// The key.
    pub key: EncryptedKey,
}

/// The text for a key. `None` when its public key is not known.
pub fn to_text(name: &str, key: &EncryptedKey) -> Option<String> {
    key.public_key()?;
    let mut e = Encoder::new();
    e.string(name).buffer(&key.encode());
    Some(format!("{PREFIX}{}", id::encode_bytes(&e.finish())))
}

/// Reads such a text, or a bare key file of either kind. White space around and inside the text does not matter.
///
/// # Errors
/// What is not a key, or asks for too much.
pub fn from_bytes(bytes: &[u8]) -> Result<Carried, CommandError> {
    let not = || {
        CommandError::input("this is not an exported signing key")
            .hint("give the file or the line that `bosc multisig keys export` wrote, whole")
    };
    let text: Option<String> =
        std::str::from_utf8(bytes).ok().map(|t| t.chars().filter(|c| !c.is_whitespace()).collect());
    let Some(body) = text.as_deref().and_then(|t| t.strip_prefix(PREFIX)) else {
        let key = private_from(bytes).map_err(|e| key_error(e, "imported"))?;
        return Ok(Carried { name: None, key });
    };
    let decoded = id::decode_bytes(body).map_err(|_| not())?;
    let mut d = Decoder::new(&decoded);
    let name = d.string().map_err(|_| not())?.to_owned();
    check_name(&name)?;
    let key = d.buffer().map_err(|_| not())?;
    let key = EncryptedKey::decode(key).map_err(|e| key_error(e, &name))?;
    d.finish().map_err(|_| not())?;
    Ok(Carried { name: Some(name), key })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::signing_key::{KdfLimits, SigningKey};

    #[test]
    fn a_key_survives_the_way_and_half_of_it_does_not() {
        let limits = KdfLimits { ops: 32_768, mem: 1 << 24 };
        let key = SigningKey::generate().unwrap().encrypt_with(b"passphrase", limits, [3; 32]).unwrap();
        let text = to_text("release-1", &key).unwrap();
        let wrapped = format!("  {}\n{}\r\n", &text[..70], &text[70..]);
        let back = from_bytes(wrapped.as_bytes()).unwrap();
        assert_eq!((back.name.as_deref(), &back.key), (Some("release-1"), &key));
        assert_eq!(from_bytes(&key.encode()).unwrap(), Carried { name: None, key: key.clone() });
        let bare = id::encode_bytes(&key.encode());
        assert_eq!(from_bytes(bare.as_bytes()).unwrap(), Carried { name: None, key });
        for cut in 0..text.len() {
            assert!(from_bytes(&text.as_bytes()[..cut]).is_err(), "{cut}");
        }
        assert!(from_bytes(format!("{text}y").as_bytes()).is_err());
    }
}
