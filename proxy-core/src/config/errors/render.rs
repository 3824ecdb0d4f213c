//! Draws an error: the message, the place, the line of the file with a caret below.

use std::fmt::{self, Write};

use super::{Place, Spot};

/// The most characters of a line that a snippet shows.
const WIDEST: usize = 120;

/// Writes an error without a newline at its end.
pub(super) fn render(
    f: &mut fmt::Formatter<'_>,
    message: &str,
    help: &str,
    place: &Place,
) -> fmt::Result {
    write!(f, "error: {}", printable(message))?;
    let help = printable(help);
    match place {
        Place::Flag { flag } => write!(f, "\n --> flag `{}`", printable(flag))?,
        Place::Whole { file } => write!(f, "\n --> {file}")?,
        Place::File { file, spot, text } => return snippet(f, &help, file, *spot, text),
    }
    if help.is_empty() {
        Ok(())
    } else {
        write!(f, "\n  = help: {help}")
    }
}

fn snippet(
    f: &mut fmt::Formatter<'_>,
    help: &str,
    file: &str,
    spot: Spot,
    text: &str,
) -> fmt::Result {
    let number = spot.line.to_string();
    let margin = " ".repeat(number.len());
    let window = Window::around(spot, text);
    writeln!(f, "\n{margin}--> {file}:{}:{}", spot.line, spot.column)?;
    writeln!(f, "{margin} |")?;
    writeln!(f, "{number} | {}", window.text)?;
    write!(
        f,
        "{margin} | {}{}",
        " ".repeat(window.before),
        "^".repeat(window.width)
    )?;
    if help.is_empty() {
        Ok(())
    } else {
        write!(f, " {help}")
    }
}

/// The part of a line that is shown, and the place of the carets below it.
struct Window {
    text: String,
    before: usize,
    width: usize,
}

impl Window {
    fn around(spot: Spot, text: &str) -> Self {
        let line: Vec<char> = printable(text).chars().collect();
        let at = spot.column.saturating_sub(1).min(line.len());
        let skip = if at + 1 > WIDEST { at - WIDEST / 2 } else { 0 };
        let shown: String = line.iter().skip(skip).take(WIDEST).collect();
        let lead = if skip > 0 { "..." } else { "" };
        let trail = if line.len() > skip + WIDEST {
            "..."
        } else {
            ""
        };
        let left = shown.chars().count().saturating_sub(at - skip);
        Self {
            before: lead.len() + at - skip,
            width: spot.width.min(left).max(1),
            text: format!("{lead}{}{trail}", shown.trim_end()),
        }
    }
}

/// One character for each: a control character must not reach a terminal, nor move the caret.
fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let shown = match c {
            '\t' => ' ',
            c if c.is_control() || is_bidi_control(c) => '\u{fffd}',
            c => c,
        };
        let _ = out.write_char(shown);
    }
    out
}

/// Characters that reorder what a terminal shows.
fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
