//! `bosc rotate`: flags, request, what people read.

pub(crate) mod args;
pub(crate) mod human;

use crate::values::seconds;
use args::Rotate;
use bosc_release::error::CommandError;
use bosc_release::request::Request;

/// The request of `bosc rotate`.
pub(crate) fn rotate(a: &Rotate) -> Result<Request, CommandError> {
    Ok(Request::Rotate(bosc_release::rotate::Rotate {
        sole_copy: a.sole_copy,
        old: a.old.clone(),
        new: a.new.clone(),
        check: a.check,
        target: a.target.clone(),
        dry_run: a.dry_run,
        copies: a.copies,
        timeout_ms: seconds(a.timeout)?,
        wait_ms: seconds(a.wait)?,
        cooldown_ms: seconds(if a.yes { 0.0 } else { a.cooldown })?,
    }))
}
