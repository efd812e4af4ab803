//! `bosc log`: flags, request, what people read.

pub(crate) mod args;
pub(crate) mod human;

use crate::values::{mirrors, seconds};
use args::Log;
use bosc_release::error::CommandError;

pub(crate) fn log(a: &Log) -> Result<bosc_release::log::Log, CommandError> {
    Ok(bosc_release::log::Log {
        link: a.link.clone(),
        max: a.max,
        mirrors: mirrors(&a.mirror)?,
        timeout_ms: seconds(a.timeout)?,
    })
}
