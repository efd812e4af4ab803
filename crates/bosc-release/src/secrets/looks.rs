//! What a name alone tells.

use super::kinds::Suspect;

/// Endings of files that hold keys.
const KEY_STORES: [&str; 6] = ["p12", "pfx", "jks", "keystore", "kdbx", "ppk"];

/// What the file or folder called `name` looks like.
fn name_looks(name: &str, is_folder: bool) -> Option<Suspect> {
    // Nearly all names end here.
    let marked = name.starts_with(['.', '_', 'i', 'I']);
    let extension = name.rsplit_once('.').map_or("", |(_, e)| e);
    if !marked && (is_folder || !KEY_STORES.iter().any(|e| extension.eq_ignore_ascii_case(e))) {
        return None;
    }
    let lower = name.to_ascii_lowercase();
    // A work tree's `.git` is a file.
    if matches!(lower.as_str(), ".git" | ".hg" | ".svn" | ".bzr") {
        return Some(Suspect::History);
    }
    if is_folder {
        return matches!(lower.as_str(), ".ssh" | ".gnupg" | ".aws" | ".kube" | ".azure")
            .then_some(Suspect::Credentials);
    }
    if let Some(rest) = lower.strip_prefix(".env") {
        let harmless = ["example", "sample", "template", "dist", "defaults", "schema"];
        return match rest.strip_prefix('.') {
            Some(kind) => (!harmless.iter().any(|h| kind.ends_with(h))).then_some(Suspect::Environment),
            None => rest.is_empty().then_some(Suspect::Environment),
        };
    }
    if let Some(kind) = lower.strip_prefix("id_") {
        return matches!(kind, "rsa" | "dsa" | "ecdsa" | "ed25519" | "ecdsa_sk" | "ed25519_sk")
            .then_some(Suspect::SshKey);
    }
    if matches!(
        lower.as_str(),
        ".netrc" | "_netrc" | ".git-credentials" | ".pgpass" | ".htpasswd" | ".dockercfg" | ".vault-token"
    ) {
        return Some(Suspect::Credentials);
    }
    KEY_STORES.iter().any(|e| extension.eq_ignore_ascii_case(e)).then_some(Suspect::KeyStore)
}

/// What a key looks like by its names: the part of it that tells (a folder stands for all it holds), and what it seems to
/// be.
pub(crate) fn key_looks(key: &str) -> Option<(&str, Suspect)> {
    let mut start = 0;
    for end in key.match_indices('/').map(|(i, _)| i).skip(1).chain([key.len()]) {
        let name = key.get(start..end).unwrap_or_default().trim_start_matches('/');
        if let Some(suspect) = name_looks(name, end < key.len()) {
            return Some((key.get(..end)?, suspect));
        }
        start = end;
    }
    is_segment(key).then_some((key, Suspect::Segment))
}

/// `NNNNNN.seg`
pub(super) fn is_segment(key: &str) -> bool {
    let number = key.rsplit('/').next().and_then(|n| n.strip_suffix(".seg"));
    number.is_some_and(|n| n.len() >= 6 && n.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_tell_something() {
        for (key, part, suspect) in [
            ("/.git/config", "/.git", Suspect::History),
            ("/sub/.git", "/sub/.git", Suspect::History),
            ("/.env", "/.env", Suspect::Environment),
            ("/a/.env.production", "/a/.env.production", Suspect::Environment),
            ("/id_ed25519", "/id_ed25519", Suspect::SshKey),
            ("/home/.ssh/config", "/home/.ssh", Suspect::Credentials),
            ("/cert.P12", "/cert.P12", Suspect::KeyStore),
            ("/.netrc", "/.netrc", Suspect::Credentials),
            ("/s/data/000001.seg", "/s/data/000001.seg", Suspect::Segment),
            ("/000001.seg", "/000001.seg", Suspect::Segment),
            ("/home/.kube/config", "/home/.kube", Suspect::Credentials),
        ] {
            assert_eq!(key_looks(key), Some((part, suspect)), "{key}");
        }
        for key in [
            "/git",
            "/.gitignore",
            "/.env.example",
            "/.environment",
            "/id_rsa.pub",
            "/a.pem",
            "/data/1.seg",
            "/data/000001.segment",
        ] {
            assert_eq!(key_looks(key), None, "{key}");
        }
    }
}
