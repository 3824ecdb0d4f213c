//! Starts the binary of a role, follows its two logs, asks its admin listener, and ends it.
//!
//! The process is killed when the value is dropped, so that a failed test leaves nothing behind.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};

use rustix::process::{Pid, Resource, Rlimit, Signal};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::client::{self, Reply};
use crate::config::Config;
use crate::lines::{Lines, says};
use crate::memory::Memory;
use crate::metrics::Metrics;
use crate::promise::{expect, until};

/// The role whose binary is meant where none is named.
pub const AMBASSADOR: &str = "ambassador";

/// The inbound role.
pub const SIDECAR: &str = "sidecar";

/// The edge role.
pub const INGRESS: &str = "ingress";

/// The binary of a role under test: `REMORA_AMBASSADOR` for the ambassador's, or the file of the role's name
/// in the directory that cargo builds this test's binaries into.
///
/// # Panics
///
/// When there is no such file.
pub fn binary(role: &str) -> PathBuf {
    let variable = format!("REMORA_{}", role.to_ascii_uppercase());
    let path = std::env::var_os(variable).map_or_else(|| built_beside().join(role), PathBuf::from);
    assert!(
        path.exists(),
        "{} is missing: cargo build -p {role}",
        path.display()
    );
    path
}

/// The directory of the binaries that cargo built together with the running test.
pub(crate) fn built_beside() -> PathBuf {
    let test = std::env::current_exe().expect("the path of the running test");
    let deps = test.parent().expect("the directory of the running test");
    deps.parent().unwrap_or(deps).to_owned()
}

/// Runs the binary of a role with `arguments` in `directory` to its end and returns what it printed.
pub async fn run_in(role: &str, directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(binary(role));
    command
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    expect("the end of the command", command.output())
        .await
        .expect("the binary starts")
}

/// Runs the binary of a role with `arguments` in an empty directory.
pub async fn run(role: &str, arguments: &[&str]) -> Output {
    let directory = tempfile::tempdir().expect("a directory");
    run_in(role, directory.path(), arguments).await
}

/// A running proxy of any role: of that which its [`Config`] is for, or else an ambassador.
#[derive(Debug)]
pub struct Proxy {
    child: Child,
    /// Its log on stderr.
    pub log: Lines,
    /// Its access log on stdout.
    pub access: Lines,
    entry: String,
    address: SocketAddr,
    directory: TempDir,
}

impl Proxy {
    /// Starts with one entry, `users`, made of these lines, and waits until it is ready.
    pub async fn serving(settings: &str) -> Self {
        Self::start(&Config::of(settings)).await
    }

    /// Starts with `config` and waits until it is ready.
    pub async fn start(config: &Config) -> Self {
        let started = Self::launch(config).await;
        started.ready().await;
        started
    }

    /// Starts with `config` and waits until all its entries listen, resolved or not.
    pub async fn launch(config: &Config) -> Self {
        Self::launch_with(config, &[]).await
    }

    /// The same with further flags.
    pub async fn launch_with(config: &Config, flags: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("remora.yaml"), config.text()).expect("a file");
        let names: Vec<&str> = config.names().collect();
        let arguments = [&["-c", "remora.yaml"], flags].concat();
        Self::spawn(config.role(), directory, &arguments, &names).await
    }

    /// Starts with flags alone, where `--admin 127.0.0.1:0` is added, and waits until it is ready.
    pub async fn with_flags(flags: &[&str]) -> Self {
        Self::of_flags(AMBASSADOR, flags).await
    }

    /// The same of a role.
    pub async fn of_flags(role: &str, flags: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let flags = [flags, &["--admin", "127.0.0.1:0"]].concat();
        let started = Self::spawn(role, directory, &flags, &["default"]).await;
        started.ready().await;
        started
    }

    /// Starts with `config` and further variables in its environment, and waits until it is ready.
    pub async fn with_env(config: &Config, variables: &[(&str, String)]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("remora.yaml"), config.text()).expect("a file");
        let names: Vec<&str> = config.names().collect();
        let mut command = Command::new(binary(config.role()));
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        let arguments = ["-c", "remora.yaml"];
        let started = Self::run(command, Stdio::null(), directory, &arguments, &names).await;
        started.ready().await;
        started
    }

    /// Starts with `config` and a listening socket that is passed to it as systemd passes its own, and waits until
    /// it is ready.
    pub async fn with_socket(config: &Config, socket: &std::net::TcpListener) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("remora.yaml"), config.text()).expect("a file");
        let names: Vec<&str> = config.names().collect();
        let (command, socket) = passing(config.role(), socket.try_clone().expect("a socket"));
        let arguments = ["-c", "remora.yaml"];
        let started = Self::run(command, socket, directory, &arguments, &names).await;
        started.ready().await;
        started
    }

    async fn spawn(role: &str, directory: TempDir, arguments: &[&str], entries: &[&str]) -> Self {
        let command = Command::new(binary(role));
        Self::run(command, Stdio::null(), directory, arguments, entries).await
    }

    async fn run(
        mut command: Command,
        stdin: Stdio,
        directory: TempDir,
        arguments: &[&str],
        entries: &[&str],
    ) -> Self {
        let mut child = command
            .args(arguments)
            .current_dir(directory.path())
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the binary starts");
        let log = Lines::collect("the log", child.stderr.take().expect("stderr"));
        let access = Lines::collect("the access log", child.stdout.take().expect("stdout"));
        let mut address = None;
        for entry in entries {
            let own = listening(&log, entry).await;
            address.get_or_insert(own);
        }
        let address = address.expect("an entry");
        Self {
            child,
            log,
            access,
            entry: entries[0].to_owned(),
            address,
            directory,
        }
    }

    /// Waits for the log line `ready`.
    pub async fn ready(&self) {
        self.log
            .find("line `ready`", |line| says(line, "ready"))
            .await;
    }

    /// The address of the first entry.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The name of the first entry.
    pub fn entry(&self) -> &str {
        &self.entry
    }

    /// The address of the named entry, as soon as it listens.
    pub async fn address_of(&self, entry: &str) -> SocketAddr {
        listening(&self.log, entry).await
    }

    /// The address of the admin listener.
    pub async fn admin(&self) -> SocketAddr {
        let line = self
            .log
            .find("`admin listening`", |line| says(line, "admin listening"))
            .await;
        address_in(&line)
    }

    /// Sends a request without a body to the admin listener.
    pub async fn ask(&self, method: &str, path: &str) -> Reply {
        let request = client::own(client::request(method, path));
        client::once(self.admin().await, request)
            .await
            .expect("an answer")
    }

    /// The metrics as they are now.
    pub async fn metrics(&self) -> Metrics {
        let reply = self.ask("GET", "/metrics").await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        Metrics::parse(&reply.text()).unwrap_or_else(|why| panic!("{why}\n{}", reply.text()))
    }

    /// Waits until the sum of the metric's samples with these labels is one that `wanted` accepts.
    pub async fn metric(
        &self,
        name: &str,
        labels: &[(&str, &str)],
        wanted: impl Fn(f64) -> bool,
    ) -> f64 {
        until(&format!("{name} with {labels:?}"), async || {
            let value = self.metrics().await.sum(name, labels);
            wanted(value).then_some(value)
        })
        .await
    }

    /// Waits for the access-log line of the request with this path.
    pub async fn logged(&self, path: &str) -> Value {
        self.access
            .find(&format!("line for {path}"), |line| line["path"] == path)
            .await
    }

    /// Replaces the configuration file, as an editor does: a new file renamed over the old one.
    pub fn rewrite(&self, text: &str) {
        let file = self.directory.path().join("remora.yaml");
        let new = self.directory.path().join("remora.yaml.new");
        std::fs::write(&new, text).expect("a new file");
        std::fs::rename(new, file).expect("a file in its place");
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        rustix::process::kill_process(self.pid(), signal).expect("the process runs");
    }

    /// Limits a resource of the process from now on.
    pub fn limit(&self, resource: Resource, limit: Rlimit) {
        rustix::process::prlimit(Some(self.pid()), resource, limit).expect("the process runs");
    }

    /// The memory of the process.
    pub fn memory(&self) -> Memory {
        Memory::of(self.pid().as_raw_nonzero().get())
    }

    /// What its open descriptors are, as the kernel names them.
    pub fn descriptors(&self) -> Vec<String> {
        let directory = format!("/proc/{}/fd", self.pid().as_raw_nonzero());
        let open = std::fs::read_dir(directory).expect("the process runs and is ours");
        let links = open.filter_map(|link| std::fs::read_link(link.ok()?.path()).ok());
        links
            .map(|link| link.to_string_lossy().into_owned())
            .collect()
    }

    /// Waits for the end of the process.
    pub async fn exit(&mut self) -> ExitStatus {
        expect("the end of the process", self.child.wait())
            .await
            .expect("a child")
    }

    fn pid(&self) -> Pid {
        let id = self
            .child
            .id()
            .expect("the process has not been waited for");
        Pid::from_raw(id.cast_signed()).expect("a process has a number")
    }
}

/// What starts the binary of a role with a file that is its first passed descriptor (`sd_listen_fds(3)`), and the
/// standard input to start it with.
pub fn passing(role: &str, file: impl Into<OwnedFd>) -> (Command, Stdio) {
    let mut command = Command::new("sh");
    let script = "export LISTEN_PID=$$ LISTEN_FDS=1; exec \"$0\" \"$@\" 3<&0 </dev/null";
    command.args(["-c", script]).arg(binary(role));
    (command, Stdio::from(file.into()))
}

async fn listening(log: &Lines, entry: &str) -> SocketAddr {
    let what = format!("`listening` of {entry}");
    let line = log
        .find(&what, |line| {
            says(line, "listening") && line["entry"] == entry
        })
        .await;
    address_in(&line)
}

fn address_in(line: &Value) -> SocketAddr {
    let address = line["address"]
        .as_str()
        .unwrap_or_else(|| panic!("no address in {line}"));
    address
        .parse()
        .unwrap_or_else(|_| panic!("{address} is not an address"))
}
