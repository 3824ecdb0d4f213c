//! A pipe of the kernel through which the bytes of a large body go from one socket to another without being copied (splice(2)).
//!
//! A pipe takes two file descriptors, and pages that the kernel counts for each user (pipe(7)), so a thread has
//! a limited number, and keeps for bodies to come what it needed a moment ago. Where there is none to be had, bodies
//! are copied.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

/// What a pipe holds: as much as a large read.
const ROOM: usize = 256 * 1024;

/// Pipes that a thread has at the most: a quarter of what the kernel grants a user who is not root. One is only
/// needed for longer than a moment where a receiver is slow.
const MOST: usize = 64;

thread_local! {
    static SPARE: RefCell<Spare> = const { RefCell::new(Spare { pipes: Vec::new(), unused: 0 }) };
    static OPEN: Arc<AtomicUsize> = Arc::default();
    static ALLOWED: Cell<bool> = const { Cell::new(true) };
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

/// One of the pipes that the thread which opened it may have, until dropped, on whatever thread.
#[derive(Debug)]
struct Place(Arc<AtomicUsize>);

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
        let ends = SPARE.with_borrow_mut(Spare::pop).or_else(Ends::open)?;
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
    /// [`io::ErrorKind::Unsupported`] where this kernel, or a filter of system calls, refuses: nothing was taken then,
    /// and the thread uses no pipes any more.
    pub fn fill(&mut self, from: impl AsFd, most: usize) -> io::Result<usize> {
        let (0, Some(ends)) = (self.held, &self.ends) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let taken = splice(from, None, &ends.write, None, most.min(ROOM), flags());
        self.held = taken.map_err(refused)?;
        Ok(self.held)
    }

    /// Gives bytes to a socket, as many as it takes. It fails as [`Pipe::fill`] does, and holds then what it held.
    pub fn drain(&mut self, to: impl AsFd) -> io::Result<usize> {
        let Some(ends) = &self.ends else {
            return Ok(0);
        };
        let given = splice(&ends.read, None, to, None, self.held, flags()).map_err(refused)?;
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

impl Ends {
    fn open() -> Option<Self> {
        let place = OPEN.with(|open| {
            let place = Place(Arc::clone(open));
            (open.fetch_add(1, Relaxed) < MOST).then_some(place)
        })?;
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

/// Tells a refusal to splice at all from what happens to a connection.
fn refused(error: rustix::io::Errno) -> io::Error {
    use rustix::io::Errno;
    match error {
        Errno::INVAL | Errno::NOSYS | Errno::PERM | Errno::ACCESS | Errno::OPNOTSUPP => {
            Pipe::allow(false);
            io::Error::new(io::ErrorKind::Unsupported, error)
        }
        error => error.into(),
    }
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

    fn open() -> usize {
        OPEN.with(|open| open.load(Relaxed))
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
        assert_eq!(open(), 1);
        client.write_all(b"hello").unwrap();
        let mut pipe = Pipe::take().unwrap();
        assert_eq!(open(), 1);
        pipe.fill(&inner, 5).unwrap();
        drop(pipe);
        assert_eq!(open(), 0);
    }

    #[test]
    fn a_thread_has_no_more_than_its_number() {
        let all: Vec<_> = std::iter::from_fn(Pipe::take).take(2 * MOST).collect();
        assert_eq!(all.len(), MOST);
        drop(all);
        assert_eq!(open(), MOST);
        assert!(Pipe::take().is_some());
    }

    #[test]
    fn what_is_not_needed_for_a_while_is_closed() {
        let all: Vec<_> = std::iter::from_fn(Pipe::take).take(8).collect();
        drop(all);
        Pipe::sweep();
        assert_eq!(open(), 8, "needed a moment ago");
        let three: Vec<_> = std::iter::from_fn(Pipe::take).take(3).collect();
        drop(three);
        Pipe::sweep();
        assert_eq!(open(), 4);
        Pipe::sweep();
        assert_eq!(open(), 1);
        Pipe::sweep();
        assert_eq!(open(), 1);
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
}
