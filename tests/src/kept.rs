//! A role's demo, kept running, and the commands that it shows.

use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::promise::expect;
use crate::proxy::binary;

/// `ROLE demo --keep`; it is killed when this is dropped.
#[derive(Debug)]
pub struct Kept {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Kept {
    /// Starts it.
    ///
    /// # Panics
    ///
    /// When the role has no binary.
    pub fn start(role: &str) -> Self {
        let mut child = Command::new(binary(role))
            .args(["demo", "--keep"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the binary starts");
        let stdout = child.stdout.take().expect("stdout");
        let lines = BufReader::new(stdout).lines();
        Self { child, lines }
    }

    async fn line(&mut self) -> String {
        let line = expect("a line", self.lines.next_line()).await;
        line.expect("text").expect("a demo that goes on")
    }

    /// The next line with these words.
    pub async fn find(&mut self, words: &str) -> String {
        loop {
            let line = self.line().await;
            if line.contains(words) {
                return line;
            }
        }
    }

    /// The next command that it shows: a line, and those that it goes on in.
    pub async fn curl(&mut self) -> String {
        let mut command = self.find("curl ").await;
        while command.ends_with('\\') {
            command = format!("{command}\n{}", self.line().await);
        }
        command
    }

    /// Ends it as Ctrl-C does.
    ///
    /// # Panics
    ///
    /// When it has ended already.
    pub fn interrupt(&self) {
        let id = self.child.id().expect("it runs").cast_signed();
        let id = Pid::from_raw(id).expect("a process has a number");
        kill_process(id, Signal::INT).expect("it runs");
    }

    /// Waits for its end.
    pub async fn exit(&mut self) -> ExitStatus {
        expect("its end", self.child.wait()).await.expect("a child")
    }
}

/// What a shell prints that gets these lines.
///
/// # Panics
///
/// When they fail.
pub async fn shell(lines: &str) -> String {
    let mut shell = Command::new("sh");
    let output = shell.args(["-c", lines]).stdin(Stdio::null()).output();
    let output = expect("the shell", output).await.expect("a shell");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{lines}\n{said}");
    String::from_utf8(output.stdout).expect("text")
}
