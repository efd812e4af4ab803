//! From arguments to an exit code.

use crate::args::{Cli, Command, Global};
use crate::human::Human;
use crate::printer::{Printer, Tone};
use bosc_release::command::{self, Outcome, Request, Stop};
use bosc_release::engine::{Engine, EngineConfig};
use bosc_release::error::{CommandError, ErrorKind};
use bosc_release::{demo, dht, owner};
use clap::Parser;
use serde_json::Value;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a command waits for a store whose owner is starting or ending.
const OWNER_PATIENCE: Duration = Duration::from_secs(5);

/// Runs the program.
pub(crate) fn main() -> ExitCode {
    let json_wanted = std::env::args_os().any(|a| a == "--json");
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) if json_wanted && e.use_stderr() => {
            let message = e.render().to_string();
            let error = CommandError::input(paragraph(&message))
                .hint("run it with --help for what the command takes");
            Printer::new("bosc", &json_global()).failure(&error);
            return ExitCode::from(ErrorKind::Input.exit_code());
        }
        Err(e) => {
            let _ = e.print();
            return ExitCode::from(if e.use_stderr() { ErrorKind::Input.exit_code() } else { 0 });
        }
    };
    let stop = Stop::new();
    stop_on_signal(&stop);
    let name = command_name(&cli.command);
    let printer = Printer::new(name, &cli.global);
    match run(&cli, &printer, &stop) {
        Ok(mut data) => {
            if let Some(map) = data.as_object_mut() {
                map.insert("success".into(), Value::Bool(true));
            } else {
                data = serde_json::json!({ "success": true });
            }
            printer.json("final", &data);
            ExitCode::SUCCESS
        }
        Err(e) => {
            printer.failure(&e);
            ExitCode::from(e.kind().exit_code())
        }
    }
}

/// The first paragraph of what clap says, on one line: which argument is missing comes after the first line.
fn paragraph(message: &str) -> String {
    let lines = message.lines().map(str::trim).take_while(|l| !l.is_empty());
    lines.collect::<Vec<_>>().join(" ").trim_start_matches("error: ").to_owned()
}

fn json_global() -> Global {
    Global {
        store: None,
        bootstrap: Vec::new(),
        json: true,
        quiet: false,
        verbose: false,
        no_progress: true,
        color: crate::args::Color::Never,
    }
}

fn command_name(c: &Command) -> &'static str {
    match c {
        Command::Touch(_) => "touch",
        Command::Stage(_) => "stage",
        Command::Seed(_) => "seed",
        Command::Info(_) => "info",
        Command::Dump(_) => "dump",
        Command::Provision(_) => "provision",
        Command::Demo(_) => "demo",
        Command::Watch(_) => "watch",
        Command::Dht(_) => "dht",
        Command::Updater(_) => "updater",
        Command::Multisig(a) => crate::multisig::name(a),
        Command::Publish(_) => "publish",
        Command::Line(_) => "line",
        Command::Rotate(_) => "rotate",
        Command::Tools(t) => t.name(),
    }
}

/// Seconds of a flag as milliseconds.
pub(crate) fn seconds(s: f64) -> Result<u64, CommandError> {
    if s.is_finite() && (0.0..=86_400.0 * 365.0).contains(&s) {
        Ok((s * 1000.0) as u64)
    } else {
        Err(CommandError::input("a time is a number of seconds, from 0 to a year")
            .hint("give it as in `--timeout 30`; --timeout, --wait, --wait-peers and --cooldown take it"))
    }
}

fn run(cli: &Cli, printer: &Printer, stop: &Stop) -> Outcome {
    let g = &cli.global;
    let mut live = false;
    let mut raw = false;
    let request = match &cli.command {
        Command::Touch(a) => Request::Touch(command::Touch { vanity: a.vanity.clone() }),
        Command::Stage(a) => Request::Stage(command::Stage {
            link: a.link.clone(),
            dir: absolute(&a.dir)?,
            dry_run: a.dry_run,
            ignore: a.ignore.clone(),
            only: a.only.clone(),
            purge: a.purge,
            truncate: a.truncate,
            newest: a.newest,
        }),
        Command::Seed(a) => {
            live = !a.no_tty;
            Request::Seed(command::Seed {
                link: a.link.clone(),
                until_sync: a.until_sync.clone(),
                stats_interval_ms: a
                    .stats_interval
                    .unwrap_or(if live && printer.shows_progress() { 500 } else { 3000 })
                    .max(20),
                timeout_ms: a.timeout.map(seconds).transpose()?,
            })
        }
        Command::Info(a) => Request::Info(command::Info {
            link: a.link.clone(),
            metadata: a.metadata,
            manifest: a.manifest,
            multisig: a.multisig,
            key: a.key,
            timeout_ms: seconds(a.timeout)?,
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
            Request::Dump(command::Dump {
                link: a.link.clone(),
                dir: a.dir.as_deref().filter(|_| !to_stdout).map(absolute).transpose()?,
                dry_run: a.dry_run,
                checkout: a.checkout,
                only: a.only.clone(),
                force: a.force,
                list: a.list,
                prune: !a.no_prune,
                timeout_ms: seconds(a.timeout)?,
            })
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
            let mut sink = |tag: &str, data: Value| human.event(tag, &data);
            return demo::run(dir.as_deref(), program.as_deref(), &mut sink, stop);
        }
        Command::Watch(a) => return crate::watch::run(a, g, printer, stop),
        Command::Publish(a) => crate::release::publish(a, primary_key()?.as_ref(), stop)?,
        Command::Line(a) => crate::release::line(a)?,
        Command::Rotate(a) => crate::release::rotate(a)?,
        Command::Tools(t) => return t.run(g, printer, stop),
        Command::Dht(a) => {
            let mut human = Human::new(printer, false, false);
            let config = dht::DhtConfig {
                host: a.host,
                port: a.port,
                public_host: a.public_host,
                bootstrap: g.bootstrap.clone(),
            };
            return dht::run(
                &config,
                &mut |tag: &str, data: Value| {
                    if tag == "ready" && !printer.is_json() {
                        let at = |k: &str| data.get(k).map(ToString::to_string).unwrap_or_default();
                        printer.data(&format!("{}:{}", at("host").trim_matches('"'), at("port")));
                    }
                    human.event(tag, &data);
                },
                stop,
            );
        }
    };
    let mut human = Human::new(printer, live, raw);
    let mut sink = |tag: &str, data: Value| human.event(tag, &data);
    let outcome = with_store(g, &request, &mut sink, stop, printer);
    human.finish();
    let data = outcome?;
    match &request {
        Request::Touch(_) => printer.data(data.get("link").and_then(Value::as_str).unwrap_or_default()),
        Request::Dump(r) if r.dir.is_some() && !r.list => {
            let n = |k: &str| data.get("count").and_then(|c| c.get(k)).and_then(Value::as_u64).unwrap_or(0);
            let (files, differed) = (n("files"), n("add") + n("change") + n("remove"));
            let verb = if r.dry_run { "would be written or removed" } else { "written or removed" };
            printer.say(Tone::Good, &format!("{files} files in the drive, {differed} {verb}"));
        }
        Request::Provision(r) if !r.dry_run => crate::provision::done(printer, &data),
        _ => {}
    }
    Ok(data)
}

/// Runs a command in the process that owns the store: this one, or the one that has it open.
pub(crate) fn with_store(
    g: &Global,
    request: &Request,
    sink: &mut (dyn FnMut(&str, Value) + Send),
    stop: &Stop,
    printer: &Printer,
) -> Outcome {
    let dir = store_dir(g)?;
    let config =
        EngineConfig { store: dir.clone(), bootstrap: g.bootstrap.clone(), primary_key: primary_key()? };
    let mut sink = sink;
    let start = Instant::now();
    loop {
        let locked = match Engine::open(&config) {
            Ok(engine) => {
                let engine = Arc::new(engine);
                let executor: Arc<dyn owner::Executor> = Arc::clone(&engine) as _;
                let service = owner::OwnerService::start(&dir, executor);
                let outcome = engine.execute_request(request, &mut sink, stop);
                if let Ok(service) = service
                    && service.active() > 0
                    && !stop.is_stopped()
                {
                    printer.detail("waiting for commands that other processes handed over");
                    service.wait_idle(Duration::from_secs(3600));
                }
                engine.close();
                return outcome;
            }
            Err(e) if e.code() == "ERR_LOCKED" => e,
            Err(e) => return Err(e),
        };
        if let Some(data) = owner::hand_over(&dir, request, &mut sink, stop)? {
            return Ok(data);
        }
        if start.elapsed() > OWNER_PATIENCE || stop.is_stopped() {
            return Err(locked);
        }
        std::thread::sleep(Duration::from_millis(40));
    }
}

pub(crate) fn absolute(path: &Path) -> Result<PathBuf, CommandError> {
    std::path::absolute(path)
        .map_err(|e| CommandError::input(format!("not a path: {}", path.display())).because(e))
}

/// The store's folder: `--store`, or `bosc` in the platform's data folder.
fn store_dir(g: &Global) -> Result<PathBuf, CommandError> {
    if let Some(dir) = &g.store {
        return absolute(dir);
    }
    let var = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let base = if cfg!(windows) {
        var("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        var("HOME").map(|h| h.join("Library/Application Support"))
    } else {
        var("XDG_DATA_HOME").or_else(|| var("HOME").map(|h| h.join(".local/share")))
    };
    base.map(|b| b.join("bosc")).ok_or_else(|| {
        CommandError::input("no folder for the store is known")
            .hint("name one with `--store DIR` or BOSC_STORE")
    })
}

/// BOSC_PRIMARY_KEY (or BOSC_PRIMARY_KEY_FILE): the root secret for a new store, for machines that must make the same
/// links again.
fn primary_key() -> Result<Option<[u8; 32]>, CommandError> {
    let Some(text) = std::env::var_os("BOSC_PRIMARY_KEY").filter(|v| !v.is_empty()) else {
        return Ok(crate::release::encrypted_primary_key()?.map(|k| *k));
    };
    text.to_str()
        .filter(|t| t.len() == 64)
        .and_then(|t| bosc_format::id::decode(t).ok())
        .map(Some)
        .ok_or_else(|| {
            CommandError::input("BOSC_PRIMARY_KEY is not a key").hint("it takes 64 hex characters (32 bytes)")
        })
}

fn stop_on_signal(stop: &Stop) {
    let stop = stop.clone();
    let _ = std::thread::Builder::new().name("signals".into()).spawn(move || {
        let Ok(rt) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        rt.block_on(async {
            wait_signal().await;
            stop.stop();
            // The second one means it.
            wait_signal().await;
            std::process::exit(i32::from(ErrorKind::Interrupted.exit_code()));
        });
    });
}

#[cfg(unix)]
async fn wait_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut term) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = term.recv() => {}
    }
}

#[cfg(not(unix))]
async fn wait_signal() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
