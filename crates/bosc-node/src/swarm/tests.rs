use super::links::RACE;
use super::topics::{NOBODY, REFRESH, REFRESH_JITTER_MS};
use super::{Action, ConnId, Limits, Part, Swarm, Topic};
use bosc_format::crypto::PublicKey;
use std::net::Ipv4Addr;
use std::time::Duration;

const A: PublicKey = [1; 32];
const B: PublicKey = [2; 32];
const T: Topic = [9; 32];
const HOST: Ipv4Addr = Ipv4Addr::LOCALHOST;
const CLIENT: Part = Part { client: true, server: false, urgent: false };
const BOTH: Part = Part { client: true, server: true, urgent: false };

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn actions(s: &mut Swarm) -> Vec<Action> {
    std::iter::from_fn(|| s.poll_action()).collect()
}

fn connect_id(actions: &[Action]) -> Option<ConnId> {
    actions.iter().find_map(|a| if let Action::Connect { conn, .. } = a { Some(*conn) } else { None })
}

#[test]
fn a_joined_topic_is_looked_up_flushed_after_its_peers_were_tried_and_refreshed_later() {
    let mut s = Swarm::new(A, Limits::default(), 7);
    assert!(s.join(T, CLIENT, ms(0)));
    assert_eq!(actions(&mut s), [Action::Discover { topic: T, announce: false }]);
    s.peer_found(T, B, vec![], ms(10));
    let conn = connect_id(&actions(&mut s)).unwrap();
    // Every node of the query names it.
    s.peer_found(T, B, vec![], ms(12));
    s.query_done(T, ms(20));
    assert!(!s.is_flushed(&T));
    s.opened(conn, ms(30));
    assert!(actions(&mut s).contains(&Action::Flushed { topic: T }));
    assert!(s.is_flushed(&T));
    let next = s.next_timeout().unwrap();
    assert!(next >= REFRESH && next <= REFRESH + ms(REFRESH_JITTER_MS + 20));
    s.handle_timeout(next);
    assert_eq!(actions(&mut s), [Action::Discover { topic: T, announce: false }]);
}

#[test]
fn a_topic_without_peers_is_flushed_by_its_query() {
    let mut s = Swarm::new(A, Limits::default(), 7);
    s.join(T, BOTH, ms(0));
    actions(&mut s);
    s.query_done(T, ms(5));
    assert_eq!(actions(&mut s), [Action::Flushed { topic: T }]);
}

#[test]
fn a_topic_where_nobody_was_found_is_looked_at_again_soon_and_then_ever_later() {
    let mut s = Swarm::new(A, Limits::default(), 7);
    s.join(T, BOTH, ms(0));
    actions(&mut s);
    s.accepted([7; 32], HOST, |_| false, ms(1));
    let mut now = ms(5);
    let mut waits = Vec::new();
    for _ in 0..10 {
        s.query_done(T, now);
        let next = s.next_timeout().unwrap();
        waits.push(next - now);
        now = next;
        s.handle_timeout(now);
        assert!(actions(&mut s).contains(&Action::Discover { topic: T, announce: true }));
    }
    assert!(waits[0] >= NOBODY && waits[0] < NOBODY * 2, "{waits:?}");
    assert!(waits[3] > waits[0] * 10 && waits[9] >= REFRESH && waits[9] <= REFRESH * 2, "{waits:?}");
    s.peer_found(T, B, vec![], now);
    let conn = connect_id(&actions(&mut s)).unwrap();
    s.opened(conn, now);
    s.query_done(T, now);
    assert!(s.next_timeout().unwrap() >= now + REFRESH);
}

#[test]
fn both_sides_of_a_race_keep_the_same_connection() {
    // B has the greater key, so the connection B initiated must survive on both sides.
    let race = |me: PublicKey, them: PublicKey| {
        let mut s = Swarm::new(me, Limits::default(), 1);
        s.join(T, BOTH, ms(0));
        s.peer_found(T, them, vec![], ms(1));
        let ours = connect_id(&actions(&mut s)).unwrap();
        let accepted = s.accepted(them, HOST, |_| false, ms(2));
        (ours, accepted, actions(&mut s))
    };
    let (ours, accepted, acts) = race(A, B);
    assert!(accepted.is_some() && acts.contains(&Action::Close { conn: ours }));
    let (_, accepted, acts) = race(B, A);
    assert!(accepted.is_none() && acts.is_empty());
    // Both saw bytes on their own connection before they heard of the other's.
    let late = |me: PublicKey, them: PublicKey| {
        let mut s = Swarm::new(me, Limits::default(), 1);
        s.join(T, BOTH, ms(0));
        s.peer_found(T, them, vec![], ms(1));
        let ours = connect_id(&actions(&mut s)).unwrap();
        s.opened(ours, ms(2));
        actions(&mut s);
        s.accepted(them, HOST, |_| true, ms(4)).is_some()
    };
    assert_eq!((late(A, B), late(B, A)), (true, false));
}

#[test]
fn who_dials_again_lost_the_connection_before() {
    // Whichever side would keep its own in a race.
    for (me, them) in [(A, B), (B, A)] {
        let mut s = Swarm::new(me, Limits::default(), 1);
        s.join(T, BOTH, ms(0));
        let before = s.accepted(them, HOST, |_| true, ms(1)).unwrap();
        actions(&mut s);
        // It was killed, and started again at once.
        let after = s.accepted(them, HOST, |_| true, ms(200)).expect("the new one stays");
        assert_ne!(before, after);
        assert_eq!(actions(&mut s), [Action::Close { conn: before }]);
        s.closed(before, ms(201));
        assert_eq!(s.open_connections(), 1);
    }
}

/// What is dialled next, and under which key: after a connection of ours ended as `end` says.
fn dialled_after(end: impl Fn(&mut Swarm, ConnId, Duration)) -> (Duration, bool) {
    let mut s = Swarm::new(A, Limits::default(), 3);
    s.join(T, CLIENT, ms(0));
    s.peer_found(T, B, vec![], ms(0));
    let conn = connect_id(&actions(&mut s)).unwrap();
    s.opened(conn, ms(1));
    actions(&mut s);
    end(&mut s, conn, ms(2));
    let at = s.next_timeout().unwrap();
    s.handle_timeout(at);
    let one_time = actions(&mut s).into_iter().find_map(|a| match a {
        Action::Connect { one_time_key, .. } => Some(one_time_key),
        _ => None,
    });
    (at, one_time.unwrap())
}

#[test]
fn a_peer_that_refuses_our_key_is_dialled_under_another_and_then_under_ours_again() {
    let (at, one_time) = dialled_after(|s, conn, now| s.refused(conn, now));
    assert!(one_time && at < ms(1100), "{at:?}");
    // Refused both times.
    let (_, one_time) = dialled_after(|s, conn, now| {
        s.refused(conn, now);
        let at = s.next_timeout().unwrap();
        s.handle_timeout(at);
        let second = connect_id(&actions(s)).unwrap();
        s.refused(second, at);
    });
    assert!(!one_time);
    // A peer that said something did not refuse us, nor did one that went away.
    assert!(!dialled_after(|s, conn, now| s.closed(conn, now)).1);
    let (_, one_time) = dialled_after(|s, conn, now| {
        s.refused(conn, now);
        let at = s.next_timeout().unwrap();
        s.handle_timeout(at);
        let second = connect_id(&actions(s)).unwrap();
        s.opened(second, at);
        s.heard(second);
        s.closed(second, at);
    });
    assert!(!one_time, "the key was welcome again");
}

#[test]
fn a_live_connection_gives_way_to_a_new_one_of_the_same_peer() {
    let mut s = Swarm::new(B, Limits::default(), 1);
    s.join(T, BOTH, ms(0));
    s.peer_found(T, A, vec![], ms(1));
    let ours = connect_id(&actions(&mut s)).unwrap();
    s.opened(ours, ms(2));
    actions(&mut s);
    assert!(s.accepted(A, HOST, |_| true, RACE + ms(2)).is_some());
    assert_eq!(actions(&mut s), [Action::Close { conn: ours }]);
    // The late end of the replaced connection changes nothing.
    s.closed(ours, RACE + ms(60));
    assert_eq!(s.open_connections(), 1);
}

#[test]
fn lost_peers_are_tried_again_with_growing_waits_and_then_looked_up() {
    let mut s = Swarm::new(A, Limits::default(), 3);
    s.join(T, CLIENT, ms(0));
    s.peer_found(T, B, vec![], ms(0));
    s.query_done(T, ms(0));
    let mut now = ms(0);
    let mut waits = Vec::new();
    while let Some(conn) = connect_id(&actions(&mut s)) {
        s.closed(conn, now);
        let Some(next) = s.next_timeout().filter(|n| *n < REFRESH) else { break };
        waits.push((next - now).as_millis() / 1000);
        now = next;
        s.handle_timeout(now);
    }
    assert_eq!(waits, [5, 15, 15, 15], "three tries, then a lookup");
    assert!(s.topics.values().all(|j| j.querying));
}

#[test]
fn leaving_takes_the_announcement_back_and_stops_retries() {
    let mut s = Swarm::new(A, Limits::default(), 3);
    s.join(T, BOTH, ms(0));
    s.peer_found(T, B, vec![], ms(0));
    s.query_done(T, ms(0));
    let conn = connect_id(&actions(&mut s)).unwrap();
    s.opened(conn, ms(1));
    s.leave(&T);
    assert!(actions(&mut s).contains(&Action::Unannounce { topic: T }));
    s.closed(conn, ms(10));
    assert_eq!(s.next_timeout(), None);
}

#[test]
fn a_flood_of_peers_takes_bounded_memory_and_connections() {
    let mut s = Swarm::new(A, Limits { peers: 4, all: None, parallel: 3, known: 16, topics: 2 }, 3);
    s.join(T, CLIENT, ms(0));
    for i in 0..10_000u32 {
        let mut key = [7; 32];
        key[..4].copy_from_slice(&i.to_le_bytes());
        s.peer_found(T, key, vec![], ms(u64::from(i)));
        for a in actions(&mut s) {
            if let Action::Connect { conn, .. } = a {
                if conn % 2 == 0 { s.opened(conn, ms(1)) } else { s.closed(conn, ms(1)) }
            }
        }
    }
    assert!(s.open_connections() <= 4);
    assert!(s.peers.len() <= 2 * 16, "{}", s.peers.len());
    assert!(s.join([1; 32], CLIENT, ms(0)));
    assert!(!s.join([2; 32], CLIENT, ms(0)));
}

#[test]
fn a_banned_peer_is_closed_and_never_connected_again() {
    let mut s = Swarm::new(A, Limits::default(), 3);
    s.join(T, BOTH, ms(0));
    let conn = s.accepted(B, HOST, |_| false, ms(1)).unwrap();
    s.ban(&B, ms(2));
    assert!(actions(&mut s).contains(&Action::Close { conn }));
    s.closed(conn, ms(3));
    s.peer_found(T, B, vec![], ms(4));
    assert_eq!(connect_id(&actions(&mut s)), None);
    assert_eq!(s.accepted(B, HOST, |_| false, ms(5)), None);
}

const WAITED_ON: Part = Part { client: true, server: false, urgent: true };

fn looks_until(s: &mut Swarm, found: Option<PublicKey>, until: Duration) -> Vec<u64> {
    let mut looks = Vec::new();
    while let Some(now) = s.next_timeout().filter(|t| *t <= until) {
        s.handle_timeout(now);
        let looked = actions(s).iter().any(|a| matches!(a, Action::Discover { .. }));
        if looked {
            looks.push(now.as_secs());
            if let Some(peer) = found {
                s.peer_found(T, peer, vec![], now);
            }
            s.query_done(T, now);
        }
    }
    looks
}

/// A topic joined long ago, whose peer is connected and has its core.
fn at_rest_with_a_peer() -> (Swarm, ConnId, Duration) {
    let mut s = Swarm::new(A, Limits::default(), 7);
    s.join(T, CLIENT, ms(0));
    s.peer_found(T, B, vec![], ms(0));
    let conn = connect_id(&actions(&mut s)).unwrap();
    s.opened(conn, ms(0));
    s.shares(conn, T, true, ms(0));
    s.query_done(T, ms(0));
    actions(&mut s);
    (s, conn, ms(100_000))
}

#[test]
fn while_somebody_waits_and_nobody_is_there_we_look_soon_then_every_three_seconds() {
    let mut s = Swarm::new(A, Limits::default(), 7);
    s.join(T, WAITED_ON, ms(0));
    assert_eq!(actions(&mut s), [Action::Discover { topic: T, announce: false }]);
    s.accepted([7; 32], HOST, |_| false, ms(0)).unwrap();
    for _ in 0..8 {
        // The waits of a topic where nobody was found grow beyond those of urgency.
        s.query_done(T, ms(0));
        s.refresh(&T, ms(0));
        actions(&mut s);
    }
    s.query_done(T, ms(0));
    // Somebody is connected, but does not have the core.
    assert_eq!(looks_until(&mut s, None, ms(13_000)), [0, 1, 3, 6, 9, 12]);
    s.join(T, CLIENT, ms(13_000));
    assert_eq!(looks_until(&mut s, None, ms(60_000)), [0; 0], "nobody waits any more");
}

#[test]
fn while_those_who_are_there_do_not_deliver_we_look_ever_more_rarely() {
    let (mut s, conn, now) = at_rest_with_a_peer();
    s.join(T, WAITED_ON, now);
    assert!(
        actions(&mut s).contains(&Action::Discover { topic: T, announce: false }),
        "the last look is old"
    );
    s.peer_found(T, B, vec![], now);
    s.query_done(T, now);
    let waits: Vec<u64> = looks_until(&mut s, Some(B), now + ms(300_000)).iter().map(|t| t - 100).collect();
    assert_eq!(waits, [0, 1, 3, 7, 15, 31, 63, 123, 183, 243]);
    // It delivers: no look as long as it does.
    for t in 0..10 {
        s.delivered(conn, ms(400_000 + t * 2900));
        assert_eq!(looks_until(&mut s, Some(B), ms(400_000 + t * 2900 + 2899)), [0; 0]);
    }
    // It goes silent, then goes.
    assert_eq!(looks_until(&mut s, Some(B), ms(450_000)), [429, 435, 447]);
    s.closed(conn, ms(450_000));
    assert!(looks_until(&mut s, None, ms(459_500)).len() >= 3, "nobody is there");
}

#[test]
fn urgency_looks_at_once_only_when_the_last_look_is_old() {
    let (mut s, _, _) = at_rest_with_a_peer();
    s.join(T, WAITED_ON, ms(19_000));
    assert_eq!(actions(&mut s), []);
    assert_eq!(s.next_timeout(), Some(ms(19_500)));
    // Asking again is not a new urgency.
    s.join(T, WAITED_ON, ms(19_400));
    assert_eq!((actions(&mut s), s.next_timeout()), (vec![], Some(ms(19_500))));
    s.join(T, CLIENT, ms(19_450));
    s.join(T, WAITED_ON, ms(25_000));
    assert_eq!(actions(&mut s), [Action::Discover { topic: T, announce: false }]);
}

#[test]
fn a_channel_that_closes_counts_as_nobody_there() {
    let (mut s, conn, now) = at_rest_with_a_peer();
    s.join(T, WAITED_ON, now);
    s.peer_found(T, B, vec![], now);
    s.query_done(T, now);
    looks_until(&mut s, Some(B), now + ms(100_000));
    s.shares(conn, T, false, now + ms(100_000));
    assert_eq!(s.next_timeout(), Some(now + ms(103_000)));
}

#[test]
fn an_urgent_topic_at_rest_keeps_its_place_in_time() {
    let (mut s, _, now) = at_rest_with_a_peer();
    let rest = s.next_timeout().unwrap();
    assert!(rest >= REFRESH);
    s.join(T, WAITED_ON, now);
    s.join(T, CLIENT, now);
    actions(&mut s);
    s.peer_found(T, B, vec![], now);
    s.query_done(T, now);
    assert!(s.next_timeout().unwrap() >= now + REFRESH);
}

#[test]
fn without_a_network_looks_become_rare_and_its_return_ends_that() {
    let mut s = Swarm::new(A, Limits::default(), 7);
    s.join(T, BOTH, ms(0));
    s.accepted(B, HOST, |_| false, ms(0)).unwrap();
    let mut now = ms(0);
    let mut waits = Vec::new();
    for _ in 0..12 {
        actions(&mut s);
        s.query_failed(T, now);
        let next = s.next_timeout().unwrap();
        waits.push((next - now).as_secs());
        now = next;
        s.handle_timeout(now);
    }
    // The first ones come sooner: nobody was found.
    assert!(waits[0] < 3 && waits[5] >= 100 && waits[11] >= 600 && waits[11] <= 840, "{waits:?}");
    s.query_failed(T, now);
    actions(&mut s);
    s.network_back(now);
    assert_eq!(actions(&mut s), [Action::Discover { topic: T, announce: true }]);
}

fn key(n: u32) -> PublicKey {
    let mut key = [9; 32];
    key[..4].copy_from_slice(&n.to_be_bytes());
    key
}

fn closed(s: &mut Swarm) -> Vec<ConnId> {
    let conns = actions(s).into_iter();
    conns.filter_map(|a| if let Action::Close { conn } = a { Some(conn) } else { None }).collect()
}

#[test]
fn idle_connections_keep_nobody_out_and_go_by_what_they_are_good_for() {
    let mut s = Swarm::new(A, Limits { peers: 4, ..Limits::default() }, 3);
    s.join(T, BOTH, ms(0));
    let conns: Vec<ConnId> =
        (0..8).map(|n| s.accepted(key(n), HOST, |_| true, ms(u64::from(n))).unwrap()).collect();
    // The oldest two are good for something.
    s.shares(conns[0], T, true, ms(10));
    s.shares(conns[1], T, true, ms(10));
    s.moved(conns[1], ms(20));
    actions(&mut s);
    for n in 8..14 {
        assert!(s.accepted(key(n), HOST, |_| true, ms(100 + u64::from(n))).is_some());
        assert_eq!(closed(&mut s).len(), 1, "one for one");
    }
    assert!(s.by_conn.contains_key(&conns[0]) && s.by_conn.contains_key(&conns[1]));
    assert!(
        !conns[2..].iter().any(|c| s.by_conn.contains_key(c)),
        "who never showed anything went, oldest first"
    );
    assert_eq!(s.open_connections(), 8);
    // All that are left share the core: the one that moves nothing goes, the busy one stays.
    for conn in s.by_conn.keys().copied().collect::<Vec<_>>() {
        s.shares(conn, T, true, ms(200));
    }
    assert!(s.accepted(key(20), HOST, |_| true, ms(300)).is_some());
    assert_eq!(closed(&mut s), [conns[0]]);
    // When all are busy a newcomer is refused.
    for conn in s.by_conn.keys().copied().collect::<Vec<_>>() {
        s.moved(conn, ms(400));
    }
    assert_eq!(s.accepted(key(21), HOST, |_| true, ms(500)), None);
    // Not for ever: who was busy and does nothing any more goes.
    assert!(s.accepted(key(21), HOST, |_| true, ms(20_000)).is_some());
}

#[test]
fn a_network_has_no_more_than_its_share_once_there_is_no_room() {
    let far = |n: u8| Ipv4Addr::new(20, n, 1, 1);
    let mut s = Swarm::new(A, Limits { peers: 4, ..Limits::default() }, 3);
    s.join(T, BOTH, ms(0));
    // One address fills all of it: nobody minds while there is room.
    for n in 0..8 {
        let conn = s.accepted(key(n), HOST, |_| true, ms(0)).unwrap();
        s.shares(conn, T, true, ms(0));
        s.moved(conn, ms(1));
    }
    for n in 0..6 {
        let conn = s.accepted(key(100 + n), far(n as u8), |_| true, ms(2)).expect("from elsewhere");
        s.moved(conn, ms(2));
    }
    assert_eq!(s.accepted(key(200), far(9), |_| true, ms(3)), None, "what is left is the network's share");
    // Of those who are good for nothing, the crowd goes first and not the oldest.
    let mut s = Swarm::new(A, Limits { peers: 4, ..Limits::default() }, 3);
    s.join(T, BOTH, ms(0));
    let alone = s.accepted(key(1), far(1), |_| true, ms(0)).unwrap();
    for n in 2..20 {
        assert!(s.accepted(key(n), Ipv4Addr::new(9, 9, 9, n as u8), |_| true, ms(1)).is_some());
    }
    assert!(s.by_conn.contains_key(&alone));
}

#[test]
fn attempts_that_hang_hold_up_nobody() {
    let limits = Limits { peers: 12, parallel: 3, ..Limits::default() };
    let mut s = Swarm::new(A, limits, 3);
    s.join(T, WAITED_ON, ms(0));
    for n in 0..60 {
        s.peer_found(T, key(n), vec![], ms(0));
    }
    s.query_done(T, ms(0));
    let mut tried = std::collections::BTreeSet::new();
    let mut order = Vec::new();
    let mut now = ms(0);
    while now < Duration::from_secs(30) && tried.len() < 60 {
        for a in actions(&mut s) {
            match a {
                Action::Connect { peer, .. } => {
                    assert!(tried.insert(peer), "a fresh one before one that failed");
                    order.push(peer);
                }
                // The owner gives the attempt up.
                Action::Close { conn } => s.closed(conn, now),
                _ => {}
            }
        }
        assert!(s.links.len() <= 12);
        now = s.next_timeout().expect("goes on").max(now);
        s.handle_timeout(now);
    }
    // Twelve in four seconds.
    assert_eq!(tried.len(), 60);
    assert!(now <= Duration::from_secs(20), "{now:?}");
    assert!(!order.is_sorted(), "in random order");
}

#[test]
fn nobody_waits_for_an_attempt_that_hangs() {
    let mut s = Swarm::new(A, Limits::default(), 3);
    s.join(T, CLIENT, ms(0));
    s.peer_found(T, B, vec![], ms(0));
    s.query_done(T, ms(0));
    assert!(!s.is_flushed(&T) && s.is_connecting());
    let at = s.next_timeout().unwrap();
    assert_eq!(at, super::room::ATTEMPT);
    s.handle_timeout(at);
    assert!(s.is_flushed(&T) && !s.is_connecting());
    // It goes on all the same.
    let conn = connect_id(&actions(&mut s)).unwrap();
    s.opened(conn, ms(9000));
    assert_eq!(s.open_connections(), 1);
}

#[test]
fn while_somebody_waits_dialled_peers_that_do_nothing_make_room() {
    let mut s = Swarm::new(A, Limits { peers: 4, ..Limits::default() }, 3);
    s.join(T, WAITED_ON, ms(0));
    for n in 0..4 {
        s.peer_found(T, key(n), vec![], ms(0));
        let conn = connect_id(&actions(&mut s)).unwrap();
        s.opened(conn, ms(1));
        s.shares(conn, T, true, ms(2));
    }
    s.peer_found(T, B, vec![], ms(10));
    assert_eq!(connect_id(&actions(&mut s)), None);
    let mut now = ms(10);
    while now < Duration::from_secs(12) {
        now = s.next_timeout().unwrap();
        s.handle_timeout(now);
        if s.links.contains_key(&B) {
            return;
        }
    }
    panic!("B is never dialled");
}

#[test]
fn who_came_and_went_leaves_room_for_others() {
    let mut s = Swarm::new(A, Limits { known: 16, ..Limits::default() }, 3);
    s.join(T, BOTH, ms(0));
    for n in 0..100 {
        let conn = s.accepted(key(n), HOST, |_| true, ms(0)).unwrap();
        s.closed(conn, ms(1));
    }
    actions(&mut s);
    s.peer_found(T, B, vec![], ms(2));
    assert!(connect_id(&actions(&mut s)).is_some());
}
