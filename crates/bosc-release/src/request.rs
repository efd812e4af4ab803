//! Commands as plain data, so that they can be run here or handed to the process that owns the store.

use crate::blind_peer::BlindPeer;
use crate::changelog::Changelog;
use crate::cores::Cores;
use crate::dashboard::Dashboard;
use crate::dht::DataDht;
use crate::doctor::Doctor;
use crate::dump::Dump;
use crate::gc::Gc;
use crate::info::Info;
use crate::install::Install;
use crate::keys::{KeysExport, KeysImport};
use crate::log::Log;
use crate::mirror::Mirror;
use crate::monitor::Monitor;
use crate::provision::Provision;
use crate::relay::Relay;
use crate::seed::Seed;
use crate::stage::Stage;
use crate::store::{StoreCheck, StoreRepair};
use crate::touch::Touch;
use crate::versions::Versions;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A command that needs a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case")]
pub enum Request {
    /// Mint a link.
    Touch(Touch),
    /// Put a folder into a drive.
    Stage(Stage),
    /// Keep a drive available.
    Seed(Seed),
    /// Be a blind relay.
    Relay(Relay),
    /// Keep cores available for others.
    BlindPeer(BlindPeer),
    /// Show what a link holds.
    Info(Info),
    /// Write a drive to a folder.
    Dump(Dump),
    /// Write a drive as static files.
    Mirror(Mirror),
    /// Work on a drive that a quorum signs.
    Multisig(crate::multisig::Work),
    /// Make a drive of production's blocks and one batch that equals a source.
    Provision(Provision),
    /// What changed, release by release.
    Changelog(Changelog),
    /// Every version in a drive's history.
    Versions(Versions),
    /// Every release, and what operators say.
    Log(Log),
    /// Keep what is seen of a link, and tell what contradicts it.
    Monitor(Monitor),
    /// The cores kept here.
    Cores(Cores),
    /// Give disk space back.
    Gc(Gc),
    /// Known DHT nodes.
    DataDht(DataDht),
    /// Install or uninstall an application.
    Install(Install),
    /// Show releases, peers and health as a page.
    Dashboard(Dashboard),
    /// What is well and what is not with a link.
    Doctor(Doctor),
    /// Write keys to an encrypted file.
    KeysExport(KeysExport),
    /// Take keys from one.
    KeysImport(KeysImport),
    /// Is what is here what was stored?
    StoreCheck(StoreCheck),
    /// Fetch what is damaged.
    StoreRepair(StoreRepair),
    /// From a folder to those who follow a link.
    Publish(crate::publish::Publish),
    /// Release lines.
    Line(crate::line::Line),
    /// Move followers to another link.
    Rotate(crate::rotate::Rotate),
    /// The rules of a link, and what operators say.
    Policy(crate::policy::PolicyOfLink),
    /// What an operator says.
    Operator(crate::operator::Work),
}

impl Request {
    /// Whether it says that the store is the only copy, and may write that down.
    pub(crate) fn is_sole_copy(&self) -> bool {
        match self {
            Self::Touch(r) => r.sole_copy,
            Self::Stage(r) => r.sole_copy && !r.dry_run,
            Self::Provision(r) => r.sole_copy && !r.dry_run,
            Self::Publish(r) => r.sole_copy && !r.dry_run,
            Self::Rotate(r) => r.sole_copy && !r.dry_run && !r.check,
            Self::Line(r) => r.is_sole_copy(),
            _ => false,
        }
    }

    /// Whether it cannot be handed to the process that has the store open, because it changes the process that runs it.
    pub fn needs_own_process(&self) -> bool {
        match self {
            Self::Seed(r) => r.needs_own_process(),
            Self::Mirror(r) => r.needs_own_process(),
            Self::BlindPeer(_) => true,
            _ => false,
        }
    }

    /// How long it waits for others, where the caller says so.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        let ms = match self {
            Self::Seed(r) => r.timeout_ms?,
            Self::Info(r) => r.timeout_ms,
            Self::Dump(r) => r.timeout_ms,
            Self::Mirror(r) => r.timeout_ms,
            Self::Provision(r) => r.timeout_ms,
            Self::Changelog(r) => r.timeout_ms,
            Self::Versions(r) => r.timeout_ms,
            Self::Log(r) => r.timeout_ms,
            Self::Monitor(r) => r.timeout_ms,
            Self::DataDht(r) => r.timeout_ms,
            Self::Install(r) => r.timeout_ms,
            Self::Doctor(r) => r.timeout_ms,
            Self::StoreRepair(r) => r.timeout_ms,
            Self::Line(r) => r.timeout_ms,
            Self::Rotate(r) => r.timeout_ms,
            Self::Policy(r) => r.timeout_ms,
            Self::Operator(crate::operator::Work::Prepare(r)) => r.timeout_ms,
            Self::Operator(_)
            | Self::Touch(_)
            | Self::Stage(_)
            | Self::Relay(_)
            | Self::BlindPeer(_)
            | Self::Multisig(_)
            | Self::Cores(_)
            | Self::Dashboard(_)
            | Self::Gc(_)
            | Self::KeysExport(_)
            | Self::KeysImport(_)
            | Self::StoreCheck(_)
            | Self::Publish(_) => return None,
        };
        Some(Duration::from_millis(ms))
    }

    /// The `cmd` of its JSON lines.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Touch(_) => "touch",
            Self::Stage(_) => "stage",
            Self::Seed(_) => "seed",
            Self::Relay(_) => "relay",
            Self::BlindPeer(_) => "blind-peer",
            Self::Info(_) => "info",
            Self::Dump(_) => "dump",
            Self::Mirror(_) => "mirror",
            Self::Multisig(crate::multisig::Work::Records) | Self::DataDht(_) => "data",
            Self::Multisig(_) => "multisig",
            Self::Provision(_) => "provision",
            Self::Changelog(_) => "changelog",
            Self::Versions(_) => "versions",
            Self::Log(_) => "log",
            Self::Monitor(_) => "monitor",
            Self::Cores(_) => "cores",
            Self::Gc(_) => "gc",
            Self::Install(_) => "install",
            Self::Dashboard(_) => "dashboard",
            Self::Doctor(_) => "doctor",
            Self::KeysExport(_) | Self::KeysImport(_) => "keys",
            Self::StoreCheck(_) | Self::StoreRepair(_) => "store",
            Self::Publish(_) => "publish",
            Self::Line(_) => "line",
            Self::Rotate(_) => "rotate",
            Self::Policy(_) => "policy",
            Self::Operator(work) => work.name(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::Request;
    use crate::cores::Cores;
    use crate::gc::{Gc, GcWhat};
    use crate::install::Install;
    use crate::keys::{KeysExport, KeysImport, Passphrase};
    use crate::store::{StoreCheck, StoreRepair};
    use zeroize::Zeroizing;

    #[test]
    fn requests_survive_the_way_to_the_owner_of_the_store() {
        let passphrase = Passphrase::new(Zeroizing::new("a b".into()));
        for request in [
            Request::Cores(Cores { all: true }),
            Request::Gc(Gc { what: GcWhat::StageIndex, link: None, dry_run: true, force: false }),
            Request::Install(Install { link: "x".into(), to: Some("/a".into()), ..Install::default() }),
            Request::KeysExport(KeysExport { link: None, passphrase, ..KeysExport::default() }),
            Request::StoreCheck(StoreCheck::default()),
            Request::StoreRepair(StoreRepair { link: Some("x".into()), timeout_ms: 5 }),
        ] {
            let text = serde_json::to_string(&request).unwrap();
            assert_eq!(serde_json::from_str::<Request>(&text).unwrap(), request, "{text}");
        }
    }

    #[test]
    fn a_passphrase_is_not_shown() {
        let request = KeysImport {
            passphrase: Passphrase::new(Zeroizing::new("hunter2".into())),
            ..KeysImport::default()
        };
        assert!(!format!("{request:?}").contains("hunter2"));
    }
}
