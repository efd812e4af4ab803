//! `bosc doctor`: flags, request, what people read.

pub(crate) mod args;
pub(crate) mod human;

use crate::values::{absolute, mirrors, seconds};
use args::Doctor;
use bosc_release::error::CommandError;
use bosc_release::install::UserPlaces;

pub(crate) fn doctor(a: &Doctor) -> Result<bosc_release::doctor::Doctor, CommandError> {
    let own = a.version.as_ref().map(|_| UserPlaces::here().host());
    Ok(bosc_release::doctor::Doctor {
        link: a.link.clone(),
        version: a.version.clone(),
        platform: a.platform.clone().or(own),
        app: a.app.as_deref().map(absolute).transpose()?,
        timeout_ms: seconds(a.timeout)?,
        mirrors: mirrors(&a.mirror)?,
        blind_peers: a.blind_peer.clone(),
    })
}
