//! The types of plain scalars: the core schema of YAML 1.2.2, section 10.3.2.

/// What a plain scalar stands for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scalar<'t> {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(&'t str),
}

/// Resolves a plain scalar. A number that no 64 bits hold is a float, as in the core schema.
pub(super) fn resolve(text: &str) -> Scalar<'_> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Scalar::Null,
        "true" | "True" | "TRUE" => return Scalar::Bool(true),
        "false" | "False" | "FALSE" => return Scalar::Bool(false),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Scalar::Float(f64::INFINITY);
        }
        "-.inf" | "-.Inf" | "-.INF" => return Scalar::Float(f64::NEG_INFINITY),
        ".nan" | ".NaN" | ".NAN" => return Scalar::Float(f64::NAN),
        _ => {}
    }
    integer(text)
        .or_else(|| float(text))
        .unwrap_or(Scalar::Text(text))
}

/// Whether a text can stand unquoted anywhere in YAML and still be text.
pub(crate) fn is_plain_text(text: &str) -> bool {
    let safe = |b: u8| b.is_ascii_alphanumeric() || b"./%_-".contains(&b);
    let bytes = text.as_bytes();
    let inner_colon =
        |at: usize| bytes[at] == b':' && bytes.get(at + 1).is_some_and(|next| safe(*next));
    bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && (0..bytes.len()).all(|at| safe(bytes[at]) || inner_colon(at))
        && matches!(resolve(text), Scalar::Text(_))
}

fn integer(text: &str) -> Option<Scalar<'_>> {
    if let Some(digits) = text.strip_prefix("0x") {
        return unsigned(digits, 16);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return unsigned(digits, 8);
    }
    match text.strip_prefix('-') {
        Some(digits) if all_digits(digits) => text.parse().ok().map(Scalar::Signed),
        Some(_) => None,
        None => unsigned(text.strip_prefix('+').unwrap_or(text), 10),
    }
}

fn unsigned(digits: &str, radix: u32) -> Option<Scalar<'static>> {
    let fits = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
    if fits {
        u64::from_str_radix(digits, radix)
            .ok()
            .map(Scalar::Unsigned)
    } else {
        None
    }
}

fn float(text: &str) -> Option<Scalar<'_>> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let starts = unsigned
        .strip_prefix('.')
        .unwrap_or(unsigned)
        .starts_with(|c: char| c.is_ascii_digit());
    let shaped = unsigned
        .bytes()
        .all(|b| b.is_ascii_digit() || b".eE+-".contains(&b));
    if starts && shaped {
        text.parse().ok().map(Scalar::Float)
    } else {
        None
    }
}

fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}
