//! Everything that the page shows, at one moment, as plain data.
//!
//! Texts come from drives, peers and files and are as they were found, but for their length where they are kept: the page escapes
//! them. Times are seconds since 1970, sizes bytes.

use crate::doctor::nat::NatSeen;
use crate::doctor::{Finding, Level};
use crate::event::UpdateCost;
use crate::line::compare::LineStanding;
use crate::line::file::LineKind;
use serde::{Deserialize, Serialize};

/// Most lines that are shown.
pub const MAX_LINES: usize = 100;
/// Most releases of a line that are shown.
pub const MAX_RELEASES: usize = 10;
/// Most files of a release that are named.
pub const MAX_CHANGES: usize = 12;
/// Most update costs of a line that are shown.
pub const MAX_COSTS: usize = 24;
/// Most versions that are told apart among peers; the rest are counted together.
pub const MAX_SHARES: usize = 12;
/// Longest text that is kept of a drive's name, version or file, in characters.
pub const MAX_NAME: usize = 200;
/// Longest notes that are kept, in characters.
pub const MAX_NOTES: usize = 2_000;

/// Everything, at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Snapshot {
    /// The version of the program.
    pub program: String,
    /// When it was taken.
    pub at: u64,
    /// The lines, in their order.
    pub lines: Vec<LineView>,
    /// Lines that are left out for want of room.
    pub more_lines: usize,
    /// The network.
    pub network: NetworkView,
    /// The store.
    pub store: StoreView,
}

/// A line, or a link that no file names.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LineView {
    /// Its name, where a file gives it one.
    pub name: Option<String>,
    /// Its kind, likewise.
    pub kind: Option<LineKind>,
    /// The line it is promoted from.
    pub source: Option<String>,
    /// Its link; none while it has none.
    pub link: Option<String>,
    /// The link with its newest version.
    pub verlink: Option<String>,
    /// The application's name.
    pub app: Option<String>,
    /// The version in its package.json.
    pub version: Option<String>,
    /// Length of the db.
    pub length: u64,
    /// Its fork.
    pub fork: u64,
    /// Bytes of the newest release's files.
    pub release_bytes: Option<u64>,
    /// Bytes of all versions.
    pub total_bytes: u64,
    /// This store writes it.
    pub writable: bool,
    /// This process lets peers find it.
    pub announced: bool,
    /// How it stands to the line it comes from.
    pub standing: Option<LineStanding>,
    /// Full copies that are wanted.
    pub wanted: u64,
    /// Peers that hold a full copy.
    pub seeders: u64,
    /// Peers that have it at all.
    pub peers: u64,
    /// Which versions they have, the newest first.
    pub shares: Vec<VersionShare>,
    /// Bytes given to peers since the start.
    pub sent_bytes: u64,
    /// Its releases, the newest first.
    pub releases: Vec<ReleaseView>,
    /// Releases that are left out.
    pub more_releases: u64,
    /// What updates to the newest cost.
    pub costs: Vec<UpdateCost>,
    /// What the quorum allows; none without a policy.
    pub policy: Option<PolicyView>,
    /// How far a signed release is; none for a link of one key.
    pub ceremony: Option<CeremonyView>,
    /// What `doctor` found.
    pub findings: Vec<Finding>,
    /// When it looked; none: not yet.
    pub examined: Option<u64>,
    /// Other histories of it that peers proved.
    pub conflicts: u64,
    /// Versions over time, the oldest first.
    pub adoption: Vec<Sample>,
    /// What to run next, where something is to be done.
    pub next: Vec<NextStep>,
    /// Why it cannot be shown.
    pub error: Option<String>,
}

/// Peers with one version.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VersionShare {
    /// The version; none: one that is not known here, or nothing yet.
    pub version: Option<String>,
    /// Peers that hold all of the newest.
    pub seeders: u64,
    /// Peers that have it and do not.
    pub followers: u64,
}

/// A release in a line's history.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ReleaseView {
    /// The version in its package.json.
    pub version: Option<String>,
    /// Length of the db.
    pub length: u64,
    /// Bytes of its files.
    pub bytes: u64,
    /// Files written since the release before.
    pub put: u64,
    /// Files deleted since.
    pub deleted: u64,
    /// The largest of those that were written, and those that were deleted.
    pub changes: Vec<Change>,
    /// What its changelog says.
    pub notes: Option<String>,
}

/// A file of a release.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Change {
    /// Its name.
    pub file: String,
    /// Its size; none: it was deleted.
    pub bytes: Option<u64>,
    /// Its size in the release before; none: it is new.
    pub before: Option<u64>,
}

/// What the quorum allows for the newest release, and what operators said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PolicyView {
    /// Why it cannot be read: clients install nothing by it.
    pub error: Option<String>,
    /// The channel.
    pub channel: Option<String>,
    /// When the release was made.
    pub time: Option<u64>,
    /// Older ones must update.
    pub minimum: Option<String>,
    /// It is not to be put off.
    pub mandatory: bool,
    /// How far a version goes that no operator spoke of, in hundredths of a percent.
    pub rollout: u16,
    /// How old the newest word may be, in seconds.
    pub freshness: Option<u64>,
    /// When somebody who may say so last said what is the newest.
    pub heard: Option<u64>,
    /// A version may be taken back from where it runs.
    pub recall: bool,
    /// Who may make statements, and what each may do.
    pub operators: Vec<String>,
    /// What they said of versions.
    pub said: Vec<SaidView>,
}

/// What an operator said about a version.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SaidView {
    /// The operator: the name, or the beginning of the key.
    pub operator: String,
    /// The version.
    pub version: String,
    /// How far it goes, in hundredths of a percent.
    pub rollout: Option<u16>,
    /// `halted`, `recalled` or `lifted`.
    pub halt: Option<String>,
    /// When.
    pub time: u64,
}

/// How far a release is that a quorum signs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CeremonyView {
    /// How many have to sign.
    pub quorum: u64,
    /// Who may.
    pub signers: Vec<SignerView>,
    /// The length that the request is for; none: there is no request.
    pub length: Option<u64>,
    /// Where it is.
    pub stage: CeremonyStage,
    /// What is wrong with what was collected.
    pub problems: Vec<String>,
}

/// Where a ceremony is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CeremonyStage {
    /// Nobody asked for signatures.
    #[default]
    Idle,
    /// Fewer than the quorum signed.
    Collecting,
    /// Enough signed; nobody committed.
    Ready,
    /// A commit began, and nothing is written.
    Begun,
    /// It is written here; peers have to take it.
    Written,
    /// Peers have it.
    Committed,
}

/// A signer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SignerView {
    /// The public key.
    pub key: String,
    /// A valid signature is here.
    pub signed: bool,
}

/// A command for somebody.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NextStep {
    /// Why, and for whom.
    pub why: String,
    /// The command.
    pub command: String,
}

/// How many had which version, the most within three hours.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Sample {
    /// Start of the three hours.
    pub at: u64,
    /// Peers that held a full copy.
    pub seeders: u64,
    /// Peers by version; an empty text: not known.
    pub versions: Vec<(String, u64)>,
}

/// The network as this process sees it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NetworkView {
    /// A DHT node answers.
    pub up: bool,
    /// DHT nodes that are known.
    pub nodes: u64,
    /// Open connections.
    pub connections: u64,
    /// Of these, through a relay.
    pub relayed: u64,
    /// The address others see.
    pub address: Option<String>,
    /// What is between this machine and the network.
    pub nat: Option<NatSeen>,
    /// Bytes received and sent.
    pub received_bytes: u64,
    /// Bytes sent.
    pub sent_bytes: u64,
}

/// The store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StoreView {
    /// Its folder.
    pub folder: String,
    /// Bytes on disk.
    pub disk_bytes: u64,
    /// Of these, bytes that are kept.
    pub live_bytes: u64,
    /// Bytes of a newer state than the database.
    pub unnamed_bytes: u64,
    /// Bytes that are not durable yet.
    pub pending_bytes: u64,
}

impl LineView {
    /// What people call it: its name, the application's, or the beginning of its link.
    pub fn title(&self) -> String {
        let key = self.link.as_deref().map(|l| l.trim_start_matches("pear://").chars().take(8).collect());
        self.name.clone().or_else(|| self.app.clone()).or(key).unwrap_or_else(|| "a line".into())
    }

    /// The worst finding; none while nothing was looked at.
    pub fn worst(&self) -> Option<Level> {
        self.findings.iter().map(|f| f.level).max()
    }

    /// What the URL of its page ends with: the key, or the name of a line without a link.
    pub fn slug(&self) -> String {
        match &self.link {
            Some(link) => link.trim_start_matches("pear://").to_owned(),
            None => self.name.clone().unwrap_or_default(),
        }
    }
}

/// The first characters of a text, so that nothing long is kept.
pub(super) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
    }
}

/// What is new in `now` for somebody who saw `before`, in one sentence; none: nothing worth one.
pub fn news(before: &Snapshot, now: &Snapshot) -> Option<String> {
    for line in &now.lines {
        let title = cut(&line.title(), 60);
        let Some(old) = before.lines.iter().find(|l| l.slug() == line.slug()) else { continue };
        if old.version != line.version
            && let Some(version) = &line.version
        {
            return Some(format!("{title} has version {}", cut(version, 60)));
        }
        if old.length < line.length {
            return Some(format!("{title} has grown to length {}", line.length));
        }
        if old.peers != line.peers {
            let verb = if line.peers > old.peers { "came" } else { "left" };
            let plural = if line.peers == 1 { "peer" } else { "peers" };
            return Some(format!("A peer {verb}: {title} has {} {plural}", line.peers));
        }
        if old.seeders != line.seeders {
            return Some(format!("{title} has {} of {} full copies", line.seeders, line.wanted));
        }
        let signed = |l: &LineView| {
            l.ceremony.as_ref().map(|c| (c.stage, c.signers.iter().filter(|s| s.signed).count()))
        };
        if signed(old) != signed(line) {
            return Some(format!("The ceremony of {title} went on"));
        }
        if old.worst() != line.worst() {
            return Some(format!("The state of {title} changed"));
        }
    }
    (before.network.up != now.network.up)
        .then(|| if now.network.up { "The network is back".into() } else { "No DHT node answers".into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_at_a_letter() {
        assert_eq!(cut("häuser", 2), "hä…");
        assert_eq!(cut("hä", 2), "hä");
        assert_eq!(cut(&"x".repeat(10 << 20), MAX_NAME).chars().count(), MAX_NAME + 1);
    }

    #[test]
    fn what_is_new_is_one_sentence() {
        let line = LineView {
            name: Some("rc".into()),
            link: Some("pear://a".into()),
            version: Some("1.0.0".into()),
            wanted: 2,
            ..LineView::default()
        };
        let before = Snapshot { lines: vec![line.clone()], ..Snapshot::default() };
        assert_eq!(news(&before, &before), None);
        let with = |change: fn(&mut LineView)| {
            let mut line = line.clone();
            change(&mut line);
            news(&before, &Snapshot { lines: vec![line], ..Snapshot::default() }).unwrap_or_default()
        };
        assert_eq!(with(|l| l.peers = 1), "A peer came: rc has 1 peer");
        assert_eq!(with(|l| l.version = Some("1.1.0".into())), "rc has version 1.1.0");
        assert_eq!(with(|l| l.seeders = 1), "rc has 1 of 2 full copies");
        assert_eq!(with(|l| l.ceremony = Some(CeremonyView::default())), "The ceremony of rc went on");
    }
}
