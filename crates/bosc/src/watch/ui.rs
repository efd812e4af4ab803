//! What `watch --ui` draws in place: the application, what it follows, how far an update is, and what can be typed.

use super::args::Watch;
use super::event::Said;
use crate::board::Board;
use crate::lines::count;
use crate::plain::one_line;
use crate::question::Unseen;
use std::time::Instant;

/// What is known.
pub(super) struct WatchUi {
    name: String,
    version: String,
    upgrade: String,
    state: String,
    /// Of the update that is fetched: peers, bytes that are here, of how many.
    fetching: Option<(usize, u64, Option<u64>)>,
    transfer: Option<String>,
    board: Board,
    began: Instant,
    /// What is typed would stand in the rows, and move them.
    typed: Option<Unseen>,
}

impl WatchUi {
    pub(super) fn new(a: &Watch) -> Self {
        Self {
            name: one_line(&a.name),
            version: one_line(&a.version),
            upgrade: one_line(&a.upgrade),
            state: "nothing newer is known".to_owned(),
            fetching: None,
            transfer: None,
            board: Board::default(),
            began: Instant::now(),
            typed: Unseen::start(),
        }
    }

    /// Keeps what is typed out of the rows.
    pub(super) fn unseen(&self) {
        if let Some(typed) = &self.typed {
            typed.again();
        }
    }

    /// Takes what is said.
    pub(super) fn take(&mut self, said: &Said) {
        let version = |v: &String| one_line(v);
        let state = match said {
            Said::Progress { bytes, total, peers, .. } => {
                self.fetching = Some((*peers, *bytes, *total));
                let now = self.began.elapsed();
                self.transfer = total.map(|total| self.board.transfer(now, *bytes, total));
                return;
            }
            Said::Available { version: v, .. } => format!("{} is there; type: download", version(v)),
            Said::Scheduled { version: v, delay } => {
                format!("{} is there, and is fetched in {delay:.0} s", version(v))
            }
            Said::Updating { version: v, .. } => format!("fetching {}", version(v)),
            Said::Updated { version: v, .. } => format!("{} is ready; type: apply", version(v)),
            Said::Applied { version: v, .. } => format!("{} is in place; the next start runs it", version(v)),
            Said::UpToDate { .. } => "nothing newer is there".to_owned(),
            Said::Skipped { version: v } => format!("{} is not wanted", version(v)),
            Said::RolledBack { version: v, restored, .. } => {
                format!("{} did not work; {} is back", version(v), version(restored))
            }
            Said::Error { version: Some(v), .. } => {
                format!("{} could not be fetched; it is tried again", version(v))
            }
            _ => return,
        };
        if !matches!(said, Said::Updating { .. }) {
            (self.fetching, self.transfer) = (None, None);
        }
        self.state = state;
    }

    /// The rows.
    pub(super) fn rows(&self) -> Vec<String> {
        let mut rows = vec![format!("{} {}: {}", self.name, self.version, self.state)];
        if let Some((peers, ..)) = self.fetching {
            rows.push(match &self.transfer {
                Some(progress) => format!("{progress}  {}", count(peers, "peer")),
                None => count(peers, "peer"),
            });
        }
        rows.push(format!("follows {}", self.upgrade));
        rows
    }
}
