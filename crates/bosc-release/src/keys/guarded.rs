//! Secrets in memory: not swapped out, not in a core dump, wiped when dropped.
//!
//! A passphrase is in memory while it is typed and while the key is derived, for seconds. [`Guarded`] keeps it on pages of
//! its own that the system was asked to lock; where it does not allow that (`RLIMIT_MEMLOCK`), the secret is kept all the
//! same. [`no_core_dumps`] is called before the first byte of it is read.
//!
//! | system | no dump | locked |
//! |---|---|---|
//! | Linux | `PR_SET_DUMPABLE` 0 (no dump by any handler, no debugger of the same user) and `RLIMIT_CORE` 0 | `mlock` |
//! | macOS, BSD | `RLIMIT_CORE` 0 | `mlock` |
//! | Windows | nothing: it writes no dumps unless the administrator set Error Reporting up for it | `VirtualLock` |

use zeroize::Zeroizing;

/// Keeps the memory of this process out of core dumps where that can be said of it alone (Linux). Programs that it starts
/// are as before.
pub fn not_dumpable() {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

/// Keeps the memory of this process out of core dumps, from now on. Programs that it starts inherit the limit.
pub fn no_core_dumps() {
    not_dumpable();
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    }
}

/// Bytes that are wiped when dropped, on pages that no other data shares.
pub struct Guarded {
    // In this order: wiped, then unlocked, then given back.
    room: Zeroizing<Vec<u8>>,
    start: usize,
    length: usize,
    capacity: usize,
    locked: Option<region::LockGuard>,
}

impl Drop for Guarded {
    fn drop(&mut self) {
        use zeroize::Zeroize;
        self.room.as_mut_slice().zeroize();
    }
}

impl Guarded {
    /// Room for `capacity` bytes (at least 1). It never moves and never grows.
    pub fn with_capacity(capacity: usize) -> Self {
        let page = region::page::size().max(1);
        let size = capacity.max(1).next_multiple_of(page);
        let room = Zeroizing::new(vec![0; size.saturating_add(page)]);
        let start = room.as_ptr().align_offset(page).min(page);
        let locked = room.get(start..start.saturating_add(size)).and_then(|own| {
            // A limit that is too low is no reason to fail.
            region::lock(own.as_ptr(), own.len()).ok()
        });
        Self { room, start, length: 0, capacity, locked }
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        self.room.get(self.start..self.start.saturating_add(self.length)).unwrap_or_default()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Whether the system keeps it in memory.
    pub fn is_locked(&self) -> bool {
        self.locked.is_some()
    }

    /// Adds a byte. `false`: there is no room.
    pub fn push(&mut self, byte: u8) -> bool {
        let at = self.start.saturating_add(self.length);
        match self.room.get_mut(at) {
            Some(place) if self.length < self.capacity => {
                *place = byte;
                self.length += 1;
                true
            }
            _ => false,
        }
    }

    /// Adds bytes. `false`: there is no room for all of them, and none was added.
    pub fn extend(&mut self, bytes: &[u8]) -> bool {
        if bytes.len() > self.capacity.saturating_sub(self.length) {
            return false;
        }
        bytes.iter().all(|b| self.push(*b))
    }

    /// Keeps the first `length` bytes and wipes the others.
    pub fn truncate(&mut self, length: usize) {
        while self.length > length {
            self.length -= 1;
            if let Some(place) = self.room.get_mut(self.start.saturating_add(self.length)) {
                *place = 0;
            }
        }
    }

    /// Reads to the end, at most to the capacity. `Ok(false)`: there was more.
    ///
    /// # Errors
    /// Those of the reader.
    pub fn read_all(&mut self, from: &mut dyn std::io::Read) -> std::io::Result<bool> {
        loop {
            let at = self.start.saturating_add(self.length);
            let end = self.start.saturating_add(self.capacity);
            let Some(free) = self.room.get_mut(at..end).filter(|free| !free.is_empty()) else {
                let mut more = Zeroizing::new([0; 1]);
                return Ok(from.read(&mut *more)? == 0);
            };
            match from.read(free) {
                Ok(0) => return Ok(true),
                Ok(n) => self.length = self.length.saturating_add(n).min(self.capacity),
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }
}

impl std::fmt::Debug for Guarded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Guarded(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_what_fits_and_shows_nothing() {
        let mut g = Guarded::with_capacity(5);
        assert!(g.extend(b"abc") && g.push(b'd'));
        assert!(!g.extend(b"ef"));
        assert!(g.push(b'e') && !g.push(b'f'));
        assert_eq!((g.bytes(), g.len()), (&b"abcde"[..], 5));
        g.truncate(2);
        assert_eq!(g.bytes(), b"ab");
        assert!(!g.room.contains(&b'c'));
        assert_eq!(format!("{g:?}"), "Guarded(..)");
        let mut g = Guarded::with_capacity(5);
        assert!(!g.read_all(&mut &b"too long"[..]).unwrap());
        let mut g = Guarded::with_capacity(5);
        assert!(g.read_all(&mut &b"fits!"[..]).unwrap());
        assert_eq!(g.bytes(), b"fits!");
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn of_status(name: &str) -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|l| l.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    #[test]
    fn its_pages_are_locked_and_its_own() {
        let page = region::page::size();
        let (a, b) = (Guarded::with_capacity(10), Guarded::with_capacity(2 * page));
        if !a.is_locked() {
            println!("this system locks no memory for this user: not tested");
            return;
        }
        assert_eq!(of_status("VmLck:") as usize, 3 * page / 1024);
        // Dropping one does not unlock the other: they share no page.
        drop(b);
        assert_eq!(of_status("VmLck:") as usize, page / 1024);
        drop(a);
        assert_eq!(of_status("VmLck:"), 0);
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    #[test]
    fn nothing_is_dumped() {
        use rustix::process::{DumpableBehavior, Resource, dumpable_behavior, getrlimit};
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::Dumpable);
        no_core_dumps();
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
        let limit = getrlimit(Resource::Core);
        assert_eq!((limit.current, limit.maximum), (Some(0), Some(0)));
    }
}
