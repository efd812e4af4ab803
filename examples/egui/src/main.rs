//! A desktop application that updates itself: a window with a banner.
//!
//!     bosc-egui <link> <data folder> [bootstrap host:port,...]
//!     bosc-egui <URL> <data folder> <public key>
//!
//! The updater has its own thread; a second one takes its events into a [`View`] and asks for a new frame. What takes
//! time (applying, saying that this build works) is waited for on further threads, so the window never stands still.
//! A restart is: apply, close the window, start the new build, and stay without a window until that works. Who says "Later" gets
//! the update when the window is closed.

#![cfg_attr(all(windows, not(debug_assertions)), windows_subsystem = "windows")]

mod banner;

use banner::{View, problem};
use bosc_updater::{PublicKey, Started, UpdateError, UpdateSource, Updater};
use eframe::egui;
use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Set `DEMO_VERSION` while building to make several versions of one source.
const VERSION: &str = match option_env!("DEMO_VERSION") {
    Some(version) => version,
    None => env!("CARGO_PKG_VERSION"),
};
/// This build works when it has drawn so many frames.
const HEALTHY_FRAMES: u32 = 3;

/// What the window and the other threads share.
struct Shared {
    updater: Updater,
    view: Mutex<View>,
    /// The update is in the application's place: close the window and start it.
    restart: AtomicBool,
}

impl Shared {
    fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something that takes time; what goes wrong is shown in the banner.
    fn aside(
        self: &Arc<Self>,
        ctx: &egui::Context,
        work: impl FnOnce(&Self) -> Result<(), UpdateError> + Send + 'static,
    ) {
        let (shared, ctx) = (Arc::clone(self), ctx.clone());
        std::thread::spawn(move || {
            if let Err(e) = work(&shared) {
                shared.view().problem = Some(problem(&e));
            }
            ctx.request_repaint();
        });
    }
}

struct Window {
    shared: Arc<Shared>,
    frames: u32,
}

impl eframe::App for Window {
    /// Also called while the window is hidden: a new build that starts minimised works, too.
    fn logic(&mut self, ctx: &egui::Context, _: &mut eframe::Frame) {
        if self.frames < HEALTHY_FRAMES {
            self.frames += 1;
            ctx.request_repaint();
            if self.frames == HEALTHY_FRAMES {
                self.shared.updater.mark_healthy();
            }
        }
        if self.shared.restart.load(Ordering::SeqCst) {
            ctx.send_viewport_cmd(egui::ViewportCommand::Close);
        }
    }

    fn ui(&mut self, ui: &mut egui::Ui, _: &mut eframe::Frame) {
        if let Some(update) = egui::Panel::top("banner").show(ui, |ui| self.shared.view().show(ui)).inner {
            self.shared.aside(ui.ctx(), move |shared| {
                let applied = update.apply().wait();
                shared.view().applying = false;
                shared.restart.store(applied.is_ok(), Ordering::SeqCst);
                applied.map(drop)
            });
        }
        // Here the real application begins.
        egui::CentralPanel::default().show(ui, |ui| {
            ui.heading("Demo");
            ui.label(format!("This is version {VERSION}."));
        });
    }
}

/// Runs until the window is closed and, after an update, until the new version works or was rolled back.
fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [upgrade, dir, rest @ ..] = args.as_slice() else {
        return Err("give a link and a data folder".into());
    };
    let name = format!("bosc-egui{}", std::env::consts::EXE_SUFFIX);
    let more = rest.iter().flat_map(|r| r.split(',')).map(str::to_owned);
    let source = if upgrade.starts_with("pear:") {
        UpdateSource::pear(upgrade).bootstrap(more)
    } else {
        UpdateSource::from_upgrade(upgrade, more.map(PublicKey::base64))
    };
    // Before anything that can fail: this counts the start of a new build. A real application keeps the default delay, an hour at
    // most, so that not everybody comes at once.
    let builder = Updater::builder(name, VERSION.parse()?, source).data_folder(dir).delay(Duration::ZERO);
    let updater = match builder.start() {
        Started::Running(updater) => updater,
        // This build was tried and rolled back; the one before it lies in its place.
        Started::RolledBack(failed) => return Ok(failed.restart()?),
    };
    let events = updater.events();

    let shared = Arc::new(Shared { updater, view: Mutex::default(), restart: AtomicBool::new(false) });
    let mine = Arc::clone(&shared);
    let viewport = egui::ViewportBuilder::default().with_inner_size([520.0, 340.0]);
    eframe::run_native(
        "Demo",
        eframe::NativeOptions { viewport, ..Default::default() },
        Box::new(move |cc| {
            let (shared, ctx) = (Arc::clone(&mine), cc.egui_ctx.clone());
            std::thread::spawn(move || {
                for event in events {
                    shared.view().take(event);
                    ctx.request_repaint();
                }
            });
            Ok(Box::new(Window { shared: mine, frames: 0 }))
        }),
    )?;

    if shared.restart.load(Ordering::SeqCst) {
        // The old build stays until the new one says that it works, and puts itself back if it does not.
        shared.updater.restart()?;
    } else if let Err(e) = shared.updater.quit() {
        // Closed by a person: that says nothing against a new build, and an update that waits is put in place.
        eprintln!("{e}");
    }
    Ok(())
}
