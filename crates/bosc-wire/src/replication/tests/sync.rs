//! One giver, one taker.

use super::network::*;
use super::*;

fn pair(n: u64, len: usize) -> (Net, usize, usize) {
    let mut net = Net::new();
    let w = net.add(writer(n, len));
    let r = net.add(reader());
    (net, w, r)
}

fn events(net: &Net, n: usize, f: impl Fn(&Event) -> bool) -> usize {
    net.nodes[n].events.iter().filter(|e| f(e)).count()
}

#[test]
fn a_whole_core_comes_over_once_and_with_little_else() {
    for (n, len, max_percent) in [(1000, 4096, 1.5), (3000, 200, 30.0), (1, 10, 3000.0), (33, 65_536, 0.3)] {
        let (mut net, w, r) = pair(n, len);
        let (out, back, at_w, at_r) = net.connect(w, r);
        let id = net.with(r, |rep, core, _| rep.download(Download::live(), core));
        net.run_until(MS * 60_000, |net| net.complete(r, w));
        net.assert_same(r, w);
        assert_eq!(net.nodes[w].core.proofs_made.get(), n, "a block was asked for twice");
        assert_eq!(net.links[back].sent[MessageType::Request as usize], n, "{n} blocks");
        let percent = |bytes: u64| (bytes as f64 / (n * len as u64) as f64 - 1.0) * 100.0;
        let over = percent(net.links[out].bytes);
        assert!(over < max_percent, "{n} x {len}: {over:.2} % more than the blocks");
        assert!(net.nodes[r].core.manifest.is_some());
        assert_eq!(events(&net, r, |e| matches!(e, Event::ManifestReceived)), 1);
        assert_eq!(events(&net, r, |e| matches!(e, Event::Upgraded { .. })), 1);
        assert_eq!(events(&net, r, |e| *e == Event::DownloadDone(id)), 0, "live downloads have no end");
        // The giver learns that there is a full copy.
        net.run_for(MS * 200);
        let synced = Event::PeerSynced { peer: at_w, contiguous_length: n };
        assert_eq!(events(&net, w, |e| *e == synced), 1);
        assert_eq!(net.nodes[w].rep.full_copies(), 1);
        let s = net.nodes[r].rep.stats(at_r).unwrap();
        assert_eq!((s.downloaded_blocks, s.downloaded_bytes), (n, n * len as u64));
        assert_eq!(net.nodes[w].rep.stats(at_w).unwrap().uploaded_blocks, n);
    }
}

#[test]
fn parts_of_a_core() {
    let (mut net, w, r) = pair(500, 100);
    net.connect(w, r);
    let list = net.with(r, |rep, core, _| rep.download(Download::list(vec![400, 3, 77, 3, 499]), core));
    let range = net.with(r, |rep, core, _| rep.download(Download::range(100, 140), core));
    net.run_until(MS * 5000, |net| events(net, r, |e| matches!(e, Event::DownloadDone(_))) == 2);
    assert_eq!(events(&net, r, |e| *e == Event::DownloadDone(list) || *e == Event::DownloadDone(range)), 2);
    let held: Vec<u64> = net.nodes[r].core.blocks.keys().copied().collect();
    assert_eq!(held, [3, 77].into_iter().chain(100..140).chain([400, 499]).collect::<Vec<_>>());
    // What is there already is done at once.
    let again = net.with(r, |rep, core, _| rep.download(Download::range(110, 120), core));
    assert_eq!(net.with(r, |rep, _, _| rep.poll_event()), Some(Event::DownloadDone(again)));
}

#[test]
fn one_block_is_urgent_even_before_the_head_is_known() {
    let (mut net, w, r) = pair(2000, 1000);
    let (_, back, ..) = net.connect(w, r);
    net.with(r, |rep, core, _| {
        rep.download(Download::live(), core);
        assert!(rep.want_block(1999, 5, core));
        assert!(rep.want_block(1000, 5, core));
    });
    net.run_until(MS * 5000, |net| net.nodes[r].core.blocks.contains_key(&1000));
    let early = net.nodes[r].core.blocks.len();
    assert!(early < 600, "{early} blocks came before the urgent one");
    assert!(net.nodes[r].core.blocks.contains_key(&1999));
    net.run_until(MS * 5000, |net| net.complete(r, w));
    assert_eq!(net.links[back].sent[MessageType::Request as usize], 2000);
    assert!(!net.with(r, |rep, core, _| rep.want_block(5, 1, core)));
}

#[test]
fn cancelled_downloads_stop() {
    let (mut net, w, r) = pair(5000, 1000);
    let (out, back, ..) = net.connect(w, r);
    net.links[out].rate = 1_000_000;
    let id = net.with(r, |rep, core, _| rep.download(Download::live(), core));
    net.with(r, |rep, core, _| rep.download(Download::list(vec![4321]), core));
    net.run_until(MS * 5000, |net| net.nodes[r].core.blocks.len() > 100);
    assert!(net.with(r, |rep, _, _| rep.cancel(id)));
    assert!(!net.with(r, |rep, _, _| rep.cancel(id)));
    net.run_for(MS * 5000);
    let held = net.nodes[r].core.blocks.len();
    assert!(held < 800, "{held}");
    assert!(net.nodes[r].core.blocks.contains_key(&4321));
    assert!(net.links[back].sent[MessageType::Cancel as usize] > 0);
}

#[test]
fn appended_blocks_come_at_once() {
    let (mut net, w, r) = pair(10, 100);
    let (out, ..) = net.connect(w, r);
    net.with(r, |rep, core, _| rep.download(Download::live(), core));
    net.run_until(MS * 5000, |net| net.complete(r, w));
    net.run_for(MS * 300);
    for i in 0..20u64 {
        net.run_for(MS * 20);
        let start = net.now;
        net.with(w, |rep, core, now| {
            core.append((0..=i % 3).map(|j| Bytes::from(vec![(i + j) as u8; 50])));
            rep.local_changed(LocalChange::Appended, core, now);
        });
        net.run_until(MS * 5000, |net| net.complete(r, w));
        // News, request, answer: one way each of 5 ms; a round trip more for blocks that do not come with the head.
        let limit = if i % 3 == 0 { 16 } else { 27 };
        assert!(net.now - start < MS * limit, "{i}: {:?}", net.now - start);
    }
    net.assert_same(r, w);
    let data = net.links[out].sent[MessageType::Data as usize];
    assert_eq!(data, net.nodes[w].core.head.length);
}

#[test]
fn blocks_from_elsewhere_are_not_asked_for_and_dropped_ones_are() {
    let (mut net, w, r) = pair(300, 1000);
    let (out, ..) = net.connect(w, r);
    net.links[out].rate = 500_000;
    net.with(r, |rep, core, _| rep.download(Download::live(), core));
    net.run_until(MS * 5000, |net| net.nodes[r].core.head.length == 300);
    let blocks: Vec<Bytes> = (200..290).map(|i| net.nodes[w].core.blocks[&i].clone()).collect();
    net.with(r, |rep, core, now| {
        for (i, b) in (200..).zip(blocks) {
            core.blocks.insert(i, b);
        }
        rep.local_changed(LocalChange::Gained { start: 200, end: 290 }, core, now);
    });
    net.run_until(MS * 5000, |net| net.nodes[r].core.blocks.len() == 300);
    let sent = net.links[out].sent[MessageType::Data as usize];
    assert!(sent < 260, "{sent}");
    net.with(r, |rep, core, now| {
        core.clear(40, 50);
        rep.local_changed(LocalChange::Cleared { start: 40, end: 50 }, core, now);
    });
    net.run_until(MS * 5000, |net| net.nodes[r].core.blocks.len() == 300);
}

#[test]
fn answers_out_of_order_are_put_in_order() {
    let (mut net, w, r) = pair(1500, 300);
    let (out, back, ..) = net.connect(w, r);
    net.links[out].shuffle = true;
    net.with(r, |rep, core, _| rep.download(Download::live(), core));
    net.run_until(MS * 60_000, |net| net.complete(r, w));
    net.assert_same(r, w);
    assert_eq!(net.links[back].sent[MessageType::Request as usize], 1500, "none was asked for again");
}

#[test]
fn hashes_come_without_their_blocks() {
    let (mut net, w, r) = pair(1000, 5000);
    let (out, back, ..) = net.connect(w, r);
    net.run_until(MS * 5000, |net| net.nodes[r].core.head.length == 1000);
    net.with(r, |rep, core, _| rep.want_hashes(100, 900, core));
    net.run_until(MS * 5000, |net| events(net, r, |e| matches!(e, Event::HashReceived { .. })) == 800);
    for i in 100..900 {
        assert_eq!(net.nodes[r].core.nodes[&(2 * i)], net.nodes[w].core.nodes[&(2 * i)]);
    }
    assert!(net.nodes[r].core.blocks.is_empty());
    assert!(
        net.links[back].sent[MessageType::Request as usize] <= 402,
        "half of the leaves come as siblings"
    );
    assert!(net.links[out].bytes < 800 * 64, "{}", net.links[out].bytes);
    let before = net.nodes[r].events.len();
    net.with(r, |rep, core, _| rep.want_hashes(100, 110, core));
    net.run_for(MS);
    assert_eq!(net.nodes[r].events.len(), before + 10);
}

#[test]
fn a_core_without_blocks_still_gives_its_manifest() {
    let (mut net, w, r) = pair(0, 0);
    net.connect(w, r);
    net.run_until(MS * 5000, |net| net.nodes[r].core.manifest.is_some());
    assert_eq!(net.nodes[r].events, [Event::ManifestReceived]);
}

#[test]
fn nothing_is_asked_after_our_disk_failed() {
    let (mut net, w, r) = pair(100, 100);
    net.connect(w, r);
    net.nodes[r].core.broken = true;
    net.with(r, |rep, core, _| rep.download(Download::live(), core));
    net.run_for(MS * 1000);
    assert_eq!(net.nodes[r].events, [Event::CoreFailed("no space left".into())]);
    net.nodes[r].core.broken = false;
    net.with(r, |rep, _, _| rep.resume());
    net.run_until(MS * 5000, |net| net.complete(r, w));
}

#[test]
fn idle_sides_say_so() {
    let (mut net, w, r) = pair(10, 10);
    let (.., at_w, _) = net.connect(w, r);
    net.run_for(MS * 100);
    net.with(w, |rep, _, _| rep.set_downloading(false));
    net.with(r, |rep, _, _| rep.set_downloading(false));
    net.run_for(MS * 100);
    assert!(net.nodes[w].events.contains(&Event::PeerIdle(at_w)));
}

#[test]
fn a_reader_that_does_not_read_costs_requests_only() {
    let (mut net, w, r) = pair(400, 65_536);
    let (out, ..) = net.connect(w, r);
    net.links[out].rate = 1000;
    net.with(r, |rep, core, _| rep.download(Download::live(), core));
    net.run_for(MS * 3000);
    assert!(net.nodes[w].core.proofs_made.get() <= 4, "answers are made when they can leave");
}
