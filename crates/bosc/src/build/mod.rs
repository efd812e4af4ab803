//! `bosc build`: flags, request, what people read.

pub(crate) mod args;
pub(crate) mod human;

use crate::human::Human;
use crate::plain::{Tone, sentence};
use crate::printer::{Ended, Final, Printer, bytes};
use crate::values::absolute;
use args::Build;
use bosc_release::build::Artifact;
use bosc_release::command::Stop;
use bosc_release::error::CommandError;
use bosc_release::event::Event;
use bosc_release::shell_word::shell_word;

pub(crate) fn build(a: &Build, printer: &Printer, stop: &Stop) -> Ended {
    let cwd = std::env::current_dir().map_err(|e| {
        CommandError::input("this folder cannot be read").because(e).hint("change to another folder")
    })?;
    let artifacts =
        a.apps.named()?.into_iter().map(|(arch, path)| Artifact { arch, path, rename: false }).collect();
    let request = bosc_release::build::Build {
        package: a.package.as_deref().map(absolute).transpose()?,
        target: a.target.as_deref().map(absolute).transpose()?,
        cwd,
        artifacts,
        force: a.force,
    };
    let mut human = Human::new(printer, false, false);
    let built = bosc_release::build::run(&request, &mut |event: Event| human.event(&event), stop)?;
    let (files, size, target) = (built.files, bytes(built.bytes), built.target.display());
    printer.say(Tone::Good, &sentence(&format!("{files} files, {size}, in {target}")));
    let target = shell_word(&built.target.display().to_string());
    printer.say(Tone::Plain, &sentence(&format!("Next: bosc stage --dry-run <link> {target}")));
    Ok(Final::of(built))
}
