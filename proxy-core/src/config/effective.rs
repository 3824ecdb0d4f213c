//! Writes the effective configuration: YAML with every default, in the order of the grammar.

use serde::Serialize;
use serde_json::{Map, Value};

use super::{Config, lines::Behind, tree::is_plain_text};

/// The bytes that an entry or a route of an ingress takes, more or less.
const ENTRY: usize = 1100;

/// The whole configuration as YAML, every default included.
///
/// Read again, it gives a configuration equal to that of the document it came from. A `$` in a
/// value is doubled, so that nothing of it is taken for a variable.
pub fn effective(config: &Config) -> String {
    let mut entries = config.ambassador.len() + config.sidecar.len();
    #[cfg(feature = "gateway")]
    for gateway in config.ingress.values() {
        entries += gateway.routes.len();
    }
    entries += 1;
    let mut text = written(config, entries * ENTRY);
    // It is kept for as long as it holds.
    text.shrink_to_fit();
    text
}

/// A map as YAML. A `$` in a value is doubled.
pub fn yaml(map: &Map<String, Value>) -> String {
    written(map, 0)
}

/// Written as it is gone through: a configuration may have thousands of entries, and as one tree of values they
/// would take many times what their text does.
fn written(map: &impl Serialize, expected: usize) -> String {
    let mut out = String::with_capacity(expected);
    // It cannot fail: every key of a configuration is a string, and every number is whole.
    match map.serialize(Behind::nothing(&mut out)) {
        Ok(()) => out,
        Err(_) => String::new(),
    }
}

/// Writes a value on the line that is begun.
pub(super) fn write_inline(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => out.push_str(&number.to_string()),
        Value::String(text) => write_text(out, text, true),
        Value::Array(items) => {
            out.push('[');
            for (number, item) in items.iter().enumerate() {
                out.push_str(if number > 0 { ", " } else { "" });
                write_inline(out, item);
            }
            out.push(']');
        }
        Value::Object(map) => {
            out.push('{');
            for (number, (key, item)) in map.iter().enumerate() {
                out.push_str(if number > 0 { ", " } else { "" });
                write_text(out, key, false);
                out.push_str(": ");
                write_inline(out, item);
            }
            out.push('}');
        }
    }
}

/// Writes a text, in double quotes where it could be read as anything else. Variables are read in
/// values, not in keys.
pub(super) fn write_text(out: &mut String, text: &str, is_value: bool) {
    if is_plain_text(text) {
        return out.push_str(text);
    }
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '$' if is_value => out.push_str("$$"),
            c if c.is_control() => out.push_str(&format!("\\U{:08X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}
