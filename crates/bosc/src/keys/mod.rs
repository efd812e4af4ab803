//! `bosc keys`: flags, passphrases, request, what people read.

pub(crate) mod args;
pub(crate) mod human;
mod passphrase;
pub(crate) mod primary;

use crate::printer::Printer;
use crate::values::absolute;
use args::Keys;
use bosc_release::command::Stop;
use bosc_release::error::CommandError;
use bosc_release::request::Request;
use std::path::{Path, PathBuf};

pub(crate) fn keys(a: &Keys, printer: &Printer, stop: &Stop) -> Result<Request, CommandError> {
    let refuse_early = |file: &Path, force: bool| {
        // Before anyone is asked for a passphrase.
        if !force && file.exists() {
            return Err(CommandError::new(
                bosc_release::error::ErrorKind::Input,
                "ERR_EXISTS",
                format!("{} exists", file.display()),
            )
            .hint("name another file, or replace it with --force"));
        }
        Ok(())
    };
    Ok(match a {
        Keys::Export(a) => {
            let file = match &a.out {
                Some(file) => file.clone(),
                None => {
                    let link = a.link.rsplit(['/', '.']).find(|p| p.len() >= 52).unwrap_or("link");
                    PathBuf::from(format!("{}.bosc-key", link.chars().take(12).collect::<String>()))
                }
            };
            let file = absolute(&file)?;
            refuse_early(&file, a.force)?;
            let passphrase = passphrase::get(&a.passphrase, true, printer, stop)?;
            let link = Some(a.link.clone());
            Request::KeysExport(bosc_release::keys::KeysExport { link, file, force: a.force, passphrase })
        }
        Keys::Backup(a) => {
            let file = absolute(&a.file)?;
            refuse_early(&file, a.force)?;
            let passphrase = passphrase::get(&a.passphrase, true, printer, stop)?;
            Request::KeysExport(bosc_release::keys::KeysExport {
                link: None,
                file,
                force: a.force,
                passphrase,
            })
        }
        Keys::Import(a) => {
            let file = absolute(&a.file)?;
            // Said before a passphrase is typed.
            bosc_files::open_plain(&file).map_err(|e| {
                CommandError::input(format!("cannot read {}", file.display()))
                    .because(e)
                    .hint("give the file that `bosc keys export` or `bosc keys backup` wrote")
            })?;
            let passphrase = passphrase::get(&a.passphrase, false, printer, stop)?;
            Request::KeysImport(bosc_release::keys::KeysImport { file, passphrase })
        }
    })
}
