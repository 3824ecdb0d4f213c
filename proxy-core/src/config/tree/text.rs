//! The text of a file, whose lines are found without a search.

/// A text and where its lines begin.
#[derive(Debug, Clone)]
pub(super) struct Text {
    text: String,
    starts: Vec<usize>,
}

impl Text {
    pub(super) fn new(text: &str) -> Self {
        let ends = text.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            text: text.to_owned(),
            starts: std::iter::once(0).chain(ends).collect(),
        }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// The line of this number, from 1, without its end; empty beyond the last one.
    pub(super) fn line(&self, number: usize) -> &str {
        let start = number.checked_sub(1).and_then(|at| self.starts.get(at));
        let rest = start.and_then(|start| self.text.get(*start..));
        rest.and_then(|rest| rest.lines().next())
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_those_of_the_standard_library() {
        for text in ["", "\n", "a", "a\n", "a\r\nb", "\n\nc\n", "ä\nö\n\nü"] {
            let indexed = Text::new(text);
            for (number, line) in (1..).zip(text.lines()) {
                assert_eq!(indexed.line(number), line, "{text:?}");
            }
            let beyond = text.lines().count() + 1;
            assert_eq!((indexed.line(beyond), indexed.line(0)), ("", ""));
        }
    }
}
