//! Programs beside the one under test: HTTP upstreams that can be killed, and the library's examples.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::promise::expect;
use crate::proxy::built_beside;

/// A running upstream process; it is killed when the value is dropped.
#[derive(Debug)]
pub struct OriginProcess {
    child: Child,
    address: SocketAddr,
}

impl OriginProcess {
    /// Starts one that answers each request with 200 after `delay`.
    ///
    /// # Panics
    ///
    /// When the program was not built with the tests.
    pub async fn start(delay: Duration) -> Self {
        let mut child = Command::new(built_beside().join("origin"))
            .arg(delay.as_millis().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("cargo builds the program `origin` with these tests");
        let output = child.stdout.take().expect("stdout");
        let mut lines = BufReader::new(output).lines();
        let line = expect("the address of an upstream process", lines.next_line()).await;
        let address = line
            .expect("a pipe")
            .expect("a line")
            .parse()
            .expect("an address");
        Self { child, address }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Kills it with SIGKILL and waits until it is gone.
    pub async fn kill(&mut self) {
        expect("the end of an upstream process", self.child.kill())
            .await
            .expect("killed");
    }
}

/// The command of an example of `proxy-core`, which `cargo test --workspace` builds with the tests.
///
/// # Panics
///
/// When it was not built.
pub fn example(name: &str) -> Command {
    let program = built_beside().join("examples").join(name);
    assert!(
        program.is_file(),
        "{} is missing: cargo build --workspace --examples",
        program.display()
    );
    Command::new(program)
}
