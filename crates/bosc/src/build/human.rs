//! `build` as people read it.

use crate::install::human::warning;
use crate::lines::shown;
use crate::plain::{Tone, one_line};
use crate::printer::Printer;
use crate::stage::human::{bad_name, left_out, looks_secret, version_mismatch};
use bosc_release::build::BuildEvent;
use std::path::Path;

pub(crate) fn build(p: &Printer, event: &BuildEvent) {
    match event {
        BuildEvent::BadName(name) => bad_name(p, name),
        BuildEvent::LooksSecret(found) => looks_secret(p, found),
        BuildEvent::VersionMismatch { path, release, running } => version_mismatch(p, path, release, running),
        BuildEvent::Building { name, version, package, .. } => {
            let (name, version) = (one_line(name), one_line(version));
            p.say(Tone::Plain, &format!("Building {name} {version} from {}", shown(package)));
        }
        BuildEvent::Carried { file, origin } | BuildEvent::Executable { file, origin } => {
            p.data(&format!("{} <- {}", shown(file), shown(origin)));
        }
        BuildEvent::Skipped { path, reason } => left_out(p, path, reason),
        BuildEvent::Warning { file, message } => warning(p, Path::new(file), message),
    }
}
