//! What clap has no room for, one [`Page`] a command: some sentences and examples. An example is a line to type.
//!
//! # Files
//!
//! - As the groups of the help: `make`, `share`, `release` and `multisig`, `after`, `operate`, `application`, `learn`.

mod after;
mod application;
mod learn;
mod make;
mod multisig;
mod operate;
mod release;
mod share;

use super::page::Page;

/// All pages.
pub(super) const PAGES: [&[Page]; 8] = [
    learn::PAGES,
    make::PAGES,
    share::PAGES,
    release::PAGES,
    multisig::PAGES,
    after::PAGES,
    operate::PAGES,
    application::PAGES,
];

/// The page of the command with this path; `bosc` itself has the empty one.
pub(super) fn of(path: &str) -> Option<&'static Page> {
    PAGES.iter().flat_map(|group| group.iter()).find(|page| page.path == path)
}
