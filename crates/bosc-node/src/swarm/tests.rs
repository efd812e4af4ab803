use super::*;

const A: PublicKey = [1; 32];
const B: PublicKey = [2; 32];
const T: Topic = [9; 32];

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
    assert!(s.join(T, true, false, ms(0)));
    assert_eq!(actions(&mut s), [Action::Discover { topic: T, announce: false }]);
    s.peer_found(T, B, vec![], ms(10));
    let conn = connect_id(&actions(&mut s)).unwrap();
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
    s.join(T, true, true, ms(0));
    actions(&mut s);
    s.query_done(T, ms(5));
    assert_eq!(actions(&mut s), [Action::Flushed { topic: T }]);
}

#[test]
fn a_topic_where_nobody_was_found_is_looked_at_again_soon_and_then_ever_later() {
    let mut s = Swarm::new(A, Limits::default(), 7);
    s.join(T, true, true, ms(0));
    actions(&mut s);
    s.accepted([7; 32], |_| false, ms(1));
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
        s.join(T, true, true, ms(0));
        s.peer_found(T, them, vec![], ms(1));
        let ours = connect_id(&actions(&mut s)).unwrap();
        let accepted = s.accepted(them, |_| false, ms(2));
        (ours, accepted, actions(&mut s))
    };
    let (ours, accepted, acts) = race(A, B);
    assert!(accepted.is_some() && acts.contains(&Action::Close { conn: ours }));
    let (_, accepted, acts) = race(B, A);
    assert!(accepted.is_none() && acts.is_empty());
}

#[test]
fn a_live_connection_gives_way_to_a_new_one_of_the_same_peer() {
    let mut s = Swarm::new(B, Limits::default(), 1);
    s.join(T, true, true, ms(0));
    s.peer_found(T, A, vec![], ms(1));
    let ours = connect_id(&actions(&mut s)).unwrap();
    s.opened(ours, ms(2));
    actions(&mut s);
    assert!(s.accepted(A, |_| true, ms(50)).is_some());
    assert_eq!(actions(&mut s), [Action::Close { conn: ours }]);
    // The late end of the replaced connection changes nothing.
    s.closed(ours, ms(60));
    assert_eq!(s.open_connections(), 1);
}

#[test]
fn lost_peers_are_tried_again_with_growing_waits_and_then_looked_up() {
    let mut s = Swarm::new(A, Limits::default(), 3);
    s.join(T, true, false, ms(0));
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
    s.join(T, true, true, ms(0));
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
    let mut s = Swarm::new(A, Limits { peers: 4, parallel: 3, known: 16, topics: 2 }, 3);
    s.join(T, true, false, ms(0));
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
    assert!(s.join([1; 32], true, false, ms(0)));
    assert!(!s.join([2; 32], true, false, ms(0)));
}

#[test]
fn a_banned_peer_is_closed_and_never_connected_again() {
    let mut s = Swarm::new(A, Limits::default(), 3);
    s.join(T, true, true, ms(0));
    let conn = s.accepted(B, |_| false, ms(1)).unwrap();
    s.ban(&B, ms(2));
    assert!(actions(&mut s).contains(&Action::Close { conn }));
    s.closed(conn, ms(3));
    s.peer_found(T, B, vec![], ms(4));
    assert_eq!(connect_id(&actions(&mut s)), None);
    assert_eq!(s.accepted(B, |_| false, ms(5)), None);
}
