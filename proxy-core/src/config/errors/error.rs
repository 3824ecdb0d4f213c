//! One mistake, and all the mistakes of a run.

use std::fmt;

use super::render;

/// The most errors that one run reports.
pub(crate) const MOST_ERRORS: usize = 50;

/// One mistake in a configuration, with its place and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    message: String,
    help: String,
    place: Place,
}

/// Where a mistake is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// In a file, at a spot whose line is `text`.
    File {
        file: String,
        spot: Spot,
        text: String,
    },
    /// Anywhere in a file, or in none: it cannot be read.
    Whole { file: String },
    /// In a flag, shown as it was written.
    Flag { flag: String },
}

/// A spot in a text: lines and columns count from 1, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Spot {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) width: usize,
}

impl Error {
    pub(crate) fn new(message: impl Into<String>, help: impl Into<String>, place: Place) -> Self {
        Self {
            message: message.into(),
            help: help.into(),
            place,
        }
    }

    /// What is wrong, in a phrase.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to write instead; empty where there is nothing to add.
    pub fn help(&self) -> &str {
        &self.help
    }

    /// The name of the file, unless the mistake is in a flag.
    pub fn file(&self) -> Option<&str> {
        match &self.place {
            Place::File { file, .. } | Place::Whole { file } => Some(file),
            Place::Flag { .. } => None,
        }
    }

    /// The flag as it was written, unless the mistake is in a file.
    pub fn flag(&self) -> Option<&str> {
        match &self.place {
            Place::Flag { flag } => Some(flag),
            Place::File { .. } | Place::Whole { .. } => None,
        }
    }

    /// The line in the file, from 1.
    pub fn line(&self) -> Option<usize> {
        self.spot().map(|spot| spot.line)
    }

    /// The column in the file, from 1, in characters.
    pub fn column(&self) -> Option<usize> {
        self.spot().map(|spot| spot.column)
    }

    pub(crate) fn spot(&self) -> Option<Spot> {
        match &self.place {
            Place::File { spot, .. } => Some(*spot),
            Place::Whole { .. } | Place::Flag { .. } => None,
        }
    }
}

/// A few lines: the message, the place, the snippet with a caret, the help. No newline at the end.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        render::render(f, &self.message, &self.help, &self.place)
    }
}

impl std::error::Error for Error {}

/// All the mistakes that one run found, in the order of the file; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Errors {
    all: Vec<Error>,
}

impl Errors {
    /// `Ok` without an error, else the errors in the order of their places.
    ///
    /// # Errors
    /// There is at least one error.
    pub fn check(mut all: Vec<Error>) -> Result<(), Self> {
        if all.is_empty() {
            return Ok(());
        }
        all.sort_by_key(Error::spot);
        all.dedup();
        Err(Self { all })
    }

    /// The errors in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Error> {
        self.all.iter()
    }
}

impl From<Error> for Errors {
    fn from(one: Error) -> Self {
        Self { all: vec![one] }
    }
}

impl IntoIterator for Errors {
    type Item = Error;
    type IntoIter = std::vec::IntoIter<Error>;

    fn into_iter(self) -> Self::IntoIter {
        self.all.into_iter()
    }
}

impl<'e> IntoIterator for &'e Errors {
    type Item = &'e Error;
    type IntoIter = std::slice::Iter<'e, Error>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Every error, an empty line between two, and a last line with their number.
impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for error in &self.all {
            write!(f, "{error}\n\n")?;
        }
        match self.all.len() {
            1 => f.write_str("1 error"),
            count if count >= MOST_ERRORS => {
                write!(f, "{count} errors; there may be more")
            }
            count => write!(f, "{count} errors"),
        }
    }
}

impl std::error::Error for Errors {}
