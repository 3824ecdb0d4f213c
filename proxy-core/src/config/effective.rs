//! Writes the effective configuration: YAML with every default, in the order of the grammar.

use serde_json::{Map, Value};

use super::{Config, tree::is_plain_text};

/// The whole configuration as YAML, every default included.
///
/// Read again, it gives a configuration equal to that of the document it came from. A `$` in a
/// value is doubled, so that nothing of it is taken for a variable.
pub fn effective(config: &Config) -> String {
    // It cannot fail: every key of a configuration is a string, and every number is whole.
    let mut text = match serde_json::to_value(config) {
        Ok(Value::Object(settings)) => yaml(&settings),
        _ => String::new(),
    };
    // It is kept for as long as it holds.
    text.shrink_to_fit();
    text
}

/// A map as YAML. A `$` in a value is doubled.
pub fn yaml(map: &Map<String, Value>) -> String {
    let mut out = String::new();
    write_map(&mut out, map, 0);
    out
}

/// Writes the entries of a map that is not empty, each on its lines.
fn write_map(out: &mut String, map: &Map<String, Value>, depth: usize) {
    for (key, value) in map {
        out.push_str(&"  ".repeat(depth));
        write_text(out, key, false);
        out.push(':');
        match value {
            Value::Object(inner) if !inner.is_empty() => {
                out.push('\n');
                write_map(out, inner, depth + 1);
            }
            other => {
                out.push(' ');
                write_inline(out, other);
                out.push('\n');
            }
        }
    }
}

/// Writes a value on the line that is begun.
fn write_inline(out: &mut String, value: &Value) {
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
fn write_text(out: &mut String, text: &str, is_value: bool) {
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
