//! An application that does nothing but hold an updater: what this crate adds to one, in wake-ups and memory.
//!
//! `cargo build --release -p bosc-updater --features p2p --example rest`; `node interop/bench/idle.mjs` then measures it beside
//! `bosc watch`. Arguments: data folder, bootstrap node, link, installed application, name, version. It ends when stdin does.

#![allow(clippy::print_stderr)]

use bosc_updater::{Started, UpdateError, UpdateSource, Updater};
use std::time::Duration;

fn main() -> Result<(), UpdateError> {
    let mut args = std::env::args().skip(1);
    let mut next = || args.next().unwrap_or_default();
    let (data, bootstrap, link, app, name, version) = (next(), next(), next(), next(), next(), next());
    let Ok(version) = version.parse() else {
        eprintln!("rest DATA BOOTSTRAP LINK APP NAME VERSION");
        return Ok(());
    };
    let source = UpdateSource::pear(link).bootstrap([bootstrap]);
    let builder = Updater::builder(name, version, source).app(app).data_folder(data).delay(Duration::ZERO);
    let updater = match builder.start() {
        Started::Running(updater) => updater,
        Started::RolledBack(failed) => return failed.restart(),
    };
    updater.mark_healthy();
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    updater.quit().map(|_| ())
}
