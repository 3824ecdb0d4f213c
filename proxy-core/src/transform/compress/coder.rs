//! The three codecs behind one face: bytes go in, and what is ready is taken out.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::write::GzEncoder;
use zstd::zstd_safe::CParameter;

use super::Coding;

/// The levels of answers that are made on the fly: most of the gain for little of the time.
const GZIP_LEVEL: u32 = 4;
const BROTLI_LEVEL: u32 = 3;
const ZSTD_LEVEL: i32 = 3;

/// The logarithm of the bytes that Brotli and Zstandard look back over, which bounds what they hold. Brotli's
/// next level takes five times the memory.
const BROTLI_WINDOW: u32 = 16;
const ZSTD_WINDOW: u32 = 17;

/// What Brotli collects before it hands it on.
const BROTLI_BUFFER: usize = 4096;

/// One compressed stream.
pub(super) enum Coder {
    Gzip(GzEncoder<Vec<u8>>),
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
    Zstd(zstd::Encoder<'static, Vec<u8>>),
}

impl Coder {
    pub(super) fn new(coding: Coding) -> io::Result<Self> {
        Ok(match coding {
            Coding::Gzip => {
                let level = flate2::Compression::new(GZIP_LEVEL);
                Self::Gzip(GzEncoder::new(Vec::new(), level))
            }
            Coding::Brotli => Self::Brotli(Box::new(brotli::CompressorWriter::new(
                Vec::new(),
                BROTLI_BUFFER,
                BROTLI_LEVEL,
                BROTLI_WINDOW,
            ))),
            Coding::Zstd => {
                let mut encoder = zstd::Encoder::new(Vec::new(), ZSTD_LEVEL)?;
                encoder.set_parameter(CParameter::WindowLog(ZSTD_WINDOW))?;
                Self::Zstd(encoder)
            }
        })
    }

    /// Takes in `data`.
    pub(super) fn write(&mut self, data: &[u8]) -> io::Result<()> {
        match self {
            Self::Gzip(encoder) => encoder.write_all(data),
            Self::Brotli(encoder) => encoder.write_all(data),
            Self::Zstd(encoder) => encoder.write_all(data),
        }
    }

    /// Makes all of what came in readable for the receiver of what goes out.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Gzip(encoder) => encoder.flush(),
            Self::Brotli(encoder) => encoder.flush(),
            Self::Zstd(encoder) => encoder.flush(),
        }
    }

    /// How many bytes are ready.
    pub(super) fn ready(&mut self) -> usize {
        self.output().len()
    }

    /// What is ready.
    pub(super) fn take(&mut self) -> Bytes {
        std::mem::take(self.output()).into()
    }

    /// Writes the end of the stream, and what is left.
    pub(super) fn finish(self) -> io::Result<Bytes> {
        Ok(match self {
            Self::Gzip(encoder) => encoder.finish()?,
            Self::Brotli(encoder) => encoder.into_inner(),
            Self::Zstd(encoder) => encoder.finish()?,
        }
        .into())
    }

    fn output(&mut self) -> &mut Vec<u8> {
        match self {
            Self::Gzip(encoder) => encoder.get_mut(),
            Self::Brotli(encoder) => encoder.get_mut(),
            Self::Zstd(encoder) => encoder.get_mut(),
        }
    }
}
