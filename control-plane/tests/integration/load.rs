use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Requests without a pause, on connections that are kept.
pub(crate) struct Load {
    counts: Arc<Counts>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Counts {
    ended: AtomicBool,
    good: AtomicU64,
    bad: AtomicU64,
}

impl Load {
    /// So many connections, with this pause between the requests of each.
    pub(crate) fn start(address: SocketAddr, connections: usize, pause: Duration) -> Self {
        let counts = Arc::new(Counts::default());
        let threads = (0..connections).map(|_| {
            let counts = Arc::clone(&counts);
            thread::spawn(move || counts.send(address, pause))
        });
        Self {
            threads: threads.collect(),
            counts,
        }
    }

    /// How many requests were answered with 200 until now, and how many were not.
    pub(crate) fn so_far(&self) -> (u64, u64) {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (read(&self.counts.good), read(&self.counts.bad))
    }

    /// Ends it; how many requests were answered with 200, and how many were not.
    pub(crate) fn stop(self) -> (u64, u64) {
        self.counts.ended.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().unwrap();
        }
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (read(&self.counts.good), read(&self.counts.bad))
    }
}

impl Counts {
    fn send(&self, address: SocketAddr, pause: Duration) {
        let mut stream: Option<TcpStream> = None;
        while !self.ended.load(Ordering::Relaxed) {
            let open = match stream.take() {
                Some(open) => Ok(open),
                None => TcpStream::connect(address),
            };
            match open.and_then(once) {
                Ok(kept) => {
                    stream = Some(kept);
                    self.good.fetch_add(1, Ordering::Relaxed);
                }
                Err(_) => {
                    self.bad.fetch_add(1, Ordering::Relaxed);
                }
            }
            thread::sleep(pause);
        }
    }
}

/// A request and its answer, which has no body.
fn once(mut stream: TcpStream) -> std::io::Result<TcpStream> {
    let fault = |text: &str| std::io::Error::other(text.to_owned());
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")?;
    let mut answer = Vec::new();
    let mut buffer = [0; 2_048];
    while !answer.ends_with(b"\r\n\r\n") {
        match stream.read(&mut buffer)? {
            0 => return Err(fault("closed")),
            count => answer.extend(&buffer[..count]),
        }
    }
    if answer.starts_with(b"HTTP/1.1 200 ") {
        Ok(stream)
    } else {
        Err(fault("not 200"))
    }
}
