//! What an HTTP/1.1 generator asks for, and the connections on which generators ask.

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
}

impl Call {
    /// The whole request as it goes over the wire.
    pub(super) fn encode(&self) -> Vec<u8> {
        let Self { path, upload, .. } = self;
        if *upload == 0 {
            return format!(
                "GET {path} HTTP/1.1\r\nHost: bench.test\r\nUser-Agent: remora-bench\r\n\r\n"
            )
            .into_bytes();
        }
        let mut request = format!(
            "PUT {path} HTTP/1.1\r\nHost: bench.test\r\nUser-Agent: remora-bench\r\n\
             Content-Type: application/octet-stream\r\nContent-Length: {upload}\r\n\r\n"
        )
        .into_bytes();
        request.resize(request.len() + upload, b'u');
        request
    }
}

/// Opens a connection to `port` on 127.0.0.1 that sends small writes at once.
pub(super) fn connect(port: u16) -> std::io::Result<std::net::TcpStream> {
    let stream = std::net::TcpStream::connect((std::net::Ipv4Addr::LOCALHOST, port))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
