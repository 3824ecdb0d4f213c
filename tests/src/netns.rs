//! A network namespace with a resolver configuration of its own, removed with the value.

use std::path::PathBuf;
use std::process::Command;

/// A namespace in which only the loopback interface exists, and is up.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes one whose `/etc/resolv.conf` is `resolver`. Needs `ip` and the rights of root.
    ///
    /// # Panics
    ///
    /// When a command fails.
    pub fn new(resolver: &str) -> Self {
        let namespace = Self {
            name: format!("remora-test-{}", std::process::id()),
        };
        std::fs::create_dir_all(namespace.files()).expect("a directory below /etc/netns");
        std::fs::write(namespace.files().join("resolv.conf"), resolver).expect("a file");
        ip(&["netns", "add", &namespace.name]).expect("a namespace");
        ip(&["-n", &namespace.name, "link", "set", "lo", "up"]).expect("a loopback interface");
        namespace
    }

    /// A command that will run inside.
    pub fn command(&self, program: &str) -> tokio::process::Command {
        let mut command = tokio::process::Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command.kill_on_drop(true);
        command
    }

    fn files(&self) -> PathBuf {
        PathBuf::from("/etc/netns").join(&self.name)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = ip(&["netns", "delete", &self.name]);
        let _ = std::fs::remove_dir_all(self.files());
        // Gone too if this was its last namespace; it stays if another one is configured.
        let _ = std::fs::remove_dir("/etc/netns");
    }
}

fn ip(arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("ip")
        .args(arguments)
        .output()
        .map_err(|why| why.to_string())?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() {
        Ok(())
    } else {
        Err(format!("ip {arguments:?}: {said}"))
    }
}
