use super::limits::MESSAGE_COST;
use super::*;
use data_encoding::HEXLOWER;
use proptest::prelude::*;
use serde_json::Value;

fn mux() -> Mux {
    Mux::new(Limits::default())
}

/// All events a side has, without deciding anything.
fn events(m: &mut Mux) -> Vec<MuxEvent> {
    std::iter::from_fn(|| m.poll_event().unwrap()).collect()
}

/// Hands all frames of `from` to `to`.
fn pass(from: &mut Mux, to: &mut Mux) {
    while let Some(f) = from.poll_frame() {
        assert_eq!(f.to_bytes().len(), f.len());
        to.feed(f.to_bytes()).unwrap();
    }
}

fn open_pair() -> (Mux, Mux, ChannelId, ChannelId) {
    let (mut a, mut b) = (mux(), mux());
    let ca = a.open("p", Some(b"id"), b"ha").unwrap();
    let cb = b.open("p", Some(b"id"), b"hb").unwrap();
    pass(&mut a, &mut b);
    pass(&mut b, &mut a);
    assert_eq!(events(&mut a), [MuxEvent::Opened { channel: ca, handshake: "hb".into() }]);
    assert_eq!(events(&mut b), [MuxEvent::Opened { channel: cb, handshake: "ha".into() }]);
    (a, b, ca, cb)
}

/// Replays what the vector generator did with two real protomuxes and compares every frame and event.
struct Replay {
    muxes: [Mux; 2],
    names: std::collections::HashMap<(usize, ChannelId), String>,
    expected: VecDeque<Value>,
}

impl Replay {
    fn open(&mut self, side: usize, protocol: &str, id: Option<&[u8]>, handshake: &[u8]) -> ChannelId {
        let c = self.muxes[side].open(protocol, id, handshake).unwrap();
        self.names.insert((side, c), format!("{protocol}/{}", HEXLOWER.encode(id.unwrap_or_default())));
        c
    }

    fn expect(&mut self, actual: Value) {
        assert_eq!(actual, self.expected.pop_front().unwrap_or_default());
    }

    fn pass(&mut self) {
        let mut busy = true;
        while busy {
            busy = false;
            for side in [0, 1] {
                let frames: Vec<_> = std::iter::from_fn(|| self.muxes[side].poll_frame()).collect();
                for f in frames {
                    busy = true;
                    let name = ["a", "b"];
                    self.expect(
                        serde_json::json!({"side": name[side], "sent": HEXLOWER.encode(&f.to_bytes())}),
                    );
                    let to = 1 - side;
                    self.muxes[to].feed(f.to_bytes()).unwrap();
                    while let Some(event) = self.muxes[to].poll_event().unwrap() {
                        self.on_event(to, event);
                    }
                }
            }
        }
    }

    fn on_event(&mut self, side: usize, event: MuxEvent) {
        let who = ["a", "b"][side];
        match event {
            MuxEvent::RemoteOpen { protocol, id, .. } => {
                if protocol == "late" {
                    let c = self.open(side, "late", id.as_deref(), b"late b");
                    self.muxes[side].send(c, 2, b"from late").unwrap();
                } else {
                    self.muxes[side].reject(&protocol, id.as_deref());
                }
            }
            MuxEvent::Opened { channel, handshake } => {
                let on = self.names[&(side, channel)].clone();
                self.expect(serde_json::json!({"side": who, "got": "open", "on": on, "handshake": HEXLOWER.encode(&handshake)}));
            }
            MuxEvent::Message { channel, ty, payload } => {
                let on = self.names[&(side, channel)].clone();
                self.expect(serde_json::json!({"side": who, "got": "message", "on": on, "type": ty, "payload": HEXLOWER.encode(&payload)}));
            }
            MuxEvent::Closed { channel, .. } => {
                let on = self.names[&(side, channel)].clone();
                self.expect(serde_json::json!({"side": who, "got": "close", "on": on}));
            }
        }
    }
}

#[test]
fn frames_and_events_are_those_of_protomux() {
    let v: Value = serde_json::from_str(include_str!("../../../../interop/vectors/secure.json")).unwrap();
    let mut r = Replay {
        muxes: [mux(), mux()],
        names: Default::default(),
        expected: v["mux"].as_array().unwrap().iter().cloned().collect(),
    };
    let (five, seven) = ([5; 32], [7; 32]);
    let pattern: Vec<u8> = (0..300).map(|i: usize| (i * 7 + (i >> 8)) as u8).collect();
    let a0 = r.open(0, "alpha", Some(&five), b"hello from a");
    let b0 = r.open(1, "alpha", Some(&five), b"hello from b");
    r.muxes[0].send(a0, 0, b"early").unwrap();
    r.pass();
    r.muxes[0].send(a0, 253, b"type over one byte").unwrap();
    r.muxes[0].send(a0, 1, b"").unwrap();
    r.pass();
    let a1 = r.open(0, "late", Some(&seven), b"");
    r.muxes[0].send(a1, 0, b"kept until opened").unwrap();
    r.open(0, "nobody wants this", None, b"x");
    r.pass();
    r.muxes[0].cork();
    r.muxes[0].send(a0, 3, b"one").unwrap();
    r.muxes[0].send(a0, 3, b"two").unwrap();
    r.muxes[0].send(a1, 4, b"three").unwrap();
    r.muxes[0].send(a0, 5, &pattern).unwrap();
    let a3 = r.open(0, "corked", None, b"in a batch");
    r.muxes[0].send(a3, 0, b"after its open").unwrap();
    r.muxes[0].uncork();
    r.open(1, "corked", None, b"b too");
    r.pass();
    r.muxes[1].close(b0);
    r.muxes[0].send(a3, 0, b"still here").unwrap();
    r.pass();
    r.muxes[0].close(a3);
    r.pass();
    let a4 = r.open(0, "alpha", Some(&five), b"again");
    let b4 = r.open(1, "alpha", Some(&five), b"again too");
    r.pass();
    r.muxes[1].send(b4, 0, b"reused number").unwrap();
    r.muxes[0].close(a4);
    r.pass();
    assert!(r.expected.is_empty(), "{:?}", r.expected);
}

#[test]
fn messages_before_we_open_are_kept_and_come_after_the_open() {
    let (mut a, mut b) = (mux(), mux());
    let ca = a.open("p", None, b"h").unwrap();
    a.send(ca, 1, b"one").unwrap();
    a.send(ca, 2, b"two").unwrap();
    pass(&mut a, &mut b);
    assert_eq!(
        events(&mut b),
        [MuxEvent::RemoteOpen { protocol: "p".into(), id: None, handshake: "h".into() }]
    );
    let cb = b.open("p", None, b"").unwrap();
    assert_eq!(
        events(&mut b),
        [
            MuxEvent::Opened { channel: cb, handshake: "h".into() },
            MuxEvent::Message { channel: cb, ty: 1, payload: "one".into() },
            MuxEvent::Message { channel: cb, ty: 2, payload: "two".into() },
        ]
    );
    assert_eq!(b.table.buffered, 0);
}

#[test]
fn a_channel_closed_by_them_before_we_open_delivers_what_it_had_and_closes() {
    let (mut a, mut b) = (mux(), mux());
    let ca = a.open("p", None, b"h").unwrap();
    a.send(ca, 1, b"last words").unwrap();
    a.close(ca);
    pass(&mut a, &mut b);
    assert!(matches!(events(&mut b)[..], [MuxEvent::RemoteOpen { .. }]));
    let cb = b.open("p", None, b"").unwrap();
    let got = events(&mut b);
    assert!(matches!(&got[..], [
        MuxEvent::Opened { .. },
        MuxEvent::Message { ty: 1, .. },
        MuxEvent::Closed { reason: CloseReason::Remote, channel },
    ] if *channel == cb));
    assert!(!b.contains(cb));
    // Both sides can use the numbers again.
    pass(&mut b, &mut a);
    assert_eq!(events(&mut a), []);
    let ca2 = a.open("q", None, b"").unwrap();
    let cb2 = b.open("q", None, b"").unwrap();
    assert_eq!((ca2.slot, cb2.slot), (ca.slot, cb.slot));
    pass(&mut a, &mut b);
    pass(&mut b, &mut a);
    assert!(matches!(events(&mut a)[..], [MuxEvent::Opened { .. }]));
    assert!(matches!(events(&mut b)[..], [MuxEvent::Opened { .. }]));
}

#[test]
fn too_much_for_undecided_channels_pauses_the_mux_until_we_decide() {
    let (mut a, mut b) = (mux(), mux());
    let ca = a.open("p", None, b"").unwrap();
    a.cork();
    for i in 0..1000u32 {
        a.send(ca, i, &[7; 100]).unwrap();
    }
    a.uncork();
    pass(&mut a, &mut b);
    assert_eq!(events(&mut b).len(), 1);
    assert!(b.is_paused());
    assert!(b.table.buffered <= 32 * 1024 + 612);
    let cb = b.open("p", None, b"").unwrap();
    assert!(!b.is_paused());
    let got = events(&mut b);
    assert_eq!(got.len(), 1001);
    for (i, e) in got.iter().skip(1).enumerate() {
        assert!(matches!(e, MuxEvent::Message { channel, ty, .. } if *channel == cb && *ty == i as u32));
    }
}

#[test]
fn many_undecided_channels_pause_the_mux_and_rejecting_them_resumes() {
    let mut b = Mux::new(Limits { max_pending: 2, ..Limits::default() });
    let mut a = mux();
    let channels: Vec<_> = (0..10u8).map(|i| a.open("p", Some(&[i]), b"").unwrap()).collect();
    pass(&mut a, &mut b);
    let mut seen = 0;
    loop {
        let got = events(&mut b);
        assert!(got.len() <= 3);
        if got.is_empty() {
            break;
        }
        for e in got {
            let MuxEvent::RemoteOpen { protocol, id, .. } = e else { panic!("{e:?}") };
            seen += 1;
            b.reject(&protocol, id.as_deref());
        }
    }
    assert_eq!(seen, 10);
    pass(&mut b, &mut a);
    let closed = events(&mut a);
    assert_eq!(closed.len(), 10);
    assert!(closed.iter().all(|e| matches!(e, MuxEvent::Closed { reason: CloseReason::Rejected, .. })));
    assert!(channels.iter().all(|c| !a.contains(*c)));
    assert_eq!(a.channels(), 0);
    assert!(a.table.is_forgotten() && b.table.is_forgotten());
}

#[test]
fn large_payloads_are_sent_without_a_copy_and_received_as_slices() {
    let (mut a, mut b, ca, cb) = open_pair();
    let block = Bytes::from(vec![9; 8 << 20]);
    for corked in [false, true] {
        if corked {
            a.cork();
        }
        a.send_parts(ca, 3, &[Bytes::from_static(b"head"), block.clone(), Bytes::from_static(b"tail")])
            .unwrap();
        if corked {
            a.uncork();
        }
        let frame = a.poll_frame().unwrap();
        assert!(frame.parts().iter().any(|p| p.as_ptr() == block.as_ptr() && p.len() == block.len()));
        let whole = frame.to_bytes();
        b.feed(whole.clone()).unwrap();
        let [MuxEvent::Message { channel, ty: 3, payload }] = &events(&mut b)[..] else { panic!() };
        assert_eq!((*channel, payload.len()), (cb, block.len() + 8));
        let at = payload.as_ptr() as usize - whole.as_ptr() as usize;
        assert!(at < 32);
        assert!(payload.starts_with(b"head") && payload.ends_with(b"tail"));
    }
}

#[test]
fn batches_are_cut_at_8_mib_and_no_frame_is_over_the_stream_limit() {
    let (mut a, mut b, ca, _) = open_pair();
    a.cork();
    for _ in 0..40 {
        a.send_parts(ca, 0, &[Bytes::from(vec![1; 1 << 20])]).unwrap();
    }
    a.uncork();
    let frames: Vec<_> = std::iter::from_fn(|| a.poll_frame()).collect();
    assert!(frames.len() >= 5);
    for f in &frames {
        assert!(f.len() <= 8 << 20);
        b.feed(f.to_bytes()).unwrap();
        assert!(!events(&mut b).is_empty());
    }
    assert_eq!(a.output_len(), 0);
    let too_long = Bytes::from(vec![0; MAX_PAYLOAD + 1]);
    assert_eq!(a.send(ca, 0, &too_long), Err(MuxError::TooLong(MAX_PAYLOAD + 1)));
    a.send(ca, u32::MAX, &too_long[1..]).unwrap();
    assert!(a.poll_frame().unwrap().len() <= MAX_FRAME);
}

#[test]
fn sending_on_a_closed_channel_fails_and_closing_twice_does_nothing() {
    let (mut a, mut b, ca, cb) = open_pair();
    a.close(ca);
    a.close(ca);
    assert_eq!(a.send(ca, 0, b"x"), Err(MuxError::Closed));
    b.send(cb, 0, b"on its way").unwrap();
    pass(&mut a, &mut b);
    pass(&mut b, &mut a);
    assert_eq!(events(&mut b), [MuxEvent::Closed { channel: cb, reason: CloseReason::Remote }]);
    assert_eq!(events(&mut a), []);
    b.close(cb);
    assert!(b.poll_frame().is_none());
}

#[test]
fn shutdown_closes_every_channel_once() {
    let (mut a, _, ca, _) = open_pair();
    let other = a.open("q", None, b"").unwrap();
    a.shutdown();
    let mut closed: Vec<_> = events(&mut a)
        .into_iter()
        .map(|e| match e {
            MuxEvent::Closed { channel, reason: CloseReason::Shutdown } => channel,
            e => panic!("{e:?}"),
        })
        .collect();
    closed.sort();
    assert_eq!(closed, [ca, other]);
    assert!(!a.contains(ca) && a.channels() == 0);
}

fn error_of(frames: &[&[u8]]) -> MuxError {
    let (mut a, ..) = open_pair();
    for f in frames {
        a.feed(Bytes::copy_from_slice(f)).unwrap();
    }
    loop {
        match a.poll_event() {
            Ok(Some(_)) => {}
            Ok(None) => panic!("no error"),
            Err(e) => return e,
        }
    }
}

#[test]
fn frames_against_the_protocol_are_errors() {
    // Open of number 0, of a number in use, of a number not next, and beyond any bound.
    assert_eq!(error_of(&[&[0, 1, 0, 1, b'p', 0]]), MuxError::InvalidOpen);
    assert_eq!(error_of(&[&[0, 1, 1, 1, b'p', 0]]), MuxError::InvalidOpen);
    assert_eq!(error_of(&[&[0, 1, 3, 1, b'p', 0]]), MuxError::InvalidOpen);
    assert_eq!(error_of(&[&[0, 1, 0xfe, 0, 0, 0, 1, 1, b'p', 0]]), MuxError::TooManyChannels);
    assert_eq!(error_of(&[&[0, 1, 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 1, b'p', 0]]), MuxError::InvalidOpen);
    // Reject of what we have not opened, of what is open, of 0.
    for n in [0, 1, 2, 0xfc] {
        assert_eq!(error_of(&[&[0, 2, n]]), MuxError::InvalidReject);
    }
    // Cut short.
    for f in [&[0][..], &[0, 0], &[0, 1], &[0, 1, 2], &[0, 1, 2, 9, b'p'], &[0, 2], &[0, 3], &[1], &[0xfd]] {
        assert!(matches!(error_of(&[f]), MuxError::Decode(_)), "{f:?}");
    }
    // A batch in a batch, a name that is not UTF-8, a name too long.
    assert!(matches!(error_of(&[&[0, 0, 0, 3, 0, 1, 1]]), MuxError::Decode(DecodeError::Invalid(_))));
    assert!(matches!(error_of(&[&[0, 1, 2, 1, 0xff, 0]]), MuxError::Decode(DecodeError::Invalid(_))));
    let mut long = vec![0, 1, 2, 0xfd, 0x01, 0x10];
    long.resize(6 + 0x1001 + 1, 0);
    assert!(matches!(error_of(&[&long]), MuxError::Decode(DecodeError::TooLarge(_))));
}

#[test]
fn frames_protomux_ignores_are_ignored() {
    let (mut a, _, ca, _) = open_pair();
    // Unknown control type, close of unknown numbers, messages for unknown numbers, an empty frame, a type
    // over 32 bits, an empty batch.
    for f in [
        &[0, 9, 1, 2][..],
        &[0, 3, 0],
        &[0, 3, 77],
        &[77, 0, 1],
        &[0xff, 1, 1, 1, 1, 1, 1, 1, 1, 0],
        &[],
        &[1, 0xff, 0, 0, 0, 0, 1, 0, 0, 0],
        &[0, 0, 1],
    ] {
        a.feed(Bytes::copy_from_slice(f)).unwrap();
    }
    assert_eq!(events(&mut a), []);
    // A length in a batch that is over its end means up to its end.
    a.feed(Bytes::from_static(&[0, 0, 1, 9, 4, 1, 2])).unwrap();
    assert_eq!(
        events(&mut a),
        [MuxEvent::Message { channel: ca, ty: 4, payload: Bytes::from_static(&[1, 2]) }]
    );
}

#[test]
fn the_numbers_a_peer_may_use_are_bounded() {
    let mut a = Mux::new(Limits { max_channels: 10, ..Limits::default() });
    for n in 1..=11u8 {
        a.feed(Bytes::from(vec![0, 1, n, 1, b'p', 0])).unwrap();
        match a.poll_event() {
            Ok(Some(MuxEvent::RemoteOpen { protocol, id, .. })) => a.reject(&protocol, id.as_deref()),
            other => assert!(n == 11 && other == Err(MuxError::TooManyChannels), "{n} {other:?}"),
        }
    }
    assert_eq!(a.feed(Bytes::from(vec![0; 2 * MAX_FRAME + 1])), Err(MuxError::Backlog));
}

proptest! {
    #[test]
    fn random_frames_never_panic_and_keep_the_bounds(
        frames in proptest::collection::vec(proptest::collection::vec(prop_oneof![0u8..5, any::<u8>()], 0..60), 0..60),
        decide in any::<u64>(),
    ) {
        let (mut a, ..) = open_pair();
        'outer: for (i, f) in frames.into_iter().enumerate() {
            if a.feed(f.into()).is_err() { break }
            loop {
                match a.poll_event() {
                    Ok(None) => break,
                    Err(_) => break 'outer,
                    Ok(Some(MuxEvent::RemoteOpen { protocol, id, .. })) => {
                        match (decide >> (i % 32 * 2)) & 3 {
                            0 => a.reject(&protocol, id.as_deref()),
                            1 => {}
                            _ => { a.open(&protocol, id.as_deref(), b"").unwrap(); }
                        }
                    }
                    Ok(Some(MuxEvent::Message { channel, .. } | MuxEvent::Opened { channel, .. })) => {
                        if decide.rotate_left(i as u32) & 1 == 0 { a.close(channel); }
                    }
                    Ok(Some(MuxEvent::Closed { channel, .. })) => prop_assert!(!a.contains(channel)),
                }
            }
            prop_assert!(a.table.buffered <= a.limits.max_buffered + 60 + MESSAGE_COST);
            prop_assert!(a.table.pending <= a.limits.max_pending + 1);
        }
    }

    #[test]
    fn two_muxes_deliver_everything_in_order(ops in proptest::collection::vec((0u8..6, 0u8..4, 0usize..3000), 1..80)) {
        let (mut a, mut b, _, _) = open_pair();
        let mut sent: Vec<(u8, u32, Vec<u8>)> = Vec::new();
        let mut ours = std::collections::HashMap::new();
        let mut theirs = std::collections::HashMap::new();
        for (i, (op, name, n)) in ops.into_iter().enumerate() {
            match op {
                0 => a.cork(),
                1 => a.uncork(),
                2 => pass(&mut a, &mut b),
                _ => {
                    let c = *ours.entry(name).or_insert_with(|| a.open("q", Some(&[name, 1]), b"").unwrap());
                    let payload = vec![i as u8; n];
                    sent.push((name, i as u32, payload.clone()));
                    a.send_parts(c, i as u32, &[Bytes::from(payload)]).unwrap();
                }
            }
        }
        for _ in 0..80 { a.uncork() }
        pass(&mut a, &mut b);
        let mut got = std::collections::HashMap::<u8, Vec<(u32, Bytes)>>::new();
        while let Some(e) = b.poll_event().unwrap() {
            match e {
                MuxEvent::RemoteOpen { protocol, id, .. } => {
                    let id = id.unwrap();
                    theirs.insert(b.open(&protocol, Some(&id), b"").unwrap(), id[0]);
                }
                MuxEvent::Message { channel, ty, payload } => got.entry(theirs[&channel]).or_default().push((ty, payload)),
                _ => {}
            }
        }
        for name in 0..4 {
            let want: Vec<_> = sent.iter().filter(|s| s.0 == name).map(|s| (s.1, Bytes::from(s.2.clone()))).collect();
            prop_assert_eq!(got.remove(&name).unwrap_or_default(), want);
        }
    }
}
