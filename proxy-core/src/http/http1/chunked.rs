//! Reads the chunked transfer coding (RFC 9112, 7.1), strictly: CRLF everywhere, sizes in hexadecimal
//! digits, extensions dropped, everything bounded.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::buffer::Buffer;
use crate::http::trailers::is_forbidden;

/// Bytes of chunk extensions in one body: nobody needs them, and some send them to no end.
const EXTENSIONS: usize = 16 * 1024;

/// Fields that trailers may consist of.
const FIELDS: usize = 100;

/// Where in the coding the next byte stands.
#[derive(Debug)]
pub(super) struct Chunked {
    state: State,
    extensions: usize,
    /// Bytes that the trailer section may have.
    max_trailers: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Size,
    Data(u64),
    DataEnd,
    Trailers,
    Over,
}

/// A step through the coding.
#[derive(Debug)]
pub(super) enum Step {
    /// A part of the data.
    Data(Bytes),
    /// The trailers, without those that must not be there.
    Trailers(HeaderMap),
    /// The body is over.
    Over,
    /// More bytes are needed.
    Starved,
}

/// What is wrong with the coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) &'static str);

impl Chunked {
    pub(super) fn new(max_trailers: usize) -> Self {
        Self {
            state: State::Size,
            extensions: 0,
            max_trailers,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// Takes the next step with what is in the buffer.
    pub(super) fn step(&mut self, buffer: &mut Buffer) -> Result<Step, Malformed> {
        loop {
            match self.state {
                State::Size => match self.size_line(buffer)? {
                    None => return Ok(Step::Starved),
                    Some(0) => self.state = State::Trailers,
                    Some(size) => self.state = State::Data(size),
                },
                State::Data(left) => {
                    if buffer.is_empty() {
                        return Ok(Step::Starved);
                    }
                    let data = buffer.take(usize::try_from(left).unwrap_or(usize::MAX));
                    let left = left - data.len() as u64;
                    self.state = match left {
                        0 => State::DataEnd,
                        left => State::Data(left),
                    };
                    return Ok(Step::Data(data));
                }
                State::DataEnd => match buffer.bytes() {
                    [b'\r', b'\n', ..] => {
                        buffer.consume(2);
                        self.state = State::Size;
                    }
                    [] | [b'\r'] => return Ok(Step::Starved),
                    _ => return Err(Malformed("a chunk is longer than its size")),
                },
                State::Trailers => {
                    let Some(trailers) = self.trailers(buffer)? else {
                        return Ok(Step::Starved);
                    };
                    self.state = State::Over;
                    if !trailers.is_empty() {
                        return Ok(Step::Trailers(trailers));
                    }
                }
                State::Over => return Ok(Step::Over),
            }
        }
    }

    /// A chunk's size, when its whole line is there.
    fn size_line(&mut self, buffer: &mut Buffer) -> Result<Option<u64>, Malformed> {
        let bytes = buffer.bytes();
        let digits = bytes
            .iter()
            .take_while(|byte| byte.is_ascii_hexdigit())
            .count();
        if digits > 16 {
            return Err(Malformed("the size of a chunk is too large"));
        }
        if digits == 0 && !bytes.is_empty() {
            return Err(Malformed("the size of a chunk is no number"));
        }
        let rest = &bytes[digits..];
        let length = match rest.first() {
            None => return Ok(None),
            Some(b'\r' | b';' | b' ' | b'\t') => match extension(rest)? {
                Some(length) => length,
                None if rest.len() > EXTENSIONS => {
                    return Err(Malformed("a chunk's extensions are too long"));
                }
                None => return Ok(None),
            },
            Some(_) => return Err(Malformed("the size of a chunk is no number")),
        };
        self.extensions += length;
        if self.extensions > EXTENSIONS {
            return Err(Malformed("a chunk's extensions are too long"));
        }
        let text = std::str::from_utf8(&bytes[..digits]).unwrap_or_default();
        let size = u64::from_str_radix(text, 16)
            .map_err(|_| Malformed("the size of a chunk is no number"))?;
        buffer.consume(digits + length + 2);
        Ok(Some(size))
    }

    /// The trailer section, when all of it is there.
    fn trailers(&self, buffer: &mut Buffer) -> Result<Option<HeaderMap>, Malformed> {
        let bytes = buffer.bytes();
        if bytes.starts_with(b"\r\n") {
            buffer.consume(2);
            return Ok(Some(HeaderMap::new()));
        }
        let mut line = 0;
        let end = loop {
            let Some(feed) = memchr::memchr(b'\n', &bytes[line..]).map(|at| line + at) else {
                if bytes.len() > self.max_trailers {
                    return Err(Malformed("the trailers are too large"));
                }
                return Ok(None);
            };
            match feed - line {
                _ if feed == line || bytes[feed - 1] != b'\r' => {
                    return Err(Malformed("a line of the trailers ends in a bare LF"));
                }
                1 => break feed + 1,
                _ => line = feed + 1,
            }
        };
        if end > self.max_trailers {
            return Err(Malformed("the trailers are too large"));
        }
        let trailers = fields(&bytes[..end])?;
        buffer.consume(end);
        Ok(Some(trailers))
    }
}

/// The length of a chunk extension up to its CRLF, when that is there.
fn extension(bytes: &[u8]) -> Result<Option<usize>, Malformed> {
    let Some(at) = memchr::memchr2(b'\r', b'\n', bytes) else {
        return Ok(None);
    };
    match bytes[at..] {
        [b'\r'] => Ok(None),
        [b'\r', b'\n', ..] => Ok(Some(at)),
        _ => Err(Malformed("a chunk's line does not end in CRLF")),
    }
}

fn fields(section: &[u8]) -> Result<HeaderMap, Malformed> {
    let bad = Malformed("the trailers are malformed");
    let mut parsed = [httparse::EMPTY_HEADER; FIELDS];
    let Ok(httparse::Status::Complete((_, parsed))) = httparse::parse_headers(section, &mut parsed)
    else {
        return Err(bad);
    };
    let mut trailers = HeaderMap::new();
    for field in parsed {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| bad)?;
        let value = HeaderValue::from_bytes(field.value).map_err(|_| bad)?;
        if !is_forbidden(&name) {
            trailers.append(name, value);
        }
    }
    Ok(trailers)
}
