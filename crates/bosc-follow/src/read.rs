//! The one way to read what may not be here.
//!
//! Whatever reads a drive (a lookup, a walk over entries, the bytes of a file, a plan) works on the blocks that are
//! here and stops at the first that is not. [`Fetch`] brings that block and has it go on; everything that differs
//! between readers (whom to ask, how long to wait, what to show meanwhile) is in its one method.
//!
//! ```text
//!   attempt ── all blocks are here ──────────────────────────> its value
//!      ▲ └──── lacks a block ── Fetch::fetch ── it did not come ──> that error
//!      └─────────────── the block is here ──┘
//! ```
//!
//! Invariants:
//! 1. What is here is read without asking anybody: [`Fetch::fetch`] is called for a block that an attempt named, and
//!    for nothing else.
//! 2. An attempt goes on once that block is here, and not before. The blocks ahead are asked for with it, at most
//!    [`AHEAD`] of them, and never waited for.
//! 3. An attempt that lacks the block it was just given ends with that block as its error, after [`TRIES`] times: a
//!    version that names blocks outside of it makes no loop, and no traffic.
//! 4. [`Fetch::read`] makes an attempt anew from its start, so it has no effect but its value. [`Fetch::next`] goes on
//!    where the walk stopped, so it reads each block once.
//! 5. With nobody to ask, the missing block is the error, at once.

use crate::core::FollowedCore;
use crate::error::FollowError;
use crate::wait::Wait;
use bosc_drive::{Error, Walk};
use std::collections::BTreeSet;

/// Most blocks asked for together with the one that is waited for.
pub const AHEAD: usize = 512;
/// How often an attempt may lack a block that was just brought. A block that is found damaged is fetched again.
pub const TRIES: u32 = 3;

/// What an attempt ends with that may only lack blocks.
pub trait Attempt {
    /// What else it can end with.
    type Error;

    /// The block that it lacks, and others that it will need. `None`: it failed.
    fn lacks(&self) -> Option<(u64, Vec<u64>)>;

    /// As an error.
    fn into_error(self) -> Self::Error;
}

impl Attempt for Error {
    type Error = Self;

    fn lacks(&self) -> Option<(u64, Vec<u64>)> {
        Some((self.missing()?, Vec::new()))
    }

    fn into_error(self) -> Self {
        self
    }
}

/// With blocks that the attempt will need soon.
impl Attempt for (Error, Vec<u64>) {
    type Error = Error;

    fn lacks(&self) -> Option<(u64, Vec<u64>)> {
        Some((self.0.missing()?, self.1.clone()))
    }

    fn into_error(self) -> Error {
        self.0
    }
}

/// Who brings the blocks of one core that a reader lacks. See the module.
pub trait Fetch {
    /// What reading fails with.
    type Error;

    /// Has `block` here, and asks for those `ahead` as well.
    ///
    /// # Errors
    /// It did not come.
    fn fetch(&mut self, block: u64, ahead: Vec<u64>) -> Result<(), Self::Error>;

    /// Repeats `attempt` until it has all blocks that it needs.
    ///
    /// # Errors
    /// What `attempt` fails with but for missing blocks; what [`Fetch::fetch`] fails with.
    fn read<T, A: Attempt>(&mut self, mut attempt: impl FnMut() -> Result<T, A>) -> Result<T, Self::Error>
    where
        Self::Error: From<A::Error>,
    {
        let mut last = (None, 0);
        loop {
            let lacking = match attempt() {
                Ok(value) => return Ok(value),
                Err(lacking) => lacking,
            };
            let Some((block, mut ahead)) = lacking.lacks() else { return Err(lacking.into_error().into()) };
            last = if last.0 == Some(block) { (last.0, last.1 + 1) } else { (Some(block), 0) };
            if last.1 >= TRIES {
                return Err(lacking.into_error().into());
            }
            ahead.truncate(AHEAD);
            self.fetch(block, ahead)?;
        }
    }

    /// The next step of a walk; `None` at its end.
    ///
    /// # Errors
    /// As [`Fetch::read`].
    fn next<W: Walk>(&mut self, walk: &mut W) -> Result<Option<W::Step>, Self::Error>
    where
        Self::Error: From<Error>,
    {
        self.read(|| walk.next().transpose().map_err(|e| (e, walk.wanted(AHEAD))))
    }

    /// All steps of a walk, which the caller knows to be few enough.
    ///
    /// # Errors
    /// As [`Fetch::read`].
    fn all<W: Walk>(&mut self, mut walk: W) -> Result<Vec<W::Step>, Self::Error>
    where
        Self::Error: From<Error>,
    {
        let mut out = Vec::new();
        while let Some(step) = self.next(&mut walk)? {
            out.push(step);
        }
        Ok(out)
    }
}

/// Fetches from the peers of a followed core, and waits for them as its [`Wait`] says; without a core nobody is asked.
#[derive(Debug)]
pub struct Reader<'a, 'w> {
    core: Option<&'a FollowedCore>,
    wait: &'a mut Wait<'w>,
}

impl<'a, 'w> Reader<'a, 'w> {
    /// Of a core that is followed, or of one that is only here.
    pub fn new(core: Option<&'a FollowedCore>, wait: &'a mut Wait<'w>) -> Self {
        Self { core, wait }
    }
}

impl Fetch for Reader<'_, '_> {
    type Error = FollowError;

    fn fetch(&mut self, block: u64, ahead: Vec<u64>) -> Result<(), FollowError> {
        let Some(core) = self.core else { return Err(Error::Missing(block).into()) };
        self.wait.go_on()?;
        core.block(block, ahead, self.wait)
    }
}

/// For looks of a wait, which must not wait themselves: asks once for each block that is missing, and gives up until
/// the next look.
#[derive(Debug)]
pub struct Asking<'a> {
    core: Option<&'a FollowedCore>,
    asked: &'a mut BTreeSet<u64>,
}

/// Why a look has nothing to show.
#[derive(Debug)]
pub enum Unread {
    /// Blocks are on their way, or nobody can be asked for them yet: the next look may see them.
    Coming,
    /// The drive cannot be read.
    Failed(Error),
}

impl From<Error> for Unread {
    fn from(e: Error) -> Self {
        Self::Failed(e)
    }
}

impl<'a> Asking<'a> {
    /// `asked` remembers, from look to look, what was asked for.
    pub fn new(core: Option<&'a FollowedCore>, asked: &'a mut BTreeSet<u64>) -> Self {
        Self { core, asked }
    }
}

impl Fetch for Asking<'_> {
    type Error = Unread;

    fn fetch(&mut self, block: u64, ahead: Vec<u64>) -> Result<(), Unread> {
        if let Some(core) = self.core {
            let length = core.status().length;
            let mut wanted = vec![block];
            wanted.extend(ahead);
            wanted.retain(|b| *b < length && self.asked.insert(*b));
            if !wanted.is_empty() {
                core.want(wanted);
            }
        }
        Err(Unread::Coming)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bosc_drive::bee::{Batch, Bee, Header};
    use bosc_drive::{BlockSource, MemorySource, SourceError};
    use bytes::Bytes;
    use std::cell::RefCell;
    use std::rc::Rc;

    /// Blocks that come when they are asked for.
    #[derive(Clone)]
    struct Far {
        all: Rc<MemorySource>,
        here: Rc<RefCell<BTreeSet<u64>>>,
        asked: Rc<RefCell<Vec<(u64, usize)>>>,
    }

    impl Far {
        fn new(files: u32) -> Self {
            let mut batch = Batch::new(MemorySource::default(), Header::plain());
            for i in 0..files {
                batch.put(format!("{i:05}"), Some(Bytes::from_static(b"value"))).unwrap();
            }
            let all = Rc::new(batch.into_blocks().into_iter().map(Bytes::from).collect());
            Self { all, here: Rc::default(), asked: Rc::default() }
        }
    }

    impl BlockSource for Far {
        fn length(&self) -> u64 {
            self.all.length()
        }

        fn block(&self, index: u64) -> Result<Bytes, SourceError> {
            if self.has(index) { self.all.block(index) } else { Err(SourceError::Missing(index)) }
        }

        fn has(&self, index: u64) -> bool {
            self.here.borrow().contains(&index)
        }
    }

    impl Fetch for Far {
        type Error = FollowError;

        fn fetch(&mut self, block: u64, ahead: Vec<u64>) -> Result<(), FollowError> {
            assert!(!self.has(block), "asked for what is here");
            self.asked.borrow_mut().push((block, ahead.len()));
            self.here.borrow_mut().insert(block);
            self.here.borrow_mut().extend(ahead.into_iter().filter(|b| *b < self.all.length()));
            Ok(())
        }
    }

    #[test]
    fn a_walk_goes_on_where_it_stopped_and_asks_ahead() {
        let mut far = Far::new(300);
        let steps = far.clone().all(Bee::new(far.clone()).history(1)).unwrap();
        assert_eq!(steps.len() as u64, far.all.length() - 1);
        let asked = far.asked.borrow().clone();
        assert!(asked.len() < 10, "{asked:?}");
        assert!(asked.iter().all(|(_, ahead)| *ahead <= AHEAD));
        let before = asked.len();
        let bee = Bee::new(far.clone());
        assert!(far.read(|| bee.get(b"00007")).unwrap().is_some());
        assert_eq!(far.asked.borrow().len(), before, "what is here is not asked for");
    }

    #[test]
    fn what_is_asked_for_ahead_is_bounded() {
        struct Counts(usize);
        impl Fetch for Counts {
            type Error = FollowError;
            fn fetch(&mut self, _: u64, ahead: Vec<u64>) -> Result<(), FollowError> {
                self.0 = ahead.len();
                Err(FollowError::Stopped)
            }
        }
        let mut counts = Counts(0);
        let ahead: Vec<u64> = (0..10 * AHEAD as u64).collect();
        let got = counts.read(|| Err::<(), _>((Error::Missing(9), ahead.clone())));
        assert!(matches!(got, Err(FollowError::Stopped)));
        assert_eq!(counts.0, AHEAD);
    }

    #[test]
    fn an_attempt_that_lacks_what_it_was_given_ends() {
        struct Same(u32);
        impl Fetch for Same {
            type Error = FollowError;
            fn fetch(&mut self, _: u64, _: Vec<u64>) -> Result<(), FollowError> {
                self.0 += 1;
                Ok(())
            }
        }
        let mut same = Same(0);
        let got = same.read(|| Err::<(), _>(Error::Missing(9)));
        assert!(matches!(got, Err(FollowError::Drive(Error::Missing(9)))));
        assert_eq!(same.0, TRIES);
        // Other blocks in between are progress.
        let mut lacking = (0..40).map(|i| Error::Missing(i % 2));
        same.read(|| lacking.next().map_or(Ok(()), Err)).unwrap();
        let got = same.read(|| Err::<(), _>(Error::NotABee));
        assert!(matches!(got, Err(FollowError::Drive(Error::NotABee))), "what is no lack is not repeated");
    }

    #[test]
    fn nobody_to_ask_is_an_error_at_once() {
        let stop = crate::Stop::new();
        let got = Reader::new(None, &mut Wait::new(&stop)).read(|| Err::<(), _>(Error::Missing(3)));
        assert!(matches!(got, Err(FollowError::Drive(Error::Missing(3)))));
        let mut asked = BTreeSet::new();
        let got = Asking::new(None, &mut asked).read(|| Err::<(), _>(Error::Missing(3)));
        assert!(matches!(got, Err(Unread::Coming)));
    }
}
