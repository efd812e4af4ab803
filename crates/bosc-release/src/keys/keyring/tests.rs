use super::*;
use crate::keys::signing_key::KdfLimits;

const CHEAP: KdfLimits = KdfLimits { ops: 32_768, mem: 1 << 24 };

fn key(salt: u8) -> (PublicKey, EncryptedKey) {
    let key = SigningKey::generate().unwrap();
    (key.pair().public(), key.encrypt_with(b"passphrase", CHEAP, [salt; 32]).unwrap())
}

fn ring(dir: &Path) -> Keyring {
    Keyring {
        dir: dir.join("pear"),
        fallback: Some(dir.join("other")),
        home: Some(dir.to_owned()),
        own: true,
    }
}

#[test]
fn a_key_is_written_privately_and_never_over_another() {
    let dir = tempfile::tempdir().unwrap();
    let ring = ring(dir.path());
    let (public, private) = key(1);
    assert!(ring.public("default").unwrap().is_none());
    let paths = ring.add("default", &public, Some(&private)).unwrap();
    assert_eq!(ring.public("default").unwrap(), Some(public));
    assert_eq!(ring.require_private("default").unwrap(), private);
    assert_eq!(std::fs::read(&paths.private).unwrap(), private.encode());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |p: &Path| std::fs::metadata(p).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&ring.dir), mode(&paths.private), mode(&paths.public)), (0o700, 0o600, 0o600));
        // A key that JavaScript left readable is taken back from others when it is used.
        std::fs::set_permissions(&paths.private, std::fs::Permissions::from_mode(0o644)).unwrap();
        ring.private("default").unwrap();
        assert_eq!(mode(&paths.private), 0o600);
    }
    let (other, secret) = key(2);
    let e = ring.add("default", &other, Some(&secret)).unwrap_err();
    assert!(e.message().contains("already exists"), "{e}");
    assert_eq!(ring.public("default").unwrap(), Some(public));
    // Half a key is a key too: a crash between the two files must not lose the secret one.
    std::fs::remove_file(&paths.public).unwrap();
    assert!(ring.add("default", &other, Some(&secret)).is_err());
    assert_eq!(ring.public("default").unwrap(), Some(public));
    ring.remove("default").unwrap();
    assert!(ring.remove("default").unwrap_err().message().contains("not found"));
    assert_eq!(std::fs::read_dir(&ring.dir).unwrap().count(), 0, "nothing is left lying about");
}

#[test]
fn halves_of_two_keys_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let ring = ring(dir.path());
    let ((public, _), (_, private)) = (key(1), key(2));
    assert!(ring.add("a", &public, Some(&private)).is_err());
    assert!(ring.list().unwrap().is_empty());
}

#[test]
fn the_stand_alone_tools_keys_are_found_as_text() {
    let dir = tempfile::tempdir().unwrap();
    let ring = ring(dir.path());
    let (public, private) = key(1);
    let other = dir.path().join("other");
    std::fs::create_dir(&other).unwrap();
    // Version 0: no public key inside.
    let old = &private.encode()[1..crate::keys::signing_key::V0_BYTES + 1];
    std::fs::write(other.join("default"), id::encode_bytes(old)).unwrap();
    std::fs::write(other.join("default.public"), format!("{}\n", id::encode(&public))).unwrap();
    assert_eq!(ring.public("default").unwrap(), Some(public));
    let read = ring.require_private("default").unwrap();
    assert_eq!(read.public_key(), Some(&public));
    assert_eq!(read.decrypt(b"passphrase").unwrap().pair().public(), public);
    let all = ring.list().unwrap();
    assert_eq!((all.len(), all[0].owned), (1, true));
    // One of our own of that name comes first, and is never made while the other is there.
    assert!(ring.add("default", &public, None).is_err());
}

#[test]
fn names_and_files_that_are_no_keys_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let ring = ring(dir.path());
    for name in ["", "..", "a/b", "a b", "a.b", "ä", &"x".repeat(200)] {
        assert!(ring.paths(name).is_err(), "{name:?}");
    }
    std::fs::create_dir(&ring.dir).unwrap();
    std::fs::write(ring.dir.join("big.public"), vec![b'y'; 1 << 20]).unwrap();
    std::fs::write(ring.dir.join("odd.public"), b"nonsense").unwrap();
    std::fs::write(ring.dir.join("odd"), b"nonsense").unwrap();
    assert!(ring.list().unwrap().is_empty());
    assert!(ring.public("big").is_err());
    assert!(ring.public("odd").is_err());
    assert!(ring.private("odd").is_err());
}
