//! `bosc monitor`: flags, request, what people read.

pub(crate) mod args;
pub(crate) mod human;

use crate::human::Human;
use crate::printer::{Ended, Final, Printer};
use crate::values::{absolute, mirrors, seconds};
use args::Monitor;
use bosc_release::error::CommandError;
use bosc_release::event::Event;
use std::path::Path;

pub(crate) fn monitor(a: &Monitor) -> Result<bosc_release::monitor::Monitor, CommandError> {
    Ok(bosc_release::monitor::Monitor {
        link: a.link.clone().unwrap_or_default(),
        file: absolute(a.file.as_deref().unwrap_or(Path::new("")))?,
        once: a.once,
        every_ms: seconds(a.every)?,
        mirrors: mirrors(&a.mirror)?,
        timeout_ms: seconds(a.timeout)?,
    })
}

/// `--compare`: needs no store.
pub(crate) fn compare(a: &Monitor, printer: &Printer) -> Ended {
    let mut human = Human::new(printer, false, false);
    let mut sink = |event: Event| human.event(&event);
    let [first, second] = a.compare.as_deref().unwrap_or_default() else {
        return Err(CommandError::input("--compare takes two files").hint("name the files of two monitors"));
    };
    let done = bosc_release::monitor::compare(&absolute(first)?, &absolute(second)?, &mut sink)?;
    human::compared(printer, &done);
    Ok(Final::of(done))
}
