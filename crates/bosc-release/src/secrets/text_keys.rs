//! Private keys of other programs that are text, but no PEM.

use super::bare::bare_key;
use super::search::find;
use zeroize::Zeroizing;

/// Largest file with a key of Tauri, in bytes.
const KEY_MAX: usize = 4096;

/// Whether a text, or the start of one, holds such a key.
pub(super) fn is_one(text: &[u8]) -> bool {
    text.starts_with(b"PuTTY-User-Key-File-")
        || is_minisign_key(text)
        || is_age_key(text)
        || is_openvpn_key(text)
        || is_gnupg_key(text)
        || is_json_web_key(text)
        || sets_wireguard_key(text)
}

/// Whether a text is a secret key of minisign, signify or rsign; or one of Tauri, which is that in base64.
fn is_minisign_key(text: &[u8]) -> bool {
    const COMMENT: &[u8] = b"untrusted comment:";
    let text = text.trim_ascii();
    let decoded = (text.starts_with(b"dW50cnVzdGVkIGNvbW1lbnQ6") && text.len() <= KEY_MAX)
        .then(|| data_encoding::BASE64.decode(text).ok().map(Zeroizing::new))
        .flatten();
    let mut lines =
        decoded.as_ref().map_or(text, |key| key.as_slice()).split(|b| *b == b'\n').map(<[u8]>::trim_ascii);
    let comment = lines.next().is_some_and(|line| line.starts_with(COMMENT));
    // A public key is 56 characters long.
    comment && lines.next().is_some_and(|key| key.starts_with(b"RW") && key.len() > 100)
}

/// Whether a text has an identity of age in it, as `age-keygen` writes them: one a line.
fn is_age_key(text: &[u8]) -> bool {
    text.split(|b| *b == b'\n').any(|line| {
        let key = line.trim_ascii().strip_prefix(b"AGE-SECRET-KEY-1").unwrap_or_default();
        key.len() >= 50 && key.iter().all(u8::is_ascii_alphanumeric)
    })
}

/// Whether a text holds a static key of OpenVPN: 16 lines of hex.
fn is_openvpn_key(text: &[u8]) -> bool {
    const FIRST: &[u8] = b"-----BEGIN OpenVPN ";
    find(text, FIRST).and_then(|at| text.get(at + FIRST.len()..)).is_some_and(|rest| {
        [&b"Static key V1-----"[..], b"tls-crypt-v2 client key-----", b"tls-crypt-v2 server key-----"]
            .iter()
            .filter_map(|kind| rest.strip_prefix(*kind))
            .any(|key| key.trim_ascii_start().iter().take_while(|b| b.is_ascii_alphanumeric()).count() >= 32)
    })
}

/// Whether a text is a file of `private-keys-v1.d`, where the agent of GnuPG keeps its keys.
fn is_gnupg_key(text: &[u8]) -> bool {
    let expression = |text: &[u8]| {
        [&b"(21:protected-private-key"[..], b"(11:private-key", b"(20:shadowed-private-key"]
            .iter()
            .any(|start| text.starts_with(start))
    };
    let named = || {
        text.split(|b| *b == b'\n').any(|line| {
            let key = line.strip_prefix(b"Key:").unwrap_or_default().trim_ascii_start();
            key.starts_with(b"(private-key") || key.starts_with(b"(protected-private-key")
        })
    };
    expression(text) || named()
}

/// Whether a text holds a JSON Web Key with its private part (RFC 7517 and 7518: `d`; `k` of a symmetric one).
fn is_json_web_key(text: &[u8]) -> bool {
    find(text, b"\"kty\"").is_some()
        && [&b"\"d\""[..], b"\"k\""].iter().any(|member| {
            let mut rest = text;
            while let Some(found) = find(rest, member).and_then(|at| rest.get(at + member.len()..)) {
                rest = found;
                let value = rest.trim_ascii_start().strip_prefix(b":").unwrap_or_default().trim_ascii_start();
                let value = value.strip_prefix(b"\"").unwrap_or_default();
                if value.iter().take_while(|b| b.is_ascii_alphanumeric() || b"-_".contains(b)).count() >= 40 {
                    return true;
                }
            }
            false
        })
}

/// Whether a line gives a key of WireGuard its value, as `wg` and NetworkManager write it.
fn sets_wireguard_key(text: &[u8]) -> bool {
    const NAMES: [&[u8]; 4] = [b"privatekey", b"private-key", b"presharedkey", b"preshared-key"];
    text.split(|b| *b == b'\n').any(|line| {
        let mut parts = line.splitn(2, |b| *b == b'=');
        let name = parts.next().unwrap_or_default().trim_ascii();
        let value = parts.next().unwrap_or_default().trim_ascii();
        NAMES.iter().any(|n| name.eq_ignore_ascii_case(n))
            && value.len() == 44
            // One of equal bytes is an example.
            && bare_key(value).is_some_and(|key| key.iter().any(|b| Some(b) != key.first()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_other_programs() {
        for key in [
            "[Interface]\nPrivateKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\nAddress = 10.0.0.2/32\n",
            "[wireguard]\nprivate-key=yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\n",
            "#\n# 2048 bit OpenVPN static key\n#\n-----BEGIN OpenVPN Static key V1-----\n\
             6acef03f62675b4b1bbd03e53b187727\n423cea742242106cb2916a8a4c829756\n",
            "<tls-crypt>\n-----BEGIN OpenVPN Static key V1-----\r\n6acef03f62675b4b1bbd03e53b187727\r\n",
            "(21:protected-private-key(3:ecc(5:curve7:Ed25519)(5:flags5:eddsa)",
            "Created: 20260101T000000\nKey: (private-key (ecc (curve Ed25519)\n",
            r#"{ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
                "d" : "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A" }"#,
            r#"{"keys":[{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}]}"#,
        ] {
            assert!(is_one(key.as_bytes()), "{key}");
        }
        for harmless in [
            "[Peer]\nPublicKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\n",
            "PrivateKey = AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
            "PrivateKey = ${WG_KEY}\n",
            "the line -----BEGIN OpenVPN Static key V1----- starts one",
            r#"{ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }"#,
            r#"{ "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A" }"#,
        ] {
            assert!(!is_one(harmless.as_bytes()), "{harmless}");
        }
    }
}
