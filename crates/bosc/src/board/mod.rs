//! What is drawn below everything else while a command runs: a line, how far a transfer is, and for `seed`, `publish` and
//! `watch --ui` a table of who is there. Rows only; that they are drawn, and where, is `crate::screen`'s.
//!
//! # Files
//!
//! - Here: what is known, and the rows of it: how many peers or links are shown and remembered. `meter`: rates, bars, times, how far
//!   back a rate looks.

pub(crate) mod meter;

use crate::columns::{Align, WIDTH, lines};
use crate::lines::count;
use crate::plain::one_line;
use crate::printer::bytes;
use bosc_release::seed::event::{NatType, PeerRow, Reachable, SeedStats};
use meter::{Meter, percent, time};
use std::collections::BTreeMap;
use std::time::Duration;

/// Most peers, or links, of the table.
const ROWS: usize = 8;
/// Most that are remembered.
const KNOWN: usize = 1000;
/// Bars of a peer, and of all together.
const BARS: (usize, usize) = (8, 16);

/// What is known.
#[derive(Debug, Default)]
pub(crate) struct Board {
    /// Up and down, of all together.
    up: Meter,
    down: Meter,
    /// What has an end.
    transfer: Meter,
    network: Option<(bool, NatType)>,
    announced: bool,
    link: Option<String>,
    peers: Vec<PeerRow>,
    more: usize,
    sent: BTreeMap<String, Meter>,
    /// Of each of several links: its length, its peers, how many hold all of it, what it sends.
    links: BTreeMap<String, (u64, usize, usize, Meter)>,
    copies: Option<(usize, usize)>,
    /// Bytes that the release brought, and of all that is on the link.
    news: u64,
    size: u64,
}

impl Board {
    /// A link is seeded.
    pub(crate) fn seeding(&mut self, link: &str) {
        (self.link, self.announced) = (Some(link.to_owned()), false);
    }

    /// Others can find it.
    pub(crate) fn announced(&mut self) {
        self.announced = true;
    }

    /// How one link stands, which is the only one.
    pub(crate) fn stats(&mut self, now: Duration, s: &SeedStats) {
        self.up.at(now, s.upload.total_bytes);
        self.down.at(now, s.download.total_bytes);
        self.network = Some((s.firewalled, s.nat_type));
    }

    /// How one of several links stands.
    pub(crate) fn link_stats(&mut self, now: Duration, link: &str, s: &SeedStats) {
        self.network = Some((s.firewalled, s.nat_type));
        if self.links.len() >= KNOWN && !self.links.contains_key(link) {
            return;
        }
        let of = self.links.entry(link.to_owned()).or_default();
        (of.0, of.1, of.2) = (s.drive_length, s.peers, s.full_copies);
        of.3.at(now, s.upload.total_bytes);
    }

    /// A link is seeded no more.
    pub(crate) fn link_gone(&mut self, link: &str) {
        self.links.remove(link);
    }

    /// What all links together sent and received.
    pub(crate) fn all(&mut self, now: Duration, up: u64, down: u64) {
        self.up.at(now, up);
        self.down.at(now, down);
    }

    /// Who is there.
    pub(crate) fn peers(&mut self, now: Duration, peers: &[PeerRow], more: usize) {
        self.sent.retain(|key, _| peers.iter().any(|p| p.key == *key));
        for peer in peers.iter().take(KNOWN) {
            self.sent.entry(peer.key.clone()).or_default().at(now, peer.sent_bytes);
        }
        self.peers = peers.iter().take(ROWS).cloned().collect();
        self.more = more.saturating_add(peers.len().saturating_sub(ROWS));
    }

    /// How this machine can be reached, where no statistics say it.
    pub(crate) fn reachable(&mut self, how: &Reachable) {
        self.network = Some((how.firewalled, how.nat_type));
    }

    /// What a release brought.
    pub(crate) fn news(&mut self, bytes: u64) {
        self.news = bytes;
    }

    /// What all that is on the link weighs.
    pub(crate) fn size(&mut self, bytes: u64) {
        self.size = bytes;
    }

    /// How many hold a release, and what was sent of it.
    pub(crate) fn copies(&mut self, now: Duration, full: usize, wanted: usize, sent: u64) {
        self.copies = Some((full, wanted));
        self.up.at(now, sent);
    }

    /// Bytes a second that are sent.
    pub(crate) fn up_rate(&self) -> u64 {
        self.up.rate()
    }

    /// How far something is that has an end.
    pub(crate) fn transfer(&mut self, now: Duration, done: u64, of: u64) -> String {
        self.transfer.at(now, done);
        progress(&self.transfer, of)
    }

    /// The rows that `seed` and `publish` have below their line.
    pub(crate) fn rows(&self) -> Vec<String> {
        let mut out = Vec::new();
        if let Some((full, wanted)) = self.copies {
            let mut row = format!("{full} of {wanted} hold the release");
            // Of a first release every peer needs all; of a later one nobody knows what they have.
            let first = self.news > 0 && self.news.saturating_add(self.size / 10) >= self.size;
            let all = self.size.saturating_mul(u64::try_from(wanted).unwrap_or(1));
            if full < wanted && first && self.up.done() > 0 && self.up.done() < all {
                row.push_str(&format!("  {}", progress(&self.up, all)));
            } else if full < wanted && self.up.done() > 0 {
                let (sent, rate) = (bytes(self.up.done()), bytes(self.up.rate()));
                row.push_str(&format!("  {sent} sent, {rate}/s  {}", self.up.bars(BARS.0)));
            }
            out.push(row);
        }
        if self.network.is_some() {
            let side = |name: &str, meter: &Meter| {
                format!("{name} {} {}/s", meter.bars(BARS.1), bytes(meter.rate()))
            };
            out.push(format!("{}   {}", side("up", &self.up), side("down", &self.down)));
        }
        let network = self.network.map(|(firewalled, nat)| match (firewalled, nat) {
            (false, _) => "network: peers reach this machine directly",
            (true, NatType::Consistent) => "network: behind a NAT or firewall that keeps one port",
            (true, NatType::Random) => "network: behind a NAT that gives every peer another port",
        });
        out.extend(network.map(str::to_owned));
        if let Some(link) = self.link.as_ref().filter(|_| self.links.is_empty()) {
            let said = if self.announced { "announced" } else { "not announced yet" };
            out.push(format!("{said}: {}", one_line(link)));
        }
        out.extend(self.peer_rows());
        out.extend(self.link_rows());
        out
    }

    fn peer_rows(&self) -> Vec<String> {
        if self.peers.is_empty() {
            return Vec::new();
        }
        let columns =
            [Align::Left, Align::Cut, Align::Left, Align::Left, Align::Right, Align::Right, Align::Left];
        let head = ["PEER", "ADDRESS", "VIA", "VERSION", "HOLDS", "RATE", ""].map(str::to_owned).to_vec();
        let rows = self.peers.iter().map(|peer| {
            let none = Meter::default();
            let sent = self.sent.get(&peer.key).unwrap_or(&none);
            vec![
                one_line(&peer.key).chars().take(8).collect(),
                peer.address.as_deref().map_or("-".to_owned(), one_line),
                if peer.relayed { "relay" } else { "direct" }.to_owned(),
                format!("{}.{}", peer.fork, peer.length),
                holds(peer),
                format!("{}/s", bytes(sent.rate())),
                sent.bars(BARS.0),
            ]
        });
        let all: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
        let mut out = lines(&columns, &all, WIDTH - 3);
        if self.more > 0 {
            out.push(format!("and {}", count(self.more, "more peer")));
        }
        out
    }

    fn link_rows(&self) -> Vec<String> {
        if self.links.is_empty() {
            return Vec::new();
        }
        let columns = [Align::Cut, Align::Right, Align::Right, Align::Right, Align::Right, Align::Left];
        let head = ["LINK", "LENGTH", "PEERS", "COPIES", "RATE", ""].map(str::to_owned).to_vec();
        // Those that move come first.
        let mut all: Vec<_> = self.links.iter().collect();
        all.sort_by_key(|(link, of)| (std::cmp::Reverse(of.3.rate()), link.as_str()));
        let rows = all.iter().take(ROWS).map(|(link, (length, peers, full, sent))| {
            vec![
                one_line(link),
                length.to_string(),
                peers.to_string(),
                full.to_string(),
                format!("{}/s", bytes(sent.rate())),
                sent.bars(BARS.0),
            ]
        });
        let table: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
        let mut out = lines(&columns, &table, WIDTH - 3);
        if all.len() > ROWS {
            out.push(format!("and {}", count(all.len() - ROWS, "more link")));
        }
        out
    }
}

/// What a peer holds of the content that it knows of.
pub(crate) fn holds(peer: &PeerRow) -> String {
    match (peer.full, peer.content_length) {
        (true, _) => "all".to_owned(),
        (false, 0) => "-".to_owned(),
        // Not yet all, whatever it rounds to.
        (false, n) => format!("{} %", percent(peer.content_held, n).min(99)),
    }
}

/// `31 %, 12.3 MB of 40.0 MB, 4.1 MB/s, 7 s left`, the most telling first: a narrow terminal cuts its end.
fn progress(meter: &Meter, of: u64) -> String {
    let done = meter.done().min(of);
    let left = meter.left(of).map_or(String::new(), |left| format!(", {} left", time(left)));
    format!(
        "{} %, {} of {}, {}/s{left}  {}",
        percent(done, of),
        bytes(done),
        bytes(of),
        bytes(meter.rate()),
        meter.bars(BARS.0)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columns::WIDTH;

    fn peer(n: u64, sent: u64) -> PeerRow {
        PeerRow {
            key: format!("{n}abcdefghijklmnopqrstuvwxyz"),
            address: Some(format!("[2001:db8:1234:5678:9abc:def0:1234:{n}]:49737")),
            relayed: n % 2 == 1,
            fork: 0,
            length: 12,
            full: n == 0,
            content_length: 1000,
            content_held: 999,
            sent_bytes: sent,
        }
    }

    #[test]
    fn the_table_fits_eighty_columns_and_names_the_rest() {
        let mut board = Board::default();
        board.seeding("pear://iytrd8f1twtz1sy539xjn3muukymgeifimkrnd6fmgy6rne7dzqo");
        for second in 0..20 {
            let peers: Vec<PeerRow> = (0..40).map(|n| peer(n, second * n * 1_000_000)).collect();
            board.peers(Duration::from_secs(second), &peers, 3);
        }
        board.announced();
        board.copies(Duration::from_secs(20), 0, 1, 5);
        let rows = board.rows();
        assert!(rows.iter().all(|row| row.chars().count() <= WIDTH - 2), "{rows:#?}");
        assert_eq!(rows.last().map(String::as_str), Some("and 35 more peers"));
        assert!(rows.iter().any(|row| row.starts_with("announced: pear://iytrd8")));
        assert!(
            rows.iter().any(|row| row.contains("99 %") && row.contains("relay") && row.contains("1.0 MB/s")),
            "{rows:#?}"
        );
        board.peers(Duration::from_secs(21), &[], 0);
        assert!(board.sent.is_empty() && board.rows().iter().all(|row| !row.contains("PEER")));
    }

    #[test]
    fn progress_says_the_most_telling_first() {
        let mut board = Board::default();
        board.transfer(Duration::from_secs(1), 0, 40_000_000);
        assert_eq!(
            board.transfer(Duration::from_secs(3), 10_000_000, 40_000_000),
            "25 %, 10.0 MB of 40.0 MB, 5.0 MB/s, 6 s left  ▁▁▁▁▁▁▁█"
        );
        assert!(board.transfer(Duration::from_secs(4), 40_000_000, 40_000_000).starts_with("100 %"));
    }
}
