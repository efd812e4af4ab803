//! What happens in one run, drawn from its seed.

use bosc_testkit::{LinkConfig, Rng};
use std::time::Duration;

/// Nodes of the DHT.
pub(super) const NODES: usize = 4;
/// The writer's place.
pub(super) const WRITER: usize = NODES;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Action {
    /// A process starts, for the first time or again.
    Start(usize),
    /// It is gone, without a word. Its store stays.
    Crash(usize),
    /// The writer publishes more.
    Append(u64),
    /// The writer cuts back and publishes something else.
    Reorg(u64),
    /// These are cut off from the others.
    Partition(Vec<usize>),
    /// Nobody is cut off any more.
    Heal,
    /// The network works from now on: what is cut off, lost or damaged comes back.
    Calm,
}

#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) downloaders: usize,
    /// How often the hostile peer lies, if there is one.
    pub(super) hostile: Option<f64>,
    pub(super) drive: bool,
    pub(super) cores: usize,
    pub(super) first_blocks: u64,
    /// Downloaders that can be found by others.
    pub(super) found: Vec<bool>,
    /// Downloaders that only hear from whom they wrote to.
    pub(super) hidden: Vec<bool>,
    pub(super) link: LinkConfig,
    pub(super) calm: LinkConfig,
    pub(super) actions: Vec<(Duration, Action)>,
}

impl Plan {
    pub(super) fn draw(rng: &mut Rng) -> Self {
        let downloaders = rng.range(2, 5) as usize;
        let hostile = rng.chance(0.4).then(|| *rng.pick(&[0.05, 0.3, 1.0]).unwrap());
        let drive = rng.chance(0.4);
        let first_blocks = match rng.below(5) {
            0 => rng.range(0, 3),
            1 => rng.range(200, 400),
            _ => rng.range(4, 120),
        };
        let ms = |n| Duration::from_millis(n);
        let delay = ms(rng.range(1, 80));
        let mut calm = LinkConfig {
            delay,
            jitter: ms(rng.range(0, 10)),
            keep_order: rng.chance(0.5),
            ..LinkConfig::default()
        };
        if rng.chance(0.2) {
            calm.rate = Some(rng.range(40_000, 400_000));
            calm.queue = rng.range(8, 64) as usize * 1024;
        }
        let some = |rng: &mut Rng, most: f64| if rng.chance(0.6) { rng.unit() * most } else { 0.0 };
        let link = LinkConfig {
            jitter: delay.mul_f64(rng.unit()),
            loss: some(rng, 0.10),
            duplicate: some(rng, 0.05),
            reorder: some(rng, 0.10),
            reorder_delay: delay * 3,
            corrupt: some(rng, 0.01),
            ..calm.clone()
        };
        let calm_at = Duration::from_secs(rng.range(40, 100));
        let peers: Vec<usize> = (WRITER..=WRITER + downloaders).collect();
        let mut actions: Vec<(Duration, Action)> =
            (0..NODES).map(|n| (ms(100 * n as u64), Action::Start(n))).collect();
        actions.push((ms(rng.range(1000, 8000)), Action::Start(WRITER)));
        let all = downloaders + usize::from(hostile.is_some());
        for n in 1..=all {
            actions.push((ms(rng.range(1000, 25_000)), Action::Start(WRITER + n)));
        }
        let until = calm_at.as_millis() as u64;
        for _ in 0..rng.below(3) {
            let blocks = rng.range(1, 30);
            actions.push((ms(rng.range(10_000, until)), Action::Append(blocks)));
        }
        for _ in 0..rng.below(3) {
            let blocks = rng.range(0, 30);
            actions.push((ms(rng.range(10_000, until)), Action::Reorg(blocks)));
        }
        for _ in 0..rng.below(3) {
            let at = rng.range(3000, until);
            let mut who: Vec<usize> = (0..=WRITER + downloaders).collect();
            rng.shuffle(&mut who);
            who.truncate(rng.range(1, who.len() as u64 / 2) as usize);
            actions.push((ms(at), Action::Partition(who)));
            actions.push((ms(at + rng.range(2000, 40_000)), Action::Heal));
        }
        for _ in 0..rng.below(3) {
            let at = rng.range(5000, until);
            let who = *rng.pick(&peers).unwrap();
            actions.push((ms(at), Action::Crash(who)));
            actions.push((ms(at + rng.range(500, 30_000)), Action::Start(who)));
        }
        actions.push((calm_at, Action::Calm));
        // What comes later than calm does comes with it.
        for (at, _) in &mut actions {
            *at = (*at).min(calm_at);
        }
        // A change in the calm: it must be live at once.
        actions.push((calm_at + ms(rng.range(0, 20_000)), Action::Append(rng.range(1, 10))));
        actions.sort_by_key(|(at, _)| *at);
        Self {
            downloaders,
            hostile,
            drive,
            cores: rng.range(1, 2) as usize,
            first_blocks,
            found: (0..all).map(|_| rng.chance(0.5)).collect(),
            hidden: (0..all).map(|_| rng.chance(0.25)).collect(),
            link,
            calm,
            actions,
        }
    }
}
