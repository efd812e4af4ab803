use super::*;
use bosc_format::codec::DecodeError;
use proptest::prelude::*;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn half(token: u8, is_initiator: bool, id: u32) -> Pair {
    Pair { is_initiator, token: [token; 32], id, seq: 0 }
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

#[test]
fn messages_are_those_of_npm() {
    // Recorded from `messages.pair` and `messages.unpair` of npm blind-relay 1.6.1.
    let token = "07".repeat(32);
    for (is_initiator, id, expected) in [
        (true, 300, format!("01{token}fd2c0100")),
        (false, 300, format!("00{token}fd2c0100")),
        (true, 4_000_000_000, format!("01{token}fe00286bee00")),
    ] {
        let message = Message::Pair(half(7, is_initiator, id));
        assert_eq!(hex(&message.encode()), expected);
        assert_eq!(Message::decode(0, &message.encode()).unwrap(), Some(message));
    }
    let message = Message::Unpair(Unpair { token: [7; 32] });
    assert_eq!(hex(&message.encode()), format!("00{token}"));
    assert_eq!(Message::decode(1, &message.encode()).unwrap(), Some(message));
}

#[test]
fn what_is_no_message() {
    let bytes = Message::Pair(half(7, true, 5)).encode();
    assert_eq!(Message::decode(2, &bytes), Ok(None));
    assert!(Message::decode(0, &bytes[..20]).is_err());
    assert!(Message::decode(1, &bytes[..20]).is_err());
    let mut long = vec![1];
    long.extend([7; 32]);
    long.extend([0xff, 0, 0, 0, 0, 1, 0, 0, 0, 0]);
    assert_eq!(Message::decode(0, &long), Err(DecodeError::TooLarge("stream id")));
}

#[test]
fn two_halves_meet_once() {
    let mut p = Pairings::new(Limits::default());
    assert_eq!(p.pair(1, &half(9, true, 100), SECOND), Answer::Waiting);
    let Answer::Paired(paired) = p.pair(2, &half(9, false, 200), SECOND) else { panic!("not paired") };
    assert_eq!(paired.initiator, Half { client: 1, stream_id: 100 });
    assert_eq!(paired.responder, Half { client: 2, stream_id: 200 });
    assert_eq!((p.waiting(), p.pairs(), p.next_timeout()), (0, 1, None));
    // The token is used up for as long as the pair lives, for everyone.
    for client in [1, 2, 3] {
        for is_initiator in [true, false] {
            let again = p.pair(client, &half(9, is_initiator, 300), SECOND);
            assert_eq!(again, Answer::Refused(Refusal::TokenInUse));
        }
    }
    let ended = p.unpair(2, &[9; 32]).unwrap();
    assert_eq!(ended, Ended { pair: Some(paired.pair), token: [9; 32], clients: [Some(1), Some(2)] });
    assert_eq!(p.pair(1, &half(9, true, 100), SECOND), Answer::Waiting);
}

#[test]
fn the_same_half_twice_is_refused_and_the_first_goes_on_waiting() {
    let mut p = Pairings::new(Limits::default());
    assert_eq!(p.pair(1, &half(9, true, 100), SECOND), Answer::Waiting);
    // Somebody who learned the token would take the peer's place.
    assert_eq!(p.pair(3, &half(9, true, 300), SECOND), Answer::Refused(Refusal::TokenInUse));
    let Answer::Paired(paired) = p.pair(2, &half(9, false, 200), SECOND) else { panic!("not paired") };
    assert_eq!(paired.initiator.client, 1);
}

#[test]
fn a_half_that_waits_in_vain_is_forgotten() {
    let mut p = Pairings::new(Limits::default());
    p.pair(1, &half(9, true, 100), SECOND);
    let at = p.next_timeout().unwrap();
    assert_eq!(at, SECOND + Limits::default().pair_timeout);
    assert!(p.handle_timeout(at - Duration::from_millis(1)).is_empty());
    let ended = p.handle_timeout(at);
    assert_eq!(ended, [Ended { pair: None, token: [9; 32], clients: [Some(1), None] }]);
    assert_eq!((p.waiting(), p.expired(), p.holds_any(1)), (0, 1, false));
    assert_eq!(p.pair(2, &half(9, false, 200), at), Answer::Waiting);
}

#[test]
fn nobody_takes_the_token_of_others_back() {
    let mut p = Pairings::new(Limits::default());
    p.pair(1, &half(9, true, 100), SECOND);
    assert_eq!(p.unpair(3, &[9; 32]), None);
    let Answer::Paired(paired) = p.pair(2, &half(9, false, 200), SECOND) else { panic!("not paired") };
    assert_eq!(p.unpair(3, &[9; 32]), None);
    assert_eq!(p.end(paired.pair).unwrap().clients, [Some(1), Some(2)]);
    assert_eq!(p.end(paired.pair), None);
}

#[test]
fn a_client_that_leaves_takes_along_what_it_held() {
    let mut p = Pairings::new(Limits::default());
    p.pair(1, &half(1, true, 10), SECOND);
    p.pair(1, &half(2, true, 20), SECOND);
    p.pair(2, &half(2, false, 21), SECOND);
    p.pair(2, &half(3, true, 31), SECOND);
    let ended = p.left(1);
    assert_eq!(ended.len(), 1);
    assert_eq!((ended[0].token, ended[0].clients), ([2; 32], [Some(1), Some(2)]));
    assert_eq!((p.waiting(), p.pairs(), p.holds_any(1), p.holds_any(2)), (1, 0, false, true));
    assert!(p.left(1).is_empty());
}

#[test]
fn one_client_keeps_nobody_out() {
    let limits = Limits { waiting_per_client: 50, waiting: 20, ..Limits::default() };
    let mut p = Pairings::new(limits);
    p.pair(2, &half(200, true, 1), SECOND);
    for n in 0..100u8 {
        p.pair(1, &half(n, true, 1), SECOND + Duration::from_millis(u64::from(n)));
    }
    assert_eq!(p.waiting(), 20);
    assert!(
        matches!(p.pair(3, &half(200, false, 2), SECOND), Answer::Paired(_)),
        "the flood took the place of another"
    );
}

#[test]
fn a_client_loses_its_own_oldest_first() {
    let mut p = Pairings::new(Limits { waiting_per_client: 2, ..Limits::default() });
    for n in 1..=3 {
        p.pair(1, &half(n, true, 1), SECOND * u32::from(n));
    }
    assert_eq!(p.waiting(), 2);
    assert_eq!(p.pair(2, &half(1, false, 2), SECOND), Answer::Waiting);
    assert!(matches!(p.pair(2, &half(3, false, 2), SECOND), Answer::Paired(_)));
}

#[test]
fn pairs_are_bounded_for_one_and_for_all() {
    let limits = Limits { pairs_per_client: 2, pairs: 3, ..Limits::default() };
    let mut p = Pairings::new(limits);
    let make = |p: &mut Pairings, token, a, b| {
        p.pair(a, &half(token, true, 1), SECOND);
        p.pair(b, &half(token, false, 2), SECOND)
    };
    assert!(matches!(make(&mut p, 1, 1, 2), Answer::Paired(_)));
    assert!(matches!(make(&mut p, 2, 1, 3), Answer::Paired(_)));
    assert_eq!(make(&mut p, 3, 4, 1), Answer::Refused(Refusal::ClientFull));
    assert!(matches!(make(&mut p, 4, 5, 6), Answer::Paired(_)));
    assert_eq!(make(&mut p, 5, 7, 8), Answer::Refused(Refusal::Full));
}

proptest! {
    #[test]
    fn any_bytes_are_a_message_or_not(ty in 0u32..4, bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(Some(message)) = Message::decode(ty, &bytes) {
            prop_assert_eq!(Message::decode(ty, &message.encode()).unwrap(), Some(message));
        }
    }

    /// Whatever clients do, the books agree with each other and the bounds hold.
    #[test]
    fn books_agree(steps in prop::collection::vec((0u8..5, 0u64..4, 0u8..6, any::<bool>()), 0..200)) {
        let limits = Limits { waiting_per_client: 3, waiting: 6, pairs_per_client: 2, pairs: 3, pair_timeout: SECOND };
        let mut p = Pairings::new(limits);
        let mut now = Duration::ZERO;
        let mut live: std::collections::BTreeMap<PairId, [ClientId; 2]> = Default::default();
        for (what, client, token, is_initiator) in steps {
            let ended = match what {
                0 | 1 => {
                    if let Answer::Paired(made) = p.pair(client, &half(token, is_initiator, 1), now) {
                        live.insert(made.pair, [made.initiator.client, made.responder.client]);
                    }
                    Vec::new()
                }
                2 => p.unpair(client, &[token; 32]).into_iter().collect(),
                3 => p.left(client),
                _ => {
                    now += SECOND / 3;
                    p.handle_timeout(now)
                }
            };
            for pair in ended.iter().filter_map(|e| e.pair) {
                prop_assert!(live.remove(&pair).is_some());
            }
            prop_assert_eq!(live.len(), p.pairs());
            prop_assert!(p.waiting() <= 6 && p.pairs() <= 3);
            for client in 0..4 {
                prop_assert!(live.values().flatten().filter(|c| **c == client).count() <= 4);
            }
        }
        for client in 0..4 {
            p.left(client);
            prop_assert!(!p.holds_any(client));
        }
        prop_assert_eq!((p.waiting(), p.pairs(), p.next_timeout()), (0, 0, None));
    }
}
