//! Collects the lines a program prints, parsed as JSON, and lets a test wait for one of them.

use std::sync::Arc;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::sync::watch;

use crate::promise::EVENT;

/// The lines that one pipe has carried so far; a clone sees the same lines.
#[derive(Clone, Debug)]
pub struct Lines {
    name: &'static str,
    state: Arc<watch::Sender<State>>,
    reads: Arc<watch::Sender<bool>>,
}

#[derive(Debug, Default)]
struct State {
    lines: Vec<Value>,
    closed: bool,
}

impl Lines {
    /// Reads `pipe` in the background until it ends. A line that is not JSON is kept as a string.
    pub fn collect(name: &'static str, pipe: impl AsyncRead + Send + Unpin + 'static) -> Self {
        let state = Arc::new(watch::Sender::new(State::default()));
        let lines = Self {
            name,
            state: Arc::clone(&state),
            reads: Arc::new(watch::Sender::new(true)),
        };
        let mut reads = lines.reads.subscribe();
        tokio::spawn(async move {
            let mut reader = BufReader::new(pipe).lines();
            loop {
                let _ = reads.wait_for(|reads| *reads).await;
                let Ok(Some(line)) = reader.next_line().await else {
                    break;
                };
                let value = serde_json::from_str(&line).unwrap_or(Value::String(line));
                state.send_modify(|state| state.lines.push(value));
            }
            state.send_modify(|state| state.closed = true);
        });
        lines
    }

    /// Leaves what comes from now on in the pipe, or takes it up again. A line that is being waited for is still read.
    pub fn read(&self, reads: bool) {
        self.reads.send_replace(reads);
    }

    /// All lines so far.
    pub fn all(&self) -> Vec<Value> {
        self.state.borrow().lines.clone()
    }

    /// Waits for the first line, seen or yet to come, that `wanted` accepts.
    ///
    /// # Panics
    ///
    /// When the pipe ends or the deadline passes without such a line; the message shows all lines.
    pub async fn find(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.find_all(what, 1, wanted).await.remove(0)
    }

    /// Waits until `wanted` has accepted `count` lines and returns them in order.
    ///
    /// # Panics
    ///
    /// As [`Lines::find`].
    pub async fn find_all(
        &self,
        what: &str,
        count: usize,
        wanted: impl Fn(&Value) -> bool,
    ) -> Vec<Value> {
        let matching = |state: &State| -> Vec<Value> {
            state
                .lines
                .iter()
                .filter(|line| wanted(line))
                .cloned()
                .collect()
        };
        let mut changes = self.state.subscribe();
        let enough = changes.wait_for(|state| matching(state).len() >= count || state.closed);
        let found = match tokio::time::timeout(EVENT, enough).await {
            Ok(Ok(state)) => matching(&state),
            _ => Vec::new(),
        };
        if found.len() >= count {
            return found;
        }
        let seen: Vec<String> = self.all().iter().map(Value::to_string).collect();
        panic!("no {what} in {}; it holds:\n{}", self.name, seen.join("\n"));
    }

    /// Waits until the program has closed the pipe, then returns all lines.
    pub async fn to_end(&self) -> Vec<Value> {
        let mut changes = self.state.subscribe();
        let closed = changes.wait_for(|state| state.closed);
        let _ = tokio::time::timeout(EVENT, closed).await;
        self.all()
    }
}

/// Whether the log line's message is `message`.
pub fn says(line: &Value, message: &str) -> bool {
    line["message"] == message
}
