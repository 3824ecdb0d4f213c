//! What an HTTP/1.1 generator asks for, and the connections on which generators ask.

use anyhow::Result;

use super::secure::Secure;
use super::stream::Dialer;

/// How a generator asks: which target, and how many bytes it uploads.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Call {
    /// Port on 127.0.0.1.
    #[arg(long)]
    pub(crate) port: u16,
    /// Path of the request.
    #[arg(long, default_value = "/1k")]
    pub(crate) path: String,
    /// Size of the body to send with PUT; 0 sends GET without a body.
    #[arg(long, default_value_t = 0)]
    pub(crate) upload: usize,
    #[command(flatten)]
    pub(crate) secure: Secure,
}

impl Call {
    /// The whole request as it goes over the wire; with `close` it ends the connection.
    pub(super) fn encode(&self, close: bool) -> Vec<u8> {
        let Self { path, upload, .. } = self;
        let close = match close {
            true => "Connection: close\r\n",
            false => "",
        };
        if *upload == 0 {
            return format!(
                "GET {path} HTTP/1.1\r\nHost: bench.test\r\nUser-Agent: remora-bench\r\n{close}\r\n"
            )
            .into_bytes();
        }
        let mut request = format!(
            "PUT {path} HTTP/1.1\r\nHost: bench.test\r\nUser-Agent: remora-bench\r\n\
             Content-Type: application/octet-stream\r\nContent-Length: {upload}\r\n{close}\r\n"
        )
        .into_bytes();
        request.resize(request.len() + upload, b'u');
        request
    }

    /// What makes the connections on which this is asked for.
    pub(super) fn dialer(&self, protocol: &str, resume: bool) -> Result<Dialer> {
        Ok(Dialer {
            port: self.port,
            client: self.secure.client(protocol, resume)?,
        })
    }
}

/// Opens a connection to `port` on 127.0.0.1 that sends small writes at once.
pub(super) fn connect(port: u16) -> std::io::Result<std::net::TcpStream> {
    let stream = std::net::TcpStream::connect((std::net::Ipv4Addr::LOCALHOST, port))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
