//! The three endpoints on one thread: each answers when its deed says, or not at all.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::super::poll::{Interest, Poll};
use super::connection::{Connection, Ended};
use super::fault::{Deed, Dice};
use super::stage::{ENDPOINTS, FAILING, Stage};

/// Listeners have the tokens from here on; connections have their slot as token.
const LISTENERS: usize = usize::MAX - ENDPOINTS;

/// How often it is looked whether an endpoint is to go down or up.
const TICK: Duration = Duration::from_millis(5);

/// The endpoints, their connections, and the answers that are due.
pub(super) struct Origin {
    poll: Poll,
    listeners: Vec<Option<TcpListener>>,
    ports: Vec<u16>,
    connections: Vec<Option<Connection>>,
    vacant: Vec<usize>,
    serial: u64,
    /// When, on which connection, and its serial number.
    due: BinaryHeap<Reverse<(Instant, usize, u64)>>,
    stage: Arc<Stage>,
    dice: Dice,
    good: Vec<u8>,
    bad: Vec<u8>,
}

/// Listens on all ports.
pub(super) fn listen(ports: &[u16]) -> Result<Vec<TcpListener>> {
    let listen = |port: &u16| {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, *port))?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    let listeners: std::io::Result<_> = ports.iter().map(listen).collect();
    listeners.context("an endpoint cannot listen")
}

impl Origin {
    /// One endpoint for each listener.
    pub(super) fn open(listeners: Vec<TcpListener>, stage: Arc<Stage>) -> Result<Self> {
        let poll = Poll::new()?;
        let mut ports = Vec::new();
        for (index, listener) in listeners.iter().enumerate() {
            poll.add(listener, LISTENERS + index, Interest::Read)?;
            ports.push(listener.local_addr()?.port());
        }
        Ok(Self {
            poll,
            listeners: listeners.into_iter().map(Some).collect(),
            ports,
            connections: Vec::new(),
            vacant: Vec::new(),
            serial: 0,
            due: BinaryHeap::new(),
            stage,
            dice: Dice::new(),
            good: answer("200 OK", 1024),
            bad: answer("503 Service Unavailable", 0),
        })
    }

    /// Serves until the process ends.
    pub(super) fn serve(mut self) -> Result<()> {
        let mut buffer = vec![0; 16 * 1024];
        let mut ready = Vec::with_capacity(256);
        loop {
            self.answer_due();
            self.flap()?;
            let timeout = self.due.peek().map_or(TICK, |Reverse((at, ..))| {
                at.saturating_duration_since(Instant::now()).min(TICK)
            });
            ready.clear();
            self.poll.wait(Some(timeout), &mut ready)?;
            for token in ready.iter().copied() {
                match token.checked_sub(LISTENERS) {
                    Some(endpoint) => self.accept(endpoint)?,
                    None => self.read(token, &mut buffer),
                }
            }
        }
    }

    /// Takes the failing endpoint down, with its connections, and up again.
    fn flap(&mut self) -> Result<()> {
        let down = self.stage.refuses(Instant::now());
        if down != self.listeners[FAILING].is_some() {
            return Ok(());
        }
        if !down {
            let listener = listen(&self.ports[FAILING..])?.pop();
            if let Some(listener) = &listener {
                self.poll
                    .add(listener, LISTENERS + FAILING, Interest::Read)?;
            }
            self.listeners[FAILING] = listener;
            return Ok(());
        }
        self.listeners[FAILING] = None;
        for token in 0..self.connections.len() {
            let connection = self.connections[token].as_ref();
            if connection.is_some_and(|one| one.endpoint == FAILING) {
                self.end(token);
            }
        }
        Ok(())
    }

    fn accept(&mut self, endpoint: usize) -> Result<()> {
        let Some(listener) = &self.listeners[endpoint] else {
            return Ok(());
        };
        loop {
            let stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
                Err(error) => return Err(error.into()),
            };
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            let token = self.vacant.pop().unwrap_or_else(|| {
                self.connections.push(None);
                self.connections.len() - 1
            });
            self.poll.add(&stream, token, Interest::Read)?;
            self.serial += 1;
            self.connections[token] = Some(Connection::new(stream, endpoint, self.serial));
        }
    }

    fn read(&mut self, token: usize, buffer: &mut [u8]) {
        let Some(connection) = self.connections[token].as_mut() else {
            return;
        };
        let path = match connection.read(buffer) {
            Ok(None) => return,
            Ok(Some(path)) => path,
            Err(Ended) => return self.end(token),
        };
        let (endpoint, serial) = (connection.endpoint, connection.serial);
        let now = Instant::now();
        match self.stage.receive(endpoint, &path, now, &mut self.dice) {
            Deed::Answer(after) => self.due.push(Reverse((now + after, token, serial))),
            Deed::Refuse => {
                if connection.answer(&self.bad).is_err() {
                    self.end(token);
                }
            }
            Deed::Hang => {}
        }
    }

    fn answer_due(&mut self) {
        let now = Instant::now();
        while let Some(Reverse((at, token, serial))) = self.due.peek().copied() {
            if at > now {
                return;
            }
            self.due.pop();
            let connection = self.connections[token].as_mut();
            if let Some(connection) = connection.filter(|one| one.serial == serial)
                && connection.answer(&self.good).is_err()
            {
                self.end(token);
            }
        }
    }

    fn end(&mut self, token: usize) {
        self.connections[token] = None;
        self.vacant.push(token);
    }
}

fn answer(status: &str, length: usize) -> Vec<u8> {
    let mut answer = format!(
        "HTTP/1.1 {status}\r\nServer: origin\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n"
    )
    .into_bytes();
    answer.resize(answer.len() + length, b'x');
    answer
}
