//! What a seeder is and did as Prometheus text, version 0.0.4: `/metrics`.
//!
//! Names follow Prometheus's rules: `bosc_`, the base unit in the name, `_total` for what only grows. What is of one link has
//! `link`; what is of one of a drive's cores has `core` (`db` or `blobs`) as well. Names and labels are a promise: added to, never
//! changed. docs/operators.md lists them.

use super::board::{CoreFacts, Facts, LinkFacts};
use std::fmt::Write;

/// The content type of the text.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

#[derive(Clone, Copy)]
enum Kind {
    Gauge,
    Counter,
}
use Kind::{Counter, Gauge};

struct Text(String);

impl Text {
    fn head(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Gauge => "gauge",
            Counter => "counter",
        };
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: u64) {
        self.0.push_str(name);
        for (i, (label, text)) in labels.iter().enumerate() {
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.0, "{}{label}=\"{text}\"", if i == 0 { '{' } else { ',' });
        }
        let close = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{close} {value}");
    }

    fn one(&mut self, name: &str, kind: Kind, help: &str, value: u64) {
        self.head(name, kind, help);
        self.sample(name, &[], value);
    }

    /// Something that may be unknown, and is left out then.
    fn maybe(&mut self, name: &str, kind: Kind, help: &str, value: Option<u64>) {
        if let Some(value) = value {
            self.one(name, kind, help, value);
        }
    }

    fn of_links(
        &mut self,
        name: &str,
        kind: Kind,
        help: &str,
        links: &[LinkFacts],
        value: fn(&LinkFacts) -> u64,
    ) {
        self.head(name, kind, help);
        for link in links {
            self.sample(name, &[("link", &link.link)], value(link));
        }
    }

    fn of_cores(
        &mut self,
        name: &str,
        kind: Kind,
        help: &str,
        links: &[LinkFacts],
        value: fn(&CoreFacts) -> u64,
    ) {
        self.head(name, kind, help);
        for link in links {
            self.sample(name, &[("link", &link.link), ("core", "db")], value(&link.db));
            self.sample(name, &[("link", &link.link), ("core", "blobs")], value(&link.blobs));
        }
    }
}

/// The text.
pub(super) fn text(facts: &Facts) -> String {
    let mut t = Text(String::with_capacity(4096 + facts.links.len() * 2048));
    t.head("bosc_build_info", Gauge, "The version of the program.");
    t.sample("bosc_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    network(&mut t, facts);
    store(&mut t, facts);
    links(&mut t, &facts.links);
    process(&mut t);
    t.0
}

fn network(t: &mut Text, facts: &Facts) {
    let net = &facts.net;
    t.one("bosc_connections", Gauge, "Open connections, of all links.", net.connections.len() as u64);
    t.one("bosc_connections_relayed", Gauge, "Of these, those through a blind relay.", net.relayed as u64);
    t.one("bosc_dht_nodes", Gauge, "DHT nodes that are known.", net.nodes as u64);
    let answered = net.bootstrapped && net.nodes > 0;
    t.one("bosc_dht_up", Gauge, "Whether a DHT node answers.", u64::from(answered));
    t.one("bosc_announceable", Gauge, "Whether peers can find the node's key.", u64::from(net.listening));
    t.head(
        "bosc_nat",
        Gauge,
        "How the node is reached: open, consistent ports, or random ports; 1 at the one that holds.",
    );
    let kind = match (net.firewalled, net.randomized) {
        (false, _) => "open",
        (true, false) => "consistent",
        (true, true) => "random",
    };
    for each in ["open", "consistent", "random"] {
        t.sample("bosc_nat", &[("kind", each)], u64::from(each == kind));
    }
    t.one("bosc_network_received_bytes_total", Counter, "Bytes of datagrams received.", net.received);
    t.one("bosc_network_sent_bytes_total", Counter, "Bytes of datagrams sent.", net.sent);
    t.maybe("bosc_upload_limit_bytes", Gauge, "Bytes a second that may be sent.", facts.bounds.upload);
    if let Some(relay) = &facts.relay {
        t.one("bosc_relay_clients", Gauge, "Peers with a session at the relay.", relay.clients as u64);
        t.one("bosc_relay_pairs", Gauge, "Pairs whose packets are passed on.", relay.pairs as u64);
        t.one("bosc_relay_pairs_total", Counter, "Pairs made.", relay.paired);
        t.one("bosc_relay_refused_total", Counter, "Requests and peers refused for a bound.", relay.refused);
        t.one("bosc_relay_bytes_total", Counter, "Bytes passed on.", relay.bytes);
        t.one("bosc_relay_dropped_packets_total", Counter, "Packets dropped for a rate.", relay.dropped);
    }
}

fn store(t: &mut Text, facts: &Facts) {
    t.one("bosc_store_segment_bytes", Gauge, "Bytes of the store's segments.", facts.store.segment_bytes);
    t.one("bosc_store_live_bytes", Gauge, "Of these, bytes of blocks that are kept.", facts.store.live_bytes);
    t.maybe(
        "bosc_disk_limit_bytes",
        Gauge,
        "Bytes of blocks of others' links that may be kept.",
        facts.bounds.disk,
    );
}

fn links(t: &mut Text, links: &[LinkFacts]) {
    t.one("bosc_links", Gauge, "Links that are seeded or failed.", links.len() as u64);
    t.of_links("bosc_link_announced", Gauge, "Whether peers can find the link here.", links, |l| {
        l.announced.into()
    });
    t.of_links("bosc_link_failed", Gauge, "Whether the link cannot be seeded.", links, |l| {
        l.failed.is_some().into()
    });
    t.of_links("bosc_link_complete", Gauge, "Whether all of the newest version is here.", links, |l| {
        l.complete.into()
    });
    t.of_links(
        "bosc_link_disk_limited",
        Gauge,
        "Whether nothing is fetched because it does not fit into what may be kept.",
        links,
        |l| l.limited.into(),
    );
    t.of_links("bosc_peers", Gauge, "Connected peers that have the link.", links, |l| l.peers);
    t.of_links("bosc_full_copies", Gauge, "Of these, those that hold all of it.", links, |l| l.full_copies);
    t.of_links("bosc_sent_bytes_total", Counter, "Bytes of blocks sent.", links, |l| l.sent.0);
    t.of_links("bosc_sent_blocks_total", Counter, "Blocks sent.", links, |l| l.sent.1);
    t.of_links("bosc_received_bytes_total", Counter, "Bytes of blocks received and proved.", links, |l| {
        l.received.0
    });
    t.of_links("bosc_received_blocks_total", Counter, "Blocks received and proved.", links, |l| l.received.1);
    t.of_links("bosc_conflicts", Gauge, "Other histories of the link that peers proved.", links, |l| {
        l.conflicts
    });
    t.of_cores("bosc_core_length_blocks", Gauge, "Blocks of the newest head.", links, |c| c.length);
    t.of_cores("bosc_core_length_bytes", Gauge, "Bytes of the newest head.", links, |c| c.bytes);
    t.of_cores("bosc_core_held_blocks", Gauge, "Blocks that are here.", links, |c| c.held_blocks);
    t.of_cores("bosc_core_held_bytes", Gauge, "Bytes of blocks that are here.", links, |c| c.held_bytes);
    t.of_links("bosc_scrub_checked_bytes", Gauge, "Bytes that this pass of the check read.", links, |l| {
        l.scrub.checked_bytes
    });
    t.of_links("bosc_scrub_passes_total", Counter, "Passes of the check that ended.", links, |l| {
        l.scrub.passes
    });
    t.of_links("bosc_damaged_blocks_total", Counter, "Blocks found damaged.", links, |l| l.scrub.damaged);
    t.of_links("bosc_repaired_blocks_total", Counter, "Damaged blocks that are here again.", links, |l| {
        l.scrub.repaired
    });
    t.of_links("bosc_unreadable_blocks", Gauge, "Blocks that this pass could not read.", links, |l| {
        l.scrub.unreadable
    });
}

/// What the system says of the process, with the names that other programs use for it.
fn process(t: &mut Text) {
    let descriptors = std::fs::read_dir("/proc/self/fd").ok().map(|dir| dir.count().saturating_sub(1) as u64);
    t.maybe("process_open_fds", Gauge, "Open file descriptors.", descriptors);
    let status =
        bosc_files::read_plain(std::path::Path::new("/proc/self/status"), 64 << 10).unwrap_or_default();
    let status = String::from_utf8_lossy(&status);
    let field = |name: &str| {
        let line = status.lines().find_map(|l| l.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    t.maybe("process_resident_memory_bytes", Gauge, "Resident memory.", field("VmRSS:").map(|kib| kib << 10));
    t.maybe("process_threads", Gauge, "Threads.", field("Threads:"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn facts() -> Facts {
        let link = |name: &str| LinkFacts { link: name.into(), sent: (5, 1), ..LinkFacts::default() };
        Facts {
            links: vec![link("pear://a"), link("b\"\\\nc")],
            relay: Some(Default::default()),
            ..Facts::default()
        }
    }

    /// Every sample has a type and a help before it, all samples of a name stand together, and none is there twice.
    #[test]
    fn the_text_is_what_prometheus_reads() {
        let text = text(&facts());
        assert!(text.ends_with('\n'));
        let (mut kinds, mut seen) = (BTreeMap::new(), BTreeSet::new());
        let (mut now, mut closed) = (String::new(), BTreeSet::new());
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').unwrap();
                assert!(help.ends_with('.') && !help.contains('\\'), "{line}");
                assert!(closed.insert(name.to_owned()), "{name} comes in two places");
                now = name.to_owned();
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert_eq!(name, now);
                assert!(kinds.insert(name.to_owned(), kind.to_owned()).is_none());
                assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            } else {
                let (series, value) = line.rsplit_once(' ').unwrap();
                value.parse::<f64>().unwrap();
                let name = series.split('{').next().unwrap();
                assert_eq!(name, now, "{line}");
                assert!(kinds.contains_key(name), "{line}");
                assert!(name.starts_with("bosc_") || name.starts_with("process_"));
                assert!(seen.insert(series.to_owned()), "{series} twice");
            }
        }
        assert!(text.contains("bosc_sent_bytes_total{link=\"pear://a\"} 5\n"), "{text}");
        assert!(
            text.contains(r#"bosc_sent_bytes_total{link="b\"\\\nc"} 5"#),
            "what is in a label is escaped"
        );
        let nat: Vec<&str> =
            text.lines().filter(|l| l.starts_with("bosc_nat{") && l.ends_with(" 1")).collect();
        assert_eq!(nat.len(), 1);
    }

    /// docs/operators.md lists every metric, with its type and help as they are here, and no other.
    #[test]
    fn the_documentation_lists_them_all() {
        let text = text(&facts());
        let docs = include_str!("../../../../docs/operators.md");
        let listed: BTreeSet<&str> = docs
            .lines()
            .filter_map(|l| l.strip_prefix("| `bosc_").or_else(|| l.strip_prefix("| `process_")))
            .map(|l| l.split(['`', '{']).next().unwrap())
            .collect();
        let limits = ["upload_limit_bytes", "disk_limit_bytes"];
        let told: BTreeSet<&str> = text
            .lines()
            .filter_map(|l| l.strip_prefix("# TYPE "))
            .map(|l| l.split(' ').next().unwrap())
            .map(|l| l.strip_prefix("bosc_").or_else(|| l.strip_prefix("process_")).unwrap())
            .chain(limits)
            .collect();
        let on_linux = |name: &&str| {
            cfg!(target_os = "linux") || !["open_fds", "resident_memory_bytes", "threads"].contains(name)
        };
        assert_eq!(told, listed.into_iter().filter(on_linux).collect());
    }
}
