//! `sidecar drain`: asks a running sidecar to drain, and returns once it has.
//!
//! It is for preStop hooks: an image that holds nothing but the binary has no shell and no curl.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use clap::{Arg, ArgMatches, value_parser};
use proxy_cli::Failure;
use proxy_core::config::{self, ListenAddress, OrOff, Section};

/// How long the interface may take to be connected to, and to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// The most of an answer that is read.
const MOST: u64 = 1024;

/// The pause before another look whether the process is still there.
const PAUSE: Duration = Duration::from_millis(50);

const HELP: &str = "\
Examples:
  From a preStop hook; the image needs no shell:
      preStop: {exec: {command: [/sidecar, drain]}}
  Where the file says that the admin interface listens elsewhere:
      sidecar drain -c remora.yaml

Exit codes:
  0  it has drained and ended
  1  nobody answered, or --timeout was over
  2  the command line or the configuration is wrong, or there is no admin
     interface";

/// What the command says of itself.
pub(crate) fn describe(command: clap::Command) -> clap::Command {
    let config = Arg::new("config")
        .short('c')
        .long("config")
        .value_name("FILE");
    let admin = Arg::new("admin").long("admin").value_name("ADDR");
    let timeout = Arg::new("timeout").long("timeout").value_name("TIME");
    command
        .about("Ask a running sidecar to drain, and return once it has: for preStop hooks")
        .after_long_help(HELP)
        .max_term_width(80)
        .arg(
            config
                .value_parser(value_parser!(PathBuf))
                .help("The configuration file, for its `admin`"),
        )
        .arg(
            admin
                .value_parser(|text: &str| text.parse::<ListenAddress>())
                .help("Where its admin interface listens [default: localhost:15010]"),
        )
        .arg(
            timeout
                .value_parser(|text: &str| text.parse::<config::Duration>())
                .default_value("60s")
                .help("The most that is waited for"),
        )
}

/// Asks, and waits.
pub(crate) fn run(words: &ArgMatches) -> Result<(), Failure> {
    let admin = admin(words)?;
    let timeout = words.get_one::<config::Duration>("timeout");
    let deadline = Instant::now() + timeout.map_or(ANSWER, |timeout| timeout.std());
    let address = ask(&admin)?;
    wait(address, deadline)?;
    Ok(())
}

/// Where the admin interface listens: as the flag says, or the file, or by default.
fn admin(words: &ArgMatches) -> Result<ListenAddress, Failure> {
    if let Some(admin) = words.get_one::<ListenAddress>("admin") {
        return Ok(*admin);
    }
    let Some(file) = words.get_one::<PathBuf>("config") else {
        return Ok(Section::Sidecar.admin());
    };
    let document = Section::Sidecar.read(file, &|name| std::env::var(name).ok());
    match document
        .map_err(|errors| Failure::Usage(errors.to_string()))?
        .config
        .admin
    {
        OrOff::On(admin) => Ok(admin),
        OrOff::Off => Err(Failure::Usage(
            "error: `admin` is `off` in the file, and nobody can be asked".to_owned(),
        )),
    }
}

/// Asks whoever answers first, and returns its address.
fn ask(admin: &ListenAddress) -> anyhow::Result<SocketAddr> {
    let mut failure = anyhow!("it has no address");
    for address in admin.sockets().into_iter().map(reachable) {
        match ask_at(address) {
            Ok(()) => return Ok(address),
            Err(error) => failure = error,
        }
    }
    Err(failure.context(format!("the admin interface on {admin} was not reached")))
}

/// Whoever listens on every address is reached on the loopback one.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

fn ask_at(address: SocketAddr) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect_timeout(&address, ANSWER)?;
    stream.set_read_timeout(Some(ANSWER))?;
    stream.set_write_timeout(Some(ANSWER))?;
    write!(
        stream,
        "POST /drain HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    // A process that is ending may cut the connection once it has answered.
    let read = stream.take(MOST).read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    match answer.split(' ').nth(1) {
        Some("202") => Ok(()),
        Some(status) => bail!("it answered {status}"),
        None => {
            read.context("it did not answer")?;
            bail!("it did not answer in HTTP")
        }
    }
}

/// Waits until nobody listens there any more. A connection on which nothing is sent ends with the process,
/// or when the interface has had enough of it.
fn wait(address: SocketAddr, deadline: Instant) -> anyhow::Result<()> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            bail!("the sidecar is still draining, and --timeout is over");
        }
        match TcpStream::connect_timeout(&address, left.min(ANSWER)) {
            Ok(mut stream) => {
                stream.set_read_timeout(Some(left))?;
                let _ = stream.read(&mut [0]);
            }
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => return Ok(()),
            Err(_) => {}
        }
        sleep(PAUSE.min(left));
    }
}
