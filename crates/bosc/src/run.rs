//! From arguments to an exit code.

use crate::args::{Cli, Command, Tools};
use crate::build::build;
use crate::changelog::{is_link, select};
use crate::dashboard::dashboard;
use crate::data::args::Data;
use crate::delta::delta;
use crate::doctor::doctor;
use crate::gc::gc;
use crate::global::Global;
use crate::human::Human;
use crate::install::install;
use crate::keys::args::Keys;
use crate::keys::keys;
use crate::lines::count;
use crate::on_store::{primary_key, with_store, with_store_reloading};
use crate::plain::{Tone, one_line};
use crate::printer::{Ended, Final, Printer, bytes};
use crate::store::store;
use crate::values::{absolute, mirrors, seconds};
use crate::versions::args::Versions;
use crate::versions::own_versions;
use crate::{generate, help, screen, signals};
use bosc_release::changelog::of_folder;
use bosc_release::command::Stop;
use bosc_release::error::{CommandError, ErrorKind};
use bosc_release::event::{Event, Output};
use bosc_release::request::Request;
use bosc_release::{changelog, cores, demo, dht, dump, info, stage, touch, versions};
use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// Runs the program.
pub(crate) fn main() -> ExitCode {
    crate::panics::hide_caught();
    let stop = Stop::new();
    let json_wanted = std::env::args_os().any(|a| a == "--json");
    if std::env::args_os().len() <= 1 {
        let printer = Printer::new("bosc", &without_flags(false), &stop);
        printer.help(help::start_page());
        printer.close();
        return lost(&printer).unwrap_or(ExitCode::SUCCESS);
    }
    let cli = match help::parse() {
        Ok(cli) => cli,
        Err(e) if json_wanted && e.use_stderr() => {
            let message = e.render().to_string();
            let error = CommandError::input(paragraph(&message)).hint(help::hint(&e));
            Printer::new("bosc", &without_flags(true), &stop).failure(&error);
            return ExitCode::from(ErrorKind::Input.exit_code());
        }
        Err(e) if e.use_stderr() => {
            let _ = e.print();
            return ExitCode::from(ErrorKind::Input.exit_code());
        }
        Err(e) => {
            let Err(e) = e.print() else { return ExitCode::SUCCESS };
            screen::lose(e);
            return lost(&Printer::new("bosc", &without_flags(false), &stop)).unwrap_or(ExitCode::SUCCESS);
        }
    };
    let reload = reload_of(&cli.command);
    signals::watch(&stop, reload.as_ref());
    let name = command_name(&cli.command);
    let printer = match &cli.command {
        Command::Watch(_) => Printer::never_waiting(name, &cli.global, &stop),
        _ => Printer::new(name, &cli.global, &stop),
    };
    let code = match run(&cli, &printer, &stop, &reload.unwrap_or_default()) {
        Ok(end) => {
            printer.success(end);
            ExitCode::SUCCESS
        }
        Err(e) => {
            printer.failure(&e);
            ExitCode::from(e.kind().exit_code())
        }
    };
    printer.close();
    lost(&printer).unwrap_or(code)
}

/// Says that not all of the output could be written. The exit code for that; nothing when all was.
fn lost(printer: &Printer) -> Option<ExitCode> {
    let hint = "check the file or device that stdout goes to, then run the command again";
    let e = screen::lost_output()?;
    let error = CommandError::unwritable("not all of the output could be written", e, hint);
    printer.failure_text(&error);
    printer.close();
    Some(ExitCode::from(error.kind().exit_code()))
}

/// The first paragraph of what clap says, on one line: which argument is missing comes after the first line.
fn paragraph(message: &str) -> String {
    let lines = message.lines().map(str::trim).take_while(|l| !l.is_empty());
    lines.collect::<Vec<_>>().join(" ").trim_start_matches("error: ").to_owned()
}

fn without_flags(json: bool) -> Global {
    Global {
        store: None,
        bootstrap: Vec::new(),
        relay: Vec::new(),
        lan: false,
        json,
        quiet: false,
        verbose: false,
        no_progress: true,
        color: crate::global::Color::Never,
    }
}

fn command_name(c: &Command) -> &'static str {
    match c {
        Command::Init(_) => "init",
        Command::Touch(_) => "touch",
        Command::Stage(_) => "stage",
        Command::Seed(_) => "seed",
        Command::Info(_) => "info",
        Command::Dump(_) => "dump",
        Command::Mirror(_) => "mirror",
        Command::Provision(_) => "provision",
        Command::Demo(_) => "demo",
        Command::Watch(_) => "watch",
        Command::Dht(_) => "dht",
        Command::Relay(_) => "relay",
        Command::BlindPeer(_) => "blind-peer",
        Command::Updater(_) => "updater",
        Command::Multisig(a) => crate::multisig::name(a),
        Command::Publish(_) => "publish",
        Command::Line(_) => "line",
        Command::Rotate(_) => "rotate",
        Command::Help(_) => "help",
        Command::Tools(t) => t.name(),
    }
}

/// Counts how often a command that reads a file again on SIGHUP was asked to; nothing for others, which SIGHUP ends.
fn reload_of(c: &Command) -> Option<Arc<AtomicU64>> {
    matches!(c, Command::Seed(a) if a.links.is_some()).then(Arc::default)
}

fn run(cli: &Cli, printer: &Printer, stop: &Stop, reload: &Arc<AtomicU64>) -> Ended {
    let g = &cli.global;
    let mut live = false;
    let mut raw = false;
    let request = match &cli.command {
        Command::Init(a) => return crate::init::init(a, g, printer, stop),
        Command::Touch(a) => Request::Touch(touch::Touch {
            vanity: a.vanity.clone(),
            sole_copy: a.sole_copy,
            ..touch::Touch::default()
        }),
        Command::Stage(a) => Request::Stage(stage::Stage {
            link: a.link.clone(),
            dir: absolute(&a.dir)?,
            dry_run: a.dry_run,
            ignore: a.ignore.clone(),
            only: a.only.clone(),
            purge: a.purge,
            truncate: a.truncate,
            newest: a.newest,
            sole_copy: a.sole_copy,
            skip_package: a.skip_package_json,
            no_deltas: a.no_deltas,
            no_packed: a.no_packed,
            allow: a.allow.clone(),
            allow_key: a.allow_key.clone(),
            ..stage::Stage::default()
        }),
        Command::Seed(a) => {
            live = !a.no_tty;
            let mut request = crate::seed::seed(a, live && printer.shows_progress())?;
            request.refresh = crate::seed::refresh_key(a, printer, stop)?;
            Request::Seed(request)
        }
        Command::Relay(a) => Request::Relay(crate::relay::relay(a)?),
        Command::BlindPeer(a) => Request::BlindPeer(crate::blind_peer::blind_peer(a)?),
        Command::Info(a) => Request::Info(info::Info {
            link: match &a.link {
                Some(link) => link.clone(),
                None => return crate::info::own(g, printer),
            },
            changelog: crate::info::changelog(a),
            metadata: a.metadata,
            manifest: a.manifest,
            multisig: a.multisig,
            key: a.key,
            timeout_ms: seconds(a.timeout)?,
            mirrors: mirrors(&a.mirror)?,
        }),
        Command::Dump(a) => {
            let to_stdout = a.dir.as_deref().is_none_or(|d| d == Path::new("-"));
            if a.dir.is_none() && !a.list && !g.json && std::io::stdout().is_terminal() {
                return Err(CommandError::input("no folder to write to was given").hint(
                    "name one, or see what the drive holds with `--list`; `-` writes contents to the terminal",
                ));
            }
            raw = to_stdout && !a.list;
            live = !to_stdout;
            Request::Dump(dump::Dump {
                link: a.link.clone(),
                dir: a.dir.as_deref().filter(|_| !to_stdout).map(absolute).transpose()?,
                dry_run: a.dry_run,
                checkout: a.checkout,
                only: a.only.clone(),
                force: a.force,
                list: a.list,
                prune: !a.no_prune,
                timeout_ms: seconds(a.timeout)?,
                mirrors: mirrors(&a.mirror)?,
            })
        }
        Command::Mirror(a) => {
            live = true;
            Request::Mirror(crate::mirror::mirror(a)?)
        }
        Command::Updater(a) => return crate::updater::run(a, printer, stop),
        Command::Multisig(a) => return crate::multisig::run(a, g, printer, stop),
        Command::Provision(a) => {
            live = true;
            crate::provision::request(a, seconds)?
        }
        Command::Demo(a) => {
            let dir = a.dir.as_deref().map(absolute).transpose()?;
            let mut human = Human::new(printer, false, false);
            let program = std::env::current_exe().ok();
            let mut sink = |event: Event| human.event(&event);
            return demo::run(dir.as_deref(), program.as_deref(), &mut sink, stop).map(Final::of);
        }
        Command::Watch(a) => return crate::watch::run(a, g, printer, stop).map(Final::of),
        Command::Publish(a) => {
            live = true;
            crate::publish::publish(a, primary_key()?.as_ref(), printer, stop)?
        }
        Command::Line(a) => crate::line::line(a)?,
        Command::Rotate(a) => crate::rotate::rotate(a)?,
        Command::Help(a) => return help::run(a, printer),
        Command::Tools(t) => return t.run(g, printer, stop),
        Command::Dht(a) => {
            let mut human = Human::new(printer, false, false);
            if a.local {
                return dht::run_local(a.port, &mut |event: Event| human.event(&event), stop)
                    .map(Final::from);
            }
            let config = dht::DhtConfig {
                host: a.host,
                port: a.port,
                public_host: a.public_host,
                bootstrap: g.bootstrap.clone(),
            };
            return dht::run(&config, &mut |event: Event| human.event(&event), stop).map(Final::from);
        }
    };
    let asked = matches!(&cli.command, Command::Seed(a) if a.stats.is_some());
    let mut human = Human::new(printer, live, raw).tables_drawn(live && printer.shows_progress() && !asked);
    let mut sink = |event: Event| human.event(&event);
    let outcome = with_store_reloading(g, &request, &mut sink, stop, printer, reload);
    human.finish();
    let output = outcome?;
    match (&request, &output) {
        (_, Output::Touch(touched)) => printer.data(&touched.link),
        (Request::Dump(r), Output::Dump(dumped)) if r.dir.is_some() && !r.list => {
            let (files, differed) = (dumped.count.files, dumped.count.differed());
            let verb = if r.dry_run { "would be written or removed" } else { "written or removed" };
            printer.say(Tone::Good, &format!("{} in the drive, {differed} {verb}", count(files, "file")));
        }
        (_, Output::Mirrored(done)) => crate::mirror::human::done(printer, done),
        (_, Output::Provision(done)) => crate::provision::done(printer, done),
        (Request::Publish(r), Output::Publish(done)) => {
            crate::publish::human::done(printer, r, done, human.seeded_here);
        }
        _ => {}
    }
    Ok(output.into())
}

/// What is said when all is done.
fn ending(request: &Request, output: &Output, p: &Printer) {
    match output {
        Output::Versions(of) => p.say(
            Tone::Plain,
            &format!("{} of {} versions; * where the SemVer changed", of.shown, of.versions),
        ),
        Output::Log(of) => crate::log::human::done(p, of),
        Output::Monitored(of) => crate::monitor::human::done(p, of),
        Output::Cores(of) => {
            let (cores, writable, size) = (count(of.count, "core"), of.writable, bytes(of.bytes));
            p.say(Tone::Plain, &format!("{cores}, {writable} writable, {size}"));
        }
        Output::Gc(of) => {
            let verb = if of.dry_run { "would go" } else { "gone" };
            // What the other kinds remove is counted in blocks; this one rewrites files.
            let store = matches!(request, Request::Gc(r) if r.what == bosc_release::gc::GcWhat::Store);
            let size = bytes(if store && !of.dry_run { of.disk_bytes } else { of.bytes });
            p.say(Tone::Good, &format!("{verb}: {}, {size}", count(of.blocks, "block")));
        }
        Output::DhtNodes(of) => {
            for node in &of.nodes {
                p.data_name(&format!("{}:{}", node.host, node.port));
            }
        }
        Output::Uninstalled(of) => p.say(Tone::Good, &format!("Removed {}", one_line(&of.app))),
        Output::Installed(of) => {
            for path in &of.paths {
                p.data_name(&path.display().to_string());
            }
            let verb = if of.exists { "is installed already" } else { "is installed" };
            let version = one_line(of.version.as_deref().unwrap_or_default());
            p.say(Tone::Good, &format!("{} {version} {verb}", one_line(&of.app)));
            p.say(Tone::Plain, &format!("To help others to it: bosc seed {}", of.link));
        }
        Output::Doctor(of) => {
            p.say(Tone::Good, &format!("{} ok, {} to look at, {} bad", of.ok, of.warn, of.bad));
        }
        Output::KeysExported(of) => {
            p.data_name(&of.file.display().to_string());
            p.say(Tone::Good, &format!("{}, encrypted", count(of.links, "key")));
            p.say(Tone::Warn, "Without the passphrase the file is worth nothing: keep both, apart");
        }
        Output::KeysImported(of) => {
            p.say(Tone::Good, &format!("{} of {} keys imported", of.imported, of.links));
            p.say(
                Tone::Plain,
                "Next: bosc stage <link> <dir>; it fetches the newest version from peers first",
            );
        }
        Output::StoreChecked(of) => {
            p.say(Tone::Good, &format!("{}, {}, all as stored", count(of.blocks, "block"), bytes(of.bytes)));
            if of.unnamed_bytes > 0 {
                p.say(
                    Tone::Warn,
                    &format!(
                        "{} in the folder `data` are of a newer state than the database, which was put back from a \
                         backup; they are kept",
                        bytes(of.unnamed_bytes)
                    ),
                );
            }
        }
        Output::StoreRepaired(of) if of.blocks == 0 => p.say(Tone::Good, "Nothing is damaged"),
        Output::StoreRepaired(of) => p.say(Tone::Good, &format!("{} repaired", count(of.blocks, "block"))),
        _ => {}
    }
}

impl Tools {
    /// Runs the command.
    pub(crate) fn run(&self, g: &Global, printer: &Printer, stop: &Stop) -> Ended {
        let request = match self {
            Self::Build(a) => return build(a, printer, stop),
            Self::Delta(a) => return delta(a, printer, stop),
            Self::Completions(a) => return generate::completions(a, printer),
            Self::Man(a) => return generate::man(a, printer),
            Self::Versions(Versions { link: None, .. }) => return own_versions(printer),
            Self::Changelog(a) if !is_link(&a.source) => {
                let mut human = Human::new(printer, false, false);
                let mut sink = |event: Event| human.event(&event);
                return of_folder(&absolute(Path::new(&a.source))?, &select(a), &mut sink).map(Final::of);
            }
            Self::Changelog(a) => Request::Changelog(changelog::Changelog {
                link: a.source.clone(),
                select: select(a),
                timeout_ms: seconds(a.timeout)?,
            }),
            Self::Versions(a) => Request::Versions(versions::Versions {
                link: a.link.clone().unwrap_or_default(),
                max: a.max,
                timeout_ms: seconds(a.timeout)?,
            }),
            Self::Log(a) => Request::Log(crate::log::log(a)?),
            Self::Monitor(a) if a.compare.is_some() => return crate::monitor::compare(a, printer),
            Self::Monitor(a) => Request::Monitor(crate::monitor::monitor(a)?),
            Self::Cores(a) => Request::Cores(cores::Cores { all: a.all_cores }),
            Self::Gc(a) => Request::Gc(gc(a)),
            Self::Data(Data::Multisig) => return crate::multisig::records(g, printer, stop),
            Self::Data(Data::Dht(a)) => Request::DataDht(dht::DataDht { timeout_ms: seconds(a.timeout)? }),
            Self::Install(a) => Request::Install(install(a)?),
            Self::Dashboard(a) => Request::Dashboard(dashboard(a)?),
            Self::Doctor(a) => Request::Doctor(doctor(a)?),
            Self::Policy(a) => return crate::policy::run(a, g, printer, stop),
            Self::Rollout(a) => return crate::operator::rollout(a, g, printer, stop),
            Self::Halt(a) => return crate::operator::halt(a, g, printer, stop),
            Self::Lift(a) => return crate::operator::lift(a, g, printer, stop),
            Self::Refresh(a) => return crate::operator::refresh(a, g, printer, stop),
            Self::Keys(Keys::Operator(a)) => return crate::keys::operator(a, printer, stop),
            Self::Keys(a) => keys(a, printer, stop)?,
            Self::Store(a) => store(a, g)?,
        };
        let live = matches!(request, Request::Install(_));
        let mut human = Human::new(printer, live, false);
        let mut sink = |event: Event| human.event(&event);
        let outcome = with_store(g, &request, &mut sink, stop, printer);
        human.finish();
        let output = outcome?;
        ending(&request, &output, printer);
        Ok(output.into())
    }
}
