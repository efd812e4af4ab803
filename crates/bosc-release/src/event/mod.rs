//! What happens while a command runs, and what it ends with, as types.
//!
//! # How a feature tells what happens
//!
//! Each feature has its own enum of events in its own module, beside the code that tells them:
//!
//! ```ignore
//! #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
//! #[serde(tag = "tag", content = "data", rename_all = "kebab-case", rename_all_fields = "camelCase")]
//! pub enum SeedEvent {
//!     /// …
//!     Seeding { key: String, link: String },
//!     /// … (no data: its line says `"data":null`)
//!     Announced,
//!     /// … (the data is the text itself)
//!     PeerAdd(String),
//!     /// … (the data is a struct that others have as well)
//!     Stats(Box<Stats>),
//! }
//! ```
//!
//! It is named once in the list of [`Event`] below, which also makes it `Into<Event>`, and is told with
//! `sink.tell(SeedEvent::Announced)`. What a command ends with is a struct of the feature, named once in the list of
//! [`Output`]; a command that has nothing to say ends with [`Output::Nothing`].
//!
//! # Invariants
//!
//! 1. The names of variants and fields, and the order of fields, are the `tag` and `data` of `--json`: they are never
//!    changed, only added to. `event/tests.rs` holds the text of a value of each variant, `interop/shapes.json` all
//!    shapes that the suite has ever seen.
//! 2. JSON is made of them in two places only: in [`crate::owner`], for the process that asked, and in the printer of
//!    the program. [`Event::line`] and [`Output::data`] are for the latter: they are the same without the names of the
//!    features.
//! 3. A value that goes through the hand-over comes out equal.
//!
//! # Files
//!
//! - `link`: events of any command that reads or writes a link. `fields`: how fields are written that serde has no word for.

#[cfg(test)]
mod around_tests;
pub(crate) mod fields;
pub(crate) mod link;
#[cfg(test)]
mod tests;

pub use link::{
    BlobsHead, CatchUpStats, Conflict, CostBasis, Downloaded, HistoryHead, LinkEvent, UpdateCost,
};

use crate::dump::event::{DumpEvent, Dumped};
use crate::info::event::InfoEvent;
use crate::publish::event::{CiEvent, PublishEvent, Published};
use crate::seed::event::SeedEvent;
use crate::stage::event::{StageEvent, Staged};
use crate::touch::event::Touched;
use serde::{Deserialize, Serialize, Serializer};
#[cfg(test)]
use serde_json::Value;
use std::path::PathBuf;

/// The enum of all features' events, each of which is `Into` it, and how one is written as a line.
macro_rules! events {
    ($($(#[$doc:meta])* $name:ident($type:ty),)*) => {
        /// One thing that happened.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        pub enum Event {
            $($(#[$doc])* $name($type),)*
        }

        $(impl From<$type> for Event {
            fn from(event: $type) -> Self {
                Self::$name(event)
            }
        })*

        impl Serialize for Line<'_> {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                match self.0 {
                    $(Event::$name(event) => event.serialize(to),)*
                }
            }
        }
    };
}

/// The enum of what commands end with, and how one is written as the data of the `final` line.
macro_rules! outputs {
    ($($(#[$doc:meta])* $name:ident($type:ty),)*) => {
        /// What a command ends with.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        pub enum Output {
            /// That it succeeded is all there is to say.
            Nothing,
            $($(#[$doc])* $name($type),)*
        }

        $(impl From<$type> for Output {
            fn from(output: $type) -> Self {
                Self::$name(output)
            }
        })*

        impl Serialize for Data<'_> {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                match self.0 {
                    Output::Nothing => to.collect_map(std::iter::empty::<((), ())>()),
                    $(Output::$name(output) => output.serialize(to),)*
                }
            }
        }
    };
}

events! {
    // From a folder to those who follow a link.
    /// Of any command: what is met on the way to a link.
    Link(LinkEvent),
    /// Of `stage`.
    Stage(StageEvent),
    /// Of `seed`, and of whoever else makes a drive available.
    Seed(SeedEvent),
    /// Of `seed`, of one of several links.
    SeedOf(crate::seed::event::OfLink),
    /// Of `relay`.
    Relay(crate::relay::event::RelayEvent),
    /// Of `blind-peer`.
    BlindPeer(crate::blind_peer::event::BlindPeerEvent),
    /// Of `info`.
    Info(InfoEvent),
    /// Of `dump`.
    Dump(DumpEvent),
    /// Of `mirror`, and of whoever reads one.
    Mirror(crate::mirror::event::MirrorEvent),
    /// Of `publish`.
    Publish(PublishEvent),
    /// Of `publish --ci`.
    Ci(CiEvent),

    // Signed by a quorum, kept and looked into.
    /// Of `multisig`.
    Multisig(crate::multisig::event::MultisigEvent),
    /// Of `provision`.
    Provision(crate::provision::event::ProvisionEvent),
    /// Of `line`.
    Line(crate::line::event::LineEvent),
    /// Of `rotate`.
    Rotate(crate::rotate::event::RotateEvent),
    /// Of `policy` and of operators, and of whoever releases rules.
    Policy(crate::policy::event::PolicyEvent),
    /// Of `init`.
    Init(crate::init::event::InitEvent),
    /// Of `build`.
    Build(crate::build::event::BuildEvent),
    /// Of `updater`.
    Updater(crate::manifest::event::UpdaterEvent),
    /// Of `changelog`.
    Changelog(crate::changelog::event::ChangelogEvent),
    /// Of `versions`.
    Versions(crate::versions::event::VersionsEvent),
    /// Of `log`.
    Log(crate::log::event::LogEvent),
    /// Of `monitor`.
    Monitor(crate::monitor::event::MonitorEvent),
    /// Of `cores`.
    Cores(crate::cores::event::CoresEvent),
    /// Of `gc`.
    Gc(crate::gc::event::GcEvent),
    /// Of `install`.
    Install(crate::install::event::InstallEvent),
    /// Of `doctor`.
    Doctor(crate::doctor::event::DoctorEvent),
    /// Of `dashboard`.
    Dashboard(crate::dashboard::event::DashboardEvent),
    /// Of `keys`.
    Keys(crate::keys::event::KeysEvent),
    /// Of `store`.
    Store(crate::store::event::StoreEvent),
    /// Of `delta`.
    Delta(crate::delta::event::DeltaEvent),
    /// Of `demo`.
    Demo(crate::demo::event::DemoEvent),

    /// Of `dht`.
    Dht(crate::dht::event::DhtEvent),
}

outputs! {
    // From a folder to those who follow a link.
    /// Of `touch`.
    Touch(Touched),
    /// Of `stage`.
    Stage(Staged),
    /// Of `dump`.
    Dump(Dumped),
    /// Of `mirror`.
    Mirrored(crate::mirror::event::Mirrored),
    /// Of `publish`.
    Publish(Published),

    // Signed by a quorum, kept and looked into.
    /// Of `multisig request`.
    MultisigRequest(crate::multisig::event::RequestMade),
    /// Of `multisig sign`, as far as the store is asked.
    MultisigInspect(Box<crate::multisig::event::Inspected>),
    /// Of `multisig verify` and `multisig commit`.
    MultisigCommit(Box<crate::multisig::event::CommitDone>),
    /// Of `multisig status`.
    MultisigStatus(crate::multisig::event::StatusShown),
    /// Of `data multisig`.
    MultisigRecords(crate::multisig::event::Records),
    /// Of `provision`.
    Provision(Box<crate::provision::event::Provisioned>),
    /// Of `line list` and `line show`.
    LineListed(crate::line::event::ListedLines),
    /// Of `line add`.
    LineAdded(crate::line::event::Added),
    /// Of `line remove`.
    LineRemoved(crate::line::event::Removed),
    /// Of `line init`.
    LineInitialised(crate::line::event::Initialised),
    /// Of `line promote` to a stage line.
    LineStaged(crate::line::event::PromotedStage),
    /// Of `line promote` to a provision line.
    LineProvisioned(Box<crate::line::event::PromotedProvision>),
    /// Of `line promote` to a line that a quorum signs.
    LineToSign(crate::line::event::PromotedToSign),
    /// Of `rotate` when it was done before.
    RotatedBefore(crate::rotate::event::RotatedBefore),
    /// Of `rotate`.
    Rotated(crate::rotate::event::Rotated),
    /// Of `rotate` when a quorum has to sign it.
    RotationToSign(crate::rotate::event::RotationToSign),
    /// Of `rotate --check`.
    RotationFollowed(crate::rotate::event::Followed),
    /// Of `policy show`.
    PolicyLooked(crate::policy::event::PolicyLooked),
    /// Of `policy check`.
    PolicyChecked(crate::policy::event::PolicyChecked),
    /// Of `policy set`.
    PolicySet(crate::policy::event::PolicySet),
    /// Of an operator's command, before it is signed.
    Prepared(Box<crate::policy::event::Prepared>),
    /// Of an operator's command.
    Stated(Box<crate::policy::event::Stated>),
    /// Of `changelog`.
    Changelog(crate::changelog::event::ChangelogShown),
    /// Of `versions`.
    Versions(crate::versions::event::VersionsShown),
    /// Of `log`.
    Log(crate::log::event::LogShown),
    /// Of `monitor`.
    Monitored(crate::monitor::event::Monitored),
    /// Of `monitor --compare`.
    Compared(crate::monitor::event::Compared),
    /// Of `cores`.
    Cores(crate::cores::event::CoresShown),
    /// Of `gc`.
    Gc(crate::gc::event::GcDone),
    /// Of `data dht`.
    DhtNodes(crate::dht::event::DhtNodes),
    /// Of `install`.
    Installed(crate::install::event::Installed),
    /// Of `install --uninstall`.
    Uninstalled(crate::install::event::Uninstalled),
    /// Of `doctor`.
    Doctor(crate::doctor::event::Diagnosis),
    /// Of `keys export` and `keys backup`.
    KeysExported(crate::keys::event::KeysExported),
    /// Of `keys import`.
    KeysImported(crate::keys::event::KeysImported),
    /// Of `store check`.
    StoreChecked(crate::store::event::StoreChecked),
    /// Of `store repair`.
    StoreRepaired(crate::store::event::StoreRepaired),
}

/// An [`Event`] as its line: `tag` and, unless there is none, `data`.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a>(&'a Event);

/// An [`Output`] as the data of the `final` line, without its `success`: always an object.
#[derive(Debug, Clone, Copy)]
pub struct Data<'a>(&'a Output);

impl Event {
    /// It as its line.
    pub fn line(&self) -> Line<'_> {
        Line(self)
    }

    /// Its tag and data.
    #[cfg(test)]
    pub(crate) fn parts(&self) -> (String, Value) {
        let mut line = serde_json::to_value(self.line()).unwrap_or_default();
        let mut take = |key: &str| line.get_mut(key).map(Value::take).unwrap_or_default();
        (take("tag").as_str().unwrap_or_default().to_owned(), take("data"))
    }
}

impl Output {
    /// It as the data of the `final` line.
    pub fn data(&self) -> Data<'_> {
        Data(self)
    }
}

/// Paths as texts; see [`path`].
pub(crate) fn paths<S: Serializer>(paths: &[PathBuf], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(paths.iter().map(|path| path.display().to_string()))
}

/// A path as text, or none; see [`path`].
pub(crate) fn maybe_path<S: Serializer>(path: &Option<PathBuf>, to: S) -> Result<S::Ok, S::Error> {
    path.as_ref().map(|path| path.display().to_string()).serialize(to)
}

/// Where events go.
pub trait Sink: Send {
    /// Takes one event.
    fn event(&mut self, event: Event);
}

impl<F: FnMut(Event) + Send> Sink for F {
    fn event(&mut self, event: Event) {
        self(event);
    }
}

impl dyn Sink + '_ {
    /// Tells an event of a feature.
    pub fn tell(&mut self, event: impl Into<Event>) {
        self.event(event.into());
    }
}
