//! `bosc install`: flags, request, what people read.

pub(crate) mod args;
pub(crate) mod human;

use crate::values::{absolute, mirrors, seconds};
use args::Install;
use bosc_release::error::CommandError;
use bosc_release::install::UserPlaces;

pub(crate) fn install(a: &Install) -> Result<bosc_release::install::Install, CommandError> {
    Ok(bosc_release::install::Install {
        link: a.link.clone(),
        uninstall: a.uninstall,
        only: a.only.clone(),
        to: a.to.as_deref().map(absolute).transpose()?,
        places: UserPlaces::here(),
        timeout_ms: seconds(a.timeout)?,
        mirrors: mirrors(&a.mirror)?,
    })
}
