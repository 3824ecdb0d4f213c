//! Reads a configuration: text in, a document or all of its errors out.

use std::{fs::File, io::Read, path::Path};

use super::{
    Config, Document, Error, Errors, Section,
    errors::{Place, Spot},
    tree::Source,
    validate::validate,
};

/// The most bytes of a file: 1 MiB.
const MOST_BYTES: usize = 1 << 20;

impl Section {
    /// Reads the configuration of this role from a file, of at most 1 MiB.
    ///
    /// `env` reads a variable of the environment, for `${NAME}`.
    ///
    /// # Errors
    /// The file cannot be read, or its content is wrong: see [`Section::parse`].
    pub fn read(
        self,
        path: &Path,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Document, Errors> {
        self.parse(&text_of(path)?, &path.display().to_string(), env)
    }

    /// Reads the configuration of this role from text; `file` is the name that errors show. What other
    /// roles' sections hold is passed over.
    ///
    /// `env` reads a variable of the environment, for `${NAME}`.
    ///
    /// # Errors
    /// Every mistake in the text, up to 50: those of the YAML itself come alone, then unknown,
    /// duplicate and missing keys, values that do not fit, and rules that join several values.
    pub fn parse(
        self,
        text: &str,
        file: &str,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Document, Errors> {
        parse_section(self, text, file, env)
    }
}

/// Reads the ambassador's configuration from a file, of at most 1 MiB.
///
/// `env` reads a variable of the environment, for `${NAME}`.
///
/// # Errors
/// The file cannot be read, or its content is wrong: see [`parse`].
pub fn read(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Document, Errors> {
    Section::Ambassador.read(path, env)
}

/// Reads the ambassador's configuration from bytes, which must be UTF-8.
///
/// # Errors
/// The bytes are not UTF-8, or the text is wrong: see [`parse`].
pub fn parse_bytes(
    bytes: &[u8],
    file: &str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Document, Errors> {
    parse(decoded(bytes, file)?, file, env)
}

/// The text of a file; what is beyond 1 MiB of it is cut off but for a byte.
pub(super) fn text_of(path: &Path) -> Result<String, Errors> {
    let name = path.display().to_string();
    let mut bytes = Vec::new();
    let limit = MOST_BYTES as u64 + 1;
    if let Err(error) = File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes)) {
        let help = "name another file";
        return Err(whole(&name, format!("cannot read the file: {error}"), help));
    }
    decoded(&bytes, &name).map(str::to_owned)
}

fn decoded<'b>(bytes: &'b [u8], file: &str) -> Result<&'b str, Errors> {
    std::str::from_utf8(bytes).map_err(|error| {
        let before = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
        let line = before.matches('\n').count() + 1;
        let text = before.rsplit('\n').next().unwrap_or_default().to_owned();
        let spot = Spot {
            line,
            column: text.chars().count() + 1,
            width: 1,
        };
        let place = Place::File {
            file: file.to_owned(),
            spot,
            text: text + "\u{fffd}",
        };
        Error::new("the file is not UTF-8", "save it as UTF-8", place).into()
    })
}

/// Reads the ambassador's configuration from text: [`Section::parse`] of the role that embedders run.
///
/// # Errors
/// The text is wrong: see [`Section::parse`].
pub fn parse(
    text: &str,
    file: &str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Document, Errors> {
    Section::Ambassador.parse(text, file, env)
}

fn parse_section(
    section: Section,
    text: &str,
    file: &str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Document, Errors> {
    if text.len() > MOST_BYTES {
        return Err(whole(
            file,
            "the file has more than 1 MiB",
            "split it, or look whether it is the right file",
        ));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut errors = Vec::new();
    let mut source = Source::of(Some(section), file, text, env, &mut errors)?;
    if source.is_empty() {
        return Err(whole(
            file,
            "the file holds no settings",
            empty_help(section),
        ));
    }
    let config = source.read::<Config>(&mut errors);
    if let Some(config) = config {
        let mut document = Document {
            config,
            section,
            source: Some(source),
            flags: Vec::new(),
        };
        document.fill_in();
        document.complete();
        errors.extend(validate(&document));
        Errors::check(errors)?;
        return Ok(document);
    }
    Errors::check(errors)?;
    Err(whole(
        file,
        "the file holds no settings",
        empty_help(section),
    ))
}

const fn empty_help(section: Section) -> &'static str {
    match section {
        Section::Ambassador => {
            "write an entry, like `ambassador: {users: {listen: localhost:9000, to: http://users:8080}}`"
        }
        Section::Sidecar => {
            "write an entry, like `sidecar: {web: {listen: :8443, to: http://localhost:8080}}`"
        }
        Section::Ingress => {
            "write an entry, like `ingress: {web: {listen: :8080, routes: {shop.example.com: http://shop:8080}}}`"
        }
    }
}

fn whole(file: &str, message: impl Into<String>, help: &str) -> Errors {
    Error::new(
        message,
        help,
        Place::Whole {
            file: file.to_owned(),
        },
    )
    .into()
}
