//! Requests at fixed times on as many connections as it takes; latency counts from the planned time.
//!
//! No request waits for another one's connection, so that none is held up by the answers of others
//! (no coordinated omission). A request without an answer is given up after [`PATIENCE`].

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Value, json};

use super::super::call::connect;
use super::super::poll::{Interest, Poll};
use super::super::response::{Bad, Response};
use super::run::Args;
use super::stage::{ENDPOINTS, Stage};
use super::told::Told;
use super::windows::{self, Fate};

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// The load and what it has seen.
pub(super) struct Pace {
    poll: Poll,
    stage: Arc<Stage>,
    port: u16,
    request: Vec<u8>,
    gap: Duration,
    /// The numbers of the requests with which the fault begins, the counted ones begin, and all end.
    bounds: [usize; 3],
    clients: Vec<Option<Client>>,
    free: Vec<usize>,
    vacant: Vec<usize>,
    /// Requests in flight in the order of their planned times, with those that are answered.
    flying: VecDeque<(usize, usize)>,
    fates: Vec<Option<Fate>>,
    answered: usize,
    told: Told,
}

struct Client {
    stream: TcpStream,
    response: Response,
    /// The number of the request that it waits for an answer to.
    request: Option<usize>,
}

impl Pace {
    pub(super) fn open(args: &Args, stage: Arc<Stage>) -> Result<Self> {
        let told = Told::new(args.explain);
        let request = format!(
            "GET /1k HTTP/1.1\r\nHost: bench.test\r\nUser-Agent: remora-bench\r\n{}\r\n",
            told.asked()
        );
        let number = |seconds: f64| (args.rate * seconds) as usize;
        let bounds = [
            number(args.settle),
            number(args.settle * 2.0),
            number(args.settle * 2.0 + args.seconds),
        ];
        Ok(Self {
            poll: Poll::new()?,
            stage,
            port: args.port,
            request: request.into_bytes(),
            gap: Duration::from_secs_f64(1.0 / args.rate),
            bounds,
            clients: Vec::new(),
            free: Vec::new(),
            vacant: Vec::new(),
            flying: VecDeque::new(),
            fates: vec![None; bounds[2]],
            answered: 0,
            told,
        })
    }

    /// Runs the load; returns `{"settling","onset","judged","told"}`, all but the last as [`windows::sum`] does.
    pub(super) fn drive(mut self) -> Result<Value> {
        let start = Instant::now() + Duration::from_millis(10);
        let [_, _, total] = self.bounds;
        let mut marks: Vec<[u64; ENDPOINTS]> = Vec::new();
        let mut buffer = vec![0; 64 * 1024];
        let mut ready = Vec::with_capacity(256);
        let mut next = 0;
        while self.answered < total {
            let now = Instant::now();
            while next < total && start + self.gap * next as u32 <= now {
                self.mark(next, &mut marks);
                self.send(next, start);
                next += 1;
            }
            self.give_up(start, now);
            let wake = start + self.gap * next as u32;
            let timeout = match next < total {
                true => wake.saturating_duration_since(Instant::now()),
                false => Duration::from_millis(20),
            };
            ready.clear();
            self.poll.wait(Some(timeout), &mut ready)?;
            for token in ready.iter().copied() {
                self.receive(token, start, &mut buffer);
            }
        }
        marks.push(self.stage.arrived());
        Ok(self.report(&marks))
    }

    /// Notes how many requests have arrived when a span of time begins, and begins the fault.
    fn mark(&mut self, number: usize, marks: &mut Vec<[u64; ENDPOINTS]>) {
        let [fault, counted, _] = self.bounds;
        if number == 0 || number == fault || number == counted {
            marks.push(self.stage.arrived());
        }
        if number == fault {
            self.stage.begin();
        }
    }

    fn send(&mut self, number: usize, start: Instant) {
        let token = match self.free.pop() {
            Some(token) => token,
            None => match self.connect() {
                Ok(token) => token,
                Err(_) => return self.settle(number, 0, start),
            },
        };
        let Some(client) = self.clients[token].as_mut() else {
            return self.settle(number, 0, start);
        };
        client.request = Some(number);
        if client.stream.write_all(&self.request).is_err() {
            self.clients[token] = None;
            self.vacant.push(token);
            return self.settle(number, 0, start);
        }
        self.flying.push_back((number, token));
    }

    fn connect(&mut self) -> Result<usize> {
        let stream = connect(self.port)?;
        stream.set_nonblocking(true)?;
        let token = self.vacant.pop().unwrap_or(self.clients.len());
        self.poll.add(&stream, token, Interest::Read)?;
        if token == self.clients.len() {
            self.clients.push(None);
        }
        self.clients[token] = Some(Client {
            stream,
            response: Response::default(),
            request: None,
        });
        Ok(token)
    }

    fn receive(&mut self, token: usize, start: Instant, buffer: &mut [u8]) {
        let Some(client) = self.clients[token].as_mut() else {
            return;
        };
        let (length, outcome) = match client.stream.read(buffer) {
            Ok(0) => (0, Err(0)),
            Ok(length) => (length, feed(&mut client.response, &buffer[..length])),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(_) => (0, Err(0)),
        };
        let status = match outcome {
            Ok(false) => return,
            Ok(true) => 200,
            Err(status) => status,
        };
        let request = client.request.take();
        if outcome == Ok(true) && request.is_some() {
            self.free.push(token);
        } else {
            // Of an answer that is not good the rest is not read, so the connection is of no more use.
            self.close(token);
        }
        if let Some(number) = request {
            let due = start + self.gap * number as u32;
            let (at, took) = (due - start, due.elapsed());
            self.told.keep(&buffer[..length], status != 200, at, took);
            self.settle(number, status, start);
        }
    }

    fn close(&mut self, token: usize) {
        self.clients[token] = None;
        self.free.retain(|free| *free != token);
        self.vacant.push(token);
    }

    /// Gives up what was due too long ago.
    fn give_up(&mut self, start: Instant, now: Instant) {
        while let Some((number, token)) = self.flying.front().copied() {
            let is_answered = self.fates[number].is_some();
            if !is_answered && start + self.gap * number as u32 + PATIENCE > now {
                return;
            }
            self.flying.pop_front();
            if !is_answered {
                self.close(token);
                self.settle(number, 0, start);
            }
        }
    }

    fn settle(&mut self, number: usize, status: u16, start: Instant) {
        let took = (start + self.gap * number as u32).elapsed();
        self.fates[number] = Some(Fate { status, took });
        self.answered += 1;
    }

    fn report(self, marks: &[[u64; ENDPOINTS]]) -> Value {
        let [fault, counted, total] = self.bounds;
        let fates: Vec<Fate> = self.fates.into_iter().flatten().collect();
        let window = |from: usize, to: usize, mark: usize| {
            let arrived = match (marks.get(mark), marks.get(mark + 1)) {
                (Some(before), Some(after)) => {
                    std::array::from_fn(|index| after[index] - before[index])
                }
                _ => [0; ENDPOINTS],
            };
            windows::sum(fates.get(from..to).unwrap_or_default(), arrived)
        };
        json!({
            "settling": window(0, fault, 0), "onset": window(fault, counted, 1), "judged": window(counted, total, 2),
            "told": self.told.lines(),
        })
    }
}

/// Whether the response is now complete; the status of one that is not good, or 0.
fn feed(response: &mut Response, data: &[u8]) -> Result<bool, u16> {
    response.feed(data).map_err(|bad| match bad {
        Bad::Status(status) => status,
        Bad::Malformed | Bad::NoLength | Bad::Surplus => 0,
    })
}
