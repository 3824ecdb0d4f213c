//! Holds many connections open that each made one request and then went quiet.

use std::io::{ErrorKind, Read, Write, stdin};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::call::{Call, connect};
use super::response::Response;

/// What to run.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    call: Call,
    /// Connections to hold.
    #[arg(long, default_value_t = 5000)]
    connections: usize,
}

/// Opens the connections, prints `{"open"}`, holds them until standard input ends, then prints
/// `{"closed"}`: how many of them the proxy had closed by then.
pub(crate) fn run(args: &Args) -> Result<()> {
    let request = args.call.encode();
    let mut held = Vec::with_capacity(args.connections);
    for index in 0..args.connections {
        held.push(
            open(args.call.port, &request).with_context(|| format!("connection {}", index + 1))?,
        );
    }
    println!("{}", json!({"open": held.len()}));
    stdin().read_to_end(&mut Vec::new())?;
    let closed = held.iter().filter(|stream| !is_open(stream)).count();
    println!("{}", json!({"closed": closed}));
    Ok(())
}

fn open(port: u16, request: &[u8]) -> Result<TcpStream> {
    let mut stream = connect(port)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(request)?;
    let mut response = Response::default();
    let mut buffer = [0; 16 * 1024];
    loop {
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            bail!("closed before the answer was complete");
        }
        match response.feed(&buffer[..length]) {
            Ok(true) => break,
            Ok(false) => {}
            Err(bad) => bail!("{bad}"),
        }
    }
    stream.set_nonblocking(true)?;
    Ok(stream)
}

fn is_open(stream: &TcpStream) -> bool {
    matches!(stream.peek(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
}
