//! `install` as people read it.

use crate::lines::shown;
use crate::plain::{Tone, one_line};
use crate::printer::Printer;
use bosc_release::install::event::InstallEvent;
use std::path::Path;

pub(crate) fn warning(p: &Printer, file: &Path, message: &str) {
    p.say(Tone::Warn, &format!("warning: {}: {}", shown(file), one_line(message)));
}

pub(crate) fn install(p: &Printer, event: &InstallEvent) {
    match event {
        InstallEvent::Installing { link, host } => {
            p.say(Tone::Plain, &format!("Looking for {} ({host})", one_line(link)));
        }
        InstallEvent::App(app) => {
            let (name, version) = (one_line(&app.name), one_line(app.version.as_deref().unwrap_or_default()));
            p.say(Tone::Plain, &format!("Installing {name} {version} to {}", shown(&app.dest)));
        }
        InstallEvent::Warning { file, message } => warning(p, file, message),
        InstallEvent::Path { dir } => {
            p.say(Tone::Warn, &format!("Add {} to PATH to run it by name", shown(dir)));
        }
        InstallEvent::Removed { file } => p.data(&format!("- {}", shown(file))),
    }
}
