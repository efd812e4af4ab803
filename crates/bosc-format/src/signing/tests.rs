use super::*;
use crate::manifest::{Verifier, verify_head};
use crate::testing::{h, h32, n, pear};
use proptest::prelude::*;

fn request() -> (Request, Vec<u8>) {
    let v = pear();
    let bytes = h(&v["request"]["hex"]);
    (Request::decode(&bytes).unwrap(), bytes)
}

#[test]
fn a_request_made_by_pear_is_read_and_written_back() {
    let v = pear();
    let d = &v["request"]["decoded"];
    let (r, bytes) = request();
    assert_eq!((r.version, r.length, r.fork), (n(&d["version"]), n(&d["length"]), n(&d["fork"])));
    assert_eq!(r.tree_hash, h32(&d["treeHash"]));
    assert_eq!(r.key(), h32(&d["key"]));
    assert_eq!(id::encode(&r.key()), d["id"]);
    let content = r.content.unwrap();
    assert_eq!(
        (content.length, content.tree_hash),
        (n(&d["content"]["length"]), h32(&d["content"]["treeHash"]))
    );
    assert_eq!(r.encode(), bytes);
    assert_eq!(r.to_text(), v["request"]["z32"]);
    let text = v["request"]["z32"].as_str().unwrap();
    assert_eq!(Request::from_text(text), Ok((r.clone(), bytes.clone())));
    let wrapped = format!(" {}\n{}\r\n", &text[..80], &text[80..]);
    assert_eq!(Request::from_text(&wrapped), Ok((r, bytes)));
}

#[test]
fn responses_made_by_pear_are_made_the_same_here() {
    let v = pear();
    let (r, bytes) = request();
    for (signer, expected) in v["responses"].as_array().unwrap().iter().enumerate() {
        let pair = KeyPair::from_seed(&h32(&v["signers"][signer]["seed"]));
        let response = r.sign(&bytes, &pair).unwrap();
        assert_eq!(response.encode(), h(&expected["hex"]));
        assert_eq!(response.to_text(), expected["z32"]);
        assert_eq!(Response::from_text(expected["z32"].as_str().unwrap()), Ok(response.clone()));
        assert_eq!(response.verify(&r, &bytes), Ok(()));
    }
    let of_first = r.signables(&h32(&v["signers"][0]["publicKey"])).unwrap();
    for (s, expected) in of_first.iter().zip(v["signables"].as_array().unwrap()) {
        assert_eq!(s.signer, n(&expected["signer"]));
        assert_eq!(s.message.to_vec(), h(&expected["signable"]));
    }
}

fn responses() -> Vec<Response> {
    pear()["responses"].as_array().unwrap().iter().map(|r| Response::decode(&h(&r["hex"])).unwrap()).collect()
}

#[test]
fn two_of_three_responses_become_the_signatures_pear_commits() {
    let v = pear();
    let (r, bytes) = request();
    let all = responses();
    let expected = (h(&v["committedSig"]["db"]), Some(h(&v["committedSig"]["blobs"])));
    assert_eq!(r.assemble(&bytes, &all), Ok(expected.clone()));
    // Neither order nor repetition matters.
    let shuffled = [all[1].clone(), all[0].clone(), all[1].clone()];
    assert_eq!(r.assemble(&bytes, &shuffled), Ok(expected));
    assert_eq!(r.assemble(&bytes, &all[..1]), Err(SigningError::Quorum { have: 1, need: 2 }));
    let twice = [all[0].clone(), all[0].clone()];
    assert_eq!(r.assemble(&bytes, &twice), Err(SigningError::Quorum { have: 1, need: 2 }));
}

#[test]
fn responses_that_are_not_right_are_refused() {
    let (r, bytes) = request();
    let good = &responses()[0];
    let mut other = good.clone();
    other.request_hash[0] ^= 1;
    assert_eq!(other.verify(&r, &bytes), Err(SigningError::OtherRequest));
    for i in 0..2 {
        let mut bad = good.clone();
        bad.signatures[i][5] ^= 1;
        assert_eq!(bad.verify(&r, &bytes), Err(SigningError::InvalidSignature));
        assert_eq!(r.assemble(&bytes, &[bad, responses()[1].clone()]), Err(SigningError::InvalidSignature));
    }
    let mut short = good.clone();
    short.signatures.pop();
    assert_eq!(short.verify(&r, &bytes), Err(SigningError::InvalidSignature));
    let stranger = KeyPair::from_seed(&[8; 32]);
    assert_eq!(r.sign(&bytes, &stranger), Err(SigningError::NotASigner));
    let as_stranger = Response { public_key: stranger.public(), ..good.clone() };
    assert_eq!(as_stranger.verify(&r, &bytes), Err(SigningError::NotASigner));
    assert_eq!(r.assemble(&bytes, &[as_stranger]), Err(SigningError::NotASigner));
}

#[test]
fn requests_that_are_not_right_are_refused() {
    let (r, bytes) = request();
    for cut in 0..bytes.len() {
        // Without flags it is a request for a single core.
        let single = Request::decode(&bytes[..cut]) == Err(SigningError::NotADrive);
        assert_eq!(single, cut == bytes.len() - 34, "{cut}");
        assert!(Request::decode(&bytes[..cut]).is_err(), "{cut}");
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert_eq!(Request::decode(&longer), Err(SigningError::Decode(DecodeError::Trailing)));
    let empty = Request { length: 0, ..r.clone() };
    assert_eq!(Request::decode(&empty.encode()), Err(SigningError::EmptyCore));
    assert_eq!(Request::decode(&[4, 0]), Err(SigningError::UnknownVersion(4)));
    let wrong = SigningError::WrongType { expected: "request", found: "response" };
    assert_eq!(Request::decode(&responses()[0].encode()), Err(wrong));
    assert!(matches!(Response::decode(&bytes), Err(SigningError::WrongType { .. })));
    assert_eq!(Request::from_text("0l2v"), Err(SigningError::NotText));
    let mut old = r;
    old.manifest.version = 0;
    assert_eq!(old.signables(&old.manifest.signers[0].public_key), Err(SigningError::OldManifest));
}

#[test]
fn older_versions_are_read() {
    let (r, _) = request();
    for version in [1, 2] {
        let old = Request { version, ..r.clone() };
        let bytes = old.encode();
        assert_eq!(Request::decode(&bytes), Ok(old.clone()));
        let response = old.sign(&bytes, &KeyPair::from_seed(&[1; 32])).unwrap();
        let response = Response { version, ..response };
        assert_eq!(Response::decode(&response.encode()), Ok(response.clone()));
        assert_eq!(response.verify(&old, &bytes), Ok(()));
        // The very first requests had no flags, and were for single cores.
        let single = Request { content: None, ..old };
        let bytes = single.encode();
        assert_eq!(Request::decode(&bytes[..bytes.len() - 1]), Err(SigningError::NotADrive));
    }
}

#[test]
fn what_a_quorum_signs_verifies_as_a_head() {
    let mut tree = crate::merkle::Appender::default();
    tree.append_block(b"one").unwrap();
    let mut head = tree.finish(0).0;
    let pairs = [1u8, 2, 3].map(|s| KeyPair::from_seed(&[s; 32]));
    let manifest = Manifest::multisig(&pairs.each_ref().map(KeyPair::public), 2, "x/y");
    let content = Some(Content { length: 0, tree_hash: [0; 32] });
    let r = Request::new(manifest.clone(), head.length, 0, head.tree_hash(), content);
    let bytes = r.encode();
    let responses: Vec<_> = pairs[1..].iter().map(|p| r.sign(&bytes, p).unwrap()).collect();
    head.signature = r.assemble(&bytes, &responses).unwrap().0;
    assert!(verify_head(&manifest.key(), Some(&manifest), &head));
    assert!(!Verifier::new(&manifest.key(), Some(&manifest)).unwrap().is_compat());
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes: Vec<u8>, at in 0usize..340, value: u8) {
        let _ = Request::decode(&bytes);
        let _ = Response::decode(&bytes);
        let (_, mut bytes) = request();
        if let Some(b) = bytes.get_mut(at) {
            *b = value;
        }
        if let Ok(r) = Request::decode(&bytes) {
            let _ = r.signables(&[0; 32]);
        }
    }
}
