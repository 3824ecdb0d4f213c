//! Moves a message from its body to its connection: frames are gathered, put into their framing and written, one batch at a time.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http_body::Body as _;

use super::encode::{Encoder, Mismatch};
use super::framing::Length;
use super::outbox::Outbox;
use crate::body::{Body, Pipe};
use crate::fault::Fault;
use crate::net::Stream;

/// What is gathered before it is written.
const GATHER: usize = 64 * 1024;

/// What must be left of a body for it to go through a pipe. Less is one read and one write, which cost less than a pipe's
/// three system calls.
const LARGE: u64 = 64 * 1024;

/// A message on its way out.
#[derive(Debug)]
pub(super) struct Pump {
    encoder: Encoder,
    out: Outbox,
    body: Option<Body>,
    begun: bool,
    /// Whether what is left of a large body may go through a pipe.
    splices: bool,
    /// The pipe, while there is something in it.
    pipe: Option<Pipe>,
    cut: bool,
    moved: u64,
}

/// Why the body did not come to its end.
#[derive(Debug)]
pub(super) enum Cut {
    /// It failed.
    Failed(Fault),
    /// It is longer or shorter than its head announced.
    Mismatch,
}

impl Pump {
    /// A message whose head is in `out` already. `splices`: its connection takes bytes from a pipe.
    pub(super) fn new(encoder: Encoder, out: Outbox, body: Option<Body>, splices: bool) -> Self {
        let begun = out.is_empty();
        Self {
            encoder,
            out,
            body,
            begun,
            splices,
            pipe: None,
            cut: false,
            moved: 0,
        }
    }

    /// Whether something of the message was written.
    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }

    /// Bytes written so far.
    pub(super) fn moved(&self) -> u64 {
        self.moved
    }

    /// Whether all of the message was written.
    pub(super) fn is_over(&self) -> bool {
        self.body.is_none() && self.out.is_empty() && self.pipe.is_none()
    }

    /// Whether the end of the message is the end of the connection.
    pub(super) fn ends_with_connection(&self) -> bool {
        self.encoder.length() == Length::UntilClose
    }

    /// Whether the body did not come to its end; what was taken of it before is still written.
    pub(super) fn is_cut(&self) -> bool {
        self.cut
    }

    /// Forgets what was not written.
    pub(super) fn give_up(&mut self) {
        self.body = None;
        self.out = Outbox::default();
        self.pipe = None;
    }

    /// Takes frames of the body, unless what was taken before is not written yet. Ready when there
    /// is no more of it, or enough; pending when the body is.
    pub(super) fn poll_gather(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Cut>> {
        if self.begun && !self.out.is_empty() || self.pipe.is_some() {
            return Poll::Ready(Ok(()));
        }
        if self.splices && self.out.is_empty() && self.encoder.unframed() >= LARGE {
            let spliced = ready!(self.poll_splice(cx));
            if let Some(spliced) = spliced {
                return Poll::Ready(spliced);
            }
        }
        while let Some(body) = &mut self.body
            && self.out.len() < GATHER
        {
            let added = match ready!(Pin::new(body).poll_frame(cx)) {
                Some(Ok(frame)) => self.encoder.frame(frame, &mut self.out),
                Some(Err(fault)) => return Poll::Ready(Err(self.cut(Cut::Failed(fault)))),
                None => {
                    self.body = None;
                    self.encoder.end(&mut self.out)
                }
            };
            if let Err(Mismatch) = added {
                return Poll::Ready(Err(self.cut(Cut::Mismatch)));
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Moves to the connection what is in the pipe, or copies it where it does not go that way.
    fn poll_drain(&mut self, stream: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(pipe) = &mut self.pipe {
            match ready!(stream.poll_drain(pipe, cx)) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(drained) => {
                    self.moved += drained as u64;
                    self.pipe.take_if(|pipe| pipe.held() == 0);
                }
                Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                    if let Some(pipe) = self.pipe.take() {
                        self.out.push(pipe.empty()?);
                    }
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Moves bytes of the body into the pipe; none where they do not go that way.
    fn poll_splice(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<(), Cut>>> {
        let (Some(body), Some(mut pipe)) = (&mut self.body, Pipe::take()) else {
            return Poll::Ready(None);
        };
        let moved = match ready!(body.poll_splice(&mut pipe, cx)) {
            Some(Ok(count)) => self.encoder.skip(count).map_err(|Mismatch| Cut::Mismatch),
            Some(Err(fault)) => Err(Cut::Failed(fault)),
            None => return Poll::Ready(None),
        };
        Poll::Ready(Some(match moved {
            Ok(()) => {
                self.pipe = Some(pipe);
                Ok(())
            }
            Err(why) => Err(self.cut(why)),
        }))
    }

    fn cut(&mut self, why: Cut) -> Cut {
        self.body = None;
        self.cut = true;
        why
    }

    /// Goes on with the request that this message answers, where it is still on its way.
    pub(super) fn poll_request(&mut self, cx: &mut Context<'_>) {
        if let Some(body) = &mut self.body {
            body.poll_request(cx);
        }
    }

    /// Writes what was gathered.
    pub(super) fn poll_write(
        &mut self,
        stream: &mut Stream,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(stream, cx))?;
        let before = self.out.len();
        let written = self.out.poll_write(stream, cx);
        self.moved += (before - self.out.len()) as u64;
        // What TLS took before it failed may be on its way all the same.
        let perhaps = matches!(written, Poll::Ready(Err(_))) && stream.holds_back();
        self.begun |= perhaps || self.out.len() < before;
        written
    }
}
