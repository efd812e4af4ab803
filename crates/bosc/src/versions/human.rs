//! `versions` as people read it.

use crate::plain::one_line;
use crate::printer::Printer;
use bosc_release::versions::event::VersionsEvent;

pub(crate) fn versions(p: &Printer, event: &VersionsEvent) {
    let VersionsEvent::Version { length, verlink, semver, released, gone, .. } = event;
    let mark = if *released { "*" } else { " " };
    let unknown = if *gone { "content is gone" } else { "-" };
    let semver = semver.as_deref().map_or(unknown.to_owned(), one_line);
    p.data_row(&format!("{mark} {length:>7}  {semver:<16}"), verlink);
}
