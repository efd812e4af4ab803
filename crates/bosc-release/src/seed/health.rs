//! Whether a seeder does what it is there for, and if not, why: `/healthz`.
//!
//! Well is: the loop looked at its links lately, a DHT node answers, and every link is announced and did not fail. A link that is not
//! whole here is no fault: it is being fetched, or does not fit into what may be kept, and metrics say so.

use super::board::Facts;
use std::time::{Duration, Instant};

/// How old what the loop left may be.
const STALE: Duration = Duration::from_secs(30);
/// Most links that are named.
const NAMED: usize = 20;

/// What is wrong, a line for each; nothing when all is well.
pub(super) fn reasons(facts: &Facts, now: Instant) -> Vec<String> {
    let mut out = Vec::new();
    match facts.at {
        None => return vec!["starting".to_owned()],
        Some(at) if now.saturating_duration_since(at) > STALE => {
            let seconds = now.saturating_duration_since(at).as_secs();
            out.push(format!("the store or its disk does not answer: nothing was looked at for {seconds} s"));
        }
        Some(_) => {}
    }
    if !facts.net.bootstrapped || facts.net.nodes == 0 {
        out.push("no DHT node answers".to_owned());
    }
    for link in &facts.links {
        if let Some(why) = &link.failed {
            out.push(format!("{}: {}", link.link, one_line(why)));
        } else if !link.announced {
            out.push(format!("{}: not announced yet", link.link));
        }
    }
    let more = out.len().saturating_sub(NAMED);
    if more > 0 {
        out.truncate(NAMED);
        out.push(format!("and {more} more"));
    }
    out
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::super::board::LinkFacts;
    use super::*;
    use bosc_node::NetStatus;

    fn well(now: Instant) -> Facts {
        Facts {
            net: NetStatus { bootstrapped: true, nodes: 3, ..NetStatus::default() },
            links: vec![LinkFacts { link: "a".into(), announced: true, ..LinkFacts::default() }],
            at: Some(now),
            ..Facts::default()
        }
    }

    #[test]
    fn each_fault_is_named() {
        let now = Instant::now();
        assert!(reasons(&well(now), now).is_empty());
        assert_eq!(reasons(&Facts::default(), now), ["starting"]);
        let mut f = well(now);
        f.net.nodes = 0;
        f.links.push(LinkFacts { link: "b".into(), ..LinkFacts::default() });
        f.links.push(LinkFacts {
            link: "c".into(),
            failed: Some("broken\nbadly".into()),
            ..LinkFacts::default()
        });
        assert_eq!(reasons(&f, now), ["no DHT node answers", "b: not announced yet", "c: broken badly"]);
        let late = reasons(&well(now), now + STALE + Duration::from_secs(1));
        assert_eq!(late.len(), 1);
        f.links = vec![LinkFacts::default(); 500];
        assert_eq!(reasons(&f, now).len(), NAMED + 1);
    }
}
