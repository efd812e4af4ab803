//! What operators say, beside the head of a mirror: a small file that changes by itself.
//!
//! ```text
//! policy of the head ── operators ── their records in the DHT, mirrors that are read ──┐
//!                       what stands at the target ─────────────────────────────────────┴─ the highest counter of each ── written
//! ```
//!
//! Invariants:
//! * A counter at the target never gets lower, whoever is asked and whoever answers. Where nobody can be asked, what stands there stays.
//! * Only statements about this link, by operators whom its policy names, get there.
//! * A file of a later format is left as it is.

use super::event::Mirrored;
use super::target::{Kept, Target};
use crate::command::Stop;
use crate::error::CommandError;
use bosc_follow::mirror::Mirrors;
use bosc_follow::{DriveCores, Wait, operators, policy_here};
use bosc_node::Node;
use bosc_policy::{MAX_STATEMENTS_FILE, Policy, STATEMENTS_FILE, Signed, Statements, StatementsError};
use std::time::Duration;

/// How long operators' statements are looked for.
const ASK_FOR: Duration = Duration::from_secs(15);

/// Whether the drive has operators, as far as that is known here.
pub(crate) fn has_operators(cores: &DriveCores) -> bool {
    policy_here(cores).is_some_and(|policy| !policy.operators().is_empty())
}

/// Brings the statements at a target up to date, and notes that in what was done there.
pub(crate) fn write(
    cores: &DriveCores,
    target: &dyn Target,
    node: &Node,
    mirrors: Option<&Mirrors>,
    stop: &Stop,
    done: &mut Mirrored,
) -> Result<(), CommandError> {
    let Some(policy) = policy_here(cores).filter(|policy| !policy.operators().is_empty()) else {
        return Ok(());
    };
    let keys: Vec<_> = policy.operators().iter().map(|o| o.key).collect();
    let heard = operators::ask(node, mirrors, &keys, &mut Wait::new(stop).timeout(ASK_FOR))?;
    (done.statements, done.statements_changed) = put(target, cores.key(), &policy, heard.statements)?;
    Ok(())
}

/// Takes in what was heard. How many stand there then, and whether they changed.
fn put(
    target: &dyn Target,
    link: &[u8; 32],
    policy: &Policy,
    heard: Vec<Signed>,
) -> Result<(Option<u64>, bool), CommandError> {
    let _alone = target.alone()?;
    let there = target.get(STATEMENTS_FILE, MAX_STATEMENTS_FILE as u64 + 1)?;
    let mut all = match there.as_deref().map(Statements::read) {
        None => Statements::default(),
        Some(Ok(all)) => all,
        Some(Err(StatementsError::Newer(_))) => return Ok((None, false)),
        // Whoever reads it takes nothing from it: it is written anew.
        Some(Err(_)) => Statements::default(),
    };
    let counts = |signed: &Signed| {
        signed.statement().link == *link && policy.operators().iter().any(|o| o.key == *signed.operator())
    };
    all.retain(counts);
    for signed in heard.into_iter().filter(counts) {
        all.take(signed);
    }
    let count = Some(all.iter().count() as u64);
    let bytes = all.to_bytes();
    if there.as_deref() == Some(&bytes) || (there.is_none() && all.is_empty()) {
        return Ok((count, false));
    }
    target.put(STATEMENTS_FILE, bytes, Kept::Fresh)?;
    Ok((count, true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bosc_format::crypto::KeyPair;
    use bosc_format::id;
    use bosc_policy::Statement;
    use serde_json::json;

    const LINK: [u8; 32] = [7; 32];

    fn key(n: u8) -> KeyPair {
        KeyPair::from_seed(&[n; 32])
    }

    fn said(n: u8, counter: u64, link: [u8; 32]) -> Signed {
        let statement = Statement { link, counter, time: 1, newest: None, versions: Vec::new() };
        Signed::new(&statement, &key(n)).unwrap()
    }

    fn policy(operators: &[u8]) -> Policy {
        let all: Vec<_> = operators
            .iter()
            .map(|n| json!({"key": id::encode(&key(*n).public()), "may": ["halt"]}))
            .collect();
        Policy::from_json(&json!({"schema": 1, "operators": all})).unwrap()
    }

    fn counters(target: &dyn Target) -> Vec<u64> {
        let bytes = target.get(STATEMENTS_FILE, 1 << 20).unwrap().unwrap();
        Statements::read(&bytes).unwrap().iter().map(|s| s.statement().counter).collect()
    }

    #[test]
    fn counters_at_a_target_never_get_lower_and_strangers_get_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        let target = super::super::target::open(dir.path().to_str().unwrap()).unwrap();
        let put =
            |operators: &[u8], heard: Vec<Signed>| put(&*target, &LINK, &policy(operators), heard).unwrap();
        assert_eq!(put(&[1], vec![]), (Some(0), false));
        assert!(target.size(STATEMENTS_FILE).unwrap().is_none(), "nothing is written for nothing");
        assert_eq!(put(&[1], vec![said(1, 5, LINK), said(2, 9, LINK), said(1, 8, [8; 32])]), (Some(1), true));
        assert_eq!(counters(&*target), [5]);
        // Older ones, or none: a DHT that withholds, or nobody there.
        assert_eq!(put(&[1], vec![said(1, 4, LINK)]), (Some(1), false));
        assert_eq!(put(&[1], vec![]), (Some(1), false));
        assert_eq!(put(&[1], vec![said(1, 6, LINK)]), (Some(1), true));
        assert_eq!(counters(&*target), [6]);
        // Who is named no more stands there no more.
        assert_eq!(put(&[2], vec![said(2, 1, LINK)]), (Some(1), true));
        assert_eq!(counters(&*target), [1]);
        target.put(STATEMENTS_FILE, b"<html>".to_vec(), Kept::Fresh).unwrap();
        assert_eq!(put(&[2], vec![said(2, 2, LINK)]), (Some(1), true));
        let newer = b"boscsays\x02...".to_vec();
        target.put(STATEMENTS_FILE, newer.clone(), Kept::Fresh).unwrap();
        assert_eq!(put(&[2], vec![said(2, 3, LINK)]), (None, false));
        assert_eq!(target.get(STATEMENTS_FILE, 99).unwrap(), Some(newer));
    }
}
