//! Mutable records through whole nodes on loopback.

#![allow(clippy::unwrap_used)]

use bosc_format::crypto::KeyPair;
use bosc_node::{
    MAX_RECORD, Node, NodeConfig, Record, RecordAnswer, RecordError, RecordQuery, RecordResult, Role,
    SignedRecord,
};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

fn network(n: usize) -> (Vec<Node>, Vec<SocketAddrV4>) {
    let mut nodes = Vec::new();
    let mut bootstrap = Vec::new();
    for _ in 0..n {
        let mut config = NodeConfig::peer(bootstrap.iter().take(1).copied().collect());
        config.host = Ipv4Addr::LOCALHOST;
        config.role = Role::Persistent(Ipv4Addr::LOCALHOST);
        let node = Node::start(config, None).unwrap();
        bootstrap.push(SocketAddrV4::new(Ipv4Addr::LOCALHOST, node.port()));
        nodes.push(node);
    }
    (nodes, bootstrap)
}

fn peer(bootstrap: &[SocketAddrV4]) -> Node {
    let mut config = NodeConfig::peer(bootstrap.to_vec());
    config.host = Ipv4Addr::LOCALHOST;
    Node::start(config, None).unwrap()
}

fn answer(query: &RecordQuery) -> RecordResult {
    query.wait(Some(Instant::now() + Duration::from_secs(60))).unwrap()
}

fn found(seq: u64, value: &'static [u8]) -> RecordResult {
    Ok(RecordAnswer::Found(Some(Record { seq, value: value.into() })))
}

#[test]
fn a_record_is_kept_replaced_and_found_by_whoever_knows_the_key() {
    let (nodes, bootstrap) = network(4);
    let (a, b) = (peer(&bootstrap), peer(&bootstrap));
    let key = KeyPair::from_seed(&[7; 32]);
    assert_eq!(answer(&b.record(&key.public())), Ok(RecordAnswer::Found(None)));

    let kept = answer(&a.put_record(&key, 5, b"five".to_vec()));
    assert!(matches!(kept, Ok(RecordAnswer::Kept(1..))), "{kept:?}");
    assert_eq!(answer(&b.record(&key.public())), found(5, b"five"));
    // Of who may write it only the highest version stays.
    assert!(answer(&b.put_record(&key, 6, b"six".to_vec())).is_ok());
    assert_eq!(answer(&a.put_record(&key, 4, b"four".to_vec())), Err(RecordError::Newer));
    assert_eq!(answer(&a.put_record(&key, 6, b"another six".to_vec())), Err(RecordError::Taken));
    assert_eq!(answer(&a.record(&key.public())), found(6, b"six"));
    assert_eq!(answer(&a.record(&KeyPair::from_seed(&[8; 32]).public())), Ok(RecordAnswer::Found(None)));

    // As long as it may be, and longer.
    let other = KeyPair::from_seed(&[9; 32]);
    assert!(answer(&a.put_record(&other, 1, vec![3; MAX_RECORD])).is_ok());
    assert!(
        matches!(answer(&b.record(&other.public())), Ok(RecordAnswer::Found(Some(r))) if r.value.len() == MAX_RECORD)
    );
    for size in [0, MAX_RECORD + 1] {
        assert_eq!(answer(&a.put_record(&other, 2, vec![3; size])), Err(RecordError::Size));
    }

    // Whoever has no secret can have it kept, and put again what was signed.
    assert_eq!(answer(&b.keep_record(&key.public())), found(6, b"six"));
    let signed = SignedRecord::sign(&key, 7, b"seven".as_slice().into());
    assert!(answer(&b.put_signed(signed.clone())).is_ok());
    assert!(answer(&a.put_signed(signed.clone())).is_ok(), "the same again");
    let parts =
        |seq| SignedRecord::from_parts(*signed.key(), seq, signed.value().clone(), *signed.signature());
    assert_eq!(parts(7), Some(signed.clone()));
    assert_eq!(parts(8), None, "of another version it is not signed");
    assert_eq!(answer(&a.record(&key.public())), found(7, b"seven"));

    // Who rests asks nobody, and who goes on does.
    a.suspend();
    assert_eq!(answer(&a.record(&key.public())), Err(RecordError::Ended));
    a.resume();
    assert_eq!(answer(&a.record(&key.public())), found(7, b"seven"));
    drop(nodes);
}

#[test]
fn nobody_there_and_an_end_are_told() {
    // Nothing listens at the discard port.
    let node = peer(&[SocketAddrV4::new(Ipv4Addr::LOCALHOST, 9)]);
    let key = KeyPair::from_seed(&[7; 32]);
    let (left, open) = (node.record(&key.public()), node.record(&key.public()));
    assert_eq!(left.wait(Some(Instant::now())), None, "whoever waits may stop");
    drop(left);
    assert_eq!(answer(&open), Err(RecordError::Nobody));
    let last = node.put_record(&key, 1, b"x".to_vec());
    node.close();
    assert_eq!(answer(&last), Err(RecordError::Ended));
}
