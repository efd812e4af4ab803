//! Brings one artifact to disk, in as many answers as it takes.
//!
//! The name of the part is the digest it must have, so bytes that came from anywhere may be continued: if they do not fit
//! together the digest says so, and it starts from zero once. `If-Range` spares that where the server has an ETag.

use super::agent::{Fault, Http, Reply, cancelled};
use super::least::Least;
use super::options::HttpOptions;
use super::pace::Pace;
use super::staging::{Files, disk, is_file};
use crate::error::{ErrorKind, UpdateError};
use crate::files;
use crate::manifest::Asset;
use crate::manifest::url::UrlKind;
use crate::manifest::verify::{digest_file, hex};
use crate::source::{OnProgress, Progress};
use bosc_files::Durability;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::time::Instant;

/// Bytes that are read and written at a time.
const BLOCK: usize = 64 * 1024;
/// Room asked for at a time for an artifact whose length nobody signed, in bytes.
const ROOM_STEP: u64 = 16 << 20;
/// Bytes more than ever before that make a broken answer count as no failure.
const PROGRESS: u64 = 64 * 1024;
/// Bytes of the file beside a part that are read.
const MAX_META: u64 = 64 * 1024;
/// How often the bytes of an artifact may come over the network in one fetch, with [`SLACK`] more: an honest server sends them
/// once, or twice when the file changed in between.
const TIMES: u64 = 3;
/// See [`TIMES`].
const SLACK: u64 = 1 << 20;

/// What is known of the server's copy that the part comes from.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Meta {
    url: String,
    etag: Option<String>,
}

/// How one answer ended.
enum Step {
    /// The part has every byte there is.
    Whole,
    /// The answer came to its end after so many bytes, and that is not all.
    Short(u64),
    /// The part cannot be continued.
    StartOver,
}

/// One artifact on its way.
pub(super) struct Download<'a, 'b> {
    http: Http<'a>,
    options: &'a HttpOptions,
    asset: &'a Asset,
    files: &'a Files,
    on_progress: &'a mut OnProgress<'b>,
    /// Bytes over the network so far.
    received: u64,
    /// Bytes that came for the artifact before.
    before: u64,
    /// How often its bytes may come, and how many more. See [`TIMES`].
    times: (u64, u64),
    /// Most bytes that the part ever had in this fetch.
    most: u64,
    pace: Pace,
    least: Least,
    /// Answers that were given up because they brought too little.
    slow: u32,
}

impl<'a, 'b> Download<'a, 'b> {
    pub(super) fn new(
        http: Http<'a>,
        options: &'a HttpOptions,
        asset: &'a Asset,
        files: &'a Files,
        on_progress: &'a mut OnProgress<'b>,
    ) -> Self {
        let pace = Pace::new(options.max_rate);
        let least = Least::new(options.slow_after, options.max_rate, Instant::now());
        let times = (TIMES, SLACK);
        Self {
            http,
            options,
            asset,
            files,
            on_progress,
            received: 0,
            before: 0,
            times,
            most: 0,
            pace,
            least,
            slow: 0,
        }
    }

    /// So many bytes came for the artifact already.
    pub(super) fn after(self, before: u64) -> Self {
        Self { before, ..self }
    }

    /// Its bytes may come over the network once.
    #[cfg(feature = "deltas")]
    pub(super) fn once(self) -> Self {
        Self { times: (1, BLOCK as u64), ..self }
    }

    /// Most bytes the artifact may have.
    fn bound(&self) -> u64 {
        self.asset.size.unwrap_or(u64::MAX).min(self.options.max_artifact)
    }

    /// Most bytes that are taken over the network in this fetch.
    fn most_received(&self) -> u64 {
        let (times, slack) = self.times;
        self.asset.size.unwrap_or(self.most).saturating_mul(times).saturating_add(slack)
    }

    fn tell(&mut self, bytes: u64) -> Result<(), UpdateError> {
        let received = self.before.saturating_add(self.received);
        let progress = Progress { bytes, total: self.asset.size, received, peers: 1 };
        if (self.on_progress)(progress) { Ok(()) } else { Err(cancelled()) }
    }

    /// Makes [`Files::build`]: the whole artifact with the digest it must have. Bytes received for it.
    pub(super) fn run(&mut self) -> Result<u64, UpdateError> {
        let build = self.files.build();
        if is_file(&build) {
            // Left by a call that was interrupted after it, or whose result was not used.
            if matches!(digest_file(&build), Ok((d, n)) if d == self.asset.sha256 && n <= self.bound()) {
                self.tell(self.asset.size.unwrap_or_default())?;
                return Ok(0);
            }
            std::fs::remove_file(&build).map_err(|e| disk(&build, e))?;
        }
        let mut file = self.open()?;
        let mut resumed = file.metadata().map_err(|e| disk(&self.files.part(), e))?.len() > 0;
        loop {
            let answers = self.bring(&mut file)?;
            resumed |= answers > 1;
            file.sync_all().map_err(|e| disk(&self.files.part(), e))?;
            let (digest, _) = digest_file(&self.files.part()).map_err(|e| disk(&self.files.part(), e))?;
            if digest == self.asset.sha256 {
                break;
            }
            self.empty(&mut file)?;
            if !resumed {
                drop(file);
                let _ = std::fs::remove_file(self.files.part());
                let _ = std::fs::remove_file(self.files.meta());
                return Err(UpdateError::new(
                    ErrorKind::Integrity,
                    format!(
                        "updater: SHA-256 mismatch — expected {}, got {}",
                        hex(&self.asset.sha256),
                        hex(&digest)
                    ),
                )
                .hint(
                    "nothing was installed; try again later: the server's file is not the one that was signed",
                ));
            }
            resumed = false;
        }
        drop(file);
        let (part, build) = (self.files.part(), self.files.build());
        let name = build.file_name().unwrap_or_default();
        bosc_files::rename_beside(&part, name, Durability::Disk).map_err(|e| disk(&part, e))?;
        let _ = std::fs::remove_file(self.files.meta());
        Ok(self.received)
    }

    fn open(&self) -> Result<File, UpdateError> {
        let path = self.files.part();
        // A link or folder in its place is not ours to write through.
        if std::fs::symlink_metadata(&path).is_ok() && !is_file(&path) {
            return Err(UpdateError::new(
                ErrorKind::Disk,
                format!("{} is not a regular file", path.display()),
            )
            .hint("remove it and try again"));
        }
        bosc_files::open_private(&path).map_err(|e| disk(&path, e))
    }

    fn empty(&self, file: &mut File) -> Result<(), UpdateError> {
        file.set_len(0).and_then(|()| file.rewind()).map_err(|e| disk(&self.files.part(), e))
    }

    /// Asks until the part has all bytes. How many answers gave bytes.
    fn bring(&mut self, file: &mut File) -> Result<u32, UpdateError> {
        let (mut failed, mut answers, mut mark) = (0_u32, 0_u32, self.most);
        loop {
            let have = file.seek(SeekFrom::End(0)).map_err(|e| disk(&self.files.part(), e))?;
            if have > self.bound() {
                self.empty(file)?;
                continue;
            }
            self.tell(have)?;
            self.most = self.most.max(have);
            if self.asset.size == Some(have) {
                return Ok(answers);
            }
            if let (Some(room), Some(size)) = (&self.options.room, self.asset.size) {
                room(size - have)?;
            }
            let before = self.received;
            let step = self.ask(file, have);
            answers += u32::from(self.received > before);
            let step = match step {
                Ok(Step::Short(end)) => Err(self.short(end)),
                Ok(Step::Whole) => Ok(true),
                Ok(Step::StartOver) => Ok(false),
                Err(fault) => Err(fault),
            };
            match step {
                Ok(true) => return Ok(answers),
                Ok(false) => {
                    self.empty(file)?;
                    failed += 1;
                    if failed >= self.options.tries {
                        return Err(UpdateError::new(
                            ErrorKind::Network,
                            "updater: the server does not resume the download",
                        )
                        .hint("try again later"));
                    }
                }
                Err(Fault::Final(e)) => return Err(e),
                Err(Fault::Again(e, after)) => {
                    // What was here before and came again is no progress.
                    if self.most.saturating_sub(mark) >= PROGRESS {
                        mark = self.most;
                        failed = 0;
                    }
                    failed += 1;
                    // However much a slow server brings over time: the next check goes on with it.
                    if failed.max(self.slow) >= self.options.tries {
                        return Err(e);
                    }
                    let received = self.before.saturating_add(self.received);
                    let progress = Progress { bytes: have, total: self.asset.size, received, peers: 0 };
                    let on_progress = &mut *self.on_progress;
                    self.http.wait(failed, after, &mut || on_progress(progress))?;
                }
            }
        }
    }

    fn short(&self, end: u64) -> Fault {
        let of = self.asset.size.map(|size| format!(" of {size}")).unwrap_or_default();
        let e = UpdateError::new(
            ErrorKind::Network,
            format!("updater: the server closed the connection after {end}{of} bytes"),
        );
        Fault::Again(e.hint("try again; what was received is kept"), None)
    }

    /// One request for what is missing.
    fn ask(&mut self, file: &mut File, have: u64) -> Result<Step, Fault> {
        let meta = self.load_meta();
        let range = format!("bytes={have}-");
        let mut headers = vec![("accept", "*/*")];
        if have > 0 {
            headers.push(("range", range.as_str()));
            if let Some(etag) = meta.etag.as_deref() {
                headers.push(("if-range", etag));
            }
        }
        let reply = self.http.get(UrlKind::Asset, &self.asset.url, &headers)?;
        self.least.begin(Instant::now());
        match reply.status {
            200 => {
                // Before anything is given up for it: the page of a network that wants a sign-in says 200 as well.
                self.check_length(reply.length(), 0)?;
                self.check_page(&reply)?;
                if have > 0 { self.begin_anew(file, reply, have) } else { self.begin(file, reply) }
            }
            206 if have > 0 => match content_range(reply.header("content-range")) {
                Some((start, end, total))
                    if start == have
                        && end >= start
                        && total.is_none_or(|t| t == end + 1)
                        && self.asset.size.is_none_or(|s| s == end + 1) =>
                {
                    self.check_length(reply.length(), have)?;
                    self.pour(file, &mut reply.body.into_reader(), have)
                }
                // Other bytes than were asked for are not looked at.
                _ => Ok(Step::StartOver),
            },
            // The part is as long as, or longer than, what the server has.
            416 if have > 0 && self.asset.size.is_none() => Ok(Step::Whole),
            416 if have > 0 => Ok(Step::StartOver),
            _ => Err(Http::status_fault(UrlKind::Asset, &reply)),
        }
    }

    /// Refuses an answer whose length cannot be right before reading it.
    fn check_length(&self, length: Option<u64>, have: u64) -> Result<(), UpdateError> {
        let Some(length) = length else { return Ok(()) };
        let whole = have.saturating_add(length);
        if self.asset.size.is_some_and(|s| s != whole) || whole > self.bound() {
            return Err(too_long(format!(
                "updater: the server offers {whole} bytes instead of the promised {}",
                self.asset.size.unwrap_or(self.bound())
            )));
        }
        Ok(())
    }

    /// A page for people instead of a file whose length is known.
    fn check_page(&self, reply: &Reply) -> Result<(), Fault> {
        let is_page = reply
            .header("content-type")
            .is_some_and(|t| t.trim().to_ascii_lowercase().starts_with("text/html"));
        if is_page && self.asset.size.is_some() && reply.length().is_none() {
            return Err(Fault::Again(
                UpdateError::new(
                    ErrorKind::Network,
                    "updater: the server answered with a web page instead of the artifact",
                )
                .hint(
                    "sign in to the network if it asks for that, then try again; what was received is kept",
                ),
                None,
            ));
        }
        Ok(())
    }

    /// A whole answer, and nothing here yet.
    fn begin(&mut self, file: &mut File, reply: Reply) -> Result<Step, Fault> {
        self.empty(file)?;
        self.save_meta(etag(&reply))?;
        let said_all = reply.says_its_end();
        let step = self.pour(file, &mut reply.body.into_reader(), 0)?;
        if said_all && matches!(step, Step::Short(_)) {
            // It was all there is, and something else: nothing can be appended to it.
            self.empty(file)?;
        }
        Ok(step)
    }

    /// A whole answer where the rest was asked for. What is here stays until the answer turns out to be the better one: as long as
    /// both say the same there is nothing to write; where they part, the answer goes into a file beside.
    fn begin_anew(&mut self, file: &mut File, reply: Reply, have: u64) -> Result<Step, Fault> {
        let part = self.files.part();
        let etag = etag(&reply);
        let mut body = reply.body.into_reader();
        let (mut came, mut here) = (vec![0; BLOCK], vec![0; BLOCK]);
        file.rewind().map_err(|e| disk(&part, e))?;
        let mut at = 0_u64;
        while at < have {
            let most = usize::try_from(have - at).unwrap_or(BLOCK).min(BLOCK);
            let n = self.take(&mut body, came.get_mut(..most).unwrap_or_default())?;
            if n == 0 && at > 0 && self.asset.size.is_none() {
                // All there is, for all that is known: the digest says whether the rest was too much.
                file.set_len(at).map_err(|e| disk(&part, e))?;
                return Ok(Step::Whole);
            }
            if n == 0 {
                return Ok(Step::Short(at));
            }
            let known = here.get_mut(..n).unwrap_or_default();
            file.read_exact(known).map_err(|e| disk(&part, e))?;
            let new = came.get(..n).unwrap_or_default();
            if new != known {
                return self.pour_beside(file, &mut body, (at, new), etag, have);
            }
            at += n as u64;
            self.tell(have)?;
        }
        self.save_meta(etag)?;
        self.pour(file, &mut body, have)
    }

    /// Goes on with a file of its own, which begins with `at` bytes of the part and with `next`. It takes the part's place when it is
    /// whole, or when it was cut off and is the longer one.
    fn pour_beside(
        &mut self,
        file: &mut File,
        body: &mut impl Read,
        (at, next): (u64, &[u8]),
        etag: Option<String>,
        have: u64,
    ) -> Result<Step, Fault> {
        let (part, path) = (self.files.part(), self.files.another());
        if let (Some(room), Some(size)) = (&self.options.room, self.asset.size)
            && room(size).is_err()
        {
            // No room for both.
            file.set_len(at).and_then(|()| file.seek(SeekFrom::End(0))).map_err(|e| disk(&part, e))?;
            file.write_all(next).map_err(|e| disk(&part, e))?;
            self.save_meta(etag)?;
            return self.pour(file, body, at + next.len() as u64);
        }
        let _ = std::fs::remove_file(&path);
        let mut other = bosc_files::open_private(&path).map_err(|e| disk(&path, e))?;
        // Whatever is there in spite of the removal.
        other.set_len(0).map_err(|e| disk(&path, e))?;
        file.rewind().map_err(|e| disk(&part, e))?;
        io::copy(&mut Read::by_ref(file).take(at), &mut other).map_err(|e| disk(&path, e))?;
        other.write_all(next).map_err(|e| disk(&path, e))?;
        let step = self.pour(&mut other, body, at + next.len() as u64);
        let length = other.metadata().map_err(|e| disk(&path, e))?.len();
        let better = match &step {
            Ok(Step::Whole) => matches!(digest_file(&path), Ok((digest, _)) if digest == self.asset.sha256),
            Err(Fault::Again(..)) => length > have,
            _ => false,
        };
        if !better {
            drop(other);
            let _ = std::fs::remove_file(&path);
            return match step {
                Ok(Step::Whole) => Err(Fault::Final(
                    UpdateError::new(
                        ErrorKind::Integrity,
                        "updater: the server sent another file instead of the artifact",
                    )
                    .hint("nothing was installed; try again later: what was received before is kept"),
                )),
                other => other,
            };
        }
        // Closes the part: Windows replaces no open file.
        *file = other;
        let name = part.file_name().unwrap_or_default();
        bosc_files::rename_beside(&path, name, Durability::Whole).map_err(|e| disk(&part, e))?;
        self.save_meta(etag)?;
        step
    }

    /// Reads what comes next, counts it, and keeps to the pace. 0 at the end.
    fn take(&mut self, body: &mut impl Read, block: &mut [u8]) -> Result<usize, Fault> {
        let most = self.pace.block(block.len());
        let n = loop {
            match body.read(block.get_mut(..most).unwrap_or_default()) {
                Ok(n) => break n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(self.http.fault(&self.asset.url, ureq::Error::from(e))),
            }
        };
        self.received += n as u64;
        if self.received > self.most_received() {
            return Err(Fault::Final(
                UpdateError::new(
                    ErrorKind::Network,
                    format!(
                        "updater: the server sent {} bytes without completing the artifact",
                        self.received
                    ),
                )
                .hint("try again later; the server keeps starting over"),
            ));
        }
        if n > 0
            && let Some(bytes) = self.least.count(n as u64, Instant::now())
        {
            self.slow += 1;
            let message =
                format!("updater: the server sent {bytes} bytes in {} s", self.options.slow_after.as_secs());
            let e = UpdateError::new(ErrorKind::Network, message);
            return Err(Fault::Again(e.hint("try again later; what was received is kept"), None));
        }
        self.pace.count(n as u64);
        while let Some(wait) = self.pace.wait() {
            std::thread::sleep(wait);
            self.tell(self.most)?;
        }
        Ok(n)
    }

    /// Writes the body behind what is there.
    fn pour(&mut self, file: &mut File, body: &mut impl Read, start: u64) -> Result<Step, Fault> {
        file.seek(SeekFrom::Start(start)).map_err(|e| disk(&self.files.part(), e))?;
        let mut block = vec![0; BLOCK];
        let mut have = start;
        let mut room_until = start;
        loop {
            // Before they are counted: what may come depends on it.
            self.most = self.most.max(have);
            let n = self.take(body, &mut block)?;
            if n == 0 {
                break;
            }
            have += n as u64;
            if have > self.bound() {
                self.empty(file)?;
                return Err(Fault::Final(too_long(format!(
                    "updater: the server sends more than the promised {} bytes",
                    self.bound()
                ))));
            }
            if let (None, Some(room)) = (self.asset.size, &self.options.room)
                && have > room_until
            {
                // Nobody signed how long it is: it may grow only while there is room for more.
                if let Err(e) = room(ROOM_STEP) {
                    self.empty(file)?;
                    return Err(Fault::Final(e));
                }
                room_until = have.saturating_add(ROOM_STEP);
            }
            file.write_all(block.get(..n).unwrap_or_default()).map_err(|e| disk(&self.files.part(), e))?;
            self.most = self.most.max(have);
            self.tell(have)?;
        }
        match self.asset.size {
            Some(size) if have < size => Ok(Step::Short(have)),
            _ => Ok(Step::Whole),
        }
    }

    fn load_meta(&self) -> Meta {
        let url = self.asset.url.whole();
        let text = files::read_text(&self.files.meta(), MAX_META).ok().flatten().unwrap_or_default();
        match serde_json::from_str::<Meta>(&text) {
            Ok(meta) if meta.url == url => meta,
            _ => Meta { url, etag: None },
        }
    }

    fn save_meta(&self, etag: Option<String>) -> Result<(), UpdateError> {
        let meta = Meta { url: self.asset.url.whole(), etag };
        if meta == self.load_meta() {
            return Ok(());
        }
        let (path, text) = (self.files.meta(), serde_json::to_string(&meta).unwrap_or_default());
        files::cache().write(&path, text.as_bytes()).map_err(|e| disk(&path, e))
    }
}

/// `bytes <start>-<end>/<total or *>`.
fn content_range(text: Option<&str>) -> Option<(u64, u64, Option<u64>)> {
    let (range, total) = text?.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (start, end) = range.split_once('-')?;
    let total = if total == "*" { None } else { Some(total.parse().ok()?) };
    let end: u64 = end.parse().ok().filter(|e| *e < u64::MAX)?;
    Some((start.parse().ok()?, end, total))
}

/// Only a strong ETag says that bytes are the same.
fn etag(reply: &Reply) -> Option<String> {
    reply.header("etag").filter(|e| e.starts_with('"')).map(str::to_owned)
}

fn too_long(message: String) -> UpdateError {
    UpdateError::new(ErrorKind::Integrity, message).hint("nothing was installed; try again later")
}

#[cfg(test)]
mod tests {
    use super::{content_range, disk};
    use crate::error::ErrorKind;
    use std::io;
    use std::path::Path;

    #[test]
    fn a_full_disk_is_told_as_such() {
        let kind = |k: io::ErrorKind| disk(Path::new("x"), k.into()).kind();
        assert_eq!(kind(io::ErrorKind::StorageFull), ErrorKind::NoSpace);
        assert_eq!(kind(io::ErrorKind::QuotaExceeded), ErrorKind::NoSpace);
        assert_eq!(kind(io::ErrorKind::PermissionDenied), ErrorKind::Permission);
        assert_eq!(kind(io::ErrorKind::NotFound), ErrorKind::Disk);
    }

    #[test]
    fn ranges_are_read_strictly() {
        assert_eq!(content_range(Some("bytes 5-9/10")), Some((5, 9, Some(10))));
        assert_eq!(content_range(Some("bytes 5-9/*")), Some((5, 9, None)));
        for bad in [
            "",
            "bytes",
            "bytes 5-/10",
            "bytes -5/10",
            "bytes */10",
            "items 5-9/10",
            "bytes 5-9",
            "bytes 5-9/x",
            "bytes 5-18446744073709551615/*",
        ] {
            assert_eq!(content_range(Some(bad)), None, "{bad}");
        }
        assert_eq!(content_range(None), None);
    }
}
