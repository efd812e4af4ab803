use super::*;
use bosc_format::crypto::KeyPair;
use bosc_format::manifest::Manifest;
use bosc_format::signing::Content;

const SIGNER: PublicKey = [5; 32];

fn memory() -> (tempfile::TempDir, Memory) {
    let dir = tempfile::tempdir().unwrap();
    let memory = Memory::new(dir.path().join("keys"), true);
    (dir, memory)
}

fn manifest(namespace: &str) -> Manifest {
    let keys: Vec<_> = (1..=3).map(|n| KeyPair::from_seed(&[n; 32]).public()).collect();
    Manifest::multisig(&keys, 2, namespace)
}

fn request(length: u64, hash: u8, blobs: u8) -> Request {
    let content = Content { length: 4, tree_hash: [blobs; 32] };
    Request::new(manifest("a/b"), length, 0, [hash; 32], Some(content))
}

fn signed(length: u64, hash: u8, blobs: u8) -> Signed {
    let r = request(length, hash, blobs);
    Signed::of(&r, &r.encode(), 1)
}

fn told(signed: &Signed, relation: Relation) -> Earlier {
    Earlier { signed: signed.clone(), relation }
}

fn put(m: &Memory, new: &Signed, replace: bool) -> Result<(), CommandError> {
    let seen = m.read(&SIGNER).unwrap();
    m.record(&SIGNER, new, &seen, &[], replace)
}

#[test]
fn a_second_release_of_a_length_is_refused_with_both_hashes_until_replaced() {
    let (_dir, m) = memory();
    let (a, b) = (signed(5, 1, 1), signed(5, 2, 1));
    put(&m, &a, false).unwrap();
    put(&m, &a, false).unwrap();
    assert_eq!(m.read(&SIGNER).unwrap().signed.len(), 1);
    let e = put(&m, &b, false).unwrap_err();
    assert_eq!(e.code(), "ERR_ALREADY_SIGNED");
    assert!(e.message().contains(&a.spoken()) && e.message().contains(&b.spoken()), "{e}");
    assert!(e.hint_text().contains("--replace"));
    // Blobs of another release under the same db are another release.
    assert!(put(&m, &signed(5, 1, 2), false).is_err());
    put(&m, &b, true).unwrap();
    assert_eq!(m.read(&SIGNER).unwrap().of(&request(5, 2, 1).key()), std::slice::from_ref(&b));
    // The first one is the second one now.
    assert_eq!(put(&m, &a, false).unwrap_err().code(), "ERR_ALREADY_SIGNED");
    // Another link and another key are none of its business.
    let r = Request { manifest: manifest("other"), ..request(5, 9, 9) };
    put(&m, &Signed::of(&r, &r.encode(), 1), false).unwrap();
    m.record(&[6; 32], &a, &Book::default(), &[], false).unwrap();
}

#[test]
fn the_same_release_asked_for_in_another_version_is_signed_without_a_word() {
    let (_dir, m) = memory();
    put(&m, &signed(5, 1, 1), false).unwrap();
    let legacy = Request { version: 2, ..request(5, 1, 1) };
    put(&m, &Signed::of(&legacy, &legacy.encode(), 2), false).unwrap();
    assert_eq!(m.read(&SIGNER).unwrap().signed.len(), 2);
}

#[test]
fn releases_that_part_ways_stand_against_each_other_at_any_length() {
    let (_dir, m) = memory();
    let (a, b) = (signed(5, 1, 1), signed(7, 2, 1));
    put(&m, &a, false).unwrap();
    let book = m.read(&SIGNER).unwrap();
    let against = |relation| book.against(&b, &[told(&a, relation)]);
    assert_eq!(against(Relation::Differs), std::slice::from_ref(&a));
    for fine in [Relation::Continues, Relation::Overtaken, Relation::Unknown] {
        assert_eq!(against(fine), []);
    }
    // What is shorter cannot go on from it.
    let shorter = signed(3, 3, 1);
    assert_eq!(book.against(&shorter, &[]), std::slice::from_ref(&a));
    assert_eq!(book.against(&shorter, &[told(&a, Relation::Continues)]), []);
    // Nobody says of two releases of one length that one goes on from the other.
    let same = signed(5, 2, 1);
    assert_eq!(book.against(&same, &[told(&a, Relation::Continues)]), std::slice::from_ref(&a));
    assert_eq!(book.against(&same, &[told(&a, Relation::Overtaken)]), []);
    let e = m.record(&SIGNER, &b, &book, &[told(&a, Relation::Differs)], false).unwrap_err();
    assert!(e.message().contains("does not go on from"), "{e}");
}

#[test]
fn two_runs_at_once_sign_one_release() {
    let (_dir, m) = memory();
    let seen = m.read(&SIGNER).unwrap();
    let made: Vec<_> = (0..8u8).map(|n| signed(5, n, 1)).collect();
    let ok = std::thread::scope(|s| {
        let runs: Vec<_> =
            made.iter().map(|new| s.spawn(|| m.record(&SIGNER, new, &seen, &[], true).is_ok())).collect();
        runs.into_iter().map(|r| r.join().unwrap()).filter(|ok| *ok).count()
    });
    assert_eq!(ok, 1);
    assert_eq!(m.read(&SIGNER).unwrap().signed.len(), 1);
    let e = m.record(&SIGNER, &signed(9, 9, 9), &seen, &[], true).unwrap_err();
    assert_eq!(e.code(), "ERR_ALREADY_SIGNED");
}

#[test]
fn a_half_of_a_link_is_not_signed_as_a_link_of_its_own() {
    let (_dir, m) = memory();
    put(&m, &signed(5, 1, 1), false).unwrap();
    let book = m.read(&SIGNER).unwrap();
    let production = manifest("a/b");
    let blobs = production.blobs(&production.key()).unwrap();
    // A drive whose own core is production's blobs: its db's signature is one for production's blobs.
    let r = Request { manifest: blobs, ..request(4, 8, 8) };
    assert_eq!(r.check(), Ok(()));
    let e = book.refuse_halves(&Signed::of(&r, &r.encode(), 1)).unwrap_err();
    assert!(e.message().contains(&PearLink::new(production.key()).to_string()), "{e}");
    book.refuse_halves(&signed(9, 9, 9)).unwrap();
}

#[test]
fn a_damaged_book_is_no_empty_book() {
    let (_dir, m) = memory();
    put(&m, &signed(5, 1, 1), false).unwrap();
    let path = m.path(&SIGNER);
    let whole = std::fs::read(&path).unwrap();
    for bytes in [&b""[..], b"{}", &whole[..whole.len() / 2], b"{\"version\":99,\"signed\":[]}"] {
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(m.read(&SIGNER).unwrap_err().code(), "ERR_INVALID_INPUT");
        assert!(m.record(&SIGNER, &signed(5, 2, 1), &Book::default(), &[], true).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }
}

#[cfg(unix)]
#[test]
fn the_book_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let (_dir, m) = memory();
    put(&m, &signed(5, 1, 1), false).unwrap();
    for (path, mode) in
        [(m.path(&SIGNER), 0o600), (m.dir.join(".signed.lock"), 0o600), (m.dir.clone(), 0o700)]
    {
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, mode);
    }
}

#[test]
fn a_record_that_is_not_in_the_folder_of_the_keys_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let (keys, other) = (dir.path().join("keys"), dir.path().join("other"));
    std::fs::create_dir_all(&keys).unwrap();
    std::fs::create_dir_all(&other).unwrap();
    let ring = Keyring::open(Some(&keys)).unwrap();
    assert_eq!(ring.other_memory(None), None);
    assert_eq!(ring.other_memory(Some(&keys)), None);
    assert_eq!(ring.other_memory(Some(&keys.join("../keys/."))), None);
    assert_eq!(ring.other_memory(Some(&other)), Some(other.clone()));
    assert!(ring.other_memory(Some(&dir.path().join("not-yet"))).is_some());
}
