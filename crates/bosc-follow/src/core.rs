//! One core that is followed: its head, its blocks, who has them.

use crate::beside;
use crate::error::{FollowError, TimedOut, check};
use crate::mirror::{Mirrors, What, Wished};
use crate::source::CoreSource;
use crate::topics::{Topic, Urgent};
use crate::vouch::{self, Claim, Claims};
use crate::wait::{Alarm, Wait};
use bosc_format::merkle::Head;
use bosc_mirror::Part;
use bosc_node::{Blocks, CoreStatus, Download, DownloadHandle, LiveCore, Node};
use bosc_store::Core;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long somebody who is looked for may still come once discovery is over and found nobody.
const ALONE: Duration = Duration::from_secs(5);
/// How often is looked at what raises no signal.
const LOOK: Duration = Duration::from_secs(1);
/// How long peers may still tell of something newer once a mirror has answered.
const BESIDE_MIRRORS: Duration = Duration::from_secs(1);

/// How an update ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Update {
    /// At least one peer answered, and we have what those who are there have.
    UpToDate,
    /// Nobody answered in time; what is here is all there is.
    Nobody,
}

/// What peers' word is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// Somebody vouches that what is here is the newest.
    pub vouched: bool,
    /// Claims to be ahead that nobody proved.
    pub unproved: Vec<Claim>,
}

/// A live core on a joined topic.
#[derive(Debug, Clone)]
pub struct FollowedCore {
    pub(crate) node: Arc<Node>,
    pub(crate) topic: Topic,
    live: LiveCore,
    /// The db that these blobs are beside.
    db: Option<LiveCore>,
    /// The drive's mirrors, and which core this is of it.
    mirrors: Option<(Mirrors, Part)>,
}

/// Blocks on their way from peers and mirrors, until this is dropped.
#[derive(Debug)]
#[must_use = "they are wanted until it is dropped"]
pub struct Background {
    peers: DownloadHandle,
    _mirrors: Option<Wished>,
}

impl Background {
    /// Whether all of it is here.
    pub fn is_done(&self) -> bool {
        self.peers.is_done()
    }
}

/// Since when mirrors are asked for their heads, and which time.
struct Heads(Option<(u64, Instant)>);

/// Urgency that begins when a look was in vain.
#[derive(Default)]
pub(crate) struct Lazy(Option<Urgent>);

impl Lazy {
    pub(crate) fn begin(&mut self, topic: &Topic) {
        self.0.get_or_insert_with(|| topic.urgent());
    }
}

impl FollowedCore {
    /// Makes `core` live on a joined topic. A drive's blobs core is found on the topic of its db.
    pub fn new(node: &Arc<Node>, topic: &Topic, core: &Core) -> Self {
        Self {
            node: Arc::clone(node),
            topic: topic.clone(),
            live: node.attach(core),
            db: None,
            mirrors: None,
        }
    }

    /// With the mirrors of the drive that it is a core of.
    #[must_use]
    pub(crate) fn mirrored(self, mirrors: &Mirrors, part: Part) -> Self {
        Self { mirrors: Some((mirrors.clone(), part)), ..self }
    }

    /// The drive's mirrors.
    pub fn mirrors(&self) -> Option<&Mirrors> {
        self.mirrors.as_ref().map(|(mirrors, _)| mirrors).filter(|m| !m.is_empty())
    }

    /// Bytes of blocks that came from peers and mirrors since the start.
    pub fn downloaded_bytes(&self) -> u64 {
        let mirrored = self.mirrors.as_ref().map_or(0, |(mirrors, part)| mirrors.bytes_of(*part));
        self.live.status().downloaded_bytes.saturating_add(mirrored)
    }

    /// What came from mirrors so far, as a number that changes.
    fn received_from_mirrors(&self) -> u64 {
        self.mirrors().map_or(0, Mirrors::came)
    }

    /// Who was there, and what is wrong with mirrors, for those who waited in vain.
    pub fn in_vain(&self) -> TimedOut {
        let mirrors = self.mirrors().map(Mirrors::faults).unwrap_or_default();
        TimedOut { mirrors, ..TimedOut::of(&self.live.status()) }
    }

    fn timed_out(&self) -> FollowError {
        FollowError::TimedOut(self.in_vain())
    }

    /// Wants these of mirrors, too.
    fn wish(&self, what: What, ranges: Vec<Range<u64>>) -> Option<Wished> {
        let (mirrors, part) = self.mirrors.as_ref().filter(|(m, _)| !m.is_empty())?;
        Some(mirrors.wish(*part, what, ranges))
    }

    /// Asks for blocks, from peers and mirrors, and does not wait for them.
    pub fn want(&self, blocks: Vec<u64>) {
        if let Some((mirrors, part)) = self.mirrors.as_ref().filter(|(m, _)| !m.is_empty()) {
            mirrors.want(*part, blocks.iter().map(|b| *b..b.saturating_add(1)).collect());
        }
        self.live.want(blocks);
    }

    /// Fetches blocks from peers and mirrors as long as what is returned is kept.
    pub fn fetch_in_background(&self, download: Download) -> Background {
        let ranges = match &download.blocks {
            Blocks::Range { start, end } => std::iter::once(*start..end.unwrap_or(u64::MAX)).collect(),
            Blocks::List(blocks) => blocks.iter().map(|b| *b..b.saturating_add(1)).collect(),
        };
        Background { _mirrors: self.wish(What::Blocks, ranges), peers: self.live.download(download) }
    }

    /// Has mirrors show their heads.
    fn ask_mirrors(&self) -> Heads {
        Heads(self.mirrors().map(|m| (m.ask(), Instant::now())))
    }

    /// Whether every mirror has shown its head, or failed.
    fn mirrors_settled(&self, heads: &Heads) -> bool {
        heads.0.is_none_or(|(round, _)| self.mirrors().is_none_or(|m| m.is_settled(round)))
    }

    /// Whether mirrors have told what is newest, and peers had their time to know of something newer.
    fn mirrors_told(&self, heads: &Heads, alarm: &mut Alarm) -> bool {
        let Some((round, since)) = heads.0 else { return false };
        let told = self.mirrors().is_some_and(|m| m.is_settled(round) && m.has_word(round));
        let net = || self.node.status();
        told && (alarm.has_passed(since, BESIDE_MIRRORS) || net().unanswered)
    }

    /// Whether mirrors have shown their heads, or had their time for it: peers that are there are not kept waiting by slow ones.
    fn mirrors_settled_soon(&self, heads: &Heads, alarm: &mut Alarm) -> bool {
        self.mirrors_settled(heads)
            || heads.0.is_some_and(|(_, since)| alarm.has_passed(since, BESIDE_MIRRORS * 2))
    }

    /// As the blobs of a drive: they are waited for until they are of the history of its db.
    #[must_use]
    pub(crate) fn beside(self, db: &Self) -> Self {
        Self { db: Some(db.live.clone()), ..self }
    }

    /// The core in the store.
    pub fn core(&self) -> &Core {
        self.live.core()
    }

    /// The core on the network.
    pub fn live(&self) -> &LiveCore {
        &self.live
    }

    /// A snapshot.
    pub fn status(&self) -> CoreStatus {
        self.live.status()
    }

    /// The core as long as it is now, for reading. Of a drive's blobs: what the entries of its db name now.
    pub fn source(&self) -> CoreSource {
        match &self.db {
            Some(db) => CoreSource::new(db.core()).contents(self.core()),
            None => CoreSource::new(self.core()),
        }
    }

    /// Whether the first discovery is over and each peer it found was tried.
    pub fn is_flushed(&self) -> bool {
        self.topic.is_flushed()
    }

    /// Waits until `look` answers, looking again whenever anything of the node has changed. `None`: the time is over.
    ///
    /// # Errors
    /// [`FollowError::Stopped`]; [`FollowError::NotStored`] when the core cannot go on; what `look` fails with.
    pub fn wait<T, E: From<FollowError>>(
        &self,
        wait: &mut Wait<'_>,
        mut look: impl FnMut(&CoreStatus, &mut Alarm) -> Result<Option<T>, E>,
    ) -> Result<Option<T>, E> {
        let mut urgent = Lazy::default();
        let ends_alone = wait.ends_unanswered();
        let heads = self.ask_mirrors();
        let found = wait.run(self.node.signal(), |alarm| {
            let status = self.live.status();
            check(&status)?;
            self.check_mirrors()?;
            let found = look(&status, alarm)?;
            let vain = ends_alone
                && status.peers.is_empty()
                && self.mirrors_settled(&heads)
                && self.node.status().unanswered;
            if found.is_some() || vain {
                return Ok(Some(found));
            }
            urgent.begin(&self.topic);
            Ok::<_, E>(None)
        })?;
        Ok(found.flatten())
    }

    fn check_mirrors(&self) -> Result<(), FollowError> {
        self.mirrors().map_or(Ok(()), Mirrors::check)
    }

    /// Whether blobs may be of a history before their db's, and nobody settled that.
    fn lags(&self, alarm: &mut Alarm, since: Instant) -> Result<bool, FollowError> {
        let Some(db) = &self.db else { return Ok(false) };
        if !beside::lags(db.core(), self.core())? {
            return Ok(false);
        }
        let (of_db, here) = (db.status(), self.live.status());
        if !beside::peers_agree(&of_db, &here) || !alarm.has_passed(since, beside::SETTLED) {
            return Ok(true);
        }
        beside::settle(of_db.fork, self.core())?;
        Ok(false)
    }

    /// Waits until blobs are of their db's history. Of another core: at once.
    fn of_one_history(&self, wait: &mut Wait<'_>) -> Result<(), FollowError> {
        let Some(db) = &self.db else { return Ok(()) };
        if !beside::lags(db.core(), self.core())? {
            return Ok(());
        }
        let since = Instant::now();
        let settled =
            self.wait(wait, |_, alarm| Ok::<_, FollowError>((!self.lags(alarm, since)?).then_some(())))?;
        settled.ok_or_else(|| self.timed_out())
    }

    /// Waits until what is asked for has come, as long as something comes.
    fn until_here(
        &self,
        wait: &mut Wait<'_>,
        mut is_here: impl FnMut() -> Result<bool, FollowError>,
    ) -> Result<(), FollowError> {
        let mut urgent = Lazy::default();
        let came = wait.run(self.live.signal(), |alarm| {
            if is_here()? {
                return Ok::<_, FollowError>(Some(()));
            }
            let status = self.live.status();
            check(&status)?;
            self.check_mirrors()?;
            let mirrored = self.received_from_mirrors();
            alarm.came(status.downloaded_blocks.wrapping_add(mirrored));
            let bytes = status.downloaded_bytes.wrapping_add(mirrored);
            alarm.shows(bytes.wrapping_mul(1024).wrapping_add(status.peers.len() as u64));
            urgent.begin(&self.topic);
            Ok(None)
        })?;
        came.ok_or_else(|| self.timed_out())
    }

    /// Waits until a peer has told its length, we have what those who are there have, and at least `at_least`. When mirrors have
    /// answered and no peer does within a second, what they have counts.
    ///
    /// # Errors
    /// As [`FollowedCore::wait`].
    pub fn up_to_date(&self, at_least: u64, wait: &mut Wait<'_>) -> Result<Update, FollowError> {
        let heads = self.ask_mirrors();
        let found = self.wait(wait, |s, alarm| {
            let by_peers = s.peers.iter().any(|p| p.synced) && self.mirrors_settled_soon(&heads, alarm);
            let told = (by_peers || self.mirrors_told(&heads, alarm)) && !s.is_behind();
            let known = s.length >= at_least && (s.length == 0 || s.has_manifest);
            Ok::<_, FollowError>((told && known).then_some(Update::UpToDate))
        })?;
        Ok(found.unwrap_or(Update::Nobody))
    }

    /// Waits for the newest head that can be known: what those who are there have, once one of them told. When nobody is
    /// there, what is here counts after `alone`. The topic is looked at again at once if the last look is long ago:
    /// else whoever is connected first and knows of nothing new would be believed for minutes.
    ///
    /// # Errors
    /// As [`FollowedCore::wait`].
    pub fn newest(&self, alone: Duration, wait: &mut Wait<'_>) -> Result<Update, FollowError> {
        let (start, _urgent) = (Instant::now(), self.topic.urgent());
        let heads = self.ask_mirrors();
        let found = self.wait(wait, |s, alarm| {
            let known = s.length > 0 && s.has_manifest;
            let by_peers = s.peers.iter().any(|p| p.synced) && self.mirrors_settled_soon(&heads, alarm);
            if known && !s.is_behind() && (by_peers || self.mirrors_told(&heads, alarm)) {
                return Ok(Some(Update::UpToDate));
            }
            let nobody = known
                && s.peers.is_empty()
                && self.mirrors_settled_soon(&heads, alarm)
                && alarm.has_passed(start, alone);
            Ok::<_, FollowError>(nobody.then_some(Update::Nobody))
        })?;
        Ok(found.unwrap_or(Update::Nobody))
    }

    /// Waits until discovery is over, everybody who is there told what it has and proved that it is of our history,
    /// and we have the newest of it. A peer that never says what it has, or cannot prove it, does not keep the others'
    /// word from counting. When discovery found nobody and nobody comes for five seconds, nobody vouches.
    ///
    /// # Errors
    /// [`FollowError::Forked`] when a peer proves another history; [`FollowError::TimedOut`] when one has more and does
    /// not deliver it; as [`FollowedCore::wait`].
    pub fn vouched(&self, wait: &mut Wait<'_>) -> Result<Word, FollowError> {
        self.live.compare();
        let (mut claims, mut alone) = (Claims::default(), None);
        let settled = self.wait(wait, |s, alarm| {
            claims.note(s);
            if let Some(peer) = vouch::other_history(s) {
                return Err(FollowError::Forked { peer: peer.key });
            }
            let flushed = self.is_flushed();
            if flushed && s.peers.is_empty() {
                // The end of the last attempt to connect raises no signal.
                alarm.is_past(alarm.now() + LOOK);
            }
            if !flushed || !s.peers.is_empty() || self.node.status().connecting {
                alone = None;
                return Ok((vouch::is_settled(s) && flushed).then_some(true));
            }
            let since = *alone.get_or_insert_with(|| alarm.now());
            Ok(alarm.has_passed(since, ALONE).then_some(false))
        })?;
        let settled = settled.filter(|settled| *settled);
        let s = self.live.status();
        if settled.is_none() && vouch::has_open_claims(&s) {
            return Err(self.timed_out());
        }
        let vouched = settled.is_some() || vouch::is_vouched(&s);
        Ok(Word { vouched, unproved: claims.unproved(&s) })
    }

    /// Waits until the proved head holds `length` blocks.
    ///
    /// # Errors
    /// [`FollowError::TimedOut`]; as [`FollowedCore::wait`].
    pub fn longer(&self, length: u64, wait: &mut Wait<'_>) -> Result<(), FollowError> {
        self.of_one_history(wait)?;
        let core = self.core();
        if core.length() < length
            && let Some(last) = length.checked_sub(1)
        {
            // A request for the last block has peers prove a head that holds it.
            self.live.want(vec![last]);
            self.ask_mirrors();
        }
        self.until_here(wait, || Ok(core.length() >= length))
    }

    /// Gets `block`, asking for `ahead` at the same time.
    ///
    /// # Errors
    /// [`FollowError::TimedOut`]; as [`FollowedCore::wait`].
    pub fn block(&self, block: u64, mut ahead: Vec<u64>, wait: &mut Wait<'_>) -> Result<(), FollowError> {
        self.of_one_history(wait)?;
        let core = self.core();
        if core.has(block)? {
            return Ok(());
        }
        if ahead.first() != Some(&block) {
            ahead.insert(0, block);
        }
        let _mirrors = self.wish(What::Blocks, ahead.iter().map(|b| *b..b.saturating_add(1)).collect());
        self.live.want(ahead);
        self.until_here(wait, || Ok(core.has(block)?)).map_err(|e| self.why_not(&[block], e))
    }

    /// Gets all of these blocks.
    ///
    /// # Errors
    /// [`FollowError::TimedOut`]; as [`FollowedCore::wait`].
    pub fn blocks(&self, mut blocks: Vec<u64>, wait: &mut Wait<'_>) -> Result<(), FollowError> {
        self.of_one_history(wait)?;
        let core = self.core();
        let mut failed = None;
        blocks.retain(|b| !core.has(*b).unwrap_or_else(|e| failed.replace(e).is_some()));
        match failed {
            Some(e) => Err(e.into()),
            None if blocks.is_empty() => Ok(()),
            None => {
                let came = self.download(Download::list(blocks.clone()), wait);
                came.map_err(|e| self.why_not(&blocks, e))
            }
        }
    }

    /// Gets all blocks of a range.
    ///
    /// # Errors
    /// [`FollowError::TimedOut`]; as [`FollowedCore::wait`].
    pub fn range(&self, range: Range<u64>, wait: &mut Wait<'_>) -> Result<(), FollowError> {
        self.of_one_history(wait)?;
        match self.core().first_missing(range.start, range.end)? {
            None => Ok(()),
            Some(first) => {
                let came = self.download(Download::range(first, range.end), wait);
                let missing = self.core().first_missing(first, range.end).ok().flatten();
                came.map_err(|e| self.why_not(missing.as_slice(), e))
            }
        }
    }

    /// Why blocks did not come: those that were here are damaged, and neither the link nor its peers are to blame.
    fn why_not(&self, blocks: &[u64], e: FollowError) -> FollowError {
        let FollowError::TimedOut(why) = e else { return e };
        match blocks.iter().find(|b| self.core().is_damaged(**b).unwrap_or(false)) {
            Some(block) => FollowError::Damaged { block: *block, why },
            None => FollowError::TimedOut(why),
        }
    }

    fn download(&self, download: Download, wait: &mut Wait<'_>) -> Result<(), FollowError> {
        let download = self.fetch_in_background(download);
        self.until_here(wait, || Ok(download.is_done()))
    }

    /// Gets every block of the head, and of heads that come meanwhile.
    ///
    /// # Errors
    /// [`FollowError::TimedOut`]; as [`FollowedCore::wait`].
    pub fn whole(&self, wait: &mut Wait<'_>) -> Result<(), FollowError> {
        let core = self.core();
        let _all = self.fetch_in_background(Download::live());
        self.until_here(wait, || Ok(core.contiguous_length() >= core.length()))
    }

    /// Gets the leaf hashes of blocks without the blocks, each proved. `false`: they did not come by `until`.
    ///
    /// # Errors
    /// As [`FollowedCore::wait`].
    pub fn leaves(&self, blocks: &[u64], until: Instant, wait: &mut Wait<'_>) -> Result<bool, FollowError> {
        let core = self.core();
        let mut open = blocks.to_vec();
        let ranges: Vec<Range<u64>> = open.iter().map(|b| *b..b.saturating_add(1)).collect();
        let _mirrors = self.wish(What::Leaves, ranges.clone());
        self.live.want_hashes(ranges);
        let mut late = false;
        let mut urgent = Lazy::default();
        let came = wait.run(self.live.signal(), |alarm| {
            while let Some(block) = open.last() {
                if core.leaf_hash(*block)?.is_none() {
                    break;
                }
                open.pop();
            }
            late = alarm.is_past(until);
            if open.is_empty() || late {
                return Ok(Some(()));
            }
            check(&self.live.status())?;
            alarm.came(open.len() as u64);
            urgent.begin(&self.topic);
            Ok::<_, FollowError>(None)
        })?;
        Ok(came.is_some() && open.is_empty())
    }

    /// The head as it was at `length`, fetching the nodes it takes.
    ///
    /// # Errors
    /// As [`FollowedCore::block`].
    pub fn head_at(&self, length: u64, wait: &mut Wait<'_>) -> Result<Head, FollowError> {
        let core = self.core();
        if length <= core.length()
            && let Ok(head) = core.head_at(length)
        {
            return Ok(head);
        }
        // The proof of the last block below brings every root of the shorter tree.
        if let Some(last) = length.checked_sub(1) {
            self.block(last, Vec::new(), wait)?;
        }
        Ok(core.head_at(length)?)
    }
}
