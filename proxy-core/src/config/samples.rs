//! Sample requests, and what they are expected to get: the file of `check --samples`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Error, Errors, errors::Place, read::text_of, tree::Source};

/// One sample.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(
    rename_all = "kebab-case",
    deny_unknown_fields,
    expecting = "a map with `request` and `expect`"
)]
pub struct Sample {
    /// A method and a URL: `GET http://localhost:9000/users`.
    pub request: String,
    /// Its fields.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// What it is to get: any part of what `explain` prints.
    pub expect: Map<String, Value>,
}

/// All samples of a file.
#[derive(Debug, Clone)]
pub struct Samples {
    /// In the order of the file.
    pub all: Vec<Sample>,
    source: Source,
}

impl Samples {
    /// Reads them from a file, of at most 1 MiB: a list.
    ///
    /// # Errors
    /// The file cannot be read, or its content is wrong.
    pub fn read(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, Errors> {
        let file = path.display().to_string();
        Self::parse(&text_of(path)?, &file, env)
    }

    /// Reads them from a text; `file` is the name that errors show.
    ///
    /// # Errors
    /// The text is wrong.
    pub fn parse(
        text: &str,
        file: &str,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Errors> {
        let mut errors = Vec::new();
        let mut source = Source::new(file, text, env, &mut errors)?;
        let all = source.read::<Vec<Sample>>(&mut errors);
        Errors::check(errors)?;
        match all {
            Some(all) if !all.is_empty() => Ok(Self { all, source }),
            _ => {
                let help = "write a list, like `- {request: GET http://localhost:9000/, expect: {entry: users}}`";
                let file = file.to_owned();
                Err(Error::new("the file holds no sample", help, Place::Whole { file }).into())
            }
        }
    }

    /// An error at the place of a value, or of the nearest part around it that was written; the path
    /// begins with the sample's number from 0.
    pub fn error_at(
        &self,
        path: &[&str],
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Error {
        Error::new(message, help, self.source.place(path))
    }
}
