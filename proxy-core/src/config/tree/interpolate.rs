//! `${NAME}` and `${NAME:-default}` in scalars, filled in from the environment.

use super::{
    build::Mistake,
    node::{Kind, Tree},
    text::Text,
};
use crate::config::errors::Spot;

/// Reads a variable of the environment; `None` where it is not set.
pub(super) type Env<'e> = &'e dyn Fn(&str) -> Option<String>;

/// Fills in the variables of every value that is not cut off, keys excepted. The sections of other roles are
/// cut off: they are read in another process, with another environment.
pub(super) fn interpolate(
    tree: &mut Tree,
    source: &Text,
    env: Env<'_>,
    mistakes: &mut Vec<Mistake>,
) {
    let Some(root) = tree.root() else { return };
    let mut open = vec![root];
    while let Some(id) = open.pop() {
        if tree.node(id).pruned {
            continue;
        }
        let text = match &tree.node(id).kind {
            Kind::List(items) => {
                open.extend(items);
                continue;
            }
            Kind::Map(entries) => {
                open.extend(entries.all.iter().map(|(_, value)| *value));
                continue;
            }
            Kind::Scalar { text, .. } => text,
        };
        match expand(text, env) {
            Ok(None) => {}
            Ok(Some(filled)) => {
                if let Kind::Scalar { text, .. } = &mut tree.node_mut(id).kind {
                    *text = filled;
                }
            }
            Err(wrong) => {
                let spot = locate(source, tree.node(id).spot, &wrong.text);
                mistakes.push(Mistake::new(spot, wrong.message, wrong.help));
                tree.prune(id);
            }
        }
    }
}

/// A reference that cannot be filled in; `text` is how it stands in the file.
struct Unfilled {
    text: String,
    message: String,
    help: String,
}

impl Unfilled {
    fn new(text: &str, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            text: text.to_owned(),
            message: message.into(),
            help: help.into(),
        }
    }
}

/// Replaces every reference in a text; `None` where there is nothing to replace.
fn expand(text: &str, env: Env<'_>) -> Result<Option<String>, Unfilled> {
    if !text.contains('$') {
        return Ok(None);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let reference = &rest[at..];
        if let Some(after) = reference.strip_prefix("$$") {
            out.push('$');
            rest = after;
        } else if let Some(body) = reference.strip_prefix("${") {
            let Some(end) = body.find('}') else {
                return Err(Unfilled::new(
                    reference,
                    "`${` without its `}`",
                    "close it, or write `$$` for a `$`",
                ));
            };
            out.push_str(&variable(&reference[..end + 3], &body[..end], env)?);
            rest = &body[end + 1..];
        } else {
            let help = "write `${NAME}` for a variable, or `$$` for a `$`";
            return Err(Unfilled::new("$", "a lone `$`", help));
        }
    }
    out.push_str(rest);
    Ok(Some(out))
}

/// The value of `NAME` or `NAME:-default`. As in a shell, an empty variable counts as unset where
/// there is a default.
fn variable(reference: &str, body: &str, env: Env<'_>) -> Result<String, Unfilled> {
    let (name, default) = match body.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (body, None),
    };
    let of_name = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    if name.is_empty() || name.as_bytes()[0].is_ascii_digit() || !name.bytes().all(of_name) {
        let help = "write `${NAME}` or `${NAME:-default}`, the name in letters, digits and `_`";
        return Err(Unfilled::new(
            reference,
            format!("`{reference}` names no variable"),
            help,
        ));
    }
    match (env(name), default) {
        (Some(value), None) => Ok(value),
        (Some(value), Some(_)) if !value.is_empty() => Ok(value),
        (_, Some(default)) => Ok(default.to_owned()),
        (None, None) => {
            let message = format!("the environment variable `{name}` is not set");
            let help = format!("set it, or give a default: `${{{name}:-default}}`");
            Err(Unfilled::new(reference, message, help))
        }
    }
}

/// The spot of a reference in the line of its scalar; the scalar's own where it is not found there.
fn locate(source: &Text, spot: Spot, reference: &str) -> Spot {
    let line = source.line(spot.line);
    let from = line
        .char_indices()
        .nth(spot.column - 1)
        .map_or(line.len(), |(at, _)| at);
    match line[from..].find(reference) {
        Some(at) => Spot {
            column: spot.column + line[from..from + at].chars().count(),
            width: reference.chars().count(),
            ..spot
        },
        None => spot,
    }
}
