//! `explain` and `check --samples`: what requests would get, told from the configuration alone.

use std::path::Path;

use proxy_core::config::{Errors, Sample, Samples, yaml};
use proxy_core::plan::{Asked, foretell};
use serde_json::{Map, Value};

use crate::load::Read;

/// What one request would get, as YAML; the error is the whole text that the operator is shown.
pub(crate) fn explain(read: &Read, request: &str, fields: &[String]) -> Result<String, String> {
    let fields = fields.iter().map(|field| {
        let split = field
            .split_once(':')
            .map(|(name, value)| (name.trim(), value.trim()));
        split.ok_or_else(|| format!("error: `{field}` is not a header; write `-H 'NAME: VALUE'`"))
    });
    let fields = fields.collect::<Result<Vec<_>, _>>()?;
    let told =
        Asked::new(request, fields).and_then(|asked| foretell(&read.document, &read.plan, &asked));
    match told {
        Ok(told) => Ok(yaml(&told)),
        Err(error) => Err(format!("error: {error}")),
    }
}

/// Sees whether all samples of a file get what they expect, and returns how many there are; the error
/// names every part that does not, with its place.
pub(crate) fn check(read: &Read, file: &Path) -> Result<usize, Errors> {
    let samples = Samples::read(file, &|name| std::env::var(name).ok())?;
    let mut errors = Vec::new();
    for (number, sample) in samples.all.iter().enumerate() {
        let number = number.to_string();
        if sample.expect.is_empty() {
            let help = "write a part of what `explain` prints, such as `{entry: users}`";
            errors.push(samples.error_at(&[&number, "expect"], "nothing is expected", help));
            continue;
        }
        let asked = Asked::new(&sample.request, fields(sample));
        let told = asked.and_then(|asked| foretell(&read.document, &read.plan, &asked));
        match told {
            Err(error) => errors.push(samples.error_at(&[&number, "request"], error, "")),
            Ok(told) => {
                let mut differing = Vec::new();
                compare(&sample.expect, &told, &mut Vec::new(), &mut differing);
                for (path, message) in differing {
                    let mut at = vec![number.as_str(), "expect"];
                    at.extend(path.iter().map(String::as_str));
                    errors.push(samples.error_at(&at, message, ""));
                }
            }
        }
    }
    Errors::check(errors)?;
    Ok(samples.all.len())
}

fn fields(sample: &Sample) -> impl Iterator<Item = (&str, &str)> {
    let fields = sample.headers.iter();
    fields.map(|(name, value)| (name.as_str(), value.as_str()))
}

/// Where `told` differs from what is expected, part by part; what is not expected may be anything.
fn compare(
    expected: &Map<String, Value>,
    told: &Map<String, Value>,
    path: &mut Vec<String>,
    differing: &mut Vec<(Vec<String>, String)>,
) {
    for (key, wanted) in expected {
        path.push(key.clone());
        match (wanted, told.get(key)) {
            (Value::Object(wanted), Some(Value::Object(told))) => {
                compare(wanted, told, path, differing);
            }
            (wanted, Some(told)) if same(wanted, told) => {}
            (_, Some(told)) => differing.push((path.clone(), format!("it is {}", shown(told)))),
            (_, None) => {
                let known: Vec<&str> = told.keys().map(String::as_str).collect();
                let message = format!("`explain` says no `{key}`, but {}", known.join(", "));
                differing.push((path.clone(), message));
            }
        }
        path.pop();
    }
}

/// Whether both are written alike: `2` is `2`, whether a number or a text.
fn same(wanted: &Value, told: &Value) -> bool {
    match (wanted, told) {
        (Value::Array(wanted), Value::Array(told)) => {
            wanted.len() == told.len() && wanted.iter().zip(told).all(|(a, b)| same(a, b))
        }
        _ => wanted == told || shown(wanted) == shown(told),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("`{text}`"),
        other => format!("`{other}`"),
    }
}
