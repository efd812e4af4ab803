use super::*;
use crate::crypto::{self, KeyPair, PublicKey};
use crate::id;
use crate::merkle::{Appender, Head};
use crate::testing::{h, h32, n, pear};
use crate::{corestore, proof};
use proptest::prelude::*;
use serde_json::Value;

fn signers(v: &Value) -> Vec<PublicKey> {
    v["signers"].as_array().unwrap().iter().map(|s| h32(&s["publicKey"])).collect()
}

#[test]
fn keys_of_one_and_several_signers_match_pear() {
    let v = pear();
    for s in v["signers"].as_array().unwrap() {
        let pair = KeyPair::from_seed(&h32(&s["seed"]));
        assert_eq!(pair.public(), h32(&s["publicKey"]));
        assert_eq!(id::encode(&pair.public()), s["z32"]);
    }
    let single = Manifest::single(signers(&v)[0]);
    assert_eq!(single.encode(), h(&v["single"]["manifest"]));
    assert_eq!(single.key(), h32(&v["single"]["key"]));
    assert_eq!(id::encode(&single.key()), v["single"]["keyz"]);
    assert_eq!(single.blobs_key(), Some(h32(&v["single"]["blobsKey"])));
    assert_eq!(crypto::discovery_key(&single.key()), h32(&v["single"]["discovery"]));

    let m = &v["multi"];
    let namespace = m["namespaceString"].as_str().unwrap();
    assert_eq!(multisig_namespace(namespace), h32(&m["namespaceHash"]));
    let multi = Manifest::multisig(&signers(&v), 2, namespace);
    assert_eq!(multi.encode(), h(&m["manifest"]));
    assert_eq!(multi.key(), h32(&m["key"]));
    assert_eq!(id::encode(&multi.key()), m["keyz"]);
    let blobs = multi.blobs(&multi.key()).unwrap();
    assert_eq!(blobs.encode(), h(&m["blobsManifest"]));
    assert_eq!(blobs.key(), h32(&m["blobsKey"]));
    let mut reordered = signers(&v);
    reordered.reverse();
    assert_ne!(Manifest::multisig(&reordered, 2, namespace).key(), multi.key());
    assert_eq!([0, 1, 2, 3, 4, 5].map(default_quorum), [0, 1, 2, 2, 3, 3]);
}

#[test]
fn corestore_keys_match() {
    let v = &pear()["corestore"];
    let name = v["name"].as_str().unwrap().as_bytes();
    let pair = corestore::key_pair(&h32(&v["primaryKey"]), &corestore::DEFAULT_NAMESPACE, name);
    assert_eq!(pair.public(), h32(&v["publicKey"]));
    let inner = corestore::namespace(&corestore::DEFAULT_NAMESPACE, b"x");
    assert_ne!(corestore::key_pair(&h32(&v["primaryKey"]), &inner, name).public(), pair.public());
}

/// The heads of the drive in the vectors, not signed: the core and its blobs.
fn drive_heads(v: &Value) -> [Head; 2] {
    let head = |blocks: &Value| {
        let mut a = Appender::default();
        for b in blocks.as_array().unwrap() {
            let data = if b.as_str().unwrap() == "len 100000" { vec![b'a'; 100_000] } else { h(b) };
            a.append_block(&data).unwrap();
        }
        a.finish(0).0
    };
    [head(&v["db"]), head(&v["blobs"])]
}

#[test]
fn the_committed_quorum_verifies_and_nothing_less_does() {
    let v = pear();
    let db = Manifest::multisig(&signers(&v), 2, "my-org/my-app");
    let manifests = [db.clone(), db.blobs(&db.key()).unwrap()];
    let signatures = [h(&v["committedSig"]["db"]), h(&v["committedSig"]["blobs"])];
    for ((manifest, head), signature) in manifests.iter().zip(drive_heads(&v)).zip(signatures) {
        let verifier = Verifier::new(&manifest.key(), Some(manifest)).unwrap();
        let with = |signature: Vec<u8>| Head { signature, ..head.clone() };
        assert!(verifier.verify(&with(signature.clone())));
        for i in 0..signature.len() {
            let mut flipped = signature.clone();
            flipped[i] ^= 1;
            // The last byte counts patch nodes, and a patch length means nothing when patches are not allowed.
            let parsed = MultiSignature::decode(&flipped);
            let original = MultiSignature::decode(&signature).unwrap();
            let same = parsed.is_ok_and(|p| {
                p.proofs
                    .iter()
                    .zip(&original.proofs)
                    .all(|(a, b)| (a.signer, a.signature) == (b.signer, b.signature))
                    && p.proofs.len() == original.proofs.len()
            });
            assert_eq!(verifier.verify(&with(flipped)), same, "byte {i}");
        }
        let parsed = MultiSignature::decode(&signature).unwrap();
        assert_eq!(parsed.encode(), signature);
        let some = |at: &[usize]| {
            let proofs = at.iter().map(|i| parsed.proofs[*i].clone()).collect();
            verifier.verify(&with(MultiSignature { proofs, patch: Vec::new() }.encode()))
        };
        assert!(some(&[0, 1]) && some(&[1, 0]));
        assert!(!some(&[0]) && !some(&[1]) && !some(&[]) && !some(&[0, 0]));
        for change in 0..3 {
            let mut other = with(signature.clone());
            match change {
                0 => other.fork += 1,
                1 => other.length -= 1,
                _ => other.roots[0].size += 1,
            }
            assert!(!verifier.verify(&other));
        }
    }
    assert!(!verify_head(&db.key(), Some(&manifests[1]), &Head::empty()));
}

#[test]
fn signables_match_pear() {
    let v = pear();
    let multi = Manifest::multisig(&signers(&v), 2, "my-org/my-app");
    let keys = [multi.key(), multi.blobs_key().unwrap()];
    for ((row, head), key) in v["signables"].as_array().unwrap().iter().zip(drive_heads(&v)).zip(keys) {
        assert_eq!(signable(&key, &head.tree_hash(), head.length, head.fork).to_vec(), h(&row["signable"]));
    }
}

fn vectors() -> Vec<Value> {
    serde_json::from_str(include_str!("../../../../interop/vectors/manifests.json")).unwrap()
}

/// The tree all signatures in `manifests.json` are about: block i is i + 1 bytes of value i.
fn head(length: u64, fork: u64, signature: Vec<u8>) -> Head {
    let mut a = Appender::default();
    for i in 0..length {
        a.append_block(&vec![i as u8; i as usize + 1]).unwrap();
    }
    Head { signature, ..a.finish(fork).0 }
}

#[test]
fn every_version_of_manifest_matches_hypercore() {
    for v in vectors() {
        let bytes = h(&v["manifest"]);
        let manifest = Manifest::decode(&bytes).unwrap();
        assert_eq!(manifest.encode(), bytes, "{}", v["name"]);
        let key = h32(&v["key"]);
        if v["name"] == "compat" {
            assert!(manifest.is_compat_with(&key));
        } else {
            assert_eq!(manifest.key(), key, "{}", v["name"]);
        }
        let mut other = key;
        other[0] ^= 1;
        assert_eq!(Verifier::new(&other, Some(&manifest)).err(), Some(ManifestError::WrongKey));
        for cut in 0..bytes.len() {
            assert!(Manifest::decode(&bytes[..cut]).is_err());
        }
        assert!(Manifest::decode(&[bytes.as_slice(), &[0]].concat()).is_err());
    }
}

#[test]
fn the_verifier_judges_as_hypercore_does() {
    for v in vectors() {
        let manifest = Manifest::decode(&h(&v["manifest"])).unwrap();
        let key = h32(&v["key"]);
        let verifier = Verifier::new(&key, Some(&manifest)).unwrap();
        for row in v["heads"].as_array().unwrap() {
            let head = head(n(&row["length"]), n(&row["fork"]), h(&row["signature"]));
            let ok = row["ok"].as_bool().unwrap();
            assert_eq!(verifier.verify(&head), ok, "{} {row}", v["name"]);
            assert_eq!(verify_head(&key, Some(&manifest), &head), ok);
            if v["name"] == "compat" {
                assert!(verify_head(&key, None, &head));
            }
            let needs_signature = verifier.prologue().is_none_or(|p| head.length > p.length);
            if ok && needs_signature {
                for change in 0..4 {
                    let mut head = head.clone();
                    match change {
                        0 => head.fork += 1,
                        1 => head.roots[0].hash[0] ^= 1,
                        2 => head.signature.truncate(head.signature.len() / 2),
                        _ => head.signature[20] ^= 1,
                    }
                    assert!(!verifier.verify(&head), "{} {row} {change}", v["name"]);
                }
            }
        }
    }
}

#[test]
fn signatures_made_here_are_those_hypercore_makes() {
    let pairs = [1u8, 2, 3].map(|s| KeyPair::from_seed(&[s; 32]));
    let mut made = 0;
    for v in vectors() {
        let manifest = Manifest::decode(&h(&v["manifest"])).unwrap();
        let [only] = manifest.signers.as_slice() else { continue };
        let pair = pairs.iter().find(|p| p.public() == only.public_key).unwrap();
        let verifier = Verifier::new(&h32(&v["key"]), Some(&manifest)).unwrap();
        for row in v["heads"].as_array().unwrap().iter().filter(|r| r["signature"] != "") {
            let head = head(n(&row["length"]), n(&row["fork"]), Vec::new());
            assert_eq!(verifier.sign(&head, pair).unwrap(), h(&row["signature"]), "{}", v["name"]);
            let stranger = KeyPair::from_seed(&[9; 32]);
            assert_eq!(verifier.sign(&head, &stranger), Err(SignError::NotASigner));
            made += 1;
        }
    }
    assert!(made >= 8, "{made}");
}

/// Signers that reached different lengths are joined as `multisig.assemble` joins them.
#[test]
fn patches_are_assembled_as_hypercore_assembles_them() {
    let pairs = [1u8, 2, 3].map(|s| KeyPair::from_seed(&[s; 32]));
    let mut full = Appender::default();
    for i in 0..16u64 {
        full.append_block(&vec![i as u8; i as usize + 1]).unwrap();
    }
    let (_, nodes) = full.finish(0);
    let tree: std::collections::BTreeMap<u64, _> = nodes.into_iter().map(|n| (n.index, n)).collect();
    for (name, cases) in [
        ("v0 patches", vec![(5, 0, [(0, 5), (1, 11)]), (4, 2, [(2, 16), (1, 9)]), (7, 0, [(2, 7), (1, 7)])]),
        ("v1 patches", vec![(3, 0, [(0, 3), (1, 4)]), (8, 0, [(0, 13), (1, 16)]), (8, 5, [(0, 8), (2, 12)])]),
    ] {
        let v = vectors().into_iter().find(|v| v["name"] == name).unwrap();
        let manifest = Manifest::decode(&h(&v["manifest"])).unwrap();
        let verifier = Verifier::new(&manifest.key(), Some(&manifest)).unwrap();
        for ((length, fork, parts), row) in cases.into_iter().zip(v["heads"].as_array().unwrap()) {
            let parts = parts.map(|(signer, signed)| {
                let signed_head = head(signed, fork, Vec::new());
                let mut part = verifier.sign_partial(&signed_head, &pairs[signer]).unwrap();
                if signed > length {
                    part.patch = signed - length;
                    part.nodes = proof::upgrade_nodes(&signed_head, &tree, length, signed).unwrap();
                }
                part
            });
            let joined = if manifest.version == 0 { assemble_v0(&parts) } else { assemble(&parts) };
            assert_eq!(joined, h(&row["signature"]), "{name} {length}");
        }
    }
    assert_eq!(signable_length(&[3, 9, 5], 2), 5);
    assert_eq!(signable_length(&[3, 9, 5], 0), 9);
    assert_eq!(signable_length(&[3], 2), 0);
}

#[test]
fn manifests_over_their_bounds_are_refused() {
    let mut m = Manifest::single([1; 32]);
    m.signers = vec![m.signers[0].clone(); MAX_SIGNERS];
    assert_eq!(Manifest::decode(&m.encode()).as_ref(), Ok(&m));
    m.signers.push(m.signers[0].clone());
    assert!(Manifest::decode(&m.encode()).is_err());
    let mut m = Manifest { version: 2, user_data: Some(vec![0; MAX_USER_DATA]), ..Manifest::single([1; 32]) };
    assert_eq!(Manifest::decode(&m.encode()).as_ref(), Ok(&m));
    m.user_data = Some(vec![0; MAX_USER_DATA + 1]);
    assert!(Manifest::decode(&m.encode()).is_err());
    m.user_data = None;
    m.linked = Some(vec![[0; 32]; MAX_LINKED + 1]);
    assert!(Manifest::decode(&m.encode()).is_err());
}

#[test]
fn quorums_out_of_reach_never_verify() {
    let pair = KeyPair::from_seed(&[1; 32]);
    for quorum in [0, 2, u64::MAX] {
        let manifest = Manifest { quorum, ..Manifest::single(pair.public()) };
        let mut head = head(3, 0, Vec::new());
        let part =
            Verifier::new(&manifest.key(), Some(&manifest)).unwrap().sign_partial(&head, &pair).unwrap();
        for count in 0..4 {
            head.signature = assemble(&vec![part.clone(); count]);
            assert!(!verify_head(&manifest.key(), Some(&manifest), &head), "{quorum} {count}");
        }
    }
}

fn any_manifest() -> impl Strategy<Value = Manifest> {
    let signer = any::<([u8; 32], [u8; 32])>();
    let prologue = prop::option::of(any::<([u8; 32], u64)>());
    (1u8..4, any::<(bool, u64)>(), prop::collection::vec(signer, 0..4), prologue, any::<Option<Vec<u8>>>())
        .prop_map(|(version, (allow_patch, quorum), signers, prologue, user_data)| Manifest {
            version,
            allow_patch,
            quorum,
            signers: signers
                .into_iter()
                .map(|(namespace, public_key)| SignerSpec { namespace, public_key })
                .collect(),
            prologue: prologue.map(|(hash, length)| Prologue { hash, length }),
            linked: None,
            user_data,
        })
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(m in any_manifest()) {
        prop_assert_eq!(Manifest::decode(&m.encode()), Ok(m));
    }

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>, at in 0usize..12, value: u8) {
        let _ = Manifest::decode(&bytes);
        let _ = MultiSignature::decode(&bytes);
        let _ = MultiSignature::decode_v0(&bytes);
        for v in vectors() {
            let mut bytes = h(&v["manifest"]);
            bytes[at] = value;
            if let Ok(m) = Manifest::decode(&bytes) {
                for row in v["heads"].as_array().unwrap() {
                    let mut signature = h(&row["signature"]);
                    if let Some(b) = signature.get_mut(at * 6) {
                        *b = value;
                    }
                    let head = head(n(&row["length"]), n(&row["fork"]), signature);
                    let changed = m.encode() != h(&v["manifest"]);
                    let ok = verify_head(&m.key(), Some(&m), &head);
                    // Version 0 signs namespaces, and a prologue needs no signature.
                    prop_assert!(!(ok && changed) || m.version == 0 || m.prologue.is_some());
                }
            }
        }
    }
}
