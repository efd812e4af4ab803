//! Judges the rules of a link, and what its operators say.

use super::facts::{Facts, Rules, RulesSeen};
use super::finding::{AddFinding, Level};
use crate::policy::event::Heard;
use crate::policy::span::{about, date};
use bosc_policy::Share;

pub(super) fn rules(f: &Facts, add: &mut AddFinding<'_>) {
    match &f.rules {
        None => {}
        Some(RulesSeen::Missing) => {
            add("policy", Level::Ok, "it has no rules: every release goes to everybody at once".into(), "");
        }
        Some(RulesSeen::Wrong(why)) => add(
            "policy",
            Level::Bad,
            format!("its rules (/release.json) cannot be obeyed, so clients install nothing: {why}"),
            "correct the file (`bosc policy check FOLDER` names every mistake) and release a version with it",
        ),
        Some(RulesSeen::Obeyed(rules)) => obeyed(f, rules, add),
    }
}

fn obeyed(f: &Facts, rules: &Rules, add: &mut AddFinding<'_>) {
    use Level::{Ok, Warn};
    add("policy", Ok, rules.meaning.clone(), "");
    for doubt in &rules.doubts {
        let message = format!("{}: {}", doubt.field, doubt.message);
        add("policy", doubt.level, message, doubt.next.as_deref().unwrap_or_default());
    }
    let of = |heard: Heard| {
        let all = rules.operators.iter().filter(|(_, h)| *h == heard);
        all.map(|(who, _)| who.as_str()).collect::<Vec<_>>()
    };
    let (unanswered, foreign, silent) = (of(Heard::NoAnswer), of(Heard::Foreign), of(Heard::Nothing));
    if !unanswered.is_empty() {
        add(
            "operators",
            Warn,
            format!("the DHT did not answer what these operators say: {}", unanswered.join(", ")),
            "check the network of this machine and run the command again",
        );
    }
    if !foreign.is_empty() {
        add(
            "operators",
            Warn,
            format!(
                "what is under the keys of these operators is no statement about this link: {}",
                foreign.join(", ")
            ),
            "a key speaks for one link: name another one with the next release (`bosc keys operator NAME`)",
        );
    }
    if !silent.is_empty() && silent.len() == rules.operators.len() {
        add("operators", Ok, format!("no operator says anything: {}", silent.join(", ")), "");
    } else if unanswered.is_empty() && foreign.is_empty() && !rules.operators.is_empty() {
        add("operators", Ok, "what the operators say is there, and verified".into(), "");
    }
    freshness(f, rules, add);
    for standing in &rules.standings {
        let newest =
            f.version.as_deref().is_some_and(|v| v.split('+').next() == Some(standing.version.as_str()));
        let version = &standing.version;
        match &standing.halted_by {
            Some(by) => {
                let what = if standing.recalled { "recalled" } else { "halted" };
                let message = format!("version {version} is {what} by {by}: nobody installs it");
                let next = format!(
                    "when it is well again: `bosc lift {} {version}`; else release a newer version",
                    f.link
                );
                add("halt", if newest { Warn } else { Ok }, message, if newest { &next } else { "" });
            }
            None if newest => {
                let share = Share::from_hundredths(standing.share.into()).unwrap_or(Share::NONE);
                if share.is_all() {
                    add("rollout", Ok, format!("version {version} goes to everybody"), "");
                } else {
                    let next = format!("when it works for them: `bosc rollout {} {version} 100%`", f.link);
                    add(
                        "rollout",
                        Warn,
                        format!("version {version} goes to {share} of installations"),
                        &next,
                    );
                }
            }
            None => {}
        }
    }
}

fn freshness(f: &Facts, rules: &Rules, add: &mut AddFinding<'_>) {
    use Level::{Bad, Ok, Warn};
    let Some(limit) = rules.freshness.limit else { return };
    let next = format!("`bosc refresh {0}`; `bosc seed {0} --refresh-with NAME` does it by itself", f.link);
    let left = rules.freshness.until().map(|until| until.saturating_sub(rules.now));
    match (rules.freshness.stale, rules.freshness.until(), left) {
        (false, Some(until), Some(left)) if left > limit / 4 => {
            add("freshness", Ok, format!("clients know what is the newest, until {}", date(until)), "");
        }
        (false, Some(_), Some(left)) => add(
            "freshness",
            Warn,
            format!(
                "in {} clients install nothing any more, unless somebody says what is the newest",
                about(left)
            ),
            &next,
        ),
        _ => add(
            "freshness",
            Bad,
            "nobody said lately what is the newest: clients install nothing".into(),
            &next,
        ),
    }
}
