//! Hides the braces of `${NAME}` from the YAML scanner, to which they would be a map in a flow
//! collection such as `[${A}, ${B}]`.
//!
//! Each brace is replaced by one character, so that lines and columns stay what they are.

/// Characters of the private use area, which stand for `{` and `}` while the scanner reads.
const STAND_INS: [char; 2] = ['\u{e000}', '\u{e001}'];

/// A text with the braces of references hidden that close on their line; `None` where there is no
/// reference, or where the text uses the stand-ins itself.
pub(super) fn mask(text: &str) -> Option<String> {
    if !text.contains("${") || text.contains(STAND_INS) {
        return None;
    }
    let [open, close] = STAND_INS;
    let mut out = String::with_capacity(text.len() + 64);
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, reference) = rest.split_at(at);
        let body = &reference[2..];
        out.push_str(before);
        out.push('$');
        match body.find(['{', '}', '\n', '\r']) {
            Some(end) if body[end..].starts_with('}') => {
                out.push(open);
                out.push_str(&body[..end]);
                out.push(close);
                rest = &body[end + 1..];
            }
            _ => {
                out.push('{');
                rest = body;
            }
        }
    }
    out.push_str(rest);
    Some(out)
}

/// Puts the braces back into a part of a masked text.
pub(super) fn unmask(text: &str) -> String {
    let [open, close] = STAND_INS;
    text.replace(open, "{").replace(close, "}")
}
