//! Private keys and key stores that are no text: by their first bytes and their structure, not by their names.
//!
//! Formats: PKCS #1 (RFC 8017), SEC 1 (RFC 5915), PKCS #8 (RFC 5958), PKCS #12 (RFC 7292), the key stores of Java, KeePass,
//! and secret keys of OpenPGP (RFC 9580, section 5.5.3).
//!
//! Only what a file starts with is read, no length in it is believed further than the file goes, and nothing is unpacked.

use super::Suspect;

/// What a file that starts with `head` and has `size` bytes in all is.
pub(super) fn look(head: &[u8], size: u64) -> Option<Suspect> {
    const STORES: [&[u8]; 3] = [b"\xfe\xed\xfe\xed\0\0\0", b"\xce\xce\xce\xce\0\0\0", b"\x03\xd9\xa2\x9a"];
    if STORES.iter().any(|magic| head.starts_with(magic)) {
        return Some(Suspect::KeyStore);
    }
    der(head, size).or_else(|| is_openpgp(head, size).then_some(Suspect::PrivateKey))
}

const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const OBJECT: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
/// What is kept of a key is in this many bytes; a longer one is no key.
const LONGEST_KEY: u64 = 16 * 1024;

/// An element of DER: its tag, its content as far as it is in `bytes`, its length, and what follows it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], u64, &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (u64::from(first), rest),
        // Four bytes of length are enough for any key store.
        0x81..=0x84 => {
            let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (length.iter().fold(0, |n, b| n << 8 | u64::from(*b)), rest)
        }
        _ => return None,
    };
    let end = usize::try_from(length).unwrap_or(usize::MAX).min(rest.len());
    let (content, after) = rest.split_at_checked(end)?;
    Some((tag, content, length, after))
}

/// The tags of a sequence's elements, at most `N`; 0 where there is none.
fn tags<const N: usize>(mut content: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    for tag in &mut out {
        let Some((found, _, _, after)) = element(content) else { break };
        (*tag, content) = (found, after);
    }
    out
}

fn der(head: &[u8], size: u64) -> Option<Suspect> {
    // PKCS #12 as Windows and Apple write it may leave lengths open (BER).
    let open = head.strip_prefix(b"\x30\x80").map(|content| (content, None));
    let (content, length) = open.or_else(|| {
        let (tag, content, length, _) = element(head)?;
        let before = head.len().checked_sub(content.len())? as u64;
        // Of what is longer than the head, the size of the header is not known by the head's end.
        let whole = length <= size && size - length <= 6 && (before <= 6 || size <= head.len() as u64);
        (tag == SEQUENCE && whole).then_some((content, Some(length)))
    })?;
    let (INTEGER, version, 1, after) = element(content)? else {
        return is_encrypted(content).then_some(Suspect::PrivateKey).filter(|_| is_short(length));
    };
    if version == [3] {
        // PFX: its content is data or signed data of PKCS #7.
        const PKCS7: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07";
        let inner = after
            .strip_prefix(b"\x30\x80")
            .or_else(|| element(after).filter(|(tag, ..)| *tag == SEQUENCE).map(|(_, content, ..)| content));
        let (OBJECT, object, ..) = element(inner?)? else { return None };
        return object.starts_with(PKCS7).then_some(Suspect::KeyStore);
    }
    if !is_short(length) || !matches!(version, [0 | 1]) {
        return None;
    }
    let key = match tags::<9>(after) {
        // RSA: modulus, exponent, private exponent, two primes, three numbers of theirs (and more primes).
        [INTEGER, INTEGER, INTEGER, INTEGER, INTEGER, INTEGER, INTEGER, INTEGER, 0 | SEQUENCE] => true,
        // DSA, as OpenSSL writes it.
        [INTEGER, INTEGER, INTEGER, INTEGER, INTEGER, 0, ..] => version == [0],
        // SEC 1: the number, the curve, perhaps the point.
        [OCTETS, 0xa0, 0xa1 | 0, 0, ..] | [OCTETS, 0xa1 | 0, 0, ..] => version == [1],
        // PKCS #8: the algorithm, the key, perhaps attributes and the public key.
        [SEQUENCE, OCTETS, 0xa0 | 0xa1 | 0x81 | 0, ..] => element(after)
            .and_then(|(_, algorithm, ..)| element(algorithm))
            .is_some_and(|(tag, ..)| tag == OBJECT),
        _ => false,
    };
    key.then_some(Suspect::PrivateKey)
}

fn is_short(length: Option<u64>) -> bool {
    length.is_some_and(|l| (16..=LONGEST_KEY).contains(&l))
}

/// PKCS #8 under a password: an algorithm for passwords (PKCS #5 or PKCS #12), and bytes.
fn is_encrypted(content: &[u8]) -> bool {
    const PASSWORDS: [&[u8]; 2] =
        [b"\x2a\x86\x48\x86\xf7\x0d\x01\x05", b"\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x01"];
    let Some((SEQUENCE, algorithm, _, after)) = element(content) else { return false };
    let Some((OBJECT, object, ..)) = element(algorithm) else { return false };
    PASSWORDS.iter().any(|p| object.starts_with(p)) && matches!(tags::<2>(after), [OCTETS, 0])
}

/// Whether it starts with a secret key of OpenPGP and goes on as a key ring does: a user's name, another key, or a signature.
fn is_openpgp(head: &[u8], size: u64) -> bool {
    const SECRET_KEY: u8 = 5;
    const FOLLOWERS: [u8; 4] = [2, 7, 13, 17];
    let Some((SECRET_KEY, content, length, after)) = packet(head) else { return false };
    let version_and_algorithm = matches!(content, [4..=6, _, _, _, _, 1..=28, ..]);
    let next = packet(after).map(|(tag, ..)| tag);
    length <= size
        && length <= LONGEST_KEY
        && version_and_algorithm
        && next.is_some_and(|tag| FOLLOWERS.contains(&tag))
}

/// A packet of OpenPGP: its tag, its content, its length, and what follows it. Partial lengths are for data only.
fn packet(bytes: &[u8]) -> Option<(u8, &[u8], u64, &[u8])> {
    let (&header, rest) = bytes.split_first()?;
    let (tag, digits, first) = match header {
        0x80..=0xbf => match header & 3 {
            3 => return None,
            size => (header >> 2 & 0xf, 1 << size, None),
        },
        0xc0..=0xff => match *rest.first()? {
            short @ 0..=0xbf => (header & 0x3f, 1, Some(u64::from(short))),
            0xc0..=0xdf => {
                let [a, b, ..] = *rest else { return None };
                (header & 0x3f, 2, Some((u64::from(a) - 192) * 256 + u64::from(b) + 192))
            }
            0xff => (header & 0x3f, 5, None),
            _ => return None,
        },
        _ => return None,
    };
    let (length, rest) = rest.split_at_checked(digits)?;
    let number = length.get(usize::from(digits == 5)..)?.iter().fold(0, |n, b| n << 8 | u64::from(*b));
    let length = first.unwrap_or(number);
    let end = usize::try_from(length).unwrap_or(usize::MAX).min(rest.len());
    let (content, after) = rest.split_at_checked(end)?;
    Some((tag, content, length, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(tag: u8, content: &[u8]) -> Vec<u8> {
        let mut out = vec![tag];
        match content.len() {
            n @ 0..=0x7f => out.push(n as u8),
            n @ 0x80..=0xff => out.extend([0x81, n as u8]),
            n => out.extend([0x82, (n >> 8) as u8, n as u8]),
        }
        out.extend(content);
        out
    }

    fn sequence(items: &[Vec<u8>]) -> Vec<u8> {
        item(SEQUENCE, &items.concat())
    }

    fn number(bytes: usize) -> Vec<u8> {
        item(INTEGER, &vec![0x11; bytes])
    }

    fn version(v: u8) -> Vec<u8> {
        item(INTEGER, &[v])
    }

    const RSA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
    const PBES2: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0d";
    const DATA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01";

    fn rsa() -> Vec<u8> {
        sequence(&[vec![version(0)], [257, 3, 256, 129, 129, 128, 128, 128].map(number).to_vec()].concat())
    }

    fn is(bytes: &[u8]) -> Option<Suspect> {
        look(bytes, bytes.len() as u64)
    }

    #[test]
    fn keys_in_der() {
        let ed25519 = sequence(&[
            version(0),
            sequence(&[item(OBJECT, b"\x2b\x65\x70")]),
            item(OCTETS, &item(OCTETS, &[7; 32])),
        ]);
        let ec = sequence(&[
            version(1),
            item(OCTETS, &[7; 32]),
            item(0xa0, &item(OBJECT, b"\x2a\x86\x48\xce\x3d\x03\x01\x07")),
            item(0xa1, &item(3, &[7; 66])),
        ]);
        let encrypted =
            sequence(&[sequence(&[item(OBJECT, PBES2), sequence(&[number(16)])]), item(OCTETS, &[7; 1232])]);
        let wrapped =
            sequence(&[version(0), sequence(&[item(OBJECT, RSA), item(5, &[])]), item(OCTETS, &rsa())]);
        let dsa = sequence(&[vec![version(0)], [128, 20, 128, 128, 20].map(number).to_vec()].concat());
        for (name, key) in [
            ("rsa", rsa()),
            ("ed25519", ed25519),
            ("ec", ec),
            ("encrypted", encrypted),
            ("pkcs8", wrapped),
            ("dsa", dsa),
        ] {
            assert_eq!(is(&key), Some(Suspect::PrivateKey), "{name}");
            // Something else that starts like one.
            assert_eq!(is(&[key.as_slice(), &[0; 100]].concat()), None, "{name}, longer");
            assert_eq!(look(&key, key.len() as u64 * 3), None, "{name}, of a longer file");
        }
    }

    #[test]
    fn key_stores() {
        let pfx =
            sequence(&[version(3), sequence(&[item(OBJECT, DATA), item(0xa0, &item(OCTETS, &[7; 900]))])]);
        assert_eq!(is(&pfx), Some(Suspect::KeyStore));
        let open =
            [&b"\x30\x80\x02\x01\x03\x30\x80\x06\x09"[..], DATA, b"\xa0\x80\x24\x80", &[0; 20]].concat();
        assert_eq!(is(&open), Some(Suspect::KeyStore));
        // Of a long one only the start is read.
        let long =
            sequence(&[version(3), sequence(&[item(OBJECT, DATA), item(0xa0, &item(OCTETS, &[7; 60_000]))])]);
        assert_eq!(look(&long[..40_000], long.len() as u64), Some(Suspect::KeyStore));
        assert_eq!(is(b"\xfe\xed\xfe\xed\0\0\0\x02\0\0\0\x01"), Some(Suspect::KeyStore));
        assert_eq!(is(b"\xce\xce\xce\xce\0\0\0\x02\0\0\0\x01"), Some(Suspect::KeyStore));
        assert_eq!(is(b"\x03\xd9\xa2\x9a\x67\xfb\x4b\xb5"), Some(Suspect::KeyStore));
    }

    #[test]
    fn key_rings_of_openpgp() {
        let key = [&[4, 0x66, 0, 0, 0, 22][..], &[7; 90]].concat();
        let user = b"\xb4\x05alice";
        let old = [&[0x94, key.len() as u8][..], &key, user].concat();
        let new = [&[0xc5, key.len() as u8][..], &key, b"\xcd\x05alice"].concat();
        assert_eq!(is(&old), Some(Suspect::PrivateKey));
        assert_eq!(is(&new), Some(Suspect::PrivateKey));
        let public = [&[0x98, key.len() as u8][..], &key, user].concat();
        assert_eq!(is(&public), None);
        assert_eq!(is(&[&[0x94, key.len() as u8][..], &key, b"no packet"].concat()), None);
    }

    #[test]
    fn what_is_no_key() {
        let public = sequence(&[sequence(&[item(OBJECT, RSA), item(5, &[])]), item(3, &[7; 270])]);
        let certificate = sequence(&[
            sequence(&[item(0xa0, &version(2)), number(9), sequence(&[item(OBJECT, RSA)])]),
            sequence(&[item(OBJECT, RSA)]),
            item(3, &[7; 257]),
        ]);
        let signature = sequence(&[number(32), number(32)]);
        for (name, bytes) in [("public", public), ("certificate", certificate), ("signature", signature)] {
            assert_eq!(is(&bytes), None, "{name}");
        }
        // All starts of a key, and nonsense.
        let key = rsa();
        for end in 0..key.len() {
            let _ = look(&key[..end], key.len() as u64);
            let _ = is(&key[..end]);
        }
        for first in 0..=255 {
            for second in 0..=255 {
                let _ = is(&[first, second, 0xff, 0xff, 0xff, 0xff, 0xff]);
                assert_eq!(is(&[first, second]), None);
            }
        }
    }
}
