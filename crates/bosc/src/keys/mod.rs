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
use bosc_release::keys::refuse_existing;
use bosc_release::output_file::OutputKind;
use bosc_release::request::Request;
use std::path::{Path, PathBuf};

pub(crate) fn keys(a: &Keys, printer: &Printer, stop: &Stop) -> Result<Request, CommandError> {
    // Before anyone is asked for a passphrase.
    let refuse_early =
        |file: &Path, force: bool, kind: OutputKind| refuse_existing(file, force, kind, primary::key_file());
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
            refuse_early(&file, a.force, OutputKind::LinkKey)?;
            let passphrase = passphrase::get(&a.passphrase, true, printer, stop)?;
            let link = Some(a.link.clone());
            Request::KeysExport(bosc_release::keys::KeysExport {
                link,
                file,
                force: a.force,
                shared: false,
                passphrase,
            })
        }
        Keys::Backup(a) => {
            let file = absolute(&a.file)?;
            refuse_early(&file, a.force, OutputKind::Backup)?;
            let passphrase = passphrase::get(&a.passphrase, true, printer, stop)?;
            Request::KeysExport(bosc_release::keys::KeysExport {
                link: None,
                file,
                force: a.force,
                shared: a.shared,
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
