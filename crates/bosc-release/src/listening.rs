//! A port that a thread of its own serves until it is let go: for the few things that commands show over HTTP.
//!
//! Invariants:
//! * So many connections at once as the caller says; the next is closed.
//! * Nobody waits for it, but whoever lets it go: then no connection is served any more.
//! * How long a connection may take is up to what serves it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};

/// How long nobody is let in after the system refused a connection.
const AGAIN: Duration = Duration::from_millis(100);

/// How often what still comes is read, 1 KiB at a time.
const DRAINED: usize = 64;

/// A port that is ours, and that nobody serves yet.
#[derive(Debug)]
pub(crate) struct Bound {
    listener: std::net::TcpListener,
    address: SocketAddr,
}

/// A port that is served until this is dropped.
#[derive(Debug)]
pub(crate) struct Listening {
    close: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Bound {
    /// Takes this address; port 0 is a free one.
    ///
    /// # Errors
    /// Of the system.
    pub(crate) fn at(address: SocketAddr) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// Where it is.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Has each connection served, at most `most` of them at once, by a thread of this name.
    ///
    /// # Errors
    /// Of the system: no thread can be had.
    pub(crate) fn serve<F>(
        self,
        name: &str,
        most: usize,
        serve: impl Fn(TcpStream, SocketAddr) -> F + Send + 'static,
    ) -> io::Result<Listening>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let (close, closing) = oneshot::channel();
        let run = move || {
            runtime.block_on(async {
                let Ok(listener) = TcpListener::from_std(self.listener) else { return };
                tokio::select! {
                    _ = closing => {}
                    () = accept(&listener, most, &serve) => {}
                }
            });
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run)?;
        Ok(Listening { close: Some(close), thread: Some(thread) })
    }
}

/// Ends a connection that was answered, and takes some of what still comes: with that unread the system would reset the connection before the
/// other side read the answer.
///
/// # Errors
/// Of the system.
pub(crate) async fn end(stream: &mut TcpStream) -> io::Result<()> {
    stream.shutdown().await?;
    let mut rest = [0; 1024];
    for _ in 0..DRAINED {
        if stream.read(&mut rest).await? == 0 {
            break;
        }
    }
    Ok(())
}

impl Drop for Listening {
    fn drop(&mut self) {
        drop(self.close.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept<F>(listener: &TcpListener, most: usize, serve: &impl Fn(TcpStream, SocketAddr) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let room = Arc::new(Semaphore::new(most));
    loop {
        let Ok((stream, from)) = listener.accept().await else {
            // No descriptors left, as a rule: that passes.
            tokio::time::sleep(AGAIN).await;
            continue;
        };
        let Ok(place) = Arc::clone(&room).try_acquire_owned() else { continue };
        let served = serve(stream, from);
        tokio::spawn(async move {
            served.await;
            drop(place);
        });
    }
}
