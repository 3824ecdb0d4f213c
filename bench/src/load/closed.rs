//! The closed loop: a fixed number of connections, each sending its next request when its last one is answered.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Value, json};

use super::call::Call;
use super::poll::{Interest, Poll};
use super::response::Response;
use super::rounds::rounds;
use super::stream::{Got, Stream};

/// How long answers may still take once the time is up.
const GRACE: Duration = Duration::from_secs(5);

/// What to run.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    call: Call,
    /// Connections that are open at the same time.
    #[arg(long, default_value_t = 64)]
    connections: usize,
}

/// Opens the connections and runs in rounds, each of which reports `{"requests","seconds","errors","first_error"}`.
///
/// Every request that was sent is waited for, so that `requests` is what the proxy worked for.
pub(crate) fn run(args: &Args) -> Result<()> {
    let mut load = Load::open(args)?;
    rounds(|length| load.round(length))
}

struct Load {
    poll: Poll,
    request: Vec<u8>,
    buffer: Vec<u8>,
    clients: Vec<Client>,
    busy: usize,
    completed: u64,
    errors: u64,
    first_error: Option<String>,
}

struct Client {
    stream: Stream,
    response: Response,
    sent: usize,
    interest: Interest,
    alive: bool,
}

/// What became of a connection after it was served once.
enum Step {
    Waiting,
    Answered,
}

impl Load {
    fn open(args: &Args) -> Result<Self> {
        let poll = Poll::new()?;
        let dialer = args.call.dialer("http/1.1", false)?;
        let mut clients = Vec::with_capacity(args.connections);
        for token in 0..args.connections {
            let stream = dialer.dial()?;
            poll.add(&stream, token, Interest::Read)?;
            clients.push(Client {
                stream,
                response: Response::default(),
                sent: 0,
                interest: Interest::Read,
                alive: true,
            });
        }
        let request = args.call.encode(false);
        Ok(Self {
            poll,
            request,
            buffer: dialer.buffer(),
            clients,
            busy: 0,
            completed: 0,
            errors: 0,
            first_error: None,
        })
    }

    /// One round of this length.
    fn round(&mut self, length: Duration) -> Result<Value> {
        let (started, before) = (Instant::now(), self.completed);
        self.drive(started + length)?;
        Ok(json!({
            "requests": self.completed - before, "seconds": started.elapsed().as_secs_f64(),
            "errors": self.errors, "first_error": self.first_error,
        }))
    }

    /// Keeps every connection busy until `end`, then waits for the answers that are still due.
    fn drive(&mut self, end: Instant) -> Result<()> {
        let mut ready = Vec::with_capacity(256);
        for token in 0..self.clients.len() {
            if !self.clients[token].alive {
                continue;
            }
            self.busy += 1;
            let outcome = self.send(token).map(|()| Step::Waiting);
            self.settle(token, outcome, true);
        }
        while self.busy > 0 {
            ready.clear();
            self.poll
                .wait(Some(Duration::from_millis(100)), &mut ready)?;
            let now = Instant::now();
            if now > end + GRACE {
                self.fail(
                    format!("{} requests were not answered in time", self.busy),
                    self.busy as u64,
                );
                break;
            }
            for token in ready.iter().copied() {
                if self.clients[token].alive {
                    let outcome = self.serve(token);
                    self.settle(token, outcome, now < end);
                }
            }
        }
        Ok(())
    }

    fn serve(&mut self, token: usize) -> Result<Step, String> {
        if self.clients[token].interest == Interest::Write {
            self.send(token)?;
            return Ok(Step::Waiting);
        }
        let Client {
            stream, response, ..
        } = &mut self.clients[token];
        let mut step = Step::Waiting;
        let got = stream.receive(&mut self.buffer, |data| {
            if response.feed(data)? {
                step = Step::Answered;
            }
            Ok(())
        });
        match got {
            Ok(Got::End) => Err("connection closed".to_owned()),
            Ok(_) => Ok(step),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Writes as much of the request as the socket takes and waits for the right event next.
    fn send(&mut self, token: usize) -> Result<(), String> {
        let client = &mut self.clients[token];
        let mut next = Interest::Read;
        while client.sent < self.request.len() {
            match client.stream.write(&self.request[client.sent..]) {
                Ok(length) => client.sent += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    next = Interest::Write;
                    break;
                }
                Err(error) => return Err(error.to_string()),
            }
        }
        if !client.stream.flush().map_err(|error| error.to_string())? {
            next = Interest::Write;
        }
        if next != client.interest {
            client.interest = next;
            self.poll
                .modify(&client.stream, token, next)
                .map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Books what happened on a connection and starts its next request while there is time.
    fn settle(&mut self, token: usize, outcome: Result<Step, String>, more: bool) {
        let failure = match outcome {
            Ok(Step::Waiting) => return,
            Ok(Step::Answered) => {
                self.completed += 1;
                self.clients[token].sent = 0;
                if !more {
                    self.busy -= 1;
                    return;
                }
                match self.send(token) {
                    Ok(()) => return,
                    Err(failure) => failure,
                }
            }
            Err(failure) => failure,
        };
        self.fail(failure, 1);
        self.busy -= 1;
        self.clients[token].alive = false;
        if let Err(error) = self.poll.remove(&self.clients[token].stream) {
            self.fail(error.to_string(), 1);
        }
    }

    fn fail(&mut self, why: String, count: u64) {
        self.errors += count;
        self.first_error.get_or_insert(why);
    }
}
