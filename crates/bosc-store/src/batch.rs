//! Staging blocks for several cores and committing them as one.

use crate::core::Core;
use crate::edits::Edits;
use crate::error::{Error, Result};
use crate::events::CoreChange;
use crate::inner::Inner;
use crate::lock::lock;
use crate::owner::Owner;
use crate::page::Place;
use crate::rows::{UserChange, user_row};
use crate::segment::{MAX_BLOCK_SIZE, SegmentWriter};
use bosc_format::crypto::{Hash, leaf_hash};
use bosc_format::manifest::Verifier;
use bosc_format::merkle::{Appender, Head};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Blocks staged for any number of cores.
///
/// Bytes go to disk as they are appended; nothing is visible, to this process or after a crash, until
/// [`Batch::commit`] has made all of it durable in one step. Dropping a batch takes everything back. Memory is
/// bounded, however much is staged: at [`crate::Options::pending_bytes`] a core, tree and places go to disk too.
///
/// A batch belongs to one thread at a time. Batches of several threads write to different segments and do not wait
/// for each other; of two that append to the same core the second to commit fails with [`Error::Conflict`].
#[derive(Debug)]
pub struct Batch {
    inner: Arc<Owner>,
    writer: Option<SegmentWriter>,
    cores: BTreeMap<u32, Staged>,
    user: Vec<(Option<Core>, UserChange)>,
    /// Something failed half way.
    broken: bool,
}

const SPENT: Error = Error::Conflict("the batch failed half way: start again");

#[derive(Debug)]
struct Staged {
    core: Core,
    base: Arc<Head>,
    appender: Appender,
    edits: Edits,
    signature: Option<Vec<u8>>,
}

impl Drop for Batch {
    fn drop(&mut self) {
        // Without its writer the batch was handed over to a commit whose fate is unknown: it may need the pages.
        if self.writer.is_none() {
            return;
        }
        for aside in self.cores.values().filter_map(|s| s.edits.aside()) {
            // What stays behind is deleted when the store is opened.
            let _ = self.inner.drop_aside(aside);
        }
    }
}

/// What a commit changed, for the listeners.
pub(crate) type Changed = Vec<(Core, Vec<CoreChange>)>;

impl Batch {
    pub(crate) fn new(inner: Arc<Owner>) -> Self {
        let writer = Some(SegmentWriter::new(inner.segments.clone(), false));
        Self { inner, writer, cores: BTreeMap::new(), user: Vec::new(), broken: false }
    }

    fn staged(&mut self, core: &Core) -> Result<&mut Staged> {
        if !Arc::ptr_eq(&core.inner, &self.inner) {
            return Err(Error::Argument("the core is of another store"));
        }
        Ok(self.cores.entry(core.shared.id).or_insert_with(|| {
            let base = core.head();
            Staged {
                core: core.clone(),
                appender: Appender::new(&base),
                base,
                edits: Edits::new(core.shared.id),
                signature: None,
            }
        }))
    }

    /// Stages a block, hashing it here. Returns its index.
    pub fn append_block(&mut self, core: &Core, block: Bytes) -> Result<u64> {
        let hash = leaf_hash(&block);
        self.append_hashed(core, block, hash)
    }

    /// Stages a block whose [`leaf_hash`] the caller has computed (in another thread). A wrong hash makes a
    /// block that can never be read.
    ///
    /// # Errors
    /// [`Error::Full`] and other failures to write: the batch is as before and the call may be repeated. When
    /// the store cannot be read the batch is spent and says [`Error::Conflict`] from then on.
    pub fn append_hashed(&mut self, core: &Core, block: Bytes, hash: Hash) -> Result<u64> {
        if block.len() > MAX_BLOCK_SIZE {
            return Err(Error::Argument("a block is larger than 64 MiB"));
        }
        self.staged(core)?;
        let inner = &self.inner;
        let (Some(writer), Some(staged)) = (&mut self.writer, self.cores.get_mut(&core.shared.id)) else {
            return Err(SPENT);
        };
        if self.broken {
            return Err(SPENT);
        }
        // What fails up to here has changed nothing.
        if staged.edits.cost() > inner.options.pending_bytes {
            staged.put_aside(inner)?;
        }
        let place = writer.write(&block)?;
        let index = staged.appender.length();
        // What fails from here on has done half of it.
        self.broken = true;
        staged.append(inner, hash, place)?;
        self.broken = false;
        Ok(index)
    }

    /// Length of the core with what is staged.
    pub fn length(&self, core: &Core) -> u64 {
        self.cores.get(&core.shared.id).map_or_else(|| core.length(), |s| s.appender.length())
    }

    /// Bytes of the core with what is staged.
    pub fn byte_length(&self, core: &Core) -> u64 {
        self.cores.get(&core.shared.id).map_or_else(|| core.head().byte_length, |s| s.appender.byte_length())
    }

    /// The head that a commit would sign, without a signature: what a quorum signs.
    pub fn head(&self, core: &Core) -> Head {
        match self.cores.get(&core.shared.id) {
            Some(s) => s.appender.head(s.base.fork),
            None => Head { signature: Vec::new(), ..(*core.head()).clone() },
        }
    }

    /// A block with what is staged on top. Staged blocks are as they were given, others are checked.
    pub fn block(&self, core: &Core, index: u64) -> Result<Option<Bytes>> {
        match self.cores.get(&core.shared.id) {
            Some(s) if index >= s.base.length => match (&self.writer, s.edits.place(&self.inner, index)?) {
                (Some(writer), Some(place)) if index < s.appender.length() => writer.read(place).map(Some),
                _ => Ok(None),
            },
            _ => core.block(index),
        }
    }

    /// Hash and length of a staged block.
    pub fn leaf(&self, core: &Core, index: u64) -> Result<Option<(Hash, u64)>> {
        let staged = self.cores.get(&core.shared.id).filter(|s| index < s.appender.length());
        let Some(staged) = staged.filter(|s| index >= s.base.length) else { return Ok(None) };
        let node = staged.edits.node(&self.inner, index.saturating_mul(2))?;
        Ok(node.map(|n| (n.hash, n.size)))
    }

    /// Sets the signature of the core's new head, made elsewhere; [`Batch::commit`] checks it. Without one the
    /// core's own key pair signs.
    pub fn set_signature(&mut self, core: &Core, signature: Vec<u8>) -> Result<()> {
        self.staged(core)?.signature = Some(signature);
        Ok(())
    }

    /// Has bytes of the caller's own (of the core, or with `None` of the store) kept or removed with the
    /// commit.
    pub fn set_user_data(&mut self, core: Option<&Core>, name: &str, value: Option<&[u8]>) -> Result<()> {
        let row = user_row(core.map_or(0, |c| c.shared.id), name, value)?;
        self.user.push((core.cloned(), (row, value.map(<[u8]>::to_vec))));
        Ok(())
    }

    /// Whether nothing is staged.
    pub fn is_empty(&self) -> bool {
        self.user.is_empty() && self.cores.values().all(Staged::is_nothing)
    }

    /// Signs the new heads and makes everything staged durable and visible, in one step. The batch is empty
    /// then and may be used again.
    ///
    /// # Errors
    /// After an error nothing has changed and the batch is as before: a commit may be tried again (when the
    /// disk was full, say). [`Error::Conflict`]: the core got another head meanwhile; drop the batch and start
    /// again. [`Error::NotWritable`], [`Error::Invalid`]: no key pair, wrong signature. The one exception is
    /// [`Error::Uncertain`]: the batch is spent, and whether it happened shows after [`crate::Store::flush`].
    pub fn commit(&mut self) -> Result<()> {
        let changed = {
            // In the order of the cores' numbers: two batches never wait for each other in a circle.
            let cores: Vec<_> = self.cores.values().map(|s| s.core.shared.clone()).collect();
            let _intents: Vec<_> = cores.iter().map(|c| lock(&c.intent)).collect();
            self.commit_locked()?
        };
        for (core, changes) in &changed {
            core.notify(changes);
        }
        Ok(())
    }

    /// As [`Batch::commit`], by one who holds the intents of all staged cores. Listeners are left to the
    /// caller, to be told after the intents are let go.
    pub(crate) fn commit_locked(&mut self) -> Result<Changed> {
        if self.writer.is_none() || self.broken {
            return Err(SPENT);
        }
        let mut changed = Vec::new();
        let mut deltas = Vec::new();
        for staged in self.cores.values_mut().filter(|s| !s.is_nothing()) {
            let head = staged.signed_head()?;
            let (from, length) = (staged.base.length, head.length);
            let changes =
                vec![CoreChange::Append { from, length }, CoreChange::Blocks { start: from, end: length }];
            staged.edits.rebase(&self.inner, from)?;
            let mut record = staged.core.shared.read().record.clone();
            record.head = Arc::new(head);
            let shared = staged.core.shared.clone();
            deltas.push(staged.edits.clone().finish(&self.inner, shared, record, changes.clone())?);
            changed.push((staged.core.clone(), changes));
        }
        for core in self.user.iter().filter_map(|(core, _)| core.as_ref()) {
            core.shared.alive()?;
            core.touch();
        }
        let user = self.user.iter().map(|(_, change)| change.clone()).collect();
        self.inner.commit(deltas, user, &mut self.writer)?;
        self.cores.clear();
        self.user.clear();
        self.writer = Some(SegmentWriter::new(self.inner.segments.clone(), false));
        Ok(changed)
    }
}

impl Staged {
    fn append(&mut self, inner: &Inner, hash: Hash, place: Place) -> Result<()> {
        let index = self.appender.length();
        self.appender.append(hash, u64::from(place.len))?;
        self.edits.put_block(inner, index, place)?;
        for node in self.appender.take_nodes() {
            self.edits.put_node(inner, &node)?;
        }
        Ok(())
    }

    /// Puts the pages staged so far aside, in the database where nobody looks.
    fn put_aside(&mut self, inner: &Inner) -> Result<()> {
        let aside = match self.edits.aside() {
            Some(aside) => aside,
            None => inner.new_aside()?,
        };
        inner.put_aside(&self.edits.to_put_aside(aside))?;
        self.edits.put_aside(aside);
        Ok(())
    }

    fn is_nothing(&self) -> bool {
        self.appender.length() == self.base.length && self.signature.is_none()
    }

    /// The new head with its signature, if the core is still what it was when staging began.
    fn signed_head(&self) -> Result<Head> {
        let state = self.core.shared.read();
        if state.removed {
            return Err(Error::NotFound("the core"));
        }
        let now = &state.record.head;
        if (now.fork, now.length) != (self.base.fork, self.base.length) {
            return Err(Error::Conflict("the core has another head than when the batch began"));
        }
        let verifier = match &state.verifier {
            Some(verifier) => verifier.clone(),
            None => Arc::new(Verifier::new(self.core.key(), None).map_err(|_| Error::NotWritable)?),
        };
        let mut head = self.appender.head(now.fork);
        match &self.signature {
            Some(signature) => {
                head.signature = signature.clone();
                if !verifier.verify(&head) {
                    return Err(Error::Invalid("signature: it is not one of the new head"));
                }
            }
            None => {
                let pair = state.signer().ok_or(Error::NotWritable)?;
                head.signature = verifier.sign(&head, pair).map_err(|_| Error::NotWritable)?;
            }
        }
        Ok(head)
    }
}
