//! Reads a configuration: text in, a document or all of its errors out.

use std::{fs::File, io::Read, path::Path};

use super::{
    Config, Document, Error, Errors,
    errors::{Place, Spot},
    tree::Source,
    validate::validate,
};

/// The most bytes of a file: 1 MiB.
const MOST_BYTES: usize = 1 << 20;

/// Reads a configuration from a file, of at most 1 MiB.
///
/// `env` reads a variable of the environment, for `${NAME}`.
///
/// # Errors
/// The file cannot be read, or its content is wrong: see [`parse`].
pub fn read(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Document, Errors> {
    parse(&text_of(path)?, &path.display().to_string(), env)
}

/// Reads a configuration from bytes, which must be UTF-8.
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

/// Reads a configuration from text; `file` is the name that errors show.
///
/// `env` reads a variable of the environment, for `${NAME}`.
///
/// # Errors
/// Every mistake in the text, up to 50: those of the YAML itself come alone, then unknown,
/// duplicate and missing keys, values that do not fit, and rules that join several values.
pub fn parse(
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
    let mut source = Source::new(file, text, env, &mut errors)?;
    if source.is_empty() {
        return Err(whole(file, "the file holds no settings", EMPTY_HELP));
    }
    let config = source.read::<Config>(&mut errors);
    if let Some(config) = config {
        let mut document = Document {
            config,
            source: Some(source),
            flags: Vec::new(),
        };
        document.complete();
        errors.extend(validate(&document));
        Errors::check(errors)?;
        return Ok(document);
    }
    Errors::check(errors)?;
    Err(whole(file, "the file holds no settings", EMPTY_HELP))
}

const EMPTY_HELP: &str =
    "write an entry, like `ambassador: {users: {listen: localhost:9000, to: http://users:8080}}`";

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
