//! Whole swarms in virtual time: every machine of the node (DHT, handshakes, UDX, encryption, multiplexer,
//! replication, swarm, store) on a simulated network that delays, loses, repeats, reorders and damages datagrams and
//! cuts peers off, while peers crash and return, the writer appends and cuts back, and one peer lies.
//!
//! Checked in each run: nobody ever holds a head the writer did not sign or a block that is not the writer's; no
//! honest peer is dropped for what it sent; nothing panics; queues keep their bounds; and in the end every honest peer
//! holds the writer's head and all its blocks.
//!
//! The same machines also meet two histories of one drive at once, and a liar.
//!
//! One seed decides a run. A seed that fails is printed with the command that repeats it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::print_stderr, unreachable_pub)]

mod sim;

use bosc_testkit::Replay;
use sim::{
    After, AtRest, Met, Report, Siege, Turn, World, claims_in_vain, contents_without_db, found_after_move,
    rest, siege, turn, twins,
};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Runs of the test command; `BOSC_FULL=1` makes ten times as many, `BOSC_SEEDS` any other number.
const SEEDS: u64 = 300;
/// The same for followers that meet two histories.
const TWINS: u64 = 300;
/// The same for a follower that meets a liar.
const CLAIMS: u64 = 100;

#[test]
fn every_swarm_ends_equal_and_nobody_accepts_what_is_not_proved() {
    let start = Instant::now();
    let results = every_seed(SEEDS, |seed| std::panic::catch_unwind(|| World::new(seed).run()).ok());
    let mut failed: Vec<u64> = results.iter().filter(|(_, r)| r.is_none()).map(|(seed, _)| *seed).collect();
    failed.sort_unstable();
    for seed in &failed {
        eprintln!("repeat with: BOSC_SEED={seed} cargo test -p bosc-node --test swarm_sim every_swarm");
    }
    assert!(failed.is_empty(), "{} of {} seeds failed: {failed:?}", failed.len(), results.len());
    let reports: Vec<Report> = results.into_iter().filter_map(|(_, r)| r).collect();
    summary(&reports, start.elapsed());
}

/// Runs `run` with `usual` seeds or as many as the environment asks for, on all processors.
fn every_seed<T: Send>(usual: u64, run: impl Fn(u64) -> T + Sync) -> Vec<(u64, T)> {
    let usual = if std::env::var("BOSC_FULL").is_ok_and(|v| v == "1") { 10 * usual } else { usual };
    let count = std::env::var("BOSC_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(usual);
    let seeds = Mutex::new(Replay::seeds("swarm_sim", count));
    let results: Mutex<Vec<(u64, T)>> = Mutex::default();
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let Some(replay) = seeds.lock().unwrap().next() else { return };
                    let seed = replay.seed();
                    let result = run(seed);
                    results.lock().unwrap().push((seed, result));
                }
            });
        }
    });
    results.into_inner().unwrap()
}

fn summary(reports: &[Report], took: Duration) {
    let sum = |f: fn(&Report) -> u64| reports.iter().map(f).sum::<u64>();
    let virtual_time: Duration = reports.iter().map(|r| r.simulated).sum();
    let mut recoveries: Vec<Duration> = reports.iter().map(|r| r.recovery).collect();
    recoveries.sort_unstable();
    let part = |n: usize| recoveries[(recoveries.len() - 1) * n / 100].as_secs_f64();
    eprintln!(
        "{} seeds, {} virtual seconds in {:.1} s: {} datagrams, {} connections, {} broken by damage, {} blocks, \
         {} moves to another fork, {} lies, {} bans",
        reports.len(),
        virtual_time.as_secs(),
        took.as_secs_f64(),
        sum(|r| r.delivered),
        sum(|r| r.connections),
        sum(|r| r.broken),
        sum(|r| r.blocks),
        sum(|r| r.reorgs),
        sum(|r| r.lies),
        sum(|r| r.bans),
    );
    eprintln!(
        "equal after the last change in {:.2} s (half), {:.1} s (nine of ten), {:.1} s (all)",
        part(50),
        part(90),
        part(100)
    );
}

#[test]
fn who_meets_two_histories_at_once_takes_both_cores_of_one() {
    let results = every_seed(TWINS, twins);
    let sum = |f: fn(&Met) -> usize| results.iter().map(|(_, met)| f(met)).sum::<usize>();
    let whole = [sum(|m| m.whole[0]), sum(|m| m.whole[1])];
    let (mixed, late) = (sum(|m| m.mixed), sum(|m| m.late));
    eprintln!("{} seeds: followers have {whole:?}, {mixed} are mixed, {late} late", results.len());
    let mut failed: Vec<_> = results.iter().filter(|(_, m)| m.mixed + m.late > 0).collect();
    failed.sort_unstable_by_key(|(seed, _)| *seed);
    for (seed, met) in &failed {
        eprintln!("repeat with: BOSC_SEED={seed} cargo test -p bosc-node --test swarm_sim two_histories");
        eprintln!("    {}", met.what.join("; "));
    }
    assert!(failed.is_empty(), "{} of {} seeds failed", failed.len(), results.len());
    assert!(results.len() < 50 || whole.iter().all(|n| *n > 0), "each history is taken by somebody");
}

#[test]
fn a_claim_that_is_never_proved_holds_up_nobody_and_is_asked_for_twice() {
    let results = every_seed(CLAIMS, claims_in_vain);
    let slow: Vec<_> = results.iter().filter(|(_, (whole, asked))| whole.is_none() || *asked < 2).collect();
    assert!(slow.is_empty(), "{} of {} seeds failed: {slow:?}", slow.len(), results.len());
    let mut took: Vec<Duration> = results.iter().filter_map(|(_, (whole, _))| *whole).collect();
    took.sort_unstable();
    eprintln!("whole in {:?} (half), {:?} (all)", took[took.len() / 2], took[took.len() - 1]);
}

#[test]
fn contents_of_a_peer_that_shows_no_db_are_taken_only_by_who_asks_all_to_prove_their_history() {
    let seed = Replay::new("swarm_sim", 5).seed();
    assert!(!contents_without_db(seed, false));
    assert!(contents_without_db(seed, true));
}

#[test]
fn a_seed_repeats_packet_by_packet() {
    for seed in [3, 14] {
        let replay = Replay::new("swarm_sim", seed);
        let first = World::new(replay.seed()).run();
        assert_eq!(first, World::new(replay.seed()).run());
    }
}

#[test]
#[should_panic(expected = "not all are equal")]
fn a_network_that_never_heals_is_noticed() {
    World::new(3).lose_streams().run();
}

#[test]
#[should_panic(expected = "without proof")]
fn a_block_that_is_not_the_writers_is_noticed() {
    World::new(3).forge().run();
}

#[test]
fn who_has_nothing_to_do_sleeps() {
    let at_rest = rest(Replay::new("swarm_sim", 7).seed());
    eprintln!("wake-ups in an hour at rest: {at_rest:?}");
    let AtRest { alone, announced, follower, seeder, cut_off } = at_rest;
    // Less than one in ten seconds.
    assert!(alone < 360 && cut_off < 360, "{alone} {cut_off}");
    // Relays are pinged every twenty seconds and announced to every five minutes.
    assert!(announced < 720, "{announced}");
    // One side sends a keep-alive every five seconds; the other answers every twenty.
    assert!(follower < 1800 + 360 && seeder < 1800 + 1440, "{follower} {seeder}");
}

#[test]
fn handshakes_that_nobody_finishes_keep_nobody_out() {
    let seed = Replay::new("swarm_sim", 11).seed();
    let alone = siege(seed, Siege { burst: 0, rate: 0 }).expect("without an attack");
    for attack in
        [Siege { burst: 2000, rate: 0 }, Siege { burst: 300, rate: 30 }, Siege { burst: 3000, rate: 300 }]
    {
        let took = siege(seed, attack);
        eprintln!("{attack:?}: {took:?}, alone {alone:?}");
        assert!(
            took.is_some_and(|t| t <= alone * 2 + Duration::from_secs(1)),
            "{attack:?}: {took:?}, alone {alone:?}"
        );
    }
}

#[test]
fn a_transfer_goes_on_within_seconds_of_a_change_of_network() {
    let seed = Replay::new("swarm_sim", 21).seed();
    for (what, hidden, within) in [
        (Turn::Fetcher, false, 2500),
        (Turn::Fetcher, true, 2500),
        (Turn::Seeder, false, 2500),
        // Nothing that the seeder sends gets through the fetcher's firewall any more: as with JavaScript peers, the old
        // connection has to run out.
        (Turn::Seeder, true, 30_000),
        (Turn::Gap, false, 3500),
        (Turn::Gap, true, 3500),
        (Turn::Slept, true, 3500),
        (Turn::Rests, false, 3500),
        (Turn::Rests, true, 3500),
    ] {
        let after = turn(seed, what, hidden);
        eprintln!("{what:?}, hidden {hidden}: {after:?}");
        let After { goes_on, opened, wakes } = after;
        assert!(goes_on.is_some_and(|t| t <= Duration::from_millis(within)), "{what:?} {hidden}: {after:?}");
        let follows = !hidden && matches!(what, Turn::Fetcher | Turn::Seeder);
        assert!(!follows || opened == 0, "{what:?}: the connection itself goes on: {after:?}");
        assert_eq!(wakes, 0, "{what:?}");
    }
}

#[test]
fn who_has_moved_is_found_at_its_new_address_at_once() {
    let took = found_after_move(Replay::new("swarm_sim", 22).seed());
    eprintln!("found after {took:?}");
    assert!(took < Duration::from_secs(4), "{took:?}");
}
