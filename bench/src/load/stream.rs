//! A generator's connection, plain or inside TLS, with the same calls for both.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use anyhow::{Result, bail};
use rustls::ClientConfig;

use super::call::connect;
use super::session::Session;

/// The most that is read at once of a plain connection, and of one inside TLS.
const PLAIN: usize = 32 * 1024;
const SECURE: usize = 128 * 1024;

/// A connection.
pub(super) enum Stream {
    Plain(TcpStream),
    Secure(Box<Session>),
}

/// What came of reading once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Got {
    Data,
    /// Nothing has arrived.
    Nothing,
    /// The server has ended the connection.
    End,
}

/// What new connections are made with.
#[derive(Debug)]
pub(super) struct Dialer {
    pub(super) port: u16,
    /// The client's side of TLS, and the protocol that it asks for.
    pub(super) client: Option<Arc<ClientConfig>>,
}

impl Dialer {
    /// Opens a connection, its handshake done, that does not block from now on.
    pub(super) fn dial(&self) -> Result<Stream> {
        let socket = connect(self.port)?;
        let stream = match &self.client {
            None => Stream::Plain(socket),
            Some(config) => {
                let mut session = Session::begin(socket, config)?;
                let mut buffer = self.buffer();
                while !session.is_open() {
                    if session.receive(&mut buffer, &mut |_| Ok(()))? == Got::End {
                        bail!("closed before the handshake was over");
                    }
                }
                Stream::Secure(Box::new(session))
            }
        };
        stream.socket().set_nonblocking(true)?;
        Ok(stream)
    }

    /// Space for what such connections read.
    pub(super) fn buffer(&self) -> Vec<u8> {
        vec![0; if self.client.is_some() { SECURE } else { PLAIN }]
    }
}

impl Stream {
    /// The connection below.
    pub(super) fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Secure(session) => &session.socket,
        }
    }

    /// Reads once, and passes on what arrived in as many pieces as it had.
    pub(super) fn receive(
        &mut self,
        buffer: &mut [u8],
        mut take: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<Got> {
        let socket = match self {
            Self::Plain(socket) => socket,
            Self::Secure(session) => return session.receive(buffer, &mut take),
        };
        match socket.read(buffer) {
            Ok(0) => Ok(Got::End),
            Ok(length) => take(&buffer[..length]).map(|()| Got::Data),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Got::Nothing),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes a first part of `data`, and writes at least some of it.
    pub(super) fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(data),
            Self::Secure(session) => session.write(data),
        }
    }

    /// Writes what was taken and is not written yet; returns whether that was all.
    pub(super) fn flush(&mut self) -> io::Result<bool> {
        match self {
            Self::Plain(_) => Ok(true),
            Self::Secure(session) => session.flush(),
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket().as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};
    use std::path::Path;
    use std::thread::JoinHandle;

    use clap::Parser;
    use rcgen::{CertificateParams, KeyPair};
    use rustls::pki_types::PrivateKeyDer;
    use rustls::{ServerConfig, ServerConnection, StreamOwned};

    use super::super::secure::{NAME, Secure};
    use super::*;

    #[derive(Parser)]
    struct Words {
        #[command(flatten)]
        secure: Secure,
    }

    fn dialer(port: u16, certificate: &Path) -> Dialer {
        let file = certificate.display().to_string();
        let words = Words::parse_from(["load", "--tls", &file]);
        let client = words.secure.client("http/1.1", false).expect("a client");
        Dialer { port, client }
    }

    /// A certificate for a server, which also lies in a file.
    fn certificate(name: &str) -> (ServerConfig, std::path::PathBuf) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([NAME.to_owned()]).expect("a name");
        let certificate = params.self_signed(&key).expect("a certificate");
        let path = std::env::temp_dir().join(format!("remora-bench-{}-{name}", std::process::id()));
        std::fs::write(&path, certificate.pem()).expect("written");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .expect("a server");
        (config, path)
    }

    /// Answers one connection's first bytes with `answer`; returns those bytes.
    fn serve(config: ServerConfig, answer: Vec<u8>) -> (u16, JoinHandle<io::Result<Vec<u8>>>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let server = std::thread::spawn(move || {
            let (socket, _) = listener.accept()?;
            let connection = ServerConnection::new(Arc::new(config)).map_err(io::Error::other)?;
            let mut stream = StreamOwned::new(connection, socket);
            let mut request = vec![0; 1024];
            let length = stream.read(&mut request)?;
            request.truncate(length);
            stream.write_all(&answer)?;
            stream.conn.send_close_notify();
            stream.flush()?;
            Ok(request)
        });
        (port, server)
    }

    #[test]
    fn what_is_inside_tls_arrives_whole() {
        let (config, file) = certificate("whole");
        let answer: Vec<u8> = (0..300_000_u32).map(|at| (at % 251) as u8).collect();
        let (port, server) = serve(config, answer.clone());
        let dialer = dialer(port, &file);
        let mut stream = dialer.dial().expect("a connection");
        assert_eq!(stream.write(b"question").expect("written"), 8);
        assert!(stream.flush().expect("flushed"));
        let (mut buffer, mut received) = (dialer.buffer(), Vec::new());
        stream.socket().set_nonblocking(false).expect("it blocks");
        let mut take = |data: &[u8]| {
            received.extend_from_slice(data);
            Ok(())
        };
        while stream.receive(&mut buffer, &mut take).expect("received") != Got::End {}
        assert!(received == answer, "{} bytes", received.len());
        let request = server.join().expect("the server").expect("a request");
        assert_eq!(request, b"question");
        std::fs::remove_file(file).expect("removed");
    }

    #[test]
    fn another_certificate_is_refused() {
        let ((config, shown), (_, known)) = (certificate("shown"), certificate("known"));
        let (port, server) = serve(config, Vec::new());
        assert!(dialer(port, &known).dial().is_err());
        assert!(server.join().expect("the server").is_err());
        for file in [shown, known] {
            std::fs::remove_file(file).expect("removed");
        }
    }
}
