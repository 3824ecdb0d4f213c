//! The closed loop over HTTP/2 (RFC 9113), cleartext with prior knowledge or inside TLS: connections with several streams each.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Value, json};

use super::h2c_wire::Wire;
use super::poll::{Interest, Poll};
use super::rounds::rounds;
use super::secure::Secure;
use super::stream::{Dialer, Got, Stream};

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
    #[command(flatten)]
    secure: Secure,
}

/// Opens the connections and runs in rounds, each of which reports `{"requests","seconds","errors","first_error"}`.
pub(crate) fn run(args: &Args) -> Result<()> {
    let mut load = Load::open(args)?;
    rounds(|length| load.round(length))
}

struct Load {
    poll: Poll,
    buffer: Vec<u8>,
    clients: Vec<Client>,
    streams: usize,
    first_error: Option<String>,
}

struct Client {
    stream: Stream,
    wire: Wire,
    alive: bool,
}

impl Load {
    fn open(args: &Args) -> Result<Self> {
        let poll = Poll::new()?;
        let dialer = Dialer {
            port: args.port,
            client: args.secure.client("h2", false)?,
        };
        let mut clients = Vec::with_capacity(args.connections);
        for token in 0..args.connections {
            let stream = dialer.dial()?;
            poll.add(&stream, token, Interest::Read)?;
            clients.push(Client {
                stream,
                wire: Wire::new(&args.path, dialer.client.is_some()),
                alive: true,
            });
        }
        Ok(Self {
            poll,
            buffer: dialer.buffer(),
            clients,
            streams: args.streams,
            first_error: None,
        })
    }

    /// One round of this length.
    fn round(&mut self, length: Duration) -> Result<Value> {
        let (started, before) = (Instant::now(), self.completed());
        self.drive(started + length)?;
        let unanswered: u64 = self
            .clients
            .iter()
            .map(|client| client.wire.in_flight())
            .sum();
        Ok(json!({
            "requests": self.completed() - before, "seconds": started.elapsed().as_secs_f64(),
            "errors": unanswered, "first_error": self.first_error,
        }))
    }

    fn completed(&self) -> u64 {
        self.clients
            .iter()
            .map(|client| client.wire.completed())
            .sum()
    }

    /// Runs the exchanges until `end` and waits for their last answers.
    fn drive(&mut self, end: Instant) -> Result<()> {
        let mut ready = Vec::with_capacity(256);
        for client in self.clients.iter_mut().filter(|client| client.alive) {
            (0..self.streams).for_each(|_| client.wire.request());
            client.write()?;
        }
        while self
            .clients
            .iter()
            .any(|client| client.alive && client.wire.in_flight() > 0)
        {
            ready.clear();
            self.poll
                .wait(Some(Duration::from_millis(100)), &mut ready)?;
            let now = Instant::now();
            if now > end + GRACE {
                self.first_error
                    .get_or_insert("requests were not answered in time".to_owned());
                break;
            }
            for token in ready.iter().copied() {
                let client = &mut self.clients[token];
                if let Err(error) = client.serve(&mut self.buffer, now < end) {
                    self.first_error.get_or_insert(error.to_string());
                    client.alive = false;
                    self.poll.remove(&client.stream)?;
                }
            }
        }
        Ok(())
    }
}

impl Client {
    fn serve(&mut self, buffer: &mut [u8], more: bool) -> Result<()> {
        let Self { stream, wire, .. } = self;
        let mut answered = 0;
        let got = stream.receive(buffer, |data| {
            answered += wire.feed(data)?;
            Ok(())
        })?;
        match got {
            Got::End => anyhow::bail!("connection closed"),
            Got::Nothing => return Ok(()),
            Got::Data => {}
        }
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
        while !self.stream.flush()? {
            std::thread::yield_now();
        }
        Ok(())
    }
}
