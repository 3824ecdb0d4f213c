//! Writes the head of a message, and its body in the framing that the head announced.

use std::cell::RefCell;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING};
use http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use http_body::{Body as _, Frame};

use super::case::{FieldCase, write_name};
use super::framing::{self, Length};
use super::outbox::Outbox;
use crate::body::Body;

/// Writes a body in its framing.
#[derive(Debug)]
pub(super) struct Encoder {
    length: Length,
    /// Whether the receiver takes trailers.
    trailers: bool,
}

/// The body is not what its head announced: longer, or shorter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mismatch;

impl Encoder {
    pub(super) fn new(length: Length, trailers: bool) -> Self {
        Self { length, trailers }
    }

    /// The framing, with what is left of an exact length.
    pub(super) fn length(&self) -> Length {
        self.length
    }

    /// Adds a frame.
    pub(super) fn frame(&mut self, frame: Frame<Bytes>, out: &mut Outbox) -> Result<(), Mismatch> {
        match frame.into_data() {
            Ok(data) if data.is_empty() => {}
            Ok(data) => match &mut self.length {
                Length::None => return Err(Mismatch),
                Length::Exact(left) => {
                    *left = left.checked_sub(data.len() as u64).ok_or(Mismatch)?;
                    out.push(data);
                }
                Length::Chunked => {
                    out.join(|joined| write_size(joined, data.len()));
                    out.push(data);
                    out.join(|joined| joined.extend_from_slice(b"\r\n"));
                }
                Length::UntilClose => out.push(data),
            },
            Err(frame) => {
                if let (Ok(trailers), Length::Chunked) = (frame.into_trailers(), self.length) {
                    self.end_chunks(&trailers, out);
                }
            }
        }
        Ok(())
    }

    /// How many bytes may be written past it: those of an announced length, which need no framing.
    pub(super) fn unframed(&self) -> u64 {
        match self.length {
            Length::Exact(left) => left,
            _ => 0,
        }
    }

    /// So many bytes are written past it.
    pub(super) fn skip(&mut self, count: usize) -> Result<(), Mismatch> {
        let left = self.unframed().checked_sub(count as u64).ok_or(Mismatch)?;
        self.length = Length::Exact(left);
        Ok(())
    }

    /// Adds the end of the body.
    pub(super) fn end(&mut self, out: &mut Outbox) -> Result<(), Mismatch> {
        match self.length {
            Length::Exact(left) if left > 0 => return Err(Mismatch),
            Length::Chunked => self.end_chunks(&HeaderMap::new(), out),
            _ => {}
        }
        Ok(())
    }

    /// Whether nothing can follow.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.length, Length::None | Length::Exact(0))
    }

    fn end_chunks(&mut self, trailers: &HeaderMap, out: &mut Outbox) {
        out.join(|joined| {
            joined.extend_from_slice(b"0\r\n");
            if self.trailers {
                fields(joined, trailers, None, true);
            }
            joined.extend_from_slice(b"\r\n");
        });
        self.length = Length::None;
    }
}

fn write_size(out: &mut Vec<u8>, size: usize) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let significant = (usize::BITS - size.leading_zeros()).div_ceil(4).max(1);
    out.extend(
        (0..significant)
            .rev()
            .map(|digit| DIGITS[size >> (4 * digit) & 15]),
    );
    out.extend_from_slice(b"\r\n");
}

/// Writes a request's head and says how its body is to be written.
pub(super) fn request(request: &Request<Body>, out: &mut Outbox) -> Encoder {
    let case = request.extensions().get::<FieldCase>();
    let mut length = Length::None;
    out.join(|joined| {
        joined.reserve(512);
        joined.extend_from_slice(request.method().as_str().as_bytes());
        joined.push(b' ');
        let path = request.uri().path_and_query();
        joined.extend_from_slice(path.map_or("/", |path| path.as_str()).as_bytes());
        joined.extend_from_slice(b" HTTP/1.1\r\n");
        let written = fields(joined, request.headers(), case, false);
        let announced;
        (length, announced) = request_length(request, &written);
        if let Some(announced) = announced {
            announced.write(joined, case);
        }
        joined.extend_from_slice(b"\r\n");
    });
    // An upstream that does not want trailers can ignore them (RFC 9110, 6.5.1).
    Encoder::new(length, true)
}

/// A field that the framing adds.
enum Announced {
    Length(u64),
    Chunked,
}

impl Announced {
    fn write(self, out: &mut Vec<u8>, case: Option<&FieldCase>) {
        match self {
            Self::Length(length) => {
                write_name(out, &CONTENT_LENGTH, case);
                out.extend_from_slice(b": ");
                out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
                out.extend_from_slice(b"\r\n");
            }
            Self::Chunked => {
                write_name(out, &TRANSFER_ENCODING, case);
                out.extend_from_slice(b": chunked\r\n");
            }
        }
    }
}

fn request_length(request: &Request<Body>, written: &Written) -> (Length, Option<Announced>) {
    if written.coding {
        return (Length::Chunked, None);
    }
    if let Some(length) = written.length {
        return (Length::exactly(length), None);
    }
    if request.body().is_end_stream() {
        // A method that usually has a body says that there is none (RFC 9110, 8.6).
        let usual = [Method::POST, Method::PUT, Method::PATCH].contains(request.method());
        return (Length::None, usual.then_some(Announced::Length(0)));
    }
    match request.body().size_hint().exact() {
        Some(length) => (Length::exactly(length), Some(Announced::Length(length))),
        None => (Length::Chunked, Some(Announced::Chunked)),
    }
}

/// What a response answers to.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Asked {
    pub(super) version: Version,
    pub(super) head: bool,
    /// Whether the client takes trailers (`TE: trailers`).
    pub(super) trailers: bool,
    /// Whether the client would keep the connection.
    pub(super) keep_alive: bool,
}

/// Writes a response's head; says how its body is to be written, and whether the connection stays open.
pub(super) fn response(
    response: &Response<Body>,
    asked: Asked,
    out: &mut Outbox,
) -> (Encoder, bool) {
    let (mut length, mut keep_alive) = (Length::None, asked.keep_alive);
    out.join(|joined| {
        joined.reserve(512);
        status_line(joined, response, asked.version);
        // RFC 9110, 8.6: neither of these says a length; 304 and a response to HEAD may.
        let status = response.status();
        let bodiless = status.is_informational() || status == StatusCode::NO_CONTENT;
        let written = fields(joined, response.headers(), None, bodiless);
        let announced;
        (length, announced) = response_length(response, asked, &written);
        if let Some(announced) = announced {
            announced.write(joined, None);
        }
        keep_alive &= length != Length::UntilClose && !written.closes;
        match (keep_alive, asked.version == Version::HTTP_11) {
            _ if written.connection => {}
            (false, true) => joined.extend_from_slice(b"connection: close\r\n"),
            (true, false) => joined.extend_from_slice(b"connection: keep-alive\r\n"),
            _ => {}
        }
        if !written.date && !response.status().is_informational() {
            joined.extend_from_slice(b"date: ");
            with_date(|date| joined.extend_from_slice(date.as_bytes()));
            joined.extend_from_slice(b"\r\n");
        }
        joined.extend_from_slice(b"\r\n");
    });
    (Encoder::new(length, asked.trailers), keep_alive)
}

/// The head of an interim response, which is all that there is of it.
pub(in crate::http) fn interim(response: &Response<()>) -> Vec<u8> {
    let mut head = Vec::with_capacity(256);
    status_line(&mut head, response, Version::HTTP_11);
    fields(&mut head, response.headers(), None, true);
    head.extend_from_slice(b"\r\n");
    head
}

fn status_line<B>(out: &mut Vec<u8>, response: &Response<B>, version: Version) {
    out.extend_from_slice(if version == Version::HTTP_10 {
        b"HTTP/1.0 "
    } else {
        b"HTTP/1.1 "
    });
    out.extend_from_slice(response.status().as_str().as_bytes());
    out.push(b' ');
    let reason = response.status().canonical_reason().unwrap_or_default();
    out.extend_from_slice(reason.as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn response_length(
    response: &Response<Body>,
    asked: Asked,
    written: &Written,
) -> (Length, Option<Announced>) {
    if asked.head || framing::is_bodiless(response.status()) {
        return (Length::None, None);
    }
    if let Some(length) = written.length {
        return (Length::exactly(length), None);
    }
    match response.body().size_hint().exact() {
        Some(length) => (Length::exactly(length), Some(Announced::Length(length))),
        None if asked.version == Version::HTTP_11 => (Length::Chunked, Some(Announced::Chunked)),
        None => (Length::UntilClose, None),
    }
}

/// What was met among the fields that were written.
#[derive(Default)]
struct Written {
    /// The value of Content-Length.
    length: Option<u64>,
    /// Whether there is a Transfer-Encoding.
    coding: bool,
    connection: bool,
    /// Whether `Connection` says `close`: only what the proxy itself decided is left of it.
    closes: bool,
    date: bool,
}

fn fields(
    out: &mut Vec<u8>,
    headers: &HeaderMap,
    case: Option<&FieldCase>,
    bodiless: bool,
) -> Written {
    let mut written = Written::default();
    for (name, value) in headers {
        match name.as_str().len() {
            4 => written.date |= *name == DATE,
            10 if *name == CONNECTION => {
                written.connection = true;
                written.closes |= value == "close";
            }
            14 if *name == CONTENT_LENGTH => {
                // One is enough, and a message that has no body has none.
                if written.length.is_some() || bodiless {
                    continue;
                }
                written.length = framing::decimal(value.as_bytes());
            }
            17 => written.coding |= *name == TRANSFER_ENCODING,
            _ => {}
        }
        write_name(out, name, case);
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    written
}

thread_local! {
    static NOW: RefCell<(SystemTime, String)> = const { RefCell::new((SystemTime::UNIX_EPOCH, String::new())) };
}

/// The date of this second, made once a second and thread.
fn with_date(write: impl FnOnce(&str)) {
    let now = SystemTime::now();
    NOW.with_borrow_mut(|(made, text)| {
        if now
            .duration_since(*made)
            .is_ok_and(|age| age >= Duration::from_secs(1))
            || now < *made
        {
            let whole = now
                .duration_since(SystemTime::UNIX_EPOCH)
                .unwrap_or_default();
            *made = SystemTime::UNIX_EPOCH + Duration::from_secs(whole.as_secs());
            *text = httpdate::fmt_http_date(now);
        }
        write(text);
    });
}
