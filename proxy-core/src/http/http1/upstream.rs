//! One HTTP/1.1 connection to an upstream: writes a request and reads its response, in the task of whoever asks.
//!
//! The body of the request goes up while the response is awaited, and on while the response's body
//! comes down: an upstream may answer early. It does not decide which connection is used: that is the pool's.

use std::io;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body::{Body as _, Frame, SizeHint};

use super::buffer::Buffer;
use super::chunked::Malformed;
use super::decode::{Decoded, Decoder};
use super::encode;
use super::head::{self, Bad, ResponseHead, Scan};
use super::outbox::Outbox;
use super::pump::{Cut, Pump};
use super::upgrade::Handover;
use crate::body::{Body, Pipe, Spliced};
use crate::fault::{Fault, Reason};
use crate::net::Stream;
use crate::tls;

/// A small body that came with its head is handed on at once up to this size.
const WHOLE: u64 = 64 * 1024;

/// A connection between two exchanges, or in one.
#[derive(Debug)]
pub(in crate::http) struct Wire {
    stream: Stream,
    buffer: Buffer,
    max_headers: usize,
}

/// How many interim responses are read before others have their turn.
const IN_A_ROW: u32 = 16;

/// Why there is no response.
#[derive(Debug)]
pub(in crate::http) enum Failed {
    /// The request's own body failed.
    Body(Fault),
    /// The connection ended before the response's head did.
    Lost {
        /// Whether some of the request was sent.
        sent: bool,
        /// Whether some of the head came.
        begun: bool,
        cause: io::Error,
    },
    /// What came is no response.
    NotHttp(&'static str),
    /// The response's head exceeds a limit.
    TooLarge(&'static str),
}

impl Wire {
    pub(in crate::http) fn new(stream: Stream, max_headers: usize) -> Self {
        Self {
            stream,
            buffer: Buffer::default(),
            max_headers,
        }
    }

    /// Whether the upstream has neither closed the connection nor sent something unasked, as far as
    /// is known. Costs no system call as long as nothing has come.
    pub(in crate::http) fn is_open(&mut self) -> bool {
        self.buffer.is_empty() && self.stream.is_quiet()
    }

    /// Gives back the memory that an idle connection does not need.
    pub(in crate::http) fn rest(&mut self) {
        self.buffer.release();
    }

    fn take_head(
        &mut self,
        scan: &mut Scan,
        method: &Method,
    ) -> Result<Option<ResponseHead>, Failed> {
        head::response(&mut self.buffer, scan, self.max_headers, method).map_err(|bad| match bad {
            Bad::Malformed(what) => Failed::NotHttp(what),
            Bad::Version | Bad::Foreign => Failed::NotHttp("another version of HTTP"),
            Bad::TooMany => Failed::TooLarge("has more than 100 fields"),
            Bad::TooLarge | Bad::TargetTooLong | Bad::Late => {
                Failed::TooLarge("has more bytes than max-headers allows")
            }
        })
    }

    /// Begins to send a request, and takes its body. One without a body is left alone where nothing of it can be written.
    pub(in crate::http) fn send(&mut self, request: &mut Request<Body>) -> io::Result<Sending> {
        let mut out = Outbox::default();
        let encoder = encode::request(request, &mut out);
        let has_body = !request.body().is_end_stream();
        if !has_body {
            out.try_write(&self.stream)?;
        }
        let body = has_body.then(|| std::mem::take(request.body_mut()));
        Ok(Sending {
            method: request.method().clone(),
            scan: Scan::default(),
            heard: false,
            interims: 0,
            upload: Upload {
                pump: Pump::new(encoder, out, body, self.stream.splices()),
                broken: None,
            },
        })
    }

    /// The stream after a switch of protocols, with what came behind the 101.
    pub(in crate::http) fn switch(mut self) -> Handover {
        let ahead = self.buffer.take_all().to_vec();
        Handover::now(self.stream.with_ahead(ahead))
    }
}

fn is_interim(status: StatusCode) -> bool {
    status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS
}

/// A request on its way.
#[derive(Debug)]
pub(in crate::http) struct Sending {
    method: Method,
    scan: Scan,
    /// Whether an interim response came: the upstream has the request.
    heard: bool,
    interims: u32,
    upload: Upload,
}

impl Sending {
    /// Goes on sending and waits for the head of the response. `interim` gets those that come before: the
    /// upstream asks for the body, or has something to say early. An upstream that takes no more of the body may
    /// have answered.
    pub(in crate::http) fn poll_head(
        &mut self,
        wire: &mut Wire,
        cx: &mut Context<'_>,
        interim: impl Fn(Response<()>),
    ) -> Poll<Result<ResponseHead, Failed>> {
        if let Poll::Ready(Err(fault)) = self.upload.poll(&mut wire.stream, cx) {
            return Poll::Ready(Err(Failed::Body(fault)));
        }
        loop {
            if !wire.buffer.is_empty() {
                match wire.take_head(&mut self.scan, &self.method)? {
                    Some(head) if is_interim(head.response.status()) => {
                        self.heard = true;
                        self.interims = self.interims.wrapping_add(1);
                        interim(head.response);
                        if self.interims.is_multiple_of(IN_A_ROW) {
                            // Others of this thread have their turn, whatever the upstream goes on to say.
                            cx.waker().wake_by_ref();
                            return Poll::Pending;
                        }
                        continue;
                    }
                    Some(head) => return Poll::Ready(Ok(head)),
                    None => {}
                }
            }
            let filled = ready!(wire.buffer.poll_fill(&mut wire.stream, cx));
            let cause = match filled {
                Ok(0) => io::ErrorKind::UnexpectedEof.into(),
                Ok(_) => continue,
                Err(error) => error,
            };
            let begun = self.heard || !wire.buffer.is_empty();
            let sent = self.upload.pump.has_begun();
            // An alert says more than that nothing could be written any more.
            let cause = match self.upload.broken.take() {
                Some(broken) if tls::alert(&cause).is_none() => broken,
                _ => cause,
            };
            return Poll::Ready(Err(Failed::Lost { sent, begun, cause }));
        }
    }

    /// What is to come behind this head.
    pub(in crate::http) fn rest(self, head: &ResponseHead, wire: &Wire) -> Rest {
        Rest {
            decoder: Decoder::new(head.length, wire.max_headers),
            upload: self.upload,
            failed: None,
            keep_alive: head.keep_alive,
        }
    }
}

/// What is still to be sent of a request.
#[derive(Debug)]
struct Upload {
    pump: Pump,
    /// Why the upstream takes no more.
    broken: Option<io::Error>,
}

impl Upload {
    /// Ready when all of it was sent, or no more of it can be. Fails where the body fails.
    fn poll(&mut self, stream: &mut Stream, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        while !self.pump.is_over() {
            let gathered = match self.pump.poll_gather(cx) {
                Poll::Ready(Err(Cut::Failed(fault))) => return Poll::Ready(Err(fault)),
                Poll::Ready(Err(Cut::Mismatch)) => {
                    let detail = "the request body does not have the length that it announced";
                    return Poll::Ready(Err(Fault::maybe_seen(Reason::RequestError, detail)));
                }
                gathered => gathered,
            };
            match ready!(self.pump.poll_write(stream, cx)) {
                Ok(()) if gathered.is_pending() => return Poll::Pending,
                Ok(()) => {}
                Err(error) => {
                    self.broken = Some(error);
                    self.pump.give_up();
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

fn cut(cause: io::Error) -> Fault {
    let detail = "the response body ended too early";
    Fault::maybe_seen(Reason::ResponseIncomplete, detail).because(cause)
}

/// The rest of an exchange whose response's head has come.
#[derive(Debug)]
pub(in crate::http) struct Rest {
    decoder: Decoder,
    upload: Upload,
    /// How the request's body failed, if it did.
    failed: Option<Fault>,
    keep_alive: bool,
}

impl Rest {
    /// The whole body, where it came with the head or there is none.
    pub(in crate::http) fn whole(&mut self, wire: &mut Wire) -> Option<Bytes> {
        match &mut self.decoder {
            Decoder::Exact(left) if *left <= WHOLE.min(wire.buffer.len() as u64) => {
                let length = std::mem::take(left);
                Some(wire.buffer.take(length as usize))
            }
            _ => None,
        }
    }

    /// The next frame of the response's body; `None` at its end.
    pub(in crate::http) fn poll_frame(
        &mut self,
        wire: &mut Wire,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let _ = self.poll_request(wire, cx);
        if let Some(fault) = self.failed.take() {
            return Poll::Ready(Some(Err(fault)));
        }
        loop {
            match self.decoder.step(&mut wire.buffer) {
                Ok(Decoded::Frame(frame)) => return Poll::Ready(Some(Ok(frame))),
                Ok(Decoded::Over) => return Poll::Ready(None),
                Ok(Decoded::Starved) => {}
                Err(Malformed(what)) => {
                    let detail = format!("the response body is malformed: {what}");
                    let fault = Fault::maybe_seen(Reason::ResponseIncomplete, detail);
                    return Poll::Ready(Some(Err(fault)));
                }
            }
            let cause = match ready!(wire.buffer.poll_fill(&mut wire.stream, cx)) {
                Ok(0) if self.decoder.closed() => continue,
                Ok(0) => io::ErrorKind::UnexpectedEof.into(),
                Ok(_) => continue,
                Err(error) => error,
            };
            return Poll::Ready(Some(Err(cut(cause))));
        }
    }

    /// Moves the next bytes of the response's body into a pipe, where nothing else is to be done first.
    pub(in crate::http) fn poll_splice(
        &mut self,
        wire: &mut Wire,
        pipe: &mut Pipe,
        cx: &mut Context<'_>,
    ) -> Poll<Spliced> {
        let most = self.decoder.unread(&wire.buffer);
        if most == 0 || !wire.stream.splices() {
            return Poll::Ready(None);
        }
        let _ = self.poll_request(wire, cx);
        if let Some(fault) = self.failed.take() {
            return Poll::Ready(Some(Err(fault)));
        }
        let cause = match ready!(wire.stream.poll_fill(pipe, most, cx)) {
            Ok(0) => io::ErrorKind::UnexpectedEof.into(),
            Ok(count) => {
                self.decoder.skip(count);
                return Poll::Ready(Some(Ok(count)));
            }
            Err(error) if error.kind() == io::ErrorKind::Unsupported => return Poll::Ready(None),
            Err(error) => error,
        };
        Poll::Ready(Some(Err(cut(cause))))
    }

    /// Goes on sending the request; ready when no more of it can be sent.
    pub(in crate::http) fn poll_request(
        &mut self,
        wire: &mut Wire,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        if self.failed.is_none()
            && let Err(fault) = ready!(self.upload.poll(&mut wire.stream, cx))
        {
            self.failed = Some(fault);
        }
        Poll::Ready(())
    }

    /// Whether some of the request is still to be sent, and the upstream takes it.
    pub(in crate::http) fn is_uploading(&self) -> bool {
        self.failed.is_none() && !self.upload.pump.is_over()
    }

    /// Bytes of the request that were sent.
    pub(in crate::http) fn sent(&self) -> u64 {
        self.upload.pump.moved()
    }

    /// Whether all of the response was taken.
    pub(in crate::http) fn is_over(&self) -> bool {
        self.decoder.is_over()
    }

    /// Bytes that are left, where that is known.
    pub(in crate::http) fn size_hint(&self) -> SizeHint {
        self.decoder.size_hint()
    }

    /// Whether the connection can carry another exchange after this one.
    pub(in crate::http) fn leaves_usable(&self, wire: &mut Wire) -> bool {
        self.keep_alive
            && self.is_over()
            && self.failed.is_none()
            && self.upload.broken.is_none()
            && self.upload.pump.is_over()
            && wire.is_open()
    }
}
