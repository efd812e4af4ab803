//! `bosc gc`: flags, request, what people read.

pub(crate) mod args;
pub(crate) mod human;

use args::Gc;

pub(crate) fn gc(a: &Gc) -> bosc_release::gc::Gc {
    let (what, link, dry_run, force) = match a {
        Gc::Cores(a) => (bosc_release::gc::GcWhat::Cores, Some(a.link.clone()), a.dry_run, a.force),
        Gc::Downloads(a) => (bosc_release::gc::GcWhat::Downloads, None, a.dry_run, a.force),
        Gc::StageIndex(a) => (bosc_release::gc::GcWhat::StageIndex, None, a.dry_run, false),
        Gc::Store(a) => (bosc_release::gc::GcWhat::Store, None, a.dry_run, false),
    };
    bosc_release::gc::Gc { what, link, dry_run, force }
}
