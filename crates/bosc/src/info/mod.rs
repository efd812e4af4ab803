//! `bosc info`: flags, what it says of the program itself, what people read.

pub(crate) mod args;
pub(crate) mod human;

use crate::global::Global;
use crate::plain::one_line;
use crate::printer::{Ended, Final, Printer};
use crate::values::store_dir;
use args::Info;
use bosc_release::changelog::Select;
use bosc_release::install::UserPlaces;
use serde::Serialize;
use std::path::PathBuf;

/// Which releases of the CHANGELOG.md are asked for.
pub(crate) fn changelog(a: &Info) -> Option<Select> {
    let newest = a.changelog.then(|| Select { max: Some(1), ..Select::default() });
    if a.full_changelog { Some(Select { full: true, ..Select::default() }) } else { newest }
}

/// What is shown without a link: of the program, and of the store that it would use.
pub(crate) fn own(g: &Global, printer: &Printer) -> Ended {
    let store = store_dir(g)?;
    let platform = Platform {
        bosc: env!("CARGO_PKG_VERSION"),
        store_format: bosc_store::FORMAT_VERSION,
        platform: UserPlaces::here().host(),
        exists: store.join("FORMAT").exists(),
        store,
    };
    human::field(printer, "bosc", platform.bosc);
    human::field(printer, "platform", &platform.platform);
    human::field(printer, "store format", &platform.store_format.to_string());
    let made = if platform.exists { "" } else { " (not made yet)" };
    human::field(printer, "store", &format!("{}{made}", one_line(&platform.store.display().to_string())));
    printer.json("platform", &platform);
    Ok(Final::of(platform))
}

/// What this program is, and where it keeps what it has.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Platform {
    bosc: &'static str,
    store_format: u64,
    platform: String,
    store: PathBuf,
    exists: bool,
}
