//! Holds many connections open that each made one request and then went quiet.

use std::io::{ErrorKind, Read, stdin};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::call::Call;
use super::poll::{Interest, Poll};
use super::response::Response;
use super::stream::{Dialer, Got, Stream};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

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
    let request = args.call.encode(false);
    let dialer = args.call.dialer("http/1.1", false)?;
    let mut held = Vec::with_capacity(args.connections);
    let mut buffer = dialer.buffer();
    for index in 0..args.connections {
        held.push(
            open(&dialer, &request, &mut buffer)
                .with_context(|| format!("connection {}", index + 1))?,
        );
    }
    println!("{}", json!({"open": held.len()}));
    stdin().read_to_end(&mut Vec::new())?;
    let closed = held.iter().filter(|stream| !is_open(stream)).count();
    println!("{}", json!({"closed": closed}));
    Ok(())
}

fn open(dialer: &Dialer, request: &[u8], buffer: &mut [u8]) -> Result<Stream> {
    let mut stream = dialer.dial()?;
    let mut poll = Poll::new()?;
    poll.add(&stream, 0, Interest::Read)?;
    let mut sent = 0;
    while sent < request.len() {
        sent += stream.write(&request[sent..])?;
    }
    let mut response = Response::default();
    let mut answered = false;
    while !answered {
        let mut ready = Vec::new();
        poll.wait(Some(PATIENCE), &mut ready)?;
        if ready.is_empty() {
            bail!("no answer within {} s", PATIENCE.as_secs());
        }
        let got = stream.receive(buffer, |data| {
            answered = response.feed(data)?;
            Ok(())
        })?;
        if got == Got::End && !answered {
            bail!("closed before the answer was complete");
        }
    }
    Ok(stream)
}

fn is_open(stream: &Stream) -> bool {
    matches!(stream.socket().peek(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
}
