//! `bosc keys`: flags, passphrases, request, what people read.
//!
//! # Files
//!
//! - `args`: flags. `passphrase`: where one comes from (a descriptor, the environment, a prompt), its longest. `primary`: the primary
//!   key in an encrypted file. `human`: lines for people.

pub(crate) mod args;
pub(crate) mod human;
mod passphrase;
pub(crate) mod primary;

use crate::multisig::signing_key;
use crate::plain::Tone;
use crate::printer::{Ended, Printer};
use crate::question::Origin;
use crate::values::absolute;
use args::{Keys, KeysOperator};
use bosc_release::command::Stop;
use bosc_release::error::CommandError;
use bosc_release::keys::keyring::Keyring;
use bosc_release::keys::refuse_existing;
use bosc_release::output_file::OutputKind;
use bosc_release::request::Request;
use std::path::{Path, PathBuf};

/// `bosc keys operator`: a signing key like those of a quorum, kept where they are.
pub(crate) fn operator(a: &KeysOperator, printer: &Printer, stop: &Stop) -> Ended {
    let ring = Keyring::open(a.keys.as_deref())?;
    let origin = Origin::present(a.passphrase.passphrase_fd);
    let end = signing_key(&ring, &a.name, false, origin, printer, stop)?;
    printer.say(
        Tone::Plain,
        &format!(
            "Next: bosc policy set FOLDER --operator {0}, for one link only. Back it up: bosc multisig keys export {0}",
            a.name
        ),
    );
    Ok(end)
}

/// Where keys are written: a file, which only its owner can read.
fn key_file(file: &Path) -> Result<PathBuf, CommandError> {
    if file == Path::new("-") {
        return Err(CommandError::input("keys are written to a file, not to standard output")
            .hint("name a file, such as `my.bosc-key`; one that is called - is `./-`"));
    }
    absolute(file)
}

pub(crate) fn keys(a: &Keys, printer: &Printer, stop: &Stop) -> Result<Request, CommandError> {
    // Before anyone is asked for a passphrase.
    let refuse_early =
        |file: &Path, force: bool, kind: OutputKind| refuse_existing(file, force, kind, primary::key_file());
    Ok(match a {
        // It needs no store: see `operator`.
        Keys::Operator(_) => return Err(crate::multisig::unexpected()),
        Keys::Export(a) => {
            let file = match &a.out {
                Some(file) => file.clone(),
                None => {
                    let link = a.link.rsplit(['/', '.']).find(|p| p.len() >= 52).unwrap_or("link");
                    PathBuf::from(format!("{}.bosc-key", link.chars().take(12).collect::<String>()))
                }
            };
            let file = key_file(&file)?;
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
            let file = key_file(&a.file)?;
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
