//! The closed loop: a fixed number of connections, each sending its next request when its last one is answered.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;

use super::call::{Call, connect};
use super::poll::{Interest, Poll};
use super::response::Response;

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
    /// Seconds until no further request is sent.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
}

/// Runs the loop and prints `{"requests","seconds","errors","first_error"}`.
///
/// Every request that was sent is waited for, so that `requests` is what the proxy worked for.
pub(crate) fn run(args: &Args) -> Result<()> {
    let mut load = Load::open(args)?;
    let started = Instant::now();
    load.drive(started + Duration::from_secs_f64(args.seconds))?;
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{}",
        json!({"requests": load.completed, "seconds": seconds, "errors": load.errors, "first_error": load.first_error})
    );
    Ok(())
}

struct Load {
    poll: Poll,
    request: Vec<u8>,
    clients: Vec<Client>,
    busy: usize,
    completed: u64,
    errors: u64,
    first_error: Option<String>,
}

struct Client {
    stream: TcpStream,
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
        let mut clients = Vec::with_capacity(args.connections);
        for token in 0..args.connections {
            let stream = connect(args.call.port)?;
            stream.set_nonblocking(true)?;
            poll.add(&stream, token, Interest::Read)?;
            clients.push(Client {
                stream,
                response: Response::default(),
                sent: 0,
                interest: Interest::Read,
                alive: true,
            });
        }
        let request = args.call.encode();
        Ok(Self {
            poll,
            request,
            clients,
            busy: 0,
            completed: 0,
            errors: 0,
            first_error: None,
        })
    }

    /// Keeps every connection busy until `end`, then waits for the answers that are still due.
    fn drive(&mut self, end: Instant) -> Result<()> {
        let mut buffer = vec![0; 32 * 1024];
        let mut ready = Vec::with_capacity(256);
        for token in 0..self.clients.len() {
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
                    let outcome = self.serve(token, &mut buffer);
                    self.settle(token, outcome, now < end);
                }
            }
        }
        Ok(())
    }

    fn serve(&mut self, token: usize, buffer: &mut [u8]) -> Result<Step, String> {
        if self.clients[token].interest == Interest::Write {
            self.send(token)?;
            return Ok(Step::Waiting);
        }
        let client = &mut self.clients[token];
        let length = match client.stream.read(buffer) {
            Ok(0) => return Err("connection closed".to_owned()),
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Step::Waiting),
            Err(error) => return Err(error.to_string()),
        };
        match client.response.feed(&buffer[..length]) {
            Ok(true) => Ok(Step::Answered),
            Ok(false) => Ok(Step::Waiting),
            Err(bad) => Err(bad.to_string()),
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
