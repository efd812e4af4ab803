//! Cores that go to another fork.

use super::network::*;
use super::*;

fn fork(net: &mut Net, w: usize, keep: u64, add: u64) {
    net.with(w, |rep, core, now| {
        core.truncate(keep);
        core.append((0..add).map(|i| Bytes::from(format!("fork {} block {i}", core_fork(i)))));
        rep.local_changed(LocalChange::Reorged { ancestors: keep }, core, now);
    });
}

fn core_fork(i: u64) -> u64 {
    i.wrapping_mul(31)
}

#[test]
fn takers_follow_to_the_shared_blocks_and_on() {
    for (n, keep, add) in
        [(1000, 300, 50), (1000, 999, 1), (100, 1, 500), (64, 32, 32), (10, 0, 3), (1000, 640, 1)]
    {
        let mut net = Net::new();
        let w = net.add(writer(n, 60));
        let r = net.add(reader());
        net.connect(w, r);
        net.with(r, |rep, core, _| rep.download(Download::live(), core));
        net.run_until(MS * 5000, |net| net.complete(r, w));
        let before = net.nodes[w].core.proofs_made.get();
        fork(&mut net, w, keep, add);
        net.run_until(MS * 10_000, |net| net.complete(r, w));
        net.assert_same(r, w);
        let length = keep + add;
        let event = Event::Reorged { fork: 1, ancestors: keep, length };
        assert!(net.nodes[r].events.contains(&event), "{n} {keep} {add}: {:?}", net.nodes[r].events.last());
        let proofs = net.nodes[w].core.proofs_made.get() - before;
        assert!(proofs <= add + 12, "{proofs} proofs for {add} blocks");
        // And goes on as before.
        net.with(w, |rep, core, now| {
            core.append([Bytes::from_static(b"after")]);
            rep.local_changed(LocalChange::Appended, core, now);
        });
        net.run_until(MS * 5000, |net| net.complete(r, w));
        net.assert_same(r, w);
    }
}

#[test]
fn a_fork_in_the_middle_of_a_download() {
    let mut net = Net::new();
    let w = net.add(writer(2000, 1000));
    let r = net.add(reader());
    let (out, ..) = net.connect(w, r);
    net.links[out].rate = 1_000_000;
    net.with(r, |rep, core, _| rep.download(Download::live(), core));
    net.run_until(MS * 5000, |net| net.nodes[r].core.blocks.len() > 500);
    fork(&mut net, w, 1500, 700);
    net.run_until(MS * 10_000, |net| net.complete(r, w));
    net.assert_same(r, w);
}

#[test]
fn forks_spread_from_taker_to_taker() {
    let mut net = Net::new();
    let w = net.add(writer(200, 100));
    let a = net.add(reader());
    let b = net.add(reader());
    net.connect(w, a);
    net.connect(a, b);
    for n in [a, b] {
        net.with(n, |rep, core, _| rep.download(Download::live(), core));
    }
    net.run_until(MS * 5000, |net| net.complete(b, w));
    fork(&mut net, w, 120, 30);
    fork(&mut net, w, 110, 90);
    net.run_until(MS * 10_000, |net| net.complete(b, w));
    net.assert_same(a, w);
    net.assert_same(b, w);
    assert_eq!(net.nodes[b].core.head.fork, 2);
}

#[test]
fn an_empty_core_joins_at_a_later_fork() {
    let mut core = writer(50, 10);
    core.truncate(20);
    core.append([Bytes::from_static(b"x")]);
    core.truncate(10);
    core.append([Bytes::from_static(b"y")]);
    let mut net = Net::new();
    let w = net.add(core);
    let r = net.add(reader());
    net.connect(w, r);
    net.with(r, |rep, core, _| rep.download(Download::live(), core));
    net.run_until(MS * 5000, |net| net.complete(r, w));
    net.assert_same(r, w);
}

#[test]
fn a_claimed_fork_that_cannot_be_proved_holds_up_nobody() {
    let mut net = Net::new();
    let w = net.add(writer(500, 100));
    let liar = net.add(writer(500, 100));
    let r = net.add(reader());
    let (out, ..) = net.connect(liar, r);
    net.links[out].tamper = Some(Box::new(|kind, bytes| {
        if kind != MessageType::Sync as u32 {
            return bytes;
        }
        let sync = Sync::decode(&bytes).unwrap();
        Sync { fork: 77, length: 1 << 40, ..sync }.encode().into()
    }));
    net.connect(w, r);
    net.with(r, |rep, core, _| rep.download(Download::live(), core));
    net.run_until(MS * 5000, |net| net.complete(r, w));
    fork(&mut net, w, 400, 20);
    net.run_until(MS * 5000, |net| net.complete(r, w));
    net.assert_same(r, w);
}
