//! Single requests of the runner itself: is a proxy up, and what does it add to a request.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};

/// Whether a request to `port` is answered with 200.
pub(crate) fn answers(port: u16) -> bool {
    fetch(port, "/1k").is_ok_and(|response| response.starts_with("HTTP/1.1 200"))
}

/// Whether the proxy at `port` adds `X-Forwarded-For` to what the origin sees.
pub(crate) fn forwards(port: u16) -> Result<bool> {
    Ok(forwarded(port)?
        .iter()
        .any(|name| name == "x-forwarded-for"))
}

/// The fields, in lower case and in order, by which the proxy at `port` tells the origin of the caller.
pub(crate) fn forwarded(port: u16) -> Result<Vec<String>> {
    let response = fetch(port, "/echo").context("no answer to the first request")?;
    let response = response.to_ascii_lowercase();
    let names = response.lines().filter_map(|line| line.split_once(':'));
    let mut names: Vec<String> = names
        .map(|(name, _)| name.to_owned())
        .filter(|name| name.starts_with("x-forwarded-") || name == "forwarded")
        .collect();
    names.sort();
    Ok(names)
}

/// The body of what `port` answers to a GET.
pub(crate) fn body(port: u16, path: &str) -> std::io::Result<String> {
    let response = fetch(port, path)?;
    let body = response.split_once("\r\n\r\n").map(|(_, body)| body);
    Ok(body.unwrap_or_default().to_owned())
}

fn fetch(port: u16, path: &str) -> std::io::Result<String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: bench.test\r\nConnection: close\r\n\r\n"
    )?;
    let mut response = Vec::new();
    stream.read_to_end(&mut response)?;
    Ok(String::from_utf8_lossy(&response).into_owned())
}
