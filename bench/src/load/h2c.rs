//! The closed loop over cleartext HTTP/2 (RFC 9113, prior knowledge): connections with several streams each.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;

use super::call::connect;
use super::h2c_wire::Wire;
use super::poll::{Interest, Poll};

/// How long answers may still take once the time is up.
const GRACE: Duration = Duration::from_secs(5);

/// What to run.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Port on 127.0.0.1.
    #[arg(long)]
    port: u16,
    /// Path of the request.
    #[arg(long, default_value = "/1k")]
    path: String,
    /// Connections that are open at the same time.
    #[arg(long, default_value_t = 8)]
    connections: usize,
    /// Requests in flight on each connection.
    #[arg(long, default_value_t = 16)]
    streams: usize,
    /// Seconds until no further request is sent.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
}

/// Runs the loop and prints `{"requests","seconds","errors","first_error"}`.
pub(crate) fn run(args: &Args) -> Result<()> {
    let mut poll = Poll::new()?;
    let mut clients = Vec::with_capacity(args.connections);
    for token in 0..args.connections {
        let stream = connect(args.port)?;
        stream.set_nonblocking(true)?;
        poll.add(&stream, token, Interest::Read)?;
        let mut wire = Wire::new(&args.path);
        (0..args.streams).for_each(|_| wire.request());
        clients.push(Client {
            stream,
            wire,
            alive: true,
        });
    }
    let started = Instant::now();
    let error = drive(
        &mut poll,
        &mut clients,
        started + Duration::from_secs_f64(args.seconds),
    )?;
    let completed: u64 = clients.iter().map(|client| client.wire.completed()).sum();
    let unanswered: u64 = clients.iter().map(|client| client.wire.in_flight()).sum();
    println!(
        "{}",
        json!({"requests": completed, "seconds": started.elapsed().as_secs_f64(), "errors": unanswered, "first_error": error})
    );
    Ok(())
}

struct Client {
    stream: TcpStream,
    wire: Wire,
    alive: bool,
}

/// Runs the exchanges until `end` and their last answers; returns why the first of them failed, if any did.
fn drive(poll: &mut Poll, clients: &mut [Client], end: Instant) -> Result<Option<String>> {
    let mut buffer = vec![0; 32 * 1024];
    let mut ready = Vec::with_capacity(256);
    let mut first_error = None;
    for client in clients.iter_mut() {
        client.write()?;
    }
    while clients
        .iter()
        .any(|client| client.alive && client.wire.in_flight() > 0)
    {
        ready.clear();
        poll.wait(Some(Duration::from_millis(100)), &mut ready)?;
        let now = Instant::now();
        if now > end + GRACE {
            first_error.get_or_insert("requests were not answered in time".to_owned());
            break;
        }
        for token in ready.iter().copied() {
            let client = &mut clients[token];
            if let Err(error) = client.serve(&mut buffer, now < end) {
                first_error.get_or_insert(error.to_string());
                client.alive = false;
                poll.remove(&client.stream)?;
            }
        }
    }
    Ok(first_error)
}

impl Client {
    fn serve(&mut self, buffer: &mut [u8], more: bool) -> Result<()> {
        let length = match self.stream.read(buffer) {
            Ok(0) => anyhow::bail!("connection closed"),
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let answered = self.wire.feed(&buffer[..length])?;
        if more {
            (0..answered).for_each(|_| self.wire.request());
        }
        self.write()
    }

    /// Writes all that the connection has to say. It is little, so a full socket is waited for.
    fn write(&mut self) -> Result<()> {
        let output = self.wire.output();
        let mut written = 0;
        while written < output.len() {
            match self.stream.write(&output[written..]) {
                Ok(length) => written += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::yield_now(),
                Err(error) => return Err(error.into()),
            }
        }
        output.clear();
        Ok(())
    }
}
