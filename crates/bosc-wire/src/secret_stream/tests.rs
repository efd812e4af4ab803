use super::*;
use data_encoding::HEXLOWER;
use proptest::prelude::*;
use serde_json::Value;

const ZERO: Duration = Duration::ZERO;

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../../interop/vectors/secure.json")).unwrap()
}

fn bytes(v: &Value) -> Vec<u8> {
    HEXLOWER.decode(v.as_str().unwrap().as_bytes()).unwrap()
}

fn array<const N: usize>(v: &Value) -> [u8; N] {
    bytes(v).try_into().unwrap()
}

fn pattern(n: usize) -> Vec<u8> {
    (0..n).map(|i| (i * 7 + (i >> 8)) as u8).collect()
}

fn seeds(n: u8) -> Seeds {
    Seeds { ephemeral: [n; 32], header: [n + 1; HEADER], nonce: [n + 2; 8] }
}

fn result(initiator: bool) -> HandshakeResult {
    let (a, b) = ([41; 32], [42; 32]);
    let (tx, rx) = if initiator { (a, b) } else { (b, a) };
    HandshakeResult { tx, rx, hash: [43; 64], remote_public_key: [2; 32] }
}

fn stream(initiator: bool, config: Config) -> SecretStream {
    SecretStream::from_handshake(initiator, result(initiator), config, seeds(u8::from(initiator)), ZERO)
}

fn pair(config: Config) -> (SecretStream, SecretStream) {
    let (mut a, mut b) = (stream(true, config), stream(false, config));
    pump(&mut a, &mut b).unwrap();
    assert!(a.is_open() && b.is_open());
    (a, b)
}

fn drain(s: &mut SecretStream) -> Vec<u8> {
    let mut out = Vec::new();
    let expected = s.output_len();
    while let Some(chunk) = s.take_output() {
        out.extend_from_slice(&chunk);
    }
    assert_eq!((out.len(), s.output_len()), (expected, 0));
    out
}

fn pump(a: &mut SecretStream, b: &mut SecretStream) -> Result<(), StreamError> {
    loop {
        let (x, y) = (drain(a), drain(b));
        if x.is_empty() && y.is_empty() {
            return Ok(());
        }
        b.feed(&x, ZERO)?;
        a.feed(&y, ZERO)?;
    }
}

fn messages(s: &mut SecretStream) -> Vec<Bytes> {
    std::iter::from_fn(|| s.next_message().unwrap()).collect()
}

#[test]
fn sealed_messages_are_those_of_libsodium() {
    let v = &vectors()["secretstream"];
    let mut tx = StreamCipherState::new(&array(&v["key"]), &array(&v["header"]));
    let mut rx = tx.clone();
    for m in v["messages"].as_array().unwrap() {
        let size = m["size"].as_u64().unwrap() as usize;
        let tag = m["tag"].as_u64().unwrap() as u8;
        let mut message = [vec![0], pattern(size), vec![0; 16]].concat();
        assert!(tx.seal(tag, &mut message));
        if !m["sealed"].is_null() {
            assert_eq!(message, bytes(&m["sealed"]), "{size}");
        }
        assert_eq!(bosc_format::crypto::hash(&[&message]), array(&m["hash"]), "{size}");
        assert_eq!(rx.open(&mut message), Some(tag));
        assert_eq!(message[1..=size], pattern(size));
    }
}

#[test]
fn secretboxes_are_those_of_libsodium() {
    let v = &vectors()["secretbox"];
    for m in v["messages"].as_array().unwrap() {
        let plain = pattern(m["size"].as_u64().unwrap() as usize);
        let (nonce, key) = (array(&m["nonce"]), array(&v["key"]));
        assert_eq!(crate::secretbox::seal(&plain, &nonce, &key), bytes(&m["sealed"]));
        assert_eq!(crate::secretbox::open(&bytes(&m["sealed"]), &nonce, &key), Some(plain));
    }
}

#[test]
fn stream_ids_and_unordered_messages_are_those_of_secret_stream() {
    let v = &vectors()["unordered"];
    assert_eq!(array::<64>(&v["hash"]), [43; 64]);
    for (name, initiator) in [("initiator", true), ("responder", false)] {
        assert_eq!(stream_id(&[43; 64], initiator), array(&v[name]["id"]));
        let own = Seeds { nonce: array(&v["counter"]), ..seeds(1) };
        let mut s = SecretStream::from_handshake(initiator, result(initiator), Config::default(), own, ZERO);
        assert_eq!(drain(&mut s)[..35], bytes(&v[name]["firstFrame"]));
        let other = stream(!initiator, Config::default());
        for (sealed, n) in v[name]["sealed"].as_array().unwrap().iter().zip([0, 5, 40]) {
            assert_eq!(s.seal_unordered(&pattern(n)).unwrap(), bytes(sealed));
            assert_eq!(other.open_unordered(&bytes(sealed)), Some(pattern(n)));
            assert_eq!(s.open_unordered(&bytes(sealed)), None);
        }
    }
}

#[test]
fn unordered_messages_that_are_short_or_changed_are_dropped() {
    let (mut a, b) = pair(Config::default());
    let sealed = a.seal_unordered(b"datagram").unwrap();
    for n in 0..sealed.len() {
        assert_eq!(b.open_unordered(&sealed[..n]), None);
        let mut bad = sealed.clone();
        bad[n] ^= 1;
        assert_eq!(b.open_unordered(&bad), None);
    }
}

#[test]
fn in_band_handshakes_open_both_sides() {
    let (ka, kb) = (KeyPair::from_seed(&[1; 32]), KeyPair::from_seed(&[2; 32]));
    for (pattern, remote) in
        [(Pattern::XX, None), (Pattern::XX, Some(kb.public())), (Pattern::IK, Some(kb.public()))]
    {
        let c = Config::default();
        let mut a = SecretStream::in_band(true, pattern, &ka, remote, c, seeds(1), ZERO).unwrap();
        let mut b = SecretStream::in_band(false, pattern, &kb, None, c, seeds(5), ZERO).unwrap();
        assert_eq!(a.send(b"too early", ZERO), Err(StreamError::NotOpen));
        assert_eq!(a.seal_unordered(b"too early"), Err(StreamError::NotOpen));
        pump(&mut a, &mut b).unwrap();
        assert!(a.is_open() && b.is_open());
        assert_eq!(a.handshake().unwrap().remote_public_key, kb.public());
        assert_eq!(b.handshake().unwrap().remote_public_key, ka.public());
        a.send(b"ping", ZERO).unwrap();
        b.send_parts(&[b"po", b"ng"], ZERO).unwrap();
        pump(&mut a, &mut b).unwrap();
        assert_eq!(messages(&mut b), ["ping"]);
        assert_eq!(messages(&mut a), ["pong"]);
    }
}

#[test]
fn another_peer_than_expected_is_refused() {
    let (ka, kb) = (KeyPair::from_seed(&[1; 32]), KeyPair::from_seed(&[2; 32]));
    let c = Config::default();
    let wanted = Some(KeyPair::from_seed(&[3; 32]).public());
    let mut a = SecretStream::in_band(true, Pattern::XX, &ka, wanted, c, seeds(1), ZERO).unwrap();
    let mut b = SecretStream::in_band(false, Pattern::XX, &kb, None, c, seeds(5), ZERO).unwrap();
    assert_eq!(pump(&mut a, &mut b), Err(StreamError::WrongPeer));
    assert_eq!(drain(&mut a), b"", "our key is not shown to a stranger");
    assert_eq!(a.next_message(), Err(StreamError::Failed));
}

#[test]
fn the_longest_message_passes_and_a_longer_one_is_refused_without_harm() {
    let (mut a, mut b) = pair(Config::default());
    let longest = vec![7; MAX_MESSAGE];
    assert_eq!(a.send(&vec![7; MAX_MESSAGE + 1], ZERO), Err(StreamError::TooLong(MAX_MESSAGE + 1)));
    a.send(&longest, ZERO).unwrap();
    pump(&mut a, &mut b).unwrap();
    let got = messages(&mut b);
    assert!(got.len() == 1 && got[0] == longest);
}

#[test]
fn a_frame_over_the_configured_length_or_under_any_message_ends_the_stream() {
    let small = Config { max_message: 100, ..Config::default() };
    let (mut a, mut b) = pair(small);
    a.send(&[1; 100], ZERO).unwrap();
    pump(&mut a, &mut b).unwrap();
    assert_eq!(messages(&mut b).len(), 1);
    a.send(&[1; 101], ZERO).unwrap();
    assert_eq!(pump(&mut a, &mut b), Err(StreamError::FrameLength(118)));
    assert_eq!(b.feed(b"", ZERO), Err(StreamError::Failed));
    assert_eq!(b.send(b"x", ZERO), Err(StreamError::Failed));
    assert_eq!(b.buffered(), 0);
    for n in 0..OVERHEAD as u8 {
        let (_, mut b) = pair(small);
        assert_eq!(b.feed(&[n, 0, 0], ZERO), Err(StreamError::FrameLength(n.into())));
    }
}

#[test]
fn a_header_of_another_handshake_or_of_ourselves_is_refused() {
    let mut a = stream(true, Config::default());
    let own = drain(&mut a);
    assert_eq!(a.feed(&own, ZERO), Err(StreamError::InvalidHeader));
    let mut b = stream(false, Config::default());
    assert_eq!(b.feed(&[55, 0, 0], ZERO), Err(StreamError::InvalidHeader));
}

#[test]
fn a_changed_byte_anywhere_after_the_header_ends_the_stream() {
    for at in 0..30 {
        let (mut a, mut b) = pair(Config::default());
        a.send(b"0123456789", ZERO).unwrap();
        a.send(b"next", ZERO).unwrap();
        let mut wire = drain(&mut a);
        wire[at] ^= 0x10;
        let fed = b.feed(&wire, ZERO);
        // A changed length leaves a frame open or cuts it elsewhere; nothing may come out either way.
        let out = fed.and_then(|()| b.next_message());
        assert!(!matches!(out, Ok(Some(_))), "byte {at}: {out:?}");
    }
}

#[test]
fn memory_for_a_large_frame_is_taken_as_its_bytes_arrive() {
    let (_, mut b) = pair(Config::default());
    b.feed(&[0xff, 0xff, 0xff], ZERO).unwrap();
    b.feed(&[0; 1000], ZERO).unwrap();
    assert_eq!(b.buffered(), 1000);
}

#[test]
fn empty_messages_are_keep_alives_unless_turned_off() {
    let on =
        Config { keep_alive: Duration::from_secs(5), timeout: Duration::from_secs(20), ..Config::default() };
    let (mut a, mut b) = pair(on);
    assert_eq!(a.poll_timeout(), Some(Duration::from_secs(5)));
    a.handle_timeout(Duration::from_secs(4)).unwrap();
    assert_eq!(a.output_len(), 0);
    a.handle_timeout(Duration::from_secs(5)).unwrap();
    assert_eq!(a.output_len(), 20);
    assert_eq!(a.poll_timeout(), Some(Duration::from_secs(10)));
    b.feed(&drain(&mut a), Duration::from_secs(6)).unwrap();
    assert_eq!(messages(&mut b), Vec::<Bytes>::new());
    assert_eq!(a.handle_timeout(Duration::from_secs(20)), Err(StreamError::TimedOut));
    assert_eq!(a.poll_timeout(), None);
    b.handle_timeout(Duration::from_secs(20)).unwrap();
    assert_eq!(b.handle_timeout(Duration::from_secs(26)), Err(StreamError::TimedOut));

    let (mut a, mut b) = pair(Config { keep_alive: ZERO, ..Config::default() });
    assert_eq!(a.poll_timeout(), None);
    a.send(b"", ZERO).unwrap();
    pump(&mut a, &mut b).unwrap();
    assert_eq!(messages(&mut b), [""]);
}

#[test]
fn long_messages_go_out_in_pieces_and_come_back_whole() {
    const PIECE: usize = 256 << 10;
    let (mut a, mut b) = pair(Config::default());
    for (n, extra) in (2..5).flat_map(|n| [0, 1, 15, 16, 17, 65_536, PIECE - 1].map(|extra| (n, extra))) {
        let long = pattern(n * PIECE + extra);
        let (start, rest) = long.split_at(7);
        let (middle, end) = rest.split_at(rest.len() - 300_001);
        a.send_parts(&[start, b"", middle, end], ZERO).unwrap();
        a.send(b"short", ZERO).unwrap();
        let mut pieces = 0;
        while let Some(piece) = a.take_output() {
            pieces += 1;
            assert!(piece.len() <= PIECE + 20 || long.len() <= 2 * PIECE, "{}", piece.len());
            b.feed(&piece, ZERO).unwrap();
        }
        assert!(pieces > n || long.len() <= 2 * PIECE, "{pieces}");
        let got = messages(&mut b);
        assert!(got.len() == 2 && got[0] == long && got[1] == "short", "{n} and {extra}");
    }
    assert_eq!(a.output_len(), 0);
}

#[test]
fn a_shared_message_is_sealed_as_it_is_taken() {
    let (mut a, mut b) = pair(Config::default());
    let block = Bytes::from(pattern(3 << 20));
    let shared =
        |head: &'static [u8]| vec![Bytes::from_static(head), block.clone(), Bytes::from_static(b"end")];
    a.send_shared(shared(b"first"), ZERO).unwrap();
    let all = a.output_len();
    assert_eq!(all, 3 + OVERHEAD + 5 + block.len() + 3);
    let piece = a.take_output().unwrap();
    assert_eq!(a.output_len(), all - piece.len());
    b.feed(&piece, ZERO).unwrap();
    // A keep-alive would say what the rest says.
    a.send(b"", Duration::from_secs(5)).unwrap();
    assert_eq!(a.output_len(), all - piece.len());
    assert_eq!(a.poll_timeout(), Some(Duration::from_secs(10)));
    // Whatever comes before the end of it comes after it, another one too.
    a.send(b"second", ZERO).unwrap();
    a.send_shared(shared(b"third"), ZERO).unwrap();
    a.send_shared(shared(b"fourth"), ZERO).unwrap();
    assert!(!block.is_unique(), "nobody has copied the last one yet");
    a.send_shared(vec![Bytes::from_static(b"fi"), Bytes::from_static(b"fth")], ZERO).unwrap();
    b.feed(&drain(&mut a), ZERO).unwrap();
    let got = messages(&mut b);
    let long = |head: &[u8]| [head, &block, b"end"].concat();
    assert_eq!(got.len(), 5);
    assert!(got[0] == long(b"first") && got[1] == "second" && got[4] == "fifth");
    assert!(got[2] == long(b"third") && got[3] == long(b"fourth"));
    assert!(block.is_unique(), "what was sent is let go");
}

#[test]
fn keep_alives_of_the_other_side_stand_for_ours_for_a_while() {
    let seconds = Duration::from_secs;
    let plain = Config { keep_alive: seconds(4), ..Config::default() };
    let spared = Config { spared: seconds(15), ..plain };
    // When the second of two sends something within half a minute, if the first says something or nothing at all.
    let sent = |config, heard: bool| {
        let (mut a, mut b) = (stream(true, plain), stream(false, config));
        pump(&mut a, &mut b).unwrap();
        let mut sent = Vec::new();
        for now in 1..=32 {
            a.handle_timeout(seconds(now)).unwrap();
            let said = drain(&mut a);
            if heard {
                b.feed(&said, seconds(now)).unwrap();
            }
            b.handle_timeout(seconds(now)).unwrap();
            if !drain(&mut b).is_empty() {
                sent.push(now);
            }
        }
        sent
    };
    assert_eq!(sent(plain, true), [4, 8, 12, 16, 20, 24, 28, 32]);
    assert_eq!(sent(spared, true), [15, 30]);
    assert_eq!(
        sent(spared, false),
        [6, 10, 14, 18, 22, 26, 30],
        "later by half of it, and then as often as ever"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_messages_cut_anywhere_come_out_as_they_went_in(
        sizes in proptest::collection::vec(prop_oneof![0usize..40, 2000usize..2100, 8000usize..9000, 1usize..600_000], 1..12),
        cuts in proptest::collection::vec(1usize..5000, 1..20),
    ) {
        let (mut a, mut b) = pair(Config { keep_alive: ZERO, ..Config::default() });
        for (i, n) in sizes.iter().enumerate() {
            let m = pattern(*n);
            let (x, y) = m.split_at(n * i / sizes.len());
            a.send_parts(&[x, y], ZERO).unwrap();
        }
        let wire = drain(&mut a);
        let mut rest = wire.as_slice();
        let mut got = Vec::new();
        for cut in cuts.iter().cycle() {
            if rest.is_empty() { break }
            let (now, later) = rest.split_at((*cut).min(rest.len()));
            rest = later;
            b.feed(now, ZERO).unwrap();
            got.extend(messages(&mut b));
        }
        prop_assert_eq!(b.buffered(), 0);
        prop_assert_eq!(got.len(), sizes.len());
        for (m, n) in got.iter().zip(&sizes) {
            prop_assert!(*m == pattern(*n));
        }
    }

    #[test]
    fn random_bytes_never_become_a_message(wire in proptest::collection::vec(any::<u8>(), 0..2000), short in any::<bool>()) {
        let mut wire = wire;
        if short {
            // A length that is met, so that decryption is reached.
            let n = wire.len().saturating_sub(3).min(0xffff);
            if wire.len() >= 3 { wire[0] = n as u8; wire[1] = (n >> 8) as u8; wire[2] = 0; }
        }
        let (_, mut b) = pair(Config::default());
        let out = b.feed(&wire, ZERO).and_then(|()| b.next_message());
        prop_assert!(!matches!(out, Ok(Some(_))));
        let mut fresh = stream(true, Config::default());
        let _ = fresh.feed(&wire, ZERO);
        prop_assert!(!fresh.is_open());
        let k = KeyPair::from_seed(&[1; 32]);
        let mut xx = SecretStream::in_band(false, Pattern::XX, &k, None, Config::default(), seeds(1), ZERO).unwrap();
        let _ = xx.feed(&wire, ZERO);
        prop_assert!(!xx.can_send());
    }
}
