//! The origin: a small HTTP/1.1 server on one thread that costs little more than its system calls.
//!
//! `/1k` and `/1m` answer with that many bytes, `/echo` with the head of the request as it arrived,
//! anything else with two bytes. A body with a `Content-Length` is read and thrown away; chunked
//! bodies are refused, because no scenario sends them.

use std::io::{ErrorKind, Read, Write, stdin};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::rc::Rc;

use anyhow::{Context, Result};
use serde_json::json;

use super::poll::{Interest, Poll};
use super::response::{head_end, header, number};

/// Heads longer than this are refused.
const MAX_HEAD: usize = 64 * 1024;
/// The token of the listening socket; connections have their slot as token.
const LISTENER: usize = usize::MAX;

/// What to run.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Port on 127.0.0.1.
    #[arg(long)]
    port: u16,
    /// Listen on every address instead; for a network namespace that has loopback alone.
    #[arg(long)]
    everywhere: bool,
}

/// Serves until standard input ends; prints `{"listening"}` once it accepts connections.
pub(crate) fn run(args: &Args) -> Result<()> {
    let address = match args.everywhere {
        true => Ipv4Addr::UNSPECIFIED,
        false => Ipv4Addr::LOCALHOST,
    };
    let listener = TcpListener::bind((address, args.port)).context("the origin cannot listen")?;
    listener.set_nonblocking(true)?;
    println!("{}", json!({"listening": args.port}));
    std::thread::spawn(|| {
        let _ = stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    Origin::new(listener)?.serve()
}

struct Origin {
    poll: Poll,
    listener: TcpListener,
    connections: Vec<Option<Connection>>,
    vacant: Vec<usize>,
    answers: Answers,
}

/// The prepared responses, head and body in one piece.
struct Answers {
    small: Rc<[u8]>,
    large: Rc<[u8]>,
    other: Rc<[u8]>,
}

struct Connection {
    stream: TcpStream,
    /// The start of a head whose end has not arrived.
    partial: Vec<u8>,
    /// Body bytes of the current request that are still to be thrown away.
    discard: u64,
    /// The answer to the current request, sent once its body has been read.
    answer: Option<Rc<[u8]>>,
    written: usize,
    interest: Interest,
    close: bool,
}

/// The connection has ended; whether well or badly makes no difference to the origin.
struct Ended;

impl Origin {
    fn new(listener: TcpListener) -> Result<Self> {
        let poll = Poll::new()?;
        poll.add(&listener, LISTENER, Interest::Read)?;
        let answers = Answers {
            small: answer(&[b'x'; 1024]),
            large: answer(&vec![b'x'; 1024 * 1024]),
            other: answer(b"ok"),
        };
        Ok(Self {
            poll,
            listener,
            connections: Vec::new(),
            vacant: Vec::new(),
            answers,
        })
    }

    fn serve(mut self) -> Result<()> {
        let mut buffer = vec![0; 256 * 1024];
        let mut ready = Vec::with_capacity(256);
        loop {
            ready.clear();
            self.poll.wait(None, &mut ready)?;
            for token in ready.iter().copied() {
                if token == LISTENER {
                    self.accept()?;
                    continue;
                }
                let Some(connection) = self.connections[token].as_mut() else {
                    continue;
                };
                let outcome = connection.turn(&mut buffer, &self.answers);
                if outcome
                    .and_then(|()| connection.rearm(&self.poll, token))
                    .is_err()
                {
                    self.connections[token] = None;
                    self.vacant.push(token);
                }
            }
        }
    }

    fn accept(&mut self) -> Result<()> {
        loop {
            let stream = match self.listener.accept() {
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
            self.connections[token] = Some(Connection::new(stream));
        }
    }
}

impl Connection {
    fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            partial: Vec::new(),
            discard: 0,
            answer: None,
            written: 0,
            interest: Interest::Read,
            close: false,
        }
    }

    /// Does what the socket allows now: one read, or as much of the pending answer as fits.
    fn turn(&mut self, buffer: &mut [u8], answers: &Answers) -> Result<(), Ended> {
        if self.interest == Interest::Write {
            return self.write();
        }
        let length = match self.stream.read(buffer) {
            Ok(0) => return Err(Ended),
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(_) => return Err(Ended),
        };
        self.take(&buffer[..length], answers)?;
        if self.answer.is_some() && self.discard == 0 {
            self.write()
        } else {
            Ok(())
        }
    }

    /// Takes request bytes. Requests are never pipelined here, so bytes past one are an error.
    fn take(&mut self, data: &[u8], answers: &Answers) -> Result<(), Ended> {
        if self.answer.is_some() {
            self.discard = self.discard.checked_sub(data.len() as u64).ok_or(Ended)?;
            return Ok(());
        }
        if self.partial.is_empty()
            && let Some(end) = head_end(data)
        {
            return self.begin(&data[..end], data.len() - end, answers);
        }
        self.partial.extend_from_slice(data);
        match head_end(&self.partial) {
            Some(end) => {
                let head = std::mem::take(&mut self.partial);
                self.begin(&head[..end], head.len() - end, answers)
            }
            None if self.partial.len() > MAX_HEAD => Err(Ended),
            None => Ok(()),
        }
    }

    /// Starts the request with this head, `extra` bytes of whose body have arrived.
    fn begin(&mut self, head: &[u8], extra: usize, answers: &Answers) -> Result<(), Ended> {
        let path = head.split(|byte| *byte == b' ').nth(1).ok_or(Ended)?;
        self.answer = Some(match path {
            b"/1k" => Rc::clone(&answers.small),
            b"/1m" => Rc::clone(&answers.large),
            b"/echo" => answer(head),
            _ => Rc::clone(&answers.other),
        });
        if header(head, "transfer-encoding").is_some() {
            return Err(Ended);
        }
        let length = header(head, "content-length")
            .map_or(Some(0), number)
            .ok_or(Ended)?;
        self.discard = length.checked_sub(extra as u64).ok_or(Ended)?;
        self.close =
            header(head, "connection").is_some_and(|value| value.eq_ignore_ascii_case(b"close"));
        Ok(())
    }

    fn write(&mut self) -> Result<(), Ended> {
        let Some(answer) = &self.answer else {
            return Ok(());
        };
        while self.written < answer.len() {
            match self.stream.write(&answer[self.written..]) {
                Ok(length) => self.written += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(_) => return Err(Ended),
            }
        }
        self.answer = None;
        self.written = 0;
        if self.close { Err(Ended) } else { Ok(()) }
    }

    /// Waits for room to write while an answer is partly written, else for bytes to read.
    fn rearm(&mut self, poll: &Poll, token: usize) -> Result<(), Ended> {
        let next = if self.answer.is_some() && self.discard == 0 {
            Interest::Write
        } else {
            Interest::Read
        };
        if next != self.interest {
            self.interest = next;
            poll.modify(&self.stream, token, next).map_err(|_| Ended)?;
        }
        Ok(())
    }
}

/// A 200 response with this body.
fn answer(body: &[u8]) -> Rc<[u8]> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nServer: origin\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat().into()
}
