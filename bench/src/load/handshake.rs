//! The loop of handshakes: each connection makes one request that ends it, and the next one takes its place.
//!
//! A handshake counts once its request is answered and the proxy has ended the connection, so that all of the
//! proxy's work for it is in what is measured.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustls::HandshakeKind;
use serde_json::{Value, json};

use super::call::{Call, connect};
use super::poll::{Interest, Poll};
use super::response::Response;
use super::rounds::rounds;
use super::session::Session;
use super::stream::{Dialer, Got};

/// How long connections may still take once the time is up.
const GRACE: Duration = Duration::from_secs(5);

/// What to run.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    call: Call,
    /// Connections at the same time.
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// Resume the sessions of earlier connections by their tickets.
    #[arg(long)]
    resume: bool,
}

/// Runs in rounds, each of which reports `{"requests","full","seconds","errors","first_error","group"}`:
/// handshakes, how many of them resumed no session, and the key exchange of the last one.
pub(crate) fn run(args: &Args) -> Result<()> {
    let dialer = args.call.dialer("http/1.1", args.resume)?;
    let mut load = Load {
        poll: Poll::new()?,
        request: args.call.encode(true),
        buffer: dialer.buffer(),
        dialer,
        clients: (0..args.connections).map(|_| None).collect(),
        completed: 0,
        full: 0,
        group: None,
        errors: 0,
        first_error: None,
    };
    rounds(|length| load.round(length))
}

struct Load {
    poll: Poll,
    request: Vec<u8>,
    buffer: Vec<u8>,
    dialer: Dialer,
    clients: Vec<Option<Client>>,
    completed: u64,
    full: u64,
    group: Option<String>,
    errors: u64,
    first_error: Option<String>,
}

struct Client {
    session: Session,
    response: Response,
    sent: bool,
    answered: bool,
}

impl Load {
    /// One round of this length.
    fn round(&mut self, length: Duration) -> Result<Value> {
        let (started, before, full) = (Instant::now(), self.completed, self.full);
        self.drive(started + length)?;
        Ok(json!({
            "requests": self.completed - before, "full": self.full - full,
            "seconds": started.elapsed().as_secs_f64(), "errors": self.errors,
            "first_error": self.first_error, "group": self.group,
        }))
    }

    /// Makes connections until `end`, then waits for the last ones.
    fn drive(&mut self, end: Instant) -> Result<()> {
        let mut ready = Vec::with_capacity(256);
        for token in 0..self.clients.len() {
            self.begin(token);
        }
        while self.clients.iter().any(Option::is_some) {
            ready.clear();
            self.poll
                .wait(Some(Duration::from_millis(100)), &mut ready)?;
            let now = Instant::now();
            if now > end + GRACE {
                self.fail("connections were not served in time".to_owned());
                break;
            }
            for token in ready.iter().copied() {
                let over = match self.serve(token) {
                    Ok(over) => over,
                    Err(error) => {
                        self.fail(format!("{error:#}"));
                        true
                    }
                };
                if over {
                    self.clients[token] = None;
                    if now < end && self.errors == 0 {
                        self.begin(token);
                    }
                }
            }
        }
        Ok(())
    }

    /// Opens a connection in this place.
    fn begin(&mut self, token: usize) {
        match self.open(token) {
            Ok(client) => self.clients[token] = Some(client),
            Err(error) => self.fail(format!("{error:#}")),
        }
    }

    fn open(&self, token: usize) -> Result<Client> {
        let config = self.dialer.client.as_ref();
        let config = config.context("there is no handshake without --tls")?;
        let socket = connect(self.dialer.port)?;
        socket.set_nonblocking(true)?;
        self.poll.add(&socket, token, Interest::Read)?;
        Ok(Client {
            session: Session::begin(socket, config)?,
            response: Response::default(),
            sent: false,
            answered: false,
        })
    }

    /// Does what the socket allows now, and says whether the connection is over.
    fn serve(&mut self, token: usize) -> Result<bool> {
        let Some(client) = &mut self.clients[token] else {
            return Ok(false);
        };
        let (response, answered) = (&mut client.response, &mut client.answered);
        let got = client.session.receive(&mut self.buffer, &mut |data| {
            *answered |= response.feed(data)?;
            Ok(())
        })?;
        if !client.sent && client.session.is_open() {
            client.sent = true;
            let written = client.session.write(&self.request)?;
            if written < self.request.len() || !client.session.flush()? {
                bail!("the socket did not take a whole request");
            }
        }
        match got {
            Got::End if client.answered => {
                self.completed += 1;
                self.full += u64::from(client.session.kind() != Some(HandshakeKind::Resumed));
                self.group = client.session.group();
                Ok(true)
            }
            Got::End => bail!("connection closed before the answer was complete"),
            Got::Data | Got::Nothing => Ok(false),
        }
    }

    fn fail(&mut self, why: String) {
        self.errors += 1;
        self.first_error.get_or_insert(why);
    }
}
