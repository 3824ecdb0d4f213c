//! The open loop: requests leave at fixed times whatever the answers do, and latency counts from the planned time.
//!
//! A request that finds no free connection waits, and its wait is part of its latency, so that a
//! slow proxy cannot hide behind a generator that it slows down (no coordinated omission).

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::json;

use super::call::{Call, connect};
use super::poll::{Interest, Poll};
use super::response::Response;

/// Requests sent in this first part of the run are answered but not counted in the latencies.
const WARM_UP: Duration = Duration::from_millis(500);
/// How long answers may still take once the last request was due.
const GRACE: Duration = Duration::from_secs(5);

/// What to run.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    call: Call,
    /// Requests a second.
    #[arg(long, default_value_t = 2000.0)]
    rate: f64,
    /// Connections that requests may be in flight on.
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// Seconds of counted requests, after half a second of warm-up.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
}

/// Runs the loop and prints `{"requests","counted","errors","first_error","p50","p99","max"}`, times in microseconds.
pub(crate) fn run(args: &Args) -> Result<()> {
    if args.rate <= 0.0 || args.connections == 0 {
        bail!("--rate and --connections must be above zero");
    }
    let mut load = Load::open(args)?;
    load.drive()?;
    let warm_up = (WARM_UP.as_secs_f64() * args.rate) as usize;
    let mut counted = load.latencies.split_off(warm_up.min(load.latencies.len()));
    counted.sort_unstable();
    if counted.is_empty() {
        load.fail("no request was answered".to_owned());
    }
    println!(
        "{}",
        json!({
            "requests": warm_up + counted.len(), "counted": counted.len(), "errors": load.errors, "first_error": load.first_error,
            "p50": quantile(&counted, 0.5), "p99": quantile(&counted, 0.99), "max": quantile(&counted, 1.0),
        })
    );
    Ok(())
}

/// The value that a share of the sorted latencies does not exceed, in microseconds.
fn quantile(sorted: &[Duration], share: f64) -> Option<f64> {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    Some(sorted.get(rank.max(1) - 1)?.as_secs_f64() * 1e6)
}

struct Load {
    poll: Poll,
    request: Vec<u8>,
    clients: Vec<Client>,
    free: Vec<usize>,
    gap: Duration,
    total: usize,
    latencies: Vec<Duration>,
    errors: u64,
    first_error: Option<String>,
}

struct Client {
    stream: TcpStream,
    response: Response,
    due: Option<Instant>,
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
                due: None,
            });
        }
        let total = (args.rate * (args.seconds + WARM_UP.as_secs_f64())) as usize;
        Ok(Self {
            poll,
            request: args.call.encode(false),
            free: (0..clients.len()).rev().collect(),
            clients,
            gap: Duration::from_secs_f64(1.0 / args.rate),
            total,
            latencies: Vec::with_capacity(total),
            errors: 0,
            first_error: None,
        })
    }

    fn drive(&mut self) -> Result<()> {
        let start = Instant::now() + Duration::from_millis(10);
        let end = start + self.gap * self.total as u32 + GRACE;
        let mut planned: VecDeque<Instant> = (0..self.total as u32)
            .map(|index| start + self.gap * index)
            .collect();
        let mut buffer = vec![0; 64 * 1024];
        let mut ready = Vec::with_capacity(256);
        while self.latencies.len() + (self.errors as usize) < self.total {
            let now = Instant::now();
            if now > end {
                self.fail("answers were still due at the end".to_owned());
                break;
            }
            while planned.front().is_some_and(|due| *due <= now) && !self.free.is_empty() {
                self.send(planned.pop_front());
            }
            let next = planned.front().filter(|_| !self.free.is_empty());
            let timeout = next.map_or(Duration::from_millis(100), |due| {
                due.saturating_duration_since(Instant::now())
            });
            ready.clear();
            self.poll.wait(Some(timeout), &mut ready)?;
            for token in ready.iter().copied() {
                self.receive(token, &mut buffer);
            }
        }
        Ok(())
    }

    fn send(&mut self, due: Option<Instant>) {
        let Some(token) = self.free.pop() else { return };
        let client = &mut self.clients[token];
        client.due = due;
        if let Err(error) = client.stream.write_all(&self.request) {
            self.drop_client(token, error.to_string());
        }
    }

    fn receive(&mut self, token: usize, buffer: &mut [u8]) {
        let client = &mut self.clients[token];
        let outcome = match client.stream.read(buffer) {
            Ok(0) => Err("connection closed".to_owned()),
            Ok(length) => client
                .response
                .feed(&buffer[..length])
                .map_err(|bad| bad.to_string()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(error) => Err(error.to_string()),
        };
        match outcome {
            Ok(false) => {}
            Ok(true) => {
                if let Some(due) = client.due.take() {
                    self.latencies.push(due.elapsed());
                    self.free.push(token);
                }
            }
            Err(why) => self.drop_client(token, why),
        }
    }

    /// Takes a failed connection out of use and opens another in its place.
    fn drop_client(&mut self, token: usize, why: String) {
        self.fail(why);
        self.free.retain(|free| *free != token);
        let Ok(stream) = connect(
            self.clients[token]
                .stream
                .peer_addr()
                .map_or(0, |peer| peer.port()),
        ) else {
            return;
        };
        if stream.set_nonblocking(true).is_ok()
            && self.poll.add(&stream, token, Interest::Read).is_ok()
        {
            self.clients[token] = Client {
                stream,
                response: Response::default(),
                due: None,
            };
            self.free.push(token);
        }
    }

    fn fail(&mut self, why: String) {
        self.errors += 1;
        self.first_error.get_or_insert(why);
    }
}
