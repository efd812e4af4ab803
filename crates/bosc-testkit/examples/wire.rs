//! A bad wire: passes Ethernet frames between two interfaces of its network namespace, and treats each as [`Simulator`]
//! treats a datagram in virtual time (loss, delay, jitter, rate, a queue that drops its tail). Linux has netem for that;
//! not every kernel does.
//!
//! ```sh
//! wire LEFT RIGHT [--loss 0.02] [--delay-ms 50] [--jitter-ms 5] [--rate-mbit 100] [--queue-kb 1000] [--seed 1]
//! ```
//!
//! Both directions are treated alike, each on its own. Jitter passes no frame by another one. Prints `ready`, and what
//! became of the frames when its standard input ends. Who sends over it must not leave segmentation or checksums to its
//! interface: the frames would be larger than any wire's, or wrong (`interop/lib/sites.mjs` sees to that).
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "a program")]

#[cfg(target_os = "linux")]
mod linux {
    use bosc_testkit::{LinkConfig, Occurrence, Simulator};
    use nix::errno::Errno;
    use nix::poll::{PollFd, PollFlags, ppoll};
    use nix::sys::socket::{
        AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, bind, recv, send, setsockopt,
        socket, sockopt,
    };
    use nix::sys::time::TimeSpec;
    use std::error::Error;
    use std::io::Write;
    use std::net::SocketAddr;
    use std::os::fd::{AsFd, AsRawFd, OwnedFd};
    use std::time::{Duration, Instant};

    type Result<T> = std::result::Result<T, Box<dyn Error>>;

    const FRAME_MAX: usize = 65_536;
    /// For the time that the machine gives to others.
    const SOCKET_BUFFER: usize = 16 << 20;
    /// Frames of one side before the other has its turn.
    const TURN: usize = 64;
    const IPV4: [u8; 2] = [0x08, 0x00];

    fn open(interface: &str) -> Result<OwnedFd> {
        let address: LinkAddr = nix::ifaddrs::getifaddrs()?
            .filter(|found| found.interface_name == interface)
            .find_map(|found| found.address?.as_link_addr().copied())
            .ok_or_else(|| format!("no interface {interface}"))?;
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let fd = socket(AddressFamily::Packet, SockType::Raw, flags, SockProtocol::EthAll)?;
        // The address names no protocol: that of the socket stays.
        bind(fd.as_raw_fd(), &address)?;
        setsockopt(&fd, sockopt::RcvBufForce, &SOCKET_BUFFER)?;
        setsockopt(&fd, sockopt::SndBufForce, &SOCKET_BUFFER)?;
        Ok(fd)
    }

    fn config(mut args: impl Iterator<Item = String>) -> Result<(LinkConfig, u64)> {
        let mut link =
            LinkConfig { delay: Duration::ZERO, mtu: FRAME_MAX, overhead: 0, ..LinkConfig::default() };
        let mut seed = 1;
        while let Some(name) = args.next() {
            let value: f64 = args.next().ok_or_else(|| format!("{name} needs a number"))?.parse()?;
            match name.as_str() {
                "--loss" => link.loss = value,
                "--delay-ms" => link.delay = Duration::from_secs_f64(value / 1e3),
                "--jitter-ms" => link.jitter = Duration::from_secs_f64(value / 1e3),
                "--rate-mbit" => link.rate = Some((value * 1e6 / 8.0) as u64),
                "--queue-kb" => link.queue = (value * 1e3) as usize,
                "--seed" => seed = value as u64,
                _ => return Err(format!("unknown: {name}").into()),
            }
        }
        Ok((link, seed))
    }

    /// Reads what has come at `from`. Only IPv4 meets the wire's troubles: who looks for a neighbour loses nothing.
    fn take(
        sim: &mut Simulator,
        from: &OwnedFd,
        to: &OwnedFd,
        place: (SocketAddr, SocketAddr),
    ) -> Result<()> {
        let mut frame = [0; FRAME_MAX];
        for _ in 0..TURN {
            let len = match recv(from.as_raw_fd(), &mut frame, MsgFlags::empty()) {
                Ok(len) => len,
                Err(Errno::EAGAIN | Errno::EINTR | Errno::ENETDOWN) => return Ok(()),
                Err(e) => return Err(e.into()),
            };
            let bytes = frame.get(..len).unwrap_or_default();
            if bytes.get(12..14) == Some(&IPV4) {
                sim.send(place.0, place.1, bytes);
            } else {
                give(to, bytes);
            }
        }
        Ok(())
    }

    /// A frame that the interface does not take is lost, as on any wire.
    fn give(to: &OwnedFd, frame: &[u8]) {
        let _ = send(to.as_raw_fd(), frame, MsgFlags::empty());
    }

    pub(crate) fn run() -> Result<()> {
        let mut args = std::env::args().skip(1);
        let (Some(left), Some(right)) = (args.next(), args.next()) else {
            return Err(
                "wire LEFT RIGHT [--loss P] [--delay-ms N] [--jitter-ms N] [--rate-mbit N] [--queue-kb N]"
                    .into(),
            );
        };
        let (link, seed) = config(args)?;
        let (left, right) = (open(&left)?, open(&right)?);
        let (a, b) = (SocketAddr::from(([0, 0, 0, 1], 1)), SocketAddr::from(([0, 0, 0, 2], 2)));
        let mut sim = Simulator::new(seed, link);
        let start = Instant::now();
        let stdin = std::io::stdin();
        println!("ready");
        std::io::stdout().flush()?;
        loop {
            let wait = sim.next_at().map(|at| TimeSpec::from(at.saturating_sub(start.elapsed())));
            let mut waiting = [
                PollFd::new(left.as_fd(), PollFlags::POLLIN),
                PollFd::new(right.as_fd(), PollFlags::POLLIN),
                PollFd::new(stdin.as_fd(), PollFlags::POLLIN),
            ];
            match ppoll(&mut waiting, wait, None) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(e) => return Err(e.into()),
            }
            let [from_left, from_right, ended] = waiting.map(|fd| fd.any().unwrap_or(true));
            if ended {
                println!("{:?}", sim.stats());
                return Ok(());
            }
            // What is due goes first; and it sets the clock for what has come.
            while let Some(what) = sim.next_until(start.elapsed()) {
                if let Occurrence::Datagram(frame) = what {
                    give(if frame.to == b { &right } else { &left }, &frame.payload);
                }
            }
            if from_left {
                take(&mut sim, &left, &right, (a, b))?;
            }
            if from_right {
                take(&mut sim, &right, &left, (b, a))?;
            }
        }
    }
}

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    linux::run()
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("packet sockets are of Linux");
}
