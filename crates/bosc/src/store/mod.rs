//! `bosc store`: flags, request, what people read.

pub(crate) mod args;
pub(crate) mod human;

use crate::global::Global;
use crate::on_store::no_store;
use crate::values::{seconds, store_dir};
use args::Store;
use bosc_release::error::CommandError;
use bosc_release::request::Request;

pub(crate) fn store(a: &Store, g: &Global) -> Result<Request, CommandError> {
    let dir = store_dir(g)?;
    if !bosc_store::is_store(&dir) {
        return Err(no_store(&dir));
    }
    Ok(match a {
        Store::Check(a) => Request::StoreCheck(bosc_release::store::StoreCheck { link: a.link.clone() }),
        Store::Repair(a) => Request::StoreRepair(bosc_release::store::StoreRepair {
            link: a.link.clone(),
            timeout_ms: seconds(a.timeout)?,
        }),
    })
}
