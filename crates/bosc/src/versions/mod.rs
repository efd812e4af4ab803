//! `bosc versions`: flags, the program's own versions, what people read.

pub(crate) mod args;
pub(crate) mod human;

use crate::printer::{Ended, Final, Printer};
use bosc_release::install::UserPlaces;
use serde::Serialize;

pub(crate) fn own_versions(printer: &Printer) -> Ended {
    let own = OwnVersions {
        bosc: env!("CARGO_PKG_VERSION"),
        store_format: bosc_store::FORMAT_VERSION,
        platform: UserPlaces::here().host(),
    };
    printer.data(&format!("bosc {}", env!("CARGO_PKG_VERSION")));
    printer.data(&format!("store format {}", bosc_store::FORMAT_VERSION));
    printer.data(&format!("platform {}", UserPlaces::here().host()));
    printer.json("versions", &own);
    Ok(Final::of(own))
}

/// What this program is.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OwnVersions {
    bosc: &'static str,
    store_format: u64,
    pub(crate) platform: String,
}
