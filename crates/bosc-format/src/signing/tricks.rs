//! Ways to have a signer sign something other than what is shown. Each was tried with success on this or another
//! signer, or would work if one check were missing.

use super::*;
use crate::manifest::{SignerSpec, multisig_namespace};
use crate::merkle::{Appender, Head};

fn pairs() -> [KeyPair; 3] {
    [1u8, 2, 3].map(|s| KeyPair::from_seed(&[s; 32]))
}

fn production() -> Manifest {
    Manifest::multisig(&pairs().each_ref().map(KeyPair::public), 2, "team/app")
}

fn head_of(blocks: &[&[u8]]) -> Head {
    let mut tree = Appender::default();
    for block in blocks {
        tree.append_block(block).unwrap();
    }
    tree.finish(0).0
}

fn asked(manifest: Manifest) -> Request {
    let content = Content { length: 2, tree_hash: [8; 32] };
    Request::new(manifest, 5, 0, [9; 32], Some(content))
}

/// Nothing of it is shown, and nothing of it is signed, by whatever way it comes.
fn refused(r: &Request, why: SigningError) {
    assert!(why.is_refusal());
    assert_eq!(Request::decode(&r.encode()), Err(why.clone()));
    assert_eq!(Request::from_text(&r.to_text()), Err(why.clone()));
    assert_eq!(r.check(), Err(why.clone()));
    for pair in pairs() {
        assert_eq!(r.sign(&r.encode(), &pair), Err(why.clone()));
        assert_eq!(r.signables(&pair.public()), Err(why.clone()));
    }
}

/// The forgery this module was written for: what a signer of version 0 would sign is a release of production.
#[test]
fn a_namespace_that_is_productions_key_is_not_signed() {
    let key = production().key();
    let mut old = production();
    old.version = 0;
    for signer in &mut old.signers {
        signer.namespace = key;
    }
    // Shown as another link...
    assert_ne!(old.key(), key);
    // ...and what would be signed is production's.
    let head = head_of(&[b"forged"]);
    let signature = pairs()[0].sign(&signable(&old.signers[0].namespace, &head.tree_hash(), head.length, 0));
    let genuine = signable(&key, &head.tree_hash(), head.length, 0);
    assert!(crypto::verify(&genuine, &signature, &pairs()[0].public()));

    let r = Request { content: None, ..Request::new(old.clone(), head.length, 0, head.tree_hash(), None) };
    refused(&r, SigningError::OldManifest);
    refused(&asked(old), SigningError::OldManifest);
}

#[test]
fn one_half_of_a_drive_is_not_signed() {
    // Production's own manifest, and that of its blobs: each a half of a forged release.
    let m = production();
    for half in [m.clone(), m.blobs(&m.key()).unwrap()] {
        refused(&Request { content: None, ..asked(half) }, SigningError::NotADrive);
    }
}

#[test]
fn version_zero_is_not_signed() {
    refused(&Request { version: 0, ..asked(production()) }, SigningError::NoVersion);
    let first = Request { version: 0, content: None, ..asked(production()) };
    refused(&first, SigningError::NoVersion);
    let bytes = first.encode();
    assert_eq!(Request::decode(&bytes[..bytes.len() - 1]), Err(SigningError::NoVersion));
}

#[test]
fn a_signer_who_stands_twice_is_no_quorum() {
    let mut m = production();
    m.signers[2] = m.signers[0].clone();
    refused(&asked(m.clone()), SigningError::SignerTwice);
    // Another namespace does not make another person.
    m.signers[2].namespace = multisig_namespace("other");
    refused(&asked(m), SigningError::SignerTwice);
}

#[test]
fn a_quorum_that_nobody_or_everybody_reaches_is_refused() {
    for (quorum, signers) in [(0, 3), (4, 3), (u64::MAX, 3)] {
        refused(
            &asked(Manifest { quorum, ..production() }),
            SigningError::ImpossibleQuorum { quorum, signers },
        );
    }
    let none = Manifest { signers: Vec::new(), quorum: 0, ..production() };
    refused(&asked(none), SigningError::ImpossibleQuorum { quorum: 0, signers: 0 });
}

#[test]
fn forks_and_empty_cores_are_not_signed() {
    refused(&Request { fork: 1, ..asked(production()) }, SigningError::Forked(1));
    refused(&Request { length: 0, ..asked(production()) }, SigningError::EmptyCore);
}

/// Everything that is part of the link changes the link that is shown, and what is signed with it.
#[test]
fn whatever_differs_in_the_manifest_is_another_link() {
    let m = production();
    let mut reordered = m.clone();
    reordered.signers.swap(0, 1);
    let mut renamed = m.clone();
    renamed.signers.iter_mut().for_each(|s| s.namespace = multisig_namespace("team/app "));
    let mut odd_one = m.clone();
    odd_one.signers[2].namespace = multisig_namespace("other");
    let mut fewer = m.clone();
    fewer.signers.pop();
    let mut more = m.clone();
    more.signers.push(SignerSpec { public_key: [7; 32], ..m.signers[0].clone() });
    let lower = Manifest { quorum: 1, ..m.clone() };
    let patched = Manifest { allow_patch: true, ..m.clone() };
    let later = Manifest { version: 2, ..m.clone() };
    let tagged = Manifest { version: 2, user_data: Some(b"x".to_vec()), ..m.clone() };
    let genuine = asked(m.clone());
    for other in [reordered, renamed, odd_one, fewer, more, lower, patched, later, tagged] {
        let r = asked(other);
        assert_eq!(Request::decode(&r.encode()), Ok(r.clone()));
        assert_ne!(r.key(), genuine.key());
        assert_ne!(r.blobs_key(), genuine.blobs_key());
        let pair = &pairs()[0];
        let response = r.sign(&r.encode(), pair).unwrap();
        for (s, signature) in genuine.signables(&pair.public()).unwrap().iter().zip(&response.signatures) {
            assert!(!crypto::verify(&s.message, signature, &pair.public()));
        }
    }
}

/// The same request in other bytes has another hash: signers who compare hashes would see two requests, and a response
/// would be refused for no reason they can see.
#[test]
fn one_request_has_one_encoding() {
    let r = asked(production());
    let bytes = r.encode();
    // version, type, then the length as one byte: written as two.
    let padded = [&bytes[..2], &[0xfd, 5, 0], &bytes[3..]].concat();
    assert_eq!(bytes[2], 5);
    assert_eq!(Request::decode(&padded), Err(SigningError::NotCanonical));
    // The flags with a bit that means nothing.
    let at = bytes.len() - 34;
    assert_eq!(u64::from(bytes[at]), FLAG_DRIVE);
    let flagged = [&bytes[..at], &[3], &bytes[at + 1..]].concat();
    assert_eq!(Request::decode(&flagged), Err(SigningError::NotCanonical));
    // A padded version.
    let version = [&[0xfd, 3, 0], &bytes[1..]].concat();
    assert_eq!(Request::decode(&version), Err(SigningError::NotCanonical));
    // The manifest's flags with a bit that means nothing, which its key does not cover.
    let manifest = 2 + 1 + 1 + 32;
    assert_eq!(bytes[manifest..manifest + 2], [1, 0]);
    let mut unknown = bytes.clone();
    unknown[manifest + 1] = 16;
    assert_eq!(Request::decode(&unknown), Err(SigningError::NotCanonical));
}

#[test]
fn two_requests_in_one_text_are_none() {
    let (a, b) = (asked(production()), Request { length: 6, ..asked(production()) });
    let both = [a.encode(), b.encode()].concat();
    assert_eq!(Request::decode(&both), Err(SigningError::Decode(DecodeError::Trailing)));
    // As text the second would begin inside a byte.
    assert!(Request::from_text(&format!("{}{}", a.to_text(), b.to_text())).is_err());
    assert!(Request::from_text(&format!("{}\n{}", a.to_text(), b.to_text())).is_err());
    for extra in [&[0u8][..], b"\0\0\0", &[0xff; 40]] {
        assert!(Request::decode(&[&a.encode(), extra].concat()).is_err());
    }
}

#[test]
fn a_huge_request_is_refused_before_it_is_read() {
    let bytes = vec![0xff; MAX_BYTES + 1];
    assert!(Request::decode(&bytes).is_err());
    assert!(Response::decode(&bytes).is_err());
    // A list that says it has more signers than there are bytes.
    let mut e = Encoder::new();
    e.uint(3).u8(0).uint(5).uint(0).raw(&[9; 32]).uint(1).uint(0).uint(0).uint(2).uint(u64::MAX);
    assert!(Request::decode(&e.finish()).is_err());
    assert!(Request::from_text(&"y".repeat(4 * MAX_BYTES)).is_err());
}

#[test]
fn another_spelling_of_the_text_is_the_same_request_or_none() {
    let r = asked(production());
    let text = r.to_text();
    let hash = request_hash(&r.encode());
    assert_eq!(request_hash(&Request::from_text(&format!(" {text}\n")).unwrap().1), hash);
    let cyrillic = text.replacen('a', "\u{430}", 1).replacen('e', "\u{435}", 1);
    let hidden = format!("{}\u{200b}{}", &text[..40], &text[40..]);
    let hex = data_encoding::HEXLOWER.encode(&r.encode());
    for other in [text.to_uppercase(), cyrillic, hidden, hex, format!("pear://{text}"), format!("{text}==")] {
        assert!(Request::from_text(&other).is_err(), "{other}");
    }
}

#[test]
fn a_response_is_to_one_request() {
    let r = asked(production());
    let bytes = r.encode();
    let pair = &pairs()[0];
    let good = r.sign(&bytes, pair).unwrap();
    assert_eq!(good.request_hash, request_hash(&bytes));
    assert_eq!(good.verify(&r, &bytes), Ok(()));
    // The same release asked for in another version is another request, though its signatures are worth the same.
    let legacy = Request { version: 2, ..r.clone() };
    assert_eq!(good.verify(&legacy, &legacy.encode()), Err(SigningError::OtherRequest));
    // Blobs of another release under the same db.
    let swapped = Request { content: Some(Content { length: 2, tree_hash: [7; 32] }), ..r.clone() };
    assert_eq!(good.verify(&swapped, &swapped.encode()), Err(SigningError::OtherRequest));
    let relabelled = Response { request_hash: request_hash(&swapped.encode()), ..good.clone() };
    assert_eq!(relabelled.verify(&swapped, &swapped.encode()), Err(SigningError::InvalidSignature));
    // db and blobs exchanged; a signature of somebody else's under this name.
    let mut crossed = good.clone();
    crossed.signatures.swap(0, 1);
    assert_eq!(crossed.verify(&r, &bytes), Err(SigningError::InvalidSignature));
    let posing = Response { public_key: pairs()[1].public(), ..good };
    assert_eq!(posing.verify(&r, &bytes), Err(SigningError::InvalidSignature));
}

#[test]
fn a_hash_is_spoken_in_groups() {
    let text = spoken(&[0xab; 32]);
    assert_eq!(text.len(), 39);
    assert_eq!(text.replace('-', ""), id::encode(&[0xab; 32])[..32]);
    assert!(text.split('-').all(|group| group.len() == 4));
    assert_ne!(spoken(&request_hash(b"a")), spoken(&request_hash(b"b")));
}
