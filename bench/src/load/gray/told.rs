//! The explanations of slow and failed requests, where the proxy was asked for them.

use std::time::Duration;

use super::super::response::{head_end, header};

/// The field in which the ambassador is asked and answers.
const FIELD: &str = "x-remora-explain";
/// No more are kept.
const MOST: usize = 200;

/// What is kept.
#[derive(Debug)]
pub(super) struct Told {
    above: Option<Duration>,
    lines: Vec<String>,
}

impl Told {
    pub(super) fn new(above: Option<f64>) -> Self {
        let above = above.map(|millis| Duration::from_secs_f64(millis.max(0.0) / 1e3));
        Self {
            above,
            lines: Vec::new(),
        }
    }

    /// The field of a request, where an explanation is wanted.
    pub(super) fn asked(&self) -> String {
        self.above
            .map_or_else(String::new, |_| format!("{FIELD}: 1\r\n"))
    }

    /// Keeps the explanation in this response, so long after the load began, if it took long or failed.
    pub(super) fn keep(&mut self, data: &[u8], failed: bool, at: Duration, took: Duration) {
        let is_wanted = self.above.is_some_and(|above| failed || took > above);
        if !is_wanted || self.lines.len() == MOST {
            return;
        }
        let end = head_end(data).unwrap_or(data.len());
        let text = header(&data[..end], FIELD).unwrap_or_default();
        self.lines.push(format!(
            "at {:.3} s, {:.1} ms: {}",
            at.as_secs_f64(),
            took.as_secs_f64() * 1e3,
            String::from_utf8_lossy(text)
        ));
    }

    pub(super) fn lines(self) -> Vec<String> {
        self.lines
    }
}
