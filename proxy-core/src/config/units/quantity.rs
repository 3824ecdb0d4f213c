//! What all quantities share: a whole number followed by its unit, and the errors of one that is not.

use crate::config::written::Invalid;

/// Splits `250ms` into its whole number and its unit.
///
/// # Errors
/// The text does not start with a digit, or its number does not fit 64 bits.
pub(super) fn split<'t>(
    text: &'t str,
    what: &str,
    example: &str,
) -> Result<(u64, &'t str), Invalid> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    if digits.is_empty() {
        return Err(Invalid::new(
            format!("`{text}` is not {what}"),
            format!("write it like `{example}`"),
        ));
    }
    if unit.starts_with('.') {
        let help = format!("use a smaller unit and a whole number, like `{example}`");
        return Err(Invalid::new(format!("`{text}` has a fraction"), help));
    }
    match digits.parse() {
        Ok(number) => Ok((number, unit)),
        Err(_) => Err(too_large(text, what, "64 bits hold")),
    }
}

/// The error of a quantity without its unit.
pub(super) fn bare(text: &str, what: &str, unit: &str) -> Invalid {
    Invalid::new(
        format!("`{text}` has no unit, and {what} needs one"),
        format!("write `{text}{unit}`"),
    )
}

/// The error of a quantity past what its type allows.
pub(super) fn too_large(text: &str, what: &str, most: &str) -> Invalid {
    Invalid::new(
        format!("`{text}` is too large for {what}"),
        format!("write no more than {most}"),
    )
}
