use super::packet::{Packet, read};
use super::*;

const TOPIC: Topic = [7; 32];
const SERVER: Part = Part { client: false, server: true, urgent: false };
const CLIENT: Part = Part { client: true, server: false, urgent: false };

fn at(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn host(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 168, 7, n)
}

fn lan(n: u8) -> Lan {
    let mut count = u64::from(n) << 32;
    let entropy = move |out: &mut [u8]| {
        for part in out.chunks_mut(8) {
            count += 1;
            let bytes = count.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
            part.copy_from_slice(&bytes[..part.len()]);
        }
    };
    Lan::new([n; 32], 1000 + u16::from(n), Box::new(entropy), at(0))
}

/// What it sends at a time.
fn sent(lan: &mut Lan, n: u8, now: Duration) -> Vec<Vec<u8>> {
    lan.handle_timeout(now);
    std::iter::from_fn(|| lan.poll_transmit()).map(|out| out.bytes(host(n))).collect()
}

fn found(lan: &mut Lan) -> Vec<Found> {
    std::iter::from_fn(|| lan.poll_found()).collect()
}

/// How many packets it sends until it rests or `until` has come.
fn count(lan: &mut Lan, until: Duration) -> usize {
    let mut count = 0;
    while let Some(next) = lan.next_timeout().filter(|t| *t <= until) {
        count += sent(lan, 1, next).len();
    }
    count
}

#[test]
fn who_looks_for_a_topic_finds_who_serves_it() {
    let (mut serves, mut looks, mut other) = (lan(1), lan(2), lan(3));
    serves.join(TOPIC, SERVER, at(0));
    looks.join(TOPIC, CLIENT, at(0));
    other.join([8; 32], CLIENT, at(0));
    for packet in sent(&mut serves, 1, at(0)) {
        looks.receive(host(1), &packet, at(1));
        other.receive(host(1), &packet, at(1));
    }
    let expected = Found { topic: TOPIC, peer: [1; 32], at: SocketAddrV4::new(host(1), 1001) };
    assert_eq!(found(&mut looks), std::slice::from_ref(&expected));
    assert_eq!(found(&mut other), []);

    // Somebody comes later, and asks.
    let mut late = lan(4);
    count(&mut serves, at(60_000));
    late.join(TOPIC, CLIENT, at(60_000));
    let [question] = &sent(&mut late, 4, at(60_000))[..] else { panic!() };
    serves.receive(host(4), question, at(60_001));
    let answer_at = serves.next_timeout().unwrap();
    assert!(answer_at > at(60_001) && answer_at <= at(60_200));
    let [answer] = &sent(&mut serves, 1, answer_at)[..] else { panic!() };
    late.receive(host(1), answer, answer_at);
    assert_eq!(found(&mut late), [expected]);
    // It is known now, so it does not answer again.
    let again = late.next_timeout().unwrap();
    let [question] = &sent(&mut late, 4, again)[..] else { panic!() };
    serves.receive(host(4), question, again);
    assert_eq!(serves.next_timeout(), None);
}

#[test]
fn what_is_sent_names_no_topic_and_no_key_and_is_new_in_another_network() {
    let mut serves = lan(1);
    serves.join(TOPIC, SERVER, at(0));
    let before = sent(&mut serves, 1, at(0)).concat();
    for secret in [&TOPIC[..8], &[1; 8]] {
        assert!(!before.windows(8).any(|w| w == secret));
    }
    count(&mut serves, at(5000));
    serves.network_changed(at(5000));
    let after = serves.next_timeout().map(|t| sent(&mut serves, 1, t).concat()).unwrap();
    let Some(Packet::Beacon(before)) = read(&before) else { panic!() };
    let Some(Packet::Beacon(after)) = read(&after) else { panic!() };
    assert_ne!(before.instance, after.instance);
    assert_ne!(before.nonce, after.nonce);
    assert!(before.entries.iter().all(|e| !after.entries.contains(e)));
    let mut looks = lan(2);
    looks.join(TOPIC, CLIENT, at(0));
    assert!(!sent(&mut looks, 2, at(0)).concat().windows(8).any(|w| w == &TOPIC[..8]));
}

#[test]
fn questions_without_end_are_answered_once_a_second() {
    let (mut serves, mut looks) = (lan(1), lan(2));
    serves.join(TOPIC, SERVER, at(0));
    looks.join(TOPIC, CLIENT, at(0));
    let question = sent(&mut looks, 2, at(0)).concat();
    count(&mut serves, at(10_000));
    let mut answers = 0;
    for ms in (10_000..20_000).step_by(2) {
        serves.receive(host(2), &question, at(ms));
        answers += count(&mut serves, at(ms));
    }
    assert!((9..=11).contains(&answers), "{answers}");
}

#[test]
fn announcements_without_end_cost_little_and_report_few_peers_of_one_host() {
    let mut looks = lan(2);
    looks.join(TOPIC, CLIENT, at(0));
    let mut reported = BTreeSet::new();
    for n in 0..5000u64 {
        let mut liar = lan(9);
        liar.me = [n as u8; 32];
        liar.nonce = [n as u8; 16];
        liar.instances[0] = n.to_be_bytes();
        liar.join(TOPIC, SERVER, at(0));
        for packet in sent(&mut liar, 9, at(0)) {
            looks.receive(host(9), &packet, at(n));
        }
        reported.extend(found(&mut looks).iter().map(|f| f.peer));
        assert!(looks.known.len() <= MAX_KNOWN && looks.hosts.len() <= MAX_KNOWN);
    }
    assert_eq!(reported.len(), FOUND);
    assert!(looks.left.0 < 1.0, "most were not looked at");
}

#[test]
fn who_only_serves_rests_and_who_looks_asks_ever_more_rarely() {
    let mut serves = lan(1);
    serves.join(TOPIC, SERVER, at(0));
    assert_eq!(count(&mut serves, at(100_000_000)), 2);
    assert_eq!(serves.next_timeout(), None);
    let mut looks = lan(2);
    looks.join(TOPIC, CLIENT, at(0));
    // 0, 1, 4, 13, 40, 121, 364, 1093, 3280, then every hour.
    assert_eq!(count(&mut looks, at(3_600_000)), 9);
    assert_eq!(count(&mut looks, at(36_000_000)), 9);
    looks.leave(&TOPIC);
    assert_eq!(looks.next_timeout(), None);
}

#[test]
fn who_goes_says_so_and_many_topics_take_several_instances() {
    let (mut serves, mut looks) = (lan(1), lan(2));
    for n in 0..30 {
        serves.join([n; 32], SERVER, at(0));
        looks.join([n; 32], CLIENT, at(0));
    }
    let packets = sent(&mut serves, 1, at(0));
    assert_eq!(packets.len(), 2);
    packets.iter().for_each(|p| looks.receive(host(1), p, at(0)));
    assert_eq!(found(&mut looks).len(), 30);
    assert_eq!(looks.known.len(), 2);
    serves.goodbye();
    let packets = sent(&mut serves, 1, at(1));
    assert_eq!(packets.len(), 2);
    packets.iter().for_each(|p| looks.receive(host(1), p, at(1)));
    assert!(looks.known.is_empty());
    assert_eq!(serves.next_timeout(), None);
}
