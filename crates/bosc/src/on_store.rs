//! Running a request on the store: here, or by the process that has it open.

use crate::global::Global;
use crate::printer::Printer;
use crate::values::store_dir;
use bosc_release::command::{Outcome, Stop};
use bosc_release::engine::{Engine, EngineConfig};
use bosc_release::error::{CommandError, ErrorKind};
use bosc_release::event::Sink;
use bosc_release::owner::caller::Caller;
use bosc_release::owner::{self, ask};
use bosc_release::request::Request;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

/// How long a command waits for a store whose owner is starting or ending.
const OWNER_PATIENCE: Duration = Duration::from_secs(5);

/// Runs a command in the process that owns the store: this one, or the one that has it open.
pub(crate) fn with_store(
    g: &Global,
    request: &Request,
    sink: &mut dyn Sink,
    stop: &Stop,
    printer: &Printer,
) -> Outcome {
    with_store_reloading(g, request, sink, stop, printer, &Arc::default())
}

/// The same, for a command that reads its files again when `reload` was counted up.
pub(crate) fn with_store_reloading(
    g: &Global,
    request: &Request,
    sink: &mut dyn Sink,
    stop: &Stop,
    printer: &Printer,
    reload: &Arc<AtomicU64>,
) -> Outcome {
    let dir = store_dir(g)?;
    before_making(&dir, request)?;
    let config = EngineConfig {
        store: dir.clone(),
        bootstrap: g.bootstrap.clone(),
        relay: g.relay.clone(),
        lan: g.lan,
        primary_key: primary_key()?,
        reload: Arc::clone(reload),
    };
    let caller = Caller::here(config.primary_key.as_ref());
    let start = Instant::now();
    loop {
        let locked = match Engine::open(&config) {
            Ok(engine) => {
                // Before a command that is handed over starts the node.
                engine.prepare(request)?;
                let engine = Arc::new(engine);
                let executor: Arc<dyn owner::Executor> = Arc::clone(&engine) as _;
                let service = owner::OwnerService::start(&dir, executor);
                let outcome = engine.execute_request(request, sink, stop);
                if let Ok(service) = service
                    && service.active() > 0
                    && !stop.is_stopped()
                {
                    printer.detail("waiting for commands that other processes handed over");
                    service.wait_idle(Duration::from_secs(3600), stop);
                }
                engine.close();
                return outcome;
            }
            Err(e) if e.code() == "ERR_LOCKED" => e,
            Err(e) => return Err(e),
        };
        if let Some(output) = ask::hand_over(&dir, request, &caller, sink, stop)? {
            return Ok(output);
        }
        if start.elapsed() > OWNER_PATIENCE || stop.is_stopped() {
            return Err(locked);
        }
        std::thread::sleep(Duration::from_millis(40));
    }
}

/// What may lie in a folder that becomes a store: what bosc puts beside the store's own files, and what systems and people
/// put into every folder.
const BESIDE: [&str; 20] = [
    // Links that lead nowhere, which the store names itself.
    "bosc.redb",
    "FORMAT",
    "SEQ",
    "LOCK",
    "OWNER",
    "MARK",
    "MARK.new",
    "data",
    "owner.json",
    bosc_release::dashboard::FILE_NAME,
    "stage-index",
    "operators",
    "installs",
    "dry-run-build",
    "SHARED",
    ".gitignore",
    ".DS_Store",
    "Thumbs.db",
    "desktop.ini",
    "lost+found",
];

/// Fails where no store is, for a command that only looks at one, and where one would be made among other things.
fn before_making(dir: &Path, request: &Request) -> Result<(), CommandError> {
    // Another process may be making it.
    if bosc_store::is_store(dir) || dir.join("LOCK").exists() {
        return Ok(());
    }
    if matches!(request, Request::Cores(_) | Request::Gc(_)) {
        return Err(no_store(dir));
    }
    let other = |name: &str| !BESIDE.contains(&name) && !name.starts_with("work-");
    let names = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let found = names.map(|item| item.file_name().to_string_lossy().into_owned()).find(|name| other(name));
    match found {
        None => Ok(()),
        Some(name) => Err(CommandError::new(
            ErrorKind::Input,
            "ERR_DIR_NONEMPTY",
            format!("{} is not a store and holds {name}, so no store is made in it", dir.display()),
        )
        .hint("name an empty folder, or one that does not exist yet, with `--store DIR`")),
    }
}

/// Looking does not make what is looked for.
pub(crate) fn no_store(dir: &Path) -> CommandError {
    CommandError::not_found(format!("there is no store in {}", dir.display()))
        .hint("name the store's folder with `--store DIR` or BOSC_STORE")
}

/// BOSC_PRIMARY_KEY (or BOSC_PRIMARY_KEY_FILE): the root secret for a new store, for machines that must make the same
/// links again.
pub(crate) fn primary_key() -> Result<Option<[u8; 32]>, CommandError> {
    let Some(text) = std::env::var_os("BOSC_PRIMARY_KEY").filter(|v| !v.is_empty()) else {
        return Ok(crate::keys::primary::encrypted_primary_key()?.map(|k| *k));
    };
    bosc_release::keys::guarded::not_dumpable();
    text.to_str()
        .filter(|t| t.len() == 64)
        .and_then(|t| bosc_format::id::decode(t).ok())
        .map(Some)
        .ok_or_else(|| {
            CommandError::input("BOSC_PRIMARY_KEY is not a key").hint("it takes 64 hex characters (32 bytes)")
        })
}
