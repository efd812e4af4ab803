//! What systemd is told (`sd_notify`): a datagram to the socket that `NOTIFY_SOCKET` names. Without it, nothing.
//!
//! `READY=1` says that the store is open and the node listens, not that the network answers: a machine that is offline starts all the
//! same. `WATCHDOG=1` comes from the loop that looks at the links, so it ends when that hangs.

use std::time::{Duration, Instant};

/// Tells systemd, if it asks for it.
#[derive(Debug, Default)]
pub(super) struct Notifier {
    #[cfg(unix)]
    socket: Option<(std::os::unix::net::UnixDatagram, std::os::unix::net::SocketAddr)>,
    watchdog: Option<Duration>,
    last: Option<Instant>,
}

impl Notifier {
    /// As the environment asks for it.
    pub(super) fn from_env() -> Self {
        #[cfg(unix)]
        {
            let socket = std::env::var_os("NOTIFY_SOCKET").and_then(|name| connect(&name));
            let of_us =
                std::env::var("WATCHDOG_PID").map_or(true, |pid| pid == std::process::id().to_string());
            let usec = std::env::var("WATCHDOG_USEC").ok().and_then(|usec| usec.parse::<u64>().ok());
            let watchdog = usec.filter(|n| of_us && *n > 0 && socket.is_some()).map(half);
            Self { socket, watchdog, last: None }
        }
        #[cfg(not(unix))]
        Self::default()
    }

    /// Everything is up.
    pub(super) fn ready(&self, status: &str) {
        self.send(&format!("READY=1\nSTATUS={status}"));
    }

    /// It ends.
    pub(super) fn stopping(&self) {
        self.send("STOPPING=1\nSTATUS=ending");
    }

    /// Tells that the loop runs, if it is time. When to call again.
    pub(super) fn alive(&mut self, now: Instant) -> Option<Instant> {
        let every = self.watchdog?;
        if self.last.is_none_or(|last| now.saturating_duration_since(last) >= every) {
            self.send("WATCHDOG=1");
            self.last = Some(now);
        }
        self.last.map(|last| last + every)
    }

    fn send(&self, text: &str) {
        #[cfg(unix)]
        if let Some((socket, to)) = &self.socket {
            // Whoever does not hear us notices by itself.
            let _ = socket.send_to_addr(text.as_bytes(), to);
        }
        #[cfg(not(unix))]
        let _ = text;
    }
}

/// Half of what systemd waits, as its manual asks for.
#[cfg(unix)]
fn half(usec: u64) -> Duration {
    Duration::from_micros(usec / 2).max(Duration::from_millis(1))
}

#[cfg(unix)]
fn connect(
    name: &std::ffi::OsStr,
) -> Option<(std::os::unix::net::UnixDatagram, std::os::unix::net::SocketAddr)> {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};
    let to = match name.as_bytes().split_first()? {
        (b'/', _) => SocketAddr::from_pathname(name).ok()?,
        #[cfg(target_os = "linux")]
        (b'@', rest) => {
            use std::os::linux::net::SocketAddrExt;
            SocketAddr::from_abstract_name(rest).ok()?
        }
        _ => return None,
    };
    let socket = UnixDatagram::unbound().ok()?;
    socket.set_nonblocking(true).ok()?;
    Some((socket, to))
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixDatagram;

    fn receive(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 200];
        let n = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..n]).into_owned()
    }

    #[test]
    fn what_happens_is_told_and_the_watchdog_is_fed_in_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let system = UnixDatagram::bind(&path).unwrap();
        system.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut n =
            Notifier { socket: connect(path.as_os_str()), watchdog: Some(half(2_000_000)), last: None };
        n.ready("2 links");
        assert_eq!(receive(&system), "READY=1\nSTATUS=2 links");
        let start = Instant::now();
        assert_eq!(n.alive(start), Some(start + Duration::from_secs(1)));
        assert_eq!(receive(&system), "WATCHDOG=1");
        assert_eq!(n.alive(start + Duration::from_millis(999)), Some(start + Duration::from_secs(1)));
        assert!(n.alive(start + Duration::from_secs(1)).is_some());
        assert_eq!(receive(&system), "WATCHDOG=1");
        n.stopping();
        assert_eq!(receive(&system), "STOPPING=1\nSTATUS=ending", "nothing was told in between");
    }

    #[test]
    fn a_name_that_is_none_is_left_alone() {
        for name in ["", "relative", "vsock:1:2"] {
            assert!(connect(std::ffi::OsStr::new(name)).is_none(), "{name}");
        }
    }
}
