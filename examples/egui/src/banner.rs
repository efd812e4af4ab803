//! The banner: what the updater told last, as a person reads it.

use bosc_updater::{Event, Progress, Update, UpdateError};
use eframe::egui::{Button, Color32, ProgressBar, RichText, ScrollArea, Ui};

/// What the banner shows.
#[derive(Default)]
pub(crate) struct View {
    /// Where the updates stand; empty while there is nothing to tell.
    line: String,
    /// The update that lies beside the application and may be applied.
    ready: Option<Update>,
    notes: Option<String>,
    progress: Option<Progress>,
    /// What did not work last, and what to do.
    pub(crate) problem: Option<String>,
    /// An apply runs.
    pub(crate) applying: bool,
    /// The person said "Later".
    later: bool,
}

impl View {
    /// Takes what the updater tells.
    pub(crate) fn take(&mut self, event: Event) {
        let (line, notes, ready) = match event {
            Event::Scheduled { version, .. } => (format!("Version {version} was found"), None, None),
            Event::Updating { version, notes, .. } => (format!("Updating to {version}"), notes, None),
            Event::Updated(update) => {
                let notes = update.notes().map(str::to_owned);
                (format!("Version {} is ready", update.version()), notes, Some(update))
            }
            Event::RolledBack { version, restored, reason, .. } => {
                let why = reason.as_str();
                (format!("Version {version} did not work ({why}): {restored} is back"), None, None)
            }
            Event::Progress(progress) => {
                self.problem = None;
                return self.progress = Some(progress);
            }
            Event::Error(e) => return self.problem = Some(problem(&e)),
            _ => return,
        };
        let progress = self.progress.take().filter(|_| ready.is_some());
        *self = Self { line, ready, notes, progress, ..Self::default() };
    }

    /// Draws it; the update that the person wants now.
    pub(crate) fn show(&mut self, ui: &mut Ui) -> Option<Update> {
        let mut restart = false;
        ui.add_space(6.0);
        if self.ready.is_some() && self.later {
            self.later = !ui.link(&self.line).clicked();
        } else if self.ready.is_some() {
            ui.heading(&self.line);
            self.bar(ui);
            let notes = self.notes.iter().flat_map(|notes| notes.lines());
            ScrollArea::vertical().max_height(120.0).auto_shrink([false, true]).show(ui, |ui| {
                notes.for_each(|line| drop(ui.label(line.replacen("- ", "• ", 1))));
            });
            ui.add_space(4.0);
            ui.horizontal(|ui| {
                let text = RichText::new("Restart now").color(Color32::WHITE);
                let button = Button::new(text).fill(Color32::from_rgb(0, 92, 175));
                restart = ui.add_enabled(!self.applying, button).clicked();
                self.later = ui.add_enabled(!self.applying, Button::new("Later")).clicked();
            });
        } else if !self.line.is_empty() {
            ui.label(&self.line);
            self.bar(ui);
        } else if self.problem.is_none() {
            ui.weak("Up to date");
        }
        if let Some(problem) = &self.problem {
            ui.colored_label(ui.visuals().error_fg_color, problem);
        }
        ui.add_space(6.0);
        self.applying |= restart;
        self.ready.clone().filter(|_| restart)
    }

    /// The bytes that are here, and who they come from.
    fn bar(&self, ui: &mut Ui) {
        let Some(p) = &self.progress else { return };
        let total = p.total.unwrap_or(p.bytes).max(1);
        let [bytes, all, received] = [p.bytes, total, p.received].map(|n| n as f64 / 1e6);
        let peers = if p.peers == 1 { "peer" } else { "peers" };
        let text = format!("{bytes:.1} of {all:.1} MB, {received:.1} MB received, {} {peers}", p.peers);
        ui.add(ProgressBar::new(p.bytes as f32 / total as f32).text(text));
    }
}

/// What happened and what to do next.
pub(crate) fn problem(e: &UpdateError) -> String {
    e.next_step().map_or_else(|| e.to_string(), |hint| format!("{e}: {hint}"))
}
