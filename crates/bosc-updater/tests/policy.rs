//! The policy in virtual time: single stories, then any sequence of inputs.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use bosc_updater::ErrorKind;
use bosc_updater::client::policy::{Action, Input, Policy, PolicyConfig, Verdict};
use bosc_updater::release::{Release, ReleaseId};
use proptest::prelude::*;
use semver::Version;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn config() -> PolicyConfig {
    PolicyConfig {
        updates: true,
        auto_check: true,
        auto_download: true,
        installed: Version::new(1, 0, 0),
        device: [7; 16],
        delay: HOUR,
        grace: secs(60),
        poll: None,
        downgrade: false,
        skipped: None,
    }
}

fn release(patch: u64, id: u8) -> Release {
    Release {
        version: Version::new(1, 0, patch),
        id: ReleaseId([id; 32]),
        origin: format!("pear://0.{id}.x"),
        notes: None,
        size: None,
    }
}

fn admitted(r: &Release) -> Input {
    Input::Checked(Ok(Some((r.clone(), Verdict::Admitted))))
}

fn all(p: &mut Policy, now: Duration) -> Vec<Action> {
    std::iter::from_fn(|| p.poll(now)).collect()
}

/// A policy that has started, checked and found nothing.
fn started(config: PolicyConfig) -> Policy {
    let mut p = Policy::new(config);
    p.handle(Duration::ZERO, Input::Open);
    assert_eq!(all(&mut p, Duration::ZERO), [Action::Check(Version::new(1, 0, 0))]);
    p.handle(Duration::ZERO, Input::Checked(Ok(None)));
    assert_eq!(all(&mut p, Duration::ZERO), [Action::Prefetch]);
    p.handle(Duration::ZERO, Input::Prefetched);
    assert_eq!(all(&mut p, Duration::ZERO), []);
    p
}

#[test]
fn a_link_that_cannot_tell_of_news_is_asked() {
    let mut p = started(config());
    assert!(p.waits_for_news() && p.next_timeout().is_none(), "a link tells by itself");
    p.handle(secs(1), Input::CheckNow);
    all(&mut p, secs(1));
    p.handle(secs(1), Input::AskEvery(HOUR));
    assert!(!p.waits_for_news());
    p.handle(secs(2), Input::Checked(Ok(None)));
    all(&mut p, secs(2));
    p.handle(secs(2), Input::Prefetched);
    assert_eq!(p.next_timeout(), Some(secs(2) + HOUR));
    assert!(matches!(all(&mut p, secs(2) + HOUR).as_slice(), [Action::Check(_)]));
}

/// News at `now`, and what the check finds.
fn news(p: &mut Policy, now: Duration, found: &Release) -> Vec<Action> {
    p.handle(now, Input::News);
    let first = all(p, now);
    assert!(matches!(first.as_slice(), [Action::Check(_)]), "{first:?}");
    p.handle(now, admitted(found));
    all(p, now)
}

#[test]
fn what_is_found_at_the_start_or_soon_after_is_fetched_at_once() {
    let mut p = Policy::new(config());
    p.handle(Duration::ZERO, Input::Open);
    all(&mut p, Duration::ZERO);
    let one = release(1, 1);
    p.handle(secs(300), admitted(&one));
    assert_eq!(all(&mut p, secs(300)), [Action::Fetch(one)], "the first check may take long");
    let mut p = started(config());
    let two = release(2, 2);
    assert_eq!(news(&mut p, secs(60), &two), [Action::Fetch(two)]);
}

#[test]
fn later_releases_wait_for_a_delay_of_their_own() {
    let mut p = started(config());
    let one = release(1, 1);
    let delay = p.delay(&one.id);
    assert!(delay > secs(1) && delay < HOUR, "{delay:?}");
    assert_eq!(news(&mut p, secs(61), &one), [Action::Scheduled(one.clone(), delay)]);
    assert_eq!(p.next_timeout(), Some(secs(61) + delay));
    assert_eq!(all(&mut p, secs(61) + delay - Duration::from_millis(1)), []);
    assert_eq!(all(&mut p, secs(61) + delay), [Action::Fetch(one)]);
    let mut none = config();
    none.delay = Duration::ZERO;
    let mut p = started(none);
    let one = release(1, 1);
    assert_eq!(news(&mut p, secs(900), &one), [Action::Fetch(one)]);
}

#[test]
fn delays_are_spread_over_devices_and_fixed_for_each() {
    let mut quarters = [0; 4];
    for device in 0..=255u8 {
        let mut c = config();
        c.device = [device; 16];
        let p = Policy::new(c);
        let id = ReleaseId([3; 32]);
        assert_eq!(p.delay(&id), p.delay(&id));
        assert!(p.delay(&id) < HOUR);
        quarters[(p.delay(&id).as_secs() / 900) as usize] += 1;
    }
    assert!(quarters.iter().all(|n| *n > 30), "{quarters:?}");
}

#[test]
fn a_person_does_not_wait() {
    let mut p = started(config());
    let one = release(1, 1);
    news(&mut p, secs(100), &one);
    p.handle(secs(101), Input::CheckNow);
    assert_eq!(all(&mut p, secs(101)), [Action::Check(Version::new(1, 0, 0))]);
    p.handle(secs(102), admitted(&one));
    assert_eq!(all(&mut p, secs(102)), [Action::Fetch(one)]);
}

#[test]
fn several_updates_in_one_run_and_a_failed_apply_can_be_tried_again() {
    let mut p = started(config());
    let (one, two) = (release(1, 1), release(2, 2));
    news(&mut p, secs(1), &one);
    p.handle(secs(2), Input::Fetched(Ok(())));
    assert_eq!(p.staged(), Some(&one));
    p.handle(secs(3), Input::News);
    assert_eq!(all(&mut p, secs(3)), [Action::Check(Version::new(1, 0, 1))], "newer than what is staged");
    p.handle(secs(3), admitted(&two));
    assert_eq!(all(&mut p, secs(3)), [Action::Fetch(two.clone())]);
    // A person applies what is ready; the fetch of the next one stops and goes on after.
    p.handle(secs(4), Input::Apply);
    assert_eq!(all(&mut p, secs(4)), [Action::Interrupt]);
    p.handle(secs(4), Input::Fetched(Err(ErrorKind::Cancelled)));
    assert_eq!(all(&mut p, secs(4)), [Action::Apply]);
    p.handle(secs(5), Input::Applied(Err(ErrorKind::Permission)));
    assert_eq!(p.staged(), Some(&one));
    p.handle(secs(6), Input::Apply);
    let next = all(&mut p, secs(6));
    assert_eq!(next, [Action::Apply], "asked again before the fetch goes on");
    p.handle(secs(7), Input::Applied(Ok(())));
    assert_eq!(p.installed(), &Version::new(1, 0, 1));
    assert_eq!(all(&mut p, secs(7)), [Action::Fetch(two.clone())]);
    p.handle(secs(8), Input::Fetched(Ok(())));
    p.handle(secs(8), Input::Apply);
    assert_eq!(all(&mut p, secs(8)), [Action::Apply]);
    p.handle(secs(9), Input::Applied(Ok(())));
    p.handle(secs(9), Input::Apply);
    assert_eq!(all(&mut p, secs(9)), [Action::NothingToApply]);
    assert_eq!(p.installed(), &two.version);
}

#[test]
fn a_build_that_is_not_what_was_proved_is_fetched_again() {
    let mut p = started(config());
    let one = release(1, 1);
    news(&mut p, secs(1), &one);
    p.handle(secs(2), Input::Fetched(Ok(())));
    p.handle(secs(3), Input::Apply);
    all(&mut p, secs(3));
    p.handle(secs(3), Input::Applied(Err(ErrorKind::Integrity)));
    assert_eq!(p.staged(), None);
    assert_eq!(all(&mut p, secs(3)), [Action::Fetch(one)]);
}

#[test]
fn rejected_and_old_releases_are_told_once_and_not_fetched() {
    let mut p = started(config());
    let one = release(1, 1);
    for verdict in [Verdict::TooOld, Verdict::Rejected(HOUR)] {
        let mut told = 0;
        for n in 0..3 {
            let now = secs(10 + n);
            p.handle(now, Input::News);
            all(&mut p, now);
            p.handle(now, Input::Checked(Ok(Some((one.clone(), verdict)))));
            let actions = all(&mut p, now);
            assert!(!actions.iter().any(|a| matches!(a, Action::Fetch(_))));
            told += actions.len();
        }
        assert!(told <= 1, "{told}");
    }
    // Its time has come: it is looked at again.
    assert!(p.next_timeout().unwrap() <= secs(12) + HOUR);
}

#[test]
fn pause_stops_and_cancel_forgets() {
    let mut p = started(config());
    let one = release(1, 1);
    news(&mut p, secs(1), &one);
    p.handle(secs(2), Input::Pause);
    assert_eq!(all(&mut p, secs(2)), [Action::Interrupt]);
    assert_eq!(all(&mut p, secs(2)), [], "once");
    p.handle(secs(2), Input::Fetched(Err(ErrorKind::Cancelled)));
    p.handle(secs(3), Input::News);
    assert_eq!(all(&mut p, secs(9000)), []);
    assert_eq!(p.next_timeout(), None);
    p.handle(secs(9000), Input::Resume);
    let next = all(&mut p, secs(9000));
    assert!(matches!(next.as_slice(), [Action::Check(_)]));
    p.handle(secs(9001), admitted(&one));
    assert_eq!(all(&mut p, secs(9001)), [Action::Fetch(one.clone())], "its time had come long ago");
    p.handle(secs(9002), Input::Cancel);
    assert_eq!(all(&mut p, secs(9002)), [Action::Interrupt]);
    p.handle(secs(9002), Input::Fetched(Err(ErrorKind::Cancelled)));
    assert_eq!(news(&mut p, secs(9003), &one), [], "the person stopped it");
    let two = release(2, 2);
    assert!(matches!(news(&mut p, secs(9004), &two).as_slice(), [Action::Scheduled(..)]));
    p.handle(secs(9005), Input::CheckNow);
    all(&mut p, secs(9005));
    p.handle(secs(9005), admitted(&one));
    let last = all(&mut p, secs(9005));
    assert!(matches!(last.as_slice(), [Action::Fetch(_)]), "{last:?}");
}

#[test]
fn errors_are_tried_again_later_and_later_and_at_once_when_a_peer_appears() {
    let mut p = started(config());
    let one = release(1, 1);
    news(&mut p, secs(1), &one);
    let mut now = secs(1);
    let mut last = Duration::ZERO;
    for _ in 0..10 {
        p.handle(now, Input::Fetched(Err(ErrorKind::Disk)));
        let next = p.next_timeout().unwrap();
        assert!(next - now >= last && next - now >= secs(30) && next - now <= HOUR);
        last = next - now;
        now = next;
        assert_eq!(all(&mut p, now), [Action::Fetch(one.clone())]);
    }
    assert_eq!(last, HOUR);
    p.handle(now, Input::Fetched(Err(ErrorKind::Network)));
    p.handle(now + secs(1), Input::News);
    all(&mut p, now + secs(1));
    p.handle(now + secs(1), admitted(&one));
    assert_eq!(all(&mut p, now + secs(1)), [Action::Fetch(one)]);
}

#[test]
fn a_source_that_cannot_tell_is_asked_now_and_then() {
    let mut c = config();
    c.poll = Some(secs(600));
    let mut p = Policy::new(c);
    p.handle(Duration::ZERO, Input::Open);
    all(&mut p, Duration::ZERO);
    p.handle(secs(1), Input::Checked(Ok(None)));
    all(&mut p, secs(1));
    p.handle(secs(1), Input::Prefetched);
    assert_eq!(p.next_timeout(), Some(secs(601)));
    assert!(matches!(all(&mut p, secs(601)).as_slice(), [Action::Check(_)]));
    p.handle(secs(601), Input::Checked(Err(ErrorKind::Network)));
    assert_eq!(p.next_timeout(), Some(secs(631)), "sooner after an error");
}

#[derive(Debug, Clone)]
enum Step {
    Wait(u64),
    Append { newer: bool },
    CheckNow,
    Pause,
    Resume,
    Cancel,
    Apply,
    Finish(Result<(), ErrorKind>),
}

fn step() -> impl Strategy<Value = Step> {
    let kind = prop_oneof![
        Just(ErrorKind::Network),
        Just(ErrorKind::Disk),
        Just(ErrorKind::Integrity),
        Just(ErrorKind::Refused),
        Just(ErrorKind::Cancelled),
    ];
    prop_oneof![
        4 => (0u64..2000).prop_map(Step::Wait),
        4 => any::<bool>().prop_map(|newer| Step::Append { newer }),
        1 => Just(Step::CheckNow),
        1 => Just(Step::Pause),
        1 => Just(Step::Resume),
        1 => Just(Step::Cancel),
        1 => Just(Step::Apply),
        6 => Just(Step::Finish(Ok(()))),
        1 => kind.prop_map(|k| Step::Finish(Err(k))),
    ]
}

/// A client, a drive that is appended to, and what must hold after every step.
struct World {
    policy: Policy,
    now: Duration,
    head: Release,
    running: Option<Action>,
    paused: bool,
}

impl World {
    fn new(updates: bool) -> Self {
        let mut c = config();
        c.updates = updates;
        let mut policy = Policy::new(c);
        policy.handle(Duration::ZERO, Input::Open);
        let mut w = Self { policy, now: Duration::ZERO, head: release(0, 0), running: None, paused: false };
        w.drain();
        w
    }

    fn drain(&mut self) {
        while let Some(action) = self.policy.poll(self.now) {
            match &action {
                Action::Check(_) | Action::Prefetch | Action::Apply | Action::Fetch(_) => {
                    assert!(self.running.is_none(), "{action:?} beside {:?}", self.running);
                    if let Action::Fetch(r) = &action {
                        assert!(!self.paused);
                        assert!(r.version > *self.policy.installed());
                        assert!(self.policy.staged().is_none_or(|s| r.version > s.version));
                    }
                    if action == Action::Apply {
                        assert!(self.policy.staged().is_some());
                    }
                    self.running = Some(action);
                }
                Action::Interrupt => assert!(self.running.is_some()),
                _ => {}
            }
        }
        assert_eq!(self.policy.is_busy(), self.running.is_some());
    }

    fn finish(&mut self, result: Result<(), ErrorKind>) {
        let Some(running) = self.running.take() else { return };
        let input = match running {
            Action::Check(than) => Input::Checked(match result {
                Ok(()) => {
                    Ok(Some((self.head.clone(), Verdict::Admitted)).filter(|_| self.head.version > than))
                }
                Err(k) => Err(k),
            }),
            Action::Fetch(_) => Input::Fetched(result),
            Action::Prefetch => Input::Prefetched,
            _ => Input::Applied(result),
        };
        self.policy.handle(self.now, input);
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Wait(n) => self.now += secs(n),
            Step::Append { newer } => {
                let patch = self.head.version.patch + u64::from(newer);
                self.head = release(patch, self.head.id.0[0].wrapping_add(1));
                self.policy.handle(self.now, Input::News);
            }
            Step::CheckNow => self.policy.handle(self.now, Input::CheckNow),
            Step::Pause => {
                self.paused = true;
                self.policy.handle(self.now, Input::Pause);
            }
            Step::Resume => {
                self.paused = false;
                self.policy.handle(self.now, Input::Resume);
            }
            Step::Cancel => self.policy.handle(self.now, Input::Cancel),
            Step::Apply => self.policy.handle(self.now, Input::Apply),
            Step::Finish(result) => self.finish(result),
        }
        self.drain();
    }
}

proptest! {
    #[test]
    fn nothing_runs_beside_another_and_nothing_old_is_fetched(steps in prop::collection::vec(step(), 0..120)) {
        let mut w = World::new(true);
        for s in steps {
            w.step(s);
        }
        // Whatever happened, a person gets the newest version in the end.
        w.step(Step::Resume);
        w.step(Step::Append { newer: true });
        w.step(Step::CheckNow);
        for _ in 0..20 {
            w.now += HOUR;
            w.step(Step::Finish(Ok(())));
        }
        let newest = w.policy.staged().map_or(w.policy.installed().clone(), |s| s.version.clone());
        prop_assert_eq!(newest, w.head.version);
    }

    #[test]
    fn appends_cannot_put_an_update_off(
        gaps in prop::collection::vec(1u64..600, 1..200),
        newer in prop::collection::vec(any::<bool>(), 200),
    ) {
        let mut w = World::new(true);
        w.step(Step::Finish(Ok(())));
        w.step(Step::Finish(Ok(())));
        w.now = secs(1000);
        w.step(Step::Append { newer: true });
        w.step(Step::Finish(Ok(())));
        let found = w.now;
        for (gap, newer) in gaps.into_iter().zip(newer) {
            // Wakes when it asked to, and at every append.
            let until = w.now + secs(gap);
            while !matches!(w.running, Some(Action::Fetch(_))) {
                match w.policy.next_timeout().filter(|t| *t <= until) {
                    Some(t) => {
                        w.now = w.now.max(t);
                        w.drain();
                        if matches!(w.running, Some(Action::Check(_))) {
                            w.step(Step::Finish(Ok(())));
                        }
                    }
                    None => break,
                }
            }
            if matches!(w.running, Some(Action::Fetch(_))) {
                break;
            }
            prop_assert!(w.now < found + HOUR, "starved since {:?}, now {:?}", found, w.now);
            w.now = until;
            w.step(Step::Append { newer });
            w.step(Step::Finish(Ok(())));
        }
    }

    #[test]
    fn switched_off_means_off(steps in prop::collection::vec(step(), 0..60)) {
        let mut w = World::new(false);
        for s in steps {
            w.step(s);
            prop_assert!(w.running.is_none());
            prop_assert_eq!(w.policy.next_timeout(), None);
        }
    }
}

#[test]
fn an_older_version_is_taken_when_a_person_asked_for_it_and_once() {
    let mut p = Policy::new(PolicyConfig { installed: Version::new(1, 0, 5), downgrade: true, ..config() });
    p.handle(Duration::ZERO, Input::Open);
    let first = all(&mut p, Duration::ZERO);
    assert!(matches!(first.as_slice(), [Action::Check(v)] if *v < Version::new(0, 0, 1)), "{first:?}");
    // The installed one is no update.
    p.handle(Duration::ZERO, admitted(&release(5, 5)));
    assert!(!all(&mut p, Duration::ZERO).iter().any(|a| matches!(a, Action::Fetch(_))));
    p.handle(Duration::ZERO, Input::Prefetched);
    let old = release(3, 3);
    let acts = news(&mut p, secs(1), &old);
    assert_eq!(acts, [Action::Fetch(old)]);
    p.handle(secs(2), Input::Fetched(Ok(())));
    p.handle(secs(2), Input::Apply);
    assert!(all(&mut p, secs(2)).contains(&Action::Apply));
    p.handle(secs(3), Input::Applied(Ok(())));
    assert!(news(&mut p, secs(4), &release(2, 2)).is_empty(), "asked for once");
}

/// Without automatic checks only what is asked for is done, also after an error; at rest nothing is due.
#[test]
fn by_hand_nothing_is_due_by_itself() {
    let mut p = Policy::new(PolicyConfig { auto_check: false, poll: Some(HOUR), ..config() });
    p.handle(Duration::ZERO, Input::Open);
    p.handle(secs(1), Input::News);
    assert_eq!(all(&mut p, secs(1)), []);
    assert_eq!(p.next_timeout(), None);
    p.handle(secs(2), Input::CheckNow);
    assert!(matches!(all(&mut p, secs(2)).as_slice(), [Action::Check(_)]));
    p.handle(secs(3), Input::Checked(Err(ErrorKind::Disk)));
    assert_eq!(all(&mut p, secs(3)).iter().filter(|a| matches!(a, Action::Check(_))).count(), 0);
    p.handle(secs(3), Input::Prefetched);
    assert_eq!(p.next_timeout(), None, "not even after an error");
    // One that another command ended is looked for again.
    p.handle(secs(4), Input::CheckNow);
    assert!(matches!(all(&mut p, secs(4)).as_slice(), [Action::Check(_)]));
    p.handle(secs(5), Input::Checked(Err(ErrorKind::Cancelled)));
    assert!(matches!(all(&mut p, secs(5)).as_slice(), [Action::Check(_)]));
}

/// Without automatic downloads a release is told of once and waits until it is asked for.
#[test]
fn a_release_is_fetched_when_it_is_asked_for() {
    let mut p = Policy::new(PolicyConfig { auto_download: false, ..config() });
    p.handle(Duration::ZERO, Input::Open);
    let first = all(&mut p, Duration::ZERO);
    assert!(matches!(first.as_slice(), [Action::Check(_)]), "{first:?}");
    let one = release(1, 1);
    p.handle(Duration::ZERO, admitted(&one));
    let acts = all(&mut p, Duration::ZERO);
    assert!(acts.contains(&Action::Available(one.clone())), "{acts:?}");
    assert!(!acts.iter().any(|a| matches!(a, Action::Fetch(_))), "{acts:?}");
    p.handle(secs(1), Input::Prefetched);
    assert_eq!(p.candidate(), Some(&one));
    assert_eq!(p.next_timeout(), None, "at rest");
    p.handle(secs(2), Input::CheckNow);
    all(&mut p, secs(2));
    p.handle(secs(2), admitted(&one));
    assert_eq!(all(&mut p, secs(2)), [], "told of once");
    p.handle(secs(3), Input::Download(one.id));
    assert_eq!(all(&mut p, secs(3)), [Action::Fetch(one.clone())]);
    p.handle(secs(4), Input::Fetched(Err(ErrorKind::Network)));
    assert!(p.next_timeout().is_some(), "what was asked for is tried again");
    p.handle(secs(5), Input::Download(one.id));
    assert_eq!(all(&mut p, secs(5)), [Action::Fetch(one.clone())], "and at once when it is asked for again");
    p.handle(secs(6), Input::Fetched(Ok(())));
    p.handle(secs(7), Input::Apply);
    assert_eq!(all(&mut p, secs(7)), [Action::Apply]);
    p.handle(secs(8), Input::Applied(Ok(())));
    assert_eq!(p.candidate(), None);
}
