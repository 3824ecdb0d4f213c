//! The process's own log: lines are queued and written by a thread of its own, so that nobody who logs waits for a reader.
//!
//! What waits is bounded in bytes. When a reader is slower than the log, or has stopped, lines are dropped and
//! counted; as soon as there is room again, the log itself says how many.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Bytes that may wait to be written.
const MOST: usize = 4 * 1024 * 1024;

/// What a line takes besides its bytes.
const BESIDES: usize = 64;

/// How often somebody who waits for the end looks.
const LOOK: Duration = Duration::from_millis(2);

/// Lines dropped so far: a process has one log, as it has one standard error.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Takes lines from any thread. Cheap to clone. As a writer it takes each piece that is written as a line.
#[derive(Debug, Clone)]
pub struct OwnLog {
    queue: Sender<Vec<u8>>,
    waiting: Arc<AtomicUsize>,
}

impl OwnLog {
    /// A log and the writer that must run for its lines to appear.
    pub fn new() -> (Self, OwnLogWriter) {
        let (queue, lines) = channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let writer = OwnLogWriter {
            lines,
            waiting: Arc::clone(&waiting),
        };
        (Self { queue, waiting }, writer)
    }

    /// Queues a line, its end included, or drops and counts it.
    pub fn line(&self, line: Vec<u8>) {
        let size = line.len() + BESIDES;
        let before = self.waiting.fetch_add(size, Relaxed);
        if before + size > MOST || self.queue.send(line).is_err() {
            self.waiting.fetch_sub(size, Relaxed);
            DROPPED.fetch_add(1, Relaxed);
        }
    }

    /// Waits until everything that was queued is written, at most for `limit`.
    pub fn flush_within(&self, limit: Duration) {
        let begun = Instant::now();
        while self.waiting.load(Relaxed) > 0 && begun.elapsed() < limit {
            thread::sleep(LOOK);
        }
    }

    /// Lines of this process's log that were dropped so far.
    pub fn dropped() -> u64 {
        DROPPED.load(Relaxed)
    }
}

impl Write for OwnLog {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.line(line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes queued lines until the last [`OwnLog`] is gone.
#[derive(Debug)]
pub struct OwnLogWriter {
    lines: Receiver<Vec<u8>>,
    waiting: Arc<AtomicUsize>,
}

impl OwnLogWriter {
    /// Writes to `out`. What `out` does not take is lost: there is nowhere else to say so.
    pub fn run(self, mut out: impl Write) {
        let mut told = 0;
        while let Ok(line) = self.lines.recv() {
            let _ = out.write_all(&line);
            let left = self.waiting.fetch_sub(line.len() + BESIDES, Relaxed);
            let dropped = OwnLog::dropped();
            if left < MOST / 2 && dropped > told {
                let lines = dropped - told;
                told = dropped;
                tracing::warn!(lines, "lines of this log were lost: its reader is too slow");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Default)]
    struct Out(Arc<parking_lot::Mutex<Vec<u8>>>);

    impl Write for Out {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_are_written_in_order_and_flushed() {
        let (mut log, writer) = OwnLog::new();
        let out = Out::default();
        let to = out.clone();
        let thread = thread::spawn(move || writer.run(to));
        log.line(b"first\n".to_vec());
        writeln!(log, "second").unwrap();
        log.flush_within(Duration::from_secs(60));
        assert_eq!(*out.0.lock(), b"first\nsecond\n");
        drop(log);
        thread.join().unwrap();
    }

    #[test]
    fn what_nobody_reads_is_dropped_and_counted() {
        let (log, writer) = OwnLog::new();
        let before = OwnLog::dropped();
        let line = vec![b'x'; 1024 * 1024];
        for _ in 0..6 {
            log.line(line.clone());
        }
        assert_eq!(OwnLog::dropped() - before, 3);
        assert!(log.waiting.load(Relaxed) <= MOST);
        log.flush_within(Duration::ZERO);
        drop(log);
        let out = Out::default();
        writer.run(out.clone());
        assert_eq!(out.0.lock().len(), 3 * line.len());
    }
}
