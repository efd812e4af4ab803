use super::*;
use data_encoding::HEXLOWER;
use proptest::prelude::*;
use serde_json::Value;

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../../interop/vectors/secure.json")).unwrap()
}

fn bytes(v: &Value) -> Vec<u8> {
    HEXLOWER.decode(v.as_str().unwrap().as_bytes()).unwrap()
}

fn array<const N: usize>(v: &Value) -> [u8; N] {
    bytes(v).try_into().unwrap()
}

fn pair(pattern: Pattern) -> (Handshake, Handshake) {
    let (a, b) = (KeyPair::from_seed(&[1; 32]), KeyPair::from_seed(&[2; 32]));
    (
        Handshake::new(pattern, true, &a, Some(b.public()), b"p", [11; 32]).unwrap(),
        Handshake::new(pattern, false, &b, None, b"p", [12; 32]).unwrap(),
    )
}

#[test]
fn transcripts_are_those_of_noise_handshake() {
    for v in vectors()["noise"].as_array().unwrap() {
        let pattern = if v["pattern"] == "IK" { Pattern::IK } else { Pattern::XX };
        let prologue = bytes(&v["prologue"]);
        let keys = [0, 1].map(|i| KeyPair::from_seed(&array(&v["staticSeeds"][i])));
        let mut ends: Vec<_> = (0..2)
            .map(|i| {
                let remote = (i == 0 && pattern == Pattern::IK).then(|| keys[1].public());
                let seed = array(&v["ephemeralSeeds"][i]);
                Handshake::new(pattern, i == 0, &keys[i], remote, &prologue, seed).unwrap()
            })
            .collect();
        for (n, message) in v["messages"].as_array().unwrap().iter().enumerate() {
            assert!(ends[n % 2].is_our_turn());
            assert_eq!(ends[n % 2].send(&bytes(&message["payload"])).unwrap(), bytes(&message["bytes"]));
            assert_eq!(ends[1 - n % 2].recv(&bytes(&message["bytes"])).unwrap(), bytes(&message["payload"]));
        }
        let responder = ends.pop().unwrap().finish().unwrap();
        let initiator = ends.pop().unwrap().finish().unwrap();
        assert_eq!(initiator.tx, array(&v["tx"]));
        assert_eq!(initiator.rx, array(&v["rx"]));
        assert_eq!(initiator.hash, array(&v["hash"]));
        assert_eq!((responder.rx, responder.tx), (initiator.tx, initiator.rx));
        assert_eq!(responder.hash, initiator.hash);
        assert_eq!(initiator.remote_public_key, keys[1].public());
        assert_eq!(responder.remote_public_key, keys[0].public());
    }
}

#[test]
fn points_are_taken_and_refused_as_libsodium_does() {
    let local = KeyPair::from_seed(&[1; 32]);
    let (mut taken, mut refused) = (0, 0);
    for v in vectors()["points"].as_array().unwrap() {
        let ours = dh::shared(&local, &array(&v["point"]));
        let theirs = (!v["secret"].is_null()).then(|| array(&v["secret"])).ok_or(NoiseError::InvalidKey);
        assert_eq!(ours, theirs, "{}", v["what"]);
        if ours.is_ok() { taken += 1 } else { refused += 1 }
    }
    assert!(taken >= 3 && refused >= 20);
}

#[test]
fn steps_out_of_turn_fail_and_do_no_harm_at_the_start() {
    let (mut a, mut b) = pair(Pattern::IK);
    assert_eq!(b.send(b""), Err(NoiseError::OutOfTurn));
    assert_eq!(a.recv(&[0; 96]), Err(NoiseError::OutOfTurn));
    let first = a.send(b"x").unwrap();
    assert_eq!(a.send(b"x"), Err(NoiseError::OutOfTurn));
    assert_eq!(b.recv(&first).unwrap(), b"x");
    assert_eq!(b.finish().unwrap_err(), NoiseError::Unfinished);
}

#[test]
fn ik_needs_the_key_of_the_responder_and_only_that_key_works() {
    let a = KeyPair::from_seed(&[1; 32]);
    let missing = Handshake::new(Pattern::IK, true, &a, None, b"", [3; 32]).unwrap_err();
    assert_eq!(missing, NoiseError::MissingRemoteKey);
    let wrong = KeyPair::from_seed(&[9; 32]).public();
    let mut a = Handshake::new(Pattern::IK, true, &a, Some(wrong), b"p", [3; 32]).unwrap();
    let (_, mut b) = pair(Pattern::IK);
    assert_eq!(b.recv(&a.send(b"").unwrap()), Err(NoiseError::Decrypt));
    // The failure is final.
    assert_eq!(b.recv(&a.send(b"").unwrap_or_default()), Err(NoiseError::OutOfTurn));
}

#[test]
fn every_flipped_bit_and_every_cut_of_a_message_is_noticed_before_the_end() {
    for pattern in [Pattern::IK, Pattern::XX] {
        let (mut a, _) = pair(pattern);
        let first = a.send(b"hello").unwrap();
        for i in 0..first.len() {
            let (mut a2, mut b) = pair(pattern);
            let mut bad = a2.send(b"hello").unwrap();
            bad[i] ^= 4;
            // In XX the first message is in clear: the change shows in the second.
            if b.recv(&bad).is_ok() {
                assert_eq!(pattern, Pattern::XX);
                if let Ok(second) = b.send(b"") {
                    assert!(a2.recv(&second).is_err(), "byte {i}");
                }
            }
            let (_, mut b) = pair(pattern);
            let cut = b.recv(&first[..i]);
            assert!(cut.is_err() || (pattern == Pattern::XX && i >= 32));
        }
    }
}

#[test]
fn too_long_messages_are_refused_on_both_sides() {
    let (mut a, _) = pair(Pattern::IK);
    assert_eq!(a.send(&vec![0; MAX_MESSAGE - 32 - 48 - 15]), Err(NoiseError::Length));
    let (mut a, mut b) = pair(Pattern::IK);
    let longest = a.send(&vec![7; MAX_MESSAGE - 32 - 48 - 16]).unwrap();
    assert_eq!(longest.len(), MAX_MESSAGE);
    assert!(b.recv(&longest).is_ok());
    let (_, mut b) = pair(Pattern::IK);
    assert_eq!(b.recv(&vec![0; MAX_MESSAGE + 1]), Err(NoiseError::Length));
}

#[test]
fn debug_shows_no_secret() {
    let (mut a, mut b) = pair(Pattern::IK);
    b.recv(&a.send(b"").unwrap()).unwrap();
    a.recv(&b.send(b"").unwrap()).unwrap();
    let r = a.finish().unwrap();
    assert!(!format!("{r:?}").contains(&format!("{:?}", r.tx)));
    assert!(!format!("{r:?}").contains("tx"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn random_bytes_never_authenticate(message in proptest::collection::vec(any::<u8>(), 0..300)) {
        let (_, mut b) = pair(Pattern::IK);
        prop_assert!(b.recv(&message).is_err());
        let (mut a, _) = pair(Pattern::XX);
        a.send(b"").unwrap();
        prop_assert!(a.recv(&message).is_err());
    }
}
