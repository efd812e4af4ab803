//! `bosc changelog`: flags, which releases, what people read.

pub(crate) mod args;
pub(crate) mod human;

use args::Changelog;
use bosc_release::changelog::Select;
use std::path::Path;

/// A link is what says so, or a bare key.
pub(crate) fn is_link(text: &str) -> bool {
    let text = text.trim().trim_matches(['"', '\'']);
    text.starts_with("pear:") || (bosc_format::id::decode(text).is_ok() && !Path::new(text).exists())
}

pub(crate) fn select(a: &Changelog) -> Select {
    Select { max: a.max, of: a.of.clone(), full: a.full }
}
