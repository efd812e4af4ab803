//! `bosc mirror`: flags, request, what people read.

pub(crate) mod args;
pub(crate) mod human;

use crate::values::{mirrors, place, seconds};
use args::Mirror;
use bosc_release::error::CommandError;

pub(crate) fn mirror(a: &Mirror) -> Result<bosc_release::mirror::Mirror, CommandError> {
    let request = bosc_release::mirror::Mirror {
        link: a.link.clone(),
        target: place(&a.target)?,
        newest: a.newest,
        only: a.only.clone(),
        check: a.check,
        grace_ms: seconds(a.keep)?,
        mirrors: mirrors(&a.mirror)?,
        timeout_ms: seconds(a.timeout)?,
    };
    request.check_target()?;
    Ok(request)
}
