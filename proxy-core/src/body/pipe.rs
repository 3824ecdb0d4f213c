//! A pipe of the kernel through which the bytes of a large body go from one socket to another without being copied (splice(2)).
//!
//! A pipe takes two file descriptors, and pages that the kernel counts for each user (pipe(7)), so a process has
//! a limited number, and a thread keeps for bodies to come what it needed a moment ago. Where there is none to be had,
//! bodies are copied.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;
use rustix::io::{Errno, retry_on_intr};
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

/// What a pipe holds: as much as a large read.
const ROOM: usize = 256 * 1024;

/// Pipes that a process has at the most: half of what the kernel grants a user who is not root. One is only
/// needed for longer than a moment where a receiver is slow.
const MOST: usize = 128;

/// How often a thread does without one after there was none to be had.
const PAUSE: u32 = 256;

static OPEN: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static SPARE: RefCell<Spare> = const { RefCell::new(Spare { pipes: Vec::new(), unused: 0 }) };
    static ALLOWED: Cell<bool> = const { Cell::new(true) };
    static PAUSES: Cell<u32> = const { Cell::new(0) };
}

/// Bytes on their way between two sockets, in the kernel.
#[derive(Debug)]
pub struct Pipe {
    ends: Option<Ends>,
    held: usize,
}

/// Pipes that a thread keeps for bodies to come.
struct Spare {
    pipes: Vec<Ends>,
    /// How many of them no body has needed since the last sweep.
    unused: usize,
}

#[derive(Debug)]
struct Ends {
    read: OwnedFd,
    write: OwnedFd,
    _place: Place,
}

/// One of the pipes that may be open, until dropped.
#[derive(Debug)]
struct Place(&'static AtomicUsize);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Pipe {
    /// Whether this thread may use pipes from now on.
    pub fn allow(allowed: bool) {
        ALLOWED.set(allowed);
        if !allowed {
            SPARE.with_borrow_mut(|spare| spare.pipes.clear());
        }
    }

    /// Closes pipes that this thread keeps and no body needed since the last time, all but one. To be called now and then.
    pub fn sweep() {
        SPARE.with_borrow_mut(|spare| {
            let count = spare.pipes.len();
            spare
                .pipes
                .truncate(count - spare.unused.saturating_sub(1).min(count));
            spare.unused = spare.pipes.len();
        });
    }

    /// An empty one; none where there may be no more, or where the kernel refuses one of this size.
    pub fn take() -> Option<Self> {
        if !ALLOWED.get() {
            return None;
        }
        let ends = SPARE.with_borrow_mut(Spare::pop).or_else(open)?;
        Some(Self {
            ends: Some(ends),
            held: 0,
        })
    }

    /// Bytes in it.
    pub fn held(&self) -> usize {
        self.held
    }

    /// Takes up to `most` bytes from a socket; the pipe must be empty, or a socket that has nothing could not be told
    /// from a pipe that is full. Zero is the end of the stream.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::Unsupported`] where the bytes have to be copied: nothing was taken then.
    pub fn fill(&mut self, from: impl AsFd, most: usize) -> io::Result<usize> {
        let (0, Some(ends)) = (self.held, &self.ends) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let (from, most) = (from.as_fd(), most.min(ROOM));
        let taken = retry_on_intr(|| splice(from, None, &ends.write, None, most, flags()));
        self.held = taken.map_err(refused)?;
        Ok(self.held)
    }

    /// Gives bytes to a socket, as many as it takes. It fails as [`Pipe::fill`] does, and holds then what it held.
    pub fn drain(&mut self, to: impl AsFd) -> io::Result<usize> {
        let Some(ends) = &self.ends else {
            return Ok(0);
        };
        let (to, held) = (to.as_fd(), self.held);
        let given = retry_on_intr(|| splice(&ends.read, None, to, None, held, flags()));
        let given = given.map_err(refused)?;
        self.held -= given;
        Ok(given)
    }

    /// What it holds, copied.
    pub fn empty(mut self) -> io::Result<Bytes> {
        let mut bytes = vec![0; self.held];
        if let Some(Ends { read, .. }) = self.ends.take() {
            File::from(read).read_exact(&mut bytes)?;
        }
        Ok(bytes.into())
    }
}

impl Spare {
    fn pop(&mut self) -> Option<Ends> {
        let ends = self.pipes.pop();
        self.unused = self.unused.min(self.pipes.len());
        ends
    }
}

/// Opens a pipe, unless there was just none to be had.
fn open() -> Option<Ends> {
    if !is_harmless() || PAUSES.replace(PAUSES.get().saturating_sub(1)) > 0 {
        return None;
    }
    let ends = Ends::open(&OPEN);
    if ends.is_none() {
        PAUSES.set(PAUSE);
    }
    ends
}

impl Ends {
    fn open(open: &'static AtomicUsize) -> Option<Self> {
        let before = open.fetch_add(1, Relaxed);
        let place = Place(open);
        if before >= MOST {
            return None;
        }
        let (read, write) = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC).ok()?;
        fcntl_setpipe_size(&write, ROOM).ok()?;
        Some(Self {
            read,
            write,
            _place: place,
        })
    }
}

fn flags() -> SpliceFlags {
    SpliceFlags::NONBLOCK | SpliceFlags::MOVE
}

/// Tells what only concerns splicing from what happens to a connection. Where the kernel knows no such thing, the
/// thread uses no pipes any more.
fn refused(error: Errno) -> io::Error {
    match error {
        Errno::INVAL | Errno::NOSYS => {
            tracing::warn!(%error, "the kernel refuses splice(2): bodies are copied");
            Pipe::allow(false);
        }
        Errno::PERM | Errno::ACCESS | Errno::OPNOTSUPP | Errno::NOMEM | Errno::NOBUFS => {}
        error => return error.into(),
    }
    io::Error::new(io::ErrorKind::Unsupported, error)
}

/// Whether SIGPIPE is ignored, as by every Rust program that does not ask for it: splice(2) sends it where the receiver is
/// gone, and knows no flag against that, as send(2) does.
fn is_harmless() -> bool {
    static IGNORED: OnceLock<bool> = OnceLock::new();
    *IGNORED.get_or_init(|| {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        ignores_sigpipe(&status)
    })
}

/// Reads the mask of ignored signals (proc_pid_status(5)).
fn ignores_sigpipe(status: &str) -> bool {
    const SIGPIPE: u32 = 13;
    let mut lines = status.lines();
    let mask = lines.find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (SIGPIPE - 1) & 1 == 1)
}

impl Drop for Pipe {
    fn drop(&mut self) {
        let Some(ends) = self.ends.take() else { return };
        if self.held == 0 && ALLOWED.get() {
            SPARE.with_borrow_mut(|spare| spare.pipes.push(ends));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    /// Pipes that this thread keeps.
    fn kept() -> usize {
        SPARE.with_borrow(|spare| spare.pipes.len())
    }

    fn connection() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (client, listener.accept().unwrap().0)
    }

    #[test]
    fn what_one_socket_sent_another_gets() {
        let ((mut client, inner), (outer, mut server)) = (connection(), connection());
        client.write_all(b"hello").unwrap();
        let mut pipe = Pipe::take().unwrap();
        assert_eq!(pipe.fill(&inner, 4).unwrap(), 4);
        assert!(pipe.fill(&inner, 4).is_err(), "there is something in it");
        assert_eq!(pipe.drain(&outer).unwrap(), 4);
        assert_eq!(pipe.fill(&inner, 4).unwrap(), 1);
        assert_eq!(&pipe.empty().unwrap()[..], b"o");
        let mut bytes = [0; 4];
        server.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"hell");
        drop(client);
        assert_eq!(Pipe::take().unwrap().fill(&inner, 4).unwrap(), 0);
    }

    #[test]
    fn empty_ones_are_used_again_and_others_are_closed() {
        let (mut client, inner) = connection();
        drop(Pipe::take().unwrap());
        assert_eq!(kept(), 1);
        client.write_all(b"hello").unwrap();
        let mut pipe = Pipe::take().unwrap();
        assert_eq!(kept(), 0);
        pipe.fill(&inner, 5).unwrap();
        drop(pipe);
        assert_eq!(kept(), 0);
    }

    #[test]
    fn there_are_no_more_than_a_number() {
        static OPEN: AtomicUsize = AtomicUsize::new(0);
        let open = || std::iter::from_fn(|| Ends::open(&OPEN)).take(2 * MOST);
        let all: Vec<_> = open().collect();
        assert_eq!((all.len(), OPEN.load(Relaxed)), (MOST, MOST));
        drop(all);
        assert_eq!(OPEN.load(Relaxed), 0);
        assert_eq!(open().count(), 2 * MOST, "one after the other");
    }

    #[test]
    fn what_is_not_needed_for_a_while_is_closed() {
        let all: Vec<_> = std::iter::from_fn(Pipe::take).take(8).collect();
        drop(all);
        Pipe::sweep();
        assert_eq!(kept(), 8, "needed a moment ago");
        let three: Vec<_> = std::iter::from_fn(Pipe::take).take(3).collect();
        drop(three);
        Pipe::sweep();
        assert_eq!(kept(), 4);
        Pipe::sweep();
        assert_eq!(kept(), 1);
        Pipe::sweep();
        assert_eq!(kept(), 1);
    }

    #[test]
    fn where_it_is_refused_nothing_is_lost() {
        let (mut client, inner) = connection();
        client.write_all(b"hello").unwrap();
        let mut pipe = Pipe::take().unwrap();
        pipe.fill(&inner, 5).unwrap();
        // splice(2) takes no file that is opened for appending.
        let file = tempfile::NamedTempFile::new().unwrap();
        let appends = File::options().append(true).open(file.path()).unwrap();
        let error = pipe.drain(&appends).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
        assert_eq!(&pipe.empty().unwrap()[..], b"hello");
        assert!(Pipe::take().is_none(), "it would be refused again");
    }

    #[test]
    fn what_may_not_be_used_is_not_had() {
        Pipe::allow(false);
        assert!(Pipe::take().is_none());
        Pipe::allow(true);
        assert!(Pipe::take().is_some());
    }

    #[test]
    fn the_mask_of_ignored_signals_is_read() {
        let status = |mask| format!("Name:\tx\nSigIgn:\t{mask}\nSigCgt:\t0000000000001000\n");
        assert!(ignores_sigpipe(&status("0000000000001000")));
        assert!(!ignores_sigpipe(&status("ffffffffffffefff")));
        assert!(!ignores_sigpipe("SigCgt:\t0000000000001000\n"));
        assert!(is_harmless(), "this program ignores it");
    }
}
