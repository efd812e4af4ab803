//! From flags to requests, and what is said at the end.

use super::args::{Build, Changelog, Data, Doctor, Gc, Install, Keys, Tools, Versions};
use super::{generate, passphrase};
use crate::args::Global;
use crate::human::Human;
use crate::printer::{Printer, Tone, bytes};
use crate::run::{absolute, seconds, with_store};
use bosc_release::build::{self, Artifact};
use bosc_release::command::{Outcome, Request, Stop};
use bosc_release::error::CommandError;
use bosc_release::tools::changelog::{Select, of_folder};
use bosc_release::tools::install::Places;
use bosc_release::tools::{self, Tool};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

impl Tools {
    /// Runs the command.
    pub(crate) fn run(&self, g: &Global, printer: &Printer, stop: &Stop) -> Outcome {
        let tool = match self {
            Self::Build(a) => return build(a, printer, stop),
            Self::Completions(a) => return generate::completions(a, printer),
            Self::Man(a) => return generate::man(a, printer),
            Self::Versions(Versions { link: None, .. }) => return own_versions(printer),
            Self::Changelog(a) if !is_link(&a.source) => {
                let mut human = Human::new(printer, false, false);
                let mut sink = |tag: &str, data: Value| human.event(tag, &data);
                return of_folder(&absolute(Path::new(&a.source))?, &select(a), &mut sink);
            }
            Self::Changelog(a) => Tool::Changelog(tools::Changelog {
                link: a.source.clone(),
                select: select(a),
                timeout_ms: seconds(a.timeout)?,
            }),
            Self::Versions(a) => Tool::Versions(tools::Versions {
                link: a.link.clone().unwrap_or_default(),
                max: a.max,
                timeout_ms: seconds(a.timeout)?,
            }),
            Self::Cores(a) => Tool::Cores(tools::Cores { all: a.all_cores }),
            Self::Gc(a) => Tool::Gc(gc(a)),
            Self::Data(Data::Multisig) => return crate::multisig::records(g, printer, stop),
            Self::Data(Data::Dht(a)) => Tool::DataDht(tools::DataDht { timeout_ms: seconds(a.timeout)? }),
            Self::Install(a) => Tool::Install(install(a)?),
            Self::Doctor(a) => Tool::Doctor(doctor(a)?),
            Self::Keys(a) => keys(a)?,
        };
        let live = matches!(tool, Tool::Install(_));
        let mut human = Human::new(printer, live, false);
        let mut sink = |tag: &str, data: Value| human.event(tag, &data);
        let request = Request::Tool(tool);
        let outcome = with_store(g, &request, &mut sink, stop, printer);
        human.finish();
        let data = outcome?;
        if let Request::Tool(tool) = &request {
            ending(tool, &data, printer);
        }
        Ok(data)
    }
}

/// A link is what says so, or a bare key.
fn is_link(text: &str) -> bool {
    let text = text.trim().trim_matches(['"', '\'']);
    text.starts_with("pear:") || (bosc_format::id::decode(text).is_ok() && !Path::new(text).exists())
}

fn select(a: &Changelog) -> Select {
    Select { max: a.max, of: a.of.clone(), full: a.full }
}

fn build(a: &Build, printer: &Printer, stop: &Stop) -> Outcome {
    let cwd = std::env::current_dir().map_err(|e| {
        CommandError::input("this folder cannot be read").because(e).hint("change to another folder")
    })?;
    let artifacts = a.apps.named()?.into_iter().map(|(arch, path)| Artifact { arch, path }).collect();
    let request = build::Build {
        package: a.package.as_deref().map(absolute).transpose()?,
        target: a.target.as_deref().map(absolute).transpose()?,
        cwd,
        artifacts,
        force: a.force,
    };
    let mut human = Human::new(printer, false, false);
    let data = build::run(&request, &mut |tag: &str, data: Value| human.event(tag, &data), stop)?;
    let number = |k: &str| data.get(k).and_then(Value::as_u64).unwrap_or(0);
    let target = data.get("target").and_then(Value::as_str).unwrap_or_default();
    let (files, size) = (number("files"), bytes(number("bytes")));
    printer.say(Tone::Good, &format!("{files} files, {size}, in {target}"));
    printer.say(Tone::Plain, &format!("Next: bosc stage --dry-run <link> {target}"));
    Ok(data)
}

fn own_versions(printer: &Printer) -> Outcome {
    let data = json!({
        "bosc": env!("CARGO_PKG_VERSION"),
        "storeFormat": bosc_store::FORMAT_VERSION,
        "platform": Places::here().host(),
    });
    printer.data(&format!("bosc {}", env!("CARGO_PKG_VERSION")));
    printer.data(&format!("store format {}", bosc_store::FORMAT_VERSION));
    printer.data(&format!("platform {}", Places::here().host()));
    printer.json("versions", &data);
    Ok(data)
}

fn gc(a: &Gc) -> tools::Gc {
    let (what, link, dry_run, force) = match a {
        Gc::Cores(a) => (tools::GcWhat::Cores, Some(a.link.clone()), a.dry_run, a.force),
        Gc::Downloads(a) => (tools::GcWhat::Downloads, None, a.dry_run, false),
        Gc::StageIndex(a) => (tools::GcWhat::StageIndex, None, a.dry_run, false),
        Gc::Store(a) => (tools::GcWhat::Store, None, a.dry_run, false),
    };
    tools::Gc { what, link, dry_run, force }
}

fn install(a: &Install) -> Result<tools::Install, CommandError> {
    Ok(tools::Install {
        link: a.link.clone(),
        uninstall: a.uninstall,
        only: a.only.clone(),
        to: a.to.as_deref().map(absolute).transpose()?,
        places: Places::here(),
        timeout_ms: seconds(a.timeout)?,
    })
}

fn doctor(a: &Doctor) -> Result<tools::Doctor, CommandError> {
    let own = a.version.as_ref().map(|_| Places::here().host());
    Ok(tools::Doctor {
        link: a.link.clone(),
        version: a.version.clone(),
        platform: a.platform.clone().or(own),
        timeout_ms: seconds(a.timeout)?,
    })
}

fn keys(a: &Keys) -> Result<Tool, CommandError> {
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
            let passphrase = passphrase::get(&a.passphrase, true)?;
            let link = Some(a.link.clone());
            Tool::KeysExport(tools::KeysExport { link, file, force: a.force, passphrase })
        }
        Keys::Backup(a) => {
            let file = absolute(&a.file)?;
            refuse_early(&file, a.force)?;
            let passphrase = passphrase::get(&a.passphrase, true)?;
            Tool::KeysExport(tools::KeysExport { link: None, file, force: a.force, passphrase })
        }
        Keys::Import(a) => {
            let file = absolute(&a.file)?;
            if !file.is_file() {
                return Err(CommandError::input(format!("there is no file {}", file.display()))
                    .hint("give the file that `bosc keys export` or `bosc keys backup` wrote"));
            }
            let passphrase = passphrase::get(&a.passphrase, false)?;
            Tool::KeysImport(tools::KeysImport { file, passphrase })
        }
    })
}

/// What is said when all is done.
fn ending(tool: &Tool, data: &Value, p: &Printer) {
    let text = |k: &str| data.get(k).and_then(Value::as_str).unwrap_or_default();
    let number = |k: &str| data.get(k).and_then(Value::as_u64).unwrap_or(0);
    let list = |k: &str| data.get(k).and_then(Value::as_array).cloned().unwrap_or_default();
    match tool {
        Tool::Versions(_) => p.say(
            Tone::Plain,
            &format!("{} of {} versions; * where the SemVer changed", number("shown"), number("versions")),
        ),
        Tool::Cores(_) => p.say(
            Tone::Plain,
            &format!(
                "{} cores, {} writable, {}",
                number("count"),
                number("writable"),
                bytes(number("bytes"))
            ),
        ),
        Tool::Gc(r) => {
            let verb = if r.dry_run { "would go" } else { "gone" };
            // What the other kinds remove is counted in blocks; this one rewrites files.
            let disk = r.what == tools::GcWhat::Store && !r.dry_run;
            let size = bytes(number(if disk { "diskBytes" } else { "bytes" }));
            p.say(Tone::Good, &format!("{verb}: {} blocks, {size}", number("blocks")));
        }
        Tool::DataDht(_) => {
            for node in list("nodes") {
                let host = node.get("host").and_then(Value::as_str).unwrap_or_default();
                let port = node.get("port").and_then(Value::as_u64).unwrap_or(0);
                p.data(&format!("{host}:{port}"));
            }
        }
        Tool::Install(r) if r.uninstall => p.say(Tone::Good, &format!("Removed {}", text("app"))),
        Tool::Install(_) => {
            for path in list("paths") {
                p.data(path.as_str().unwrap_or_default());
            }
            let exists = data.get("exists").and_then(Value::as_bool).unwrap_or(false);
            let verb = if exists { "is installed already" } else { "is installed" };
            p.say(Tone::Good, &format!("{} {} {verb}", text("app"), text("version")));
            p.say(Tone::Plain, &format!("To help others to it: bosc seed {}", text("link")));
        }
        Tool::Doctor(_) => p.say(
            Tone::Good,
            &format!("{} ok, {} to look at, {} bad", number("ok"), number("warn"), number("bad")),
        ),
        Tool::KeysExport(_) => {
            p.data(text("file"));
            let keys = if number("links") == 1 { "key" } else { "keys" };
            p.say(Tone::Good, &format!("{} {keys}, encrypted", number("links")));
            p.say(Tone::Warn, "Without the passphrase the file is worth nothing: keep both, apart");
        }
        Tool::KeysImport(_) => {
            p.say(Tone::Good, &format!("{} of {} keys imported", number("imported"), number("links")));
            p.say(
                Tone::Plain,
                "Next: bosc stage <link> <dir>; it fetches the newest version from peers first",
            );
        }
        Tool::Changelog(_) => {}
    }
}
