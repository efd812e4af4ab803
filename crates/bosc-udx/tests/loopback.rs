//! Two streams over real sockets on two threads. `BOSC_UDX_MIB` makes it long enough to measure; run with `--release
//! --nocapture` then. `BOSC_UDX_RCVBUF` sets the sockets' receive buffers (212992 is a stock Linux),
//! `BOSC_UDX_SEGMENTS=1` sends every datagram with a call of its own,
//! `BOSC_UDX_LOSS_PERMILLE` drops some at both ends.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]
#![allow(clippy::print_stdout, reason = "figures")]

#[path = "common/driver.rs"]
mod driver;

use bosc_udx::{CloseReason, Config, Stream};
use driver::{Peer, Socket};
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn a_transfer_between_threads() {
    let mib = std::env::var("BOSC_UDX_MIB").ok().and_then(|text| text.parse().ok()).unwrap_or(8usize);
    let total = mib << 20;
    let start = Instant::now();
    let limit = Duration::from_secs(300);
    let run =
        move |id: u32, other: u32, to_write: usize, tell: Sender<SocketAddr>, hear: Receiver<SocketAddr>| {
            block_on(async move {
                let socket = Socket::bind(0);
                tell.send(socket.address()).unwrap();
                let mut stream = Stream::new(id, Config::default(), start.elapsed());
                stream.connect(socket.tag, other, hear.recv().unwrap(), start.elapsed());
                let mut peer = Peer::new(stream, socket, start);
                peer.to_write = to_write;
                peer.run(limit, |peer| peer.closed.is_some()).await;
                // The other side may need our last acknowledgement again.
                peer.run(Duration::from_millis(100), |_| false).await;
                peer
            })
        };
    let (tell_a, hear_a) = channel();
    let (tell_b, hear_b) = channel();
    let a = std::thread::spawn(move || run(1, 2, total, tell_a, hear_b));
    let b = std::thread::spawn(move || run(2, 1, 0, tell_b, hear_a));
    let (a, b) = (a.join().unwrap(), b.join().unwrap());
    assert_eq!((a.closed, b.closed), (Some(CloseReason::Ended), Some(CloseReason::Ended)));
    assert_eq!(b.received, total);
    assert!(b.correct);
    let stats = a.stream.stats();
    let seconds = (b.last_byte - b.first_byte.unwrap()).as_secs_f64();
    println!(
        "{:.0} MiB/s, {:.3} % sent twice\nsender {stats:?}\nreceiver {:?}",
        mib as f64 / seconds,
        stats.retransmitted_packets as f64 * 100.0 / stats.data_packets_sent as f64,
        b.stream.stats(),
    );
}
