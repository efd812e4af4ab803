//! Two monitors' files side by side: whether both saw one history, and one word of each operator.

use super::event::{Compared, MonitorEvent};
use super::file::{self, damaged};
use super::judge::Known;
use crate::command::Sink;
use crate::error::{CommandError, ErrorKind};
use bosc_format::id;
use bosc_format::link::PearLink;
use std::path::Path;

/// Compares two files. Needs no store and no network.
///
/// # Errors
/// `ERR_MONITOR` (7): they show two histories, or two statements under one counter, or one of them is damaged; `Input`: they are of two
/// links.
pub fn compare(first: &Path, second: &Path, sink: &mut dyn Sink) -> Result<Compared, CommandError> {
    let mut known: Option<Known> = None;
    let mut found = 0u64;
    let mut counts = Vec::new();
    let mut link = None;
    for path in [first, second] {
        let of = link_of(path)?;
        match link {
            Some(there) if there != of => {
                return Err(CommandError::input("the files are of two links")
                    .hint("compare files of one link: `bosc monitor LINK FILE` made each"));
            }
            _ => link = Some(of),
        }
        let known = known.get_or_insert_with(|| Known::new(of));
        let before = (known.heads, known.said);
        let all = file::read(path, open(path)?, |record| {
            let findings = known.take(&record).map_err(|why| damaged(path, why))?;
            for finding in findings.into_iter().filter(super::event::Finding::is_lasting) {
                found += 1;
                sink.tell(MonitorEvent::Finding(Box::new(finding)));
            }
            Ok(())
        })?;
        if all.torn > 0 {
            sink.tell(MonitorEvent::Torn { file: path.display().to_string(), bytes: all.torn });
        }
        counts.push((known.heads - before.0, known.said - before.1));
    }
    if found > 0 {
        return Err(split(found));
    }
    let at = |i: usize| counts.get(i).copied().unwrap_or_default();
    Ok(Compared {
        link: link.map(|key| PearLink::new(key).to_string()).unwrap_or_default(),
        key: link.map(|key| id::encode(&key)).unwrap_or_default(),
        heads: [at(0).0, at(1).0],
        statements: [at(0).1, at(1).1],
    })
}

fn split(found: u64) -> CommandError {
    let what = if found == 1 { "a contradiction".to_owned() } else { format!("{found} contradictions") };
    CommandError::new(ErrorKind::Integrity, "ERR_MONITOR", format!("the files show {what}"))
        .hint("somebody with the link's or an operator's key shows different things to different people: keep both files, and see docs/recovery.md")
}

fn open(path: &Path) -> Result<std::fs::File, CommandError> {
    bosc_files::open_plain(path).map_err(|e| {
        CommandError::not_found(format!("cannot read {}", path.display()))
            .because(e)
            .hint("name two files that `bosc monitor LINK FILE` made")
    })
}

/// Whose file it is.
fn link_of(path: &Path) -> Result<[u8; 32], CommandError> {
    let found = file::read(path, open(path)?, |_| Ok(()))?;
    found.link.ok_or_else(|| damaged(path, "there is nothing in it"))
}
