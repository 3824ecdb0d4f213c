//! A whole proxy inside another program: from a text to a running handle, and back.
//!
//! Run it with `cargo run -p proxy-core --example embed`. The proxy has threads of its own, so that
//! it makes no difference that this program has a tokio runtime already.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;

use proxy_core::runtime::Handle;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn Error>> {
    let service = start_service().await?;

    // The grammar is that of the file. Port 0 is any free port.
    let mut proxy = Handle::from_yaml(&format!(
        "
        admin: off
        access-log: off
        workers: 1
        ambassador:
          users: {{listen: '127.0.0.1:0', to: 'http://{service}', timeout: {{request: 5s}}}}
        "
    ))?;
    println!("ready: {}", proxy.ready().await);

    let address = proxy.addresses("users")[0];
    for path in ["/ann", "/bob"] {
        println!("GET {path}: {}", get(address, path).await?);
    }

    // What the admin interface would show is there without it.
    let entries = proxy.view().entries.load_full();
    let tries = entries[0].telemetry.totals().tries.load(Relaxed);
    println!("requests sent to the service: {tries}");

    // As SIGTERM does in the ambassador: what is in flight is finished.
    proxy.drained().await?;
    println!("listens still: {}", get(address, "/ann").await.is_ok());
    Ok(())
}

/// A service that greets whoever is in the path.
async fn start_service() -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(greet(connection));
        }
    });
    Ok(address)
}

async fn greet(mut connection: TcpStream) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(connection.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head);
    let name = head.split(' ').nth(1).unwrap_or("/").trim_matches('/');
    let answer = format!(
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\nhello, {name}",
        "hello, ".len() + name.len()
    );
    connection.write_all(answer.as_bytes()).await
}

/// What a workload would do: an ordinary request to a local address.
async fn get(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut connection = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: users\r\nconnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await?;
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body);
    Ok(body.unwrap_or_default().to_owned())
}
