//! The access log: one JSON object a line, written by a thread of its own so that no worker waits for a disk or a pipe.
//!
//! The queue is bounded; when the reader of the log is slower than the traffic, lines are dropped
//! and counted, and requests go on.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

/// Lines that may wait to be written.
const QUEUE: usize = 8192;

/// Which exchanges are logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Which {
    /// Every one.
    All,
    /// Those that ended with a status of 500 or more, a fault other than that no route fits, or an abort.
    #[default]
    Errors,
    /// None.
    Off,
}

/// Takes lines from any thread. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AccessLog {
    which: Which,
    queue: SyncSender<Vec<u8>>,
    dropped: Arc<AtomicU64>,
    waiting: Arc<AtomicU64>,
}

impl AccessLog {
    /// A log and the writer that must run for its lines to appear.
    pub fn new(which: Which) -> (Self, AccessLogWriter) {
        let (queue, lines) = sync_channel(QUEUE);
        let waiting = Arc::new(AtomicU64::new(0));
        (
            Self {
                which,
                queue,
                dropped: Arc::default(),
                waiting: Arc::clone(&waiting),
            },
            AccessLogWriter { lines, waiting },
        )
    }

    /// The same log with another choice of exchanges.
    pub fn with(&self, which: Which) -> Self {
        Self {
            which,
            ..self.clone()
        }
    }

    /// Whether both log the same exchanges.
    pub fn is_same(&self, other: &Self) -> bool {
        self.which == other.which
    }

    /// Whether an exchange is logged; `bad` says whether it belongs to the errors.
    pub fn wants(&self, bad: bool) -> bool {
        match self.which {
            Which::All => true,
            Which::Errors => bad,
            Which::Off => false,
        }
    }

    /// Queues a line, or drops and counts it when the queue is full.
    pub fn write(&self, line: Vec<u8>) {
        self.waiting.fetch_add(1, Relaxed);
        if self.queue.try_send(line).is_err() {
            self.waiting.fetch_sub(1, Relaxed);
            self.dropped.fetch_add(1, Relaxed);
        }
    }

    /// Waits until everything that was queued is written, at most for `limit`.
    pub async fn flushed(&self, limit: Duration) {
        let written = async {
            while self.waiting.load(Relaxed) > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let _ = tokio::time::timeout(limit, written).await;
    }

    /// Lines dropped so far.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }
}

/// Writes queued lines until the last [`AccessLog`] is gone.
#[derive(Debug)]
pub struct AccessLogWriter {
    lines: Receiver<Vec<u8>>,
    waiting: Arc<AtomicU64>,
}

impl AccessLogWriter {
    /// Writes to `out`, gathering what waits into one write. Returns when every log handle is gone or `out` fails.
    pub fn run(self, mut out: impl Write) {
        let mut batch = Vec::with_capacity(64 * 1024);
        while let Ok(line) = self.lines.recv() {
            let mut count = 1;
            append(&mut batch, &line);
            while batch.len() < 48 * 1024 {
                let Ok(line) = self.lines.try_recv() else {
                    break;
                };
                count += 1;
                append(&mut batch, &line);
            }
            let written = out.write_all(&batch).and_then(|()| out.flush());
            self.waiting.fetch_sub(count, Relaxed);
            if written.is_err() {
                return;
            }
            batch.clear();
        }
    }
}

fn append(batch: &mut Vec<u8>, line: &[u8]) {
    batch.extend_from_slice(line);
    batch.push(b'\n');
}
